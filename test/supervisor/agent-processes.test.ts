import t from 'tap'
import { decideProcesses, type ProcessFacts } from '../../supervisor/process/agent-processes.ts'

const SERVER = 10
const SINCE = 1000

type Row = Partial<ProcessFacts> & Pick<ProcessFacts, 'pid'>

/** init (1) → a login shell with a terminal (5) → the server (10) → Kilo (20), which is marked. */
const MACHINE: readonly Row[] = [
  { pid: 1, parent: 0, session: 1, born: 0 },
  { pid: 5, parent: 1, session: 5, born: 500, hasTerminal: true },
  { pid: SERVER, parent: 5, session: 5, born: 900, hasTerminal: true },
  { pid: 20, parent: SERVER, session: 20 }
]

function decide(rows: readonly Row[], using: readonly number[]): number[] {
  const facts = { parent: 1, hasTerminal: false, born: SINCE + 1 }
  const all = [...MACHINE, ...rows].map((row) => ({ session: row.pid, ...facts, ...row }))
  return decideProcesses(new Map(all.map((row) => [row.pid, row])), new Set([20]), {
    server: SERVER,
    since: SINCE,
    usesFolders: (pid) => using.includes(pid)
  }).filter((pid) => pid !== 20)
}

const CASES: readonly (readonly [says: string, rows: Row[], using: number[], found: number[]])[] = [
  ['a child without the marker', [{ pid: 30, parent: 20 }], [], [30]],
  ['an orphan in the session of Kilo', [{ pid: 30, session: 20 }], [], [30]],
  ['an orphan that uses a folder', [{ pid: 30 }], [30], [30]],
  ['an orphan whose child uses a folder', [{ pid: 30 }, { pid: 31, parent: 30 }], [31], [30, 31]],
  [
    'the children and the session of such an orphan',
    [{ pid: 30 }, { pid: 31, parent: 30 }, { pid: 32, session: 30 }],
    [30],
    [30, 31, 32]
  ],
  ['an orphan elsewhere is not', [{ pid: 30 }], [], []],
  ['an older process is not', [{ pid: 30, born: SINCE - 1 }], [30], []],
  ['a child of the server, such as git, is not', [{ pid: 30, parent: SERVER }], [30], []],
  ['what started the server is not', [], [1, 5, SERVER], []],
  [
    'a process of another program, such as an editor, is not',
    [
      { pid: 6, born: 600 },
      { pid: 30, parent: 6 }
    ],
    [30],
    []
  ],
  ['a child of the login shell is not', [{ pid: 30, parent: 5, session: 5 }], [30], []],
  ['a shell in a terminal is not', [{ pid: 30, hasTerminal: true }], [30], []],
  [
    'a terminal multiplexer is not, nor are its shells',
    [{ pid: 30 }, { pid: 31, parent: 30, hasTerminal: true }],
    [30, 31],
    []
  ],
  [
    'a process in the session of the server is not',
    [{ pid: 30, session: 5, parent: 20, born: SINCE - 1 }],
    [30],
    []
  ]
]

t.test('finds the processes of an agent without a room', async (t) => {
  for (const [says, rows, using, found] of CASES) {
    t.same(
      decide(rows, using).toSorted((a, b) => a - b),
      found,
      says
    )
  }
})
