import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { script } from '#fixtures'
import t from 'tap'
import { API_KEY, openStage, play, processesWith, toolsOf } from '../helpers.ts'

t.test('shows an agent in a sandbox its worktree, its own data and the system', async (t) => {
  const secret = 'a-secret-of-the-parents-environment'
  process.env['KILOWATT_TEST_SECRET'] = secret
  const { supervisor, project, folder } = await openStage(t)
  if (supervisor.isolation !== 'bubblewrap') return t.plan(0, 'bubblewrap is not possible here')
  const { worktree, agent, id } = await project()

  // Kilo looks at the paths in a command and has a rule for them; what is tried here is the jail behind it.
  const run = async (command: string) => {
    const hidden = `echo ${btoa(command)} | base64 -d | sh`
    const input = { command: hidden, description: 'a command' }
    const { events } = await play(agent, { text: script({ tool: 'bash', input }, { say: 'x' }) })
    t.notOk(
      events.some(({ type }) => type === 'permission.asked'),
      'no permission is requested'
    )
    return toolsOf(events).at(-1)?.output ?? ''
  }

  t.equal((await run('pwd; touch made-by-bash')).trim(), '/work')
  t.equal(await readFile(join(worktree, 'made-by-bash'), 'utf8'), '')
  t.same(
    (await run('ls /'))
      .trim()
      .split('\n')
      .filter((name) => !/^(s?bin|lib.*)$/.test(name)),
    ['dev', 'etc', 'kilo', 'opt', 'proc', 'tmp', 'usr', 'work']
  )
  t.match(await run(`ls ${folder} 2>&1`), /No such file/)
  t.match(await run('touch /usr/x /opt/kilo/x /opt/given/x /x 2>&1'), /Read-only file system/)
  t.match(await run('id -u; cat /proc/self/status | grep CapEff'), /1000\nCapEff:\s*0+\n/)
  t.match(await run('git --version; rg --version'), /git version[\s\S]*ripgrep/)

  const environments = await run('cat /proc/*/environ | tr "\\0" "\\n"')
  t.match(environments, /XDG_DATA_HOME=\/kilo\/data/)
  t.notMatch(environments, secret)
  // The shell counts by itself: a program that is given their names complains of those that have ended meanwhile.
  const count = Number(await run('set -- /proc/[0-9]*; echo $#'))
  t.ok(count > 1 && count < 10, `${count} processes: a handful`)

  await t.test('keeps the provider’s key out of a command’s environment', async (t) => {
    t.notMatch(await run('printenv'), API_KEY)
  })

  await run('setsid nohup sleep 600 >/dev/null 2>&1 & echo ok')
  await supervisor.stop(id)
  t.same(await processesWith(folder), [])
})
