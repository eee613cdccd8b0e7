import { execFileSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Act } from './steps.ts'

/** Does what an agent does, as far as the tree allows it. `mark` names the job in everything that is written. */
export function act(worktree: string, step: Act, mark: string): void {
  const at = (path: string) => join(worktree, path)
  const clear = (path: string) => {
    const segments = path.split('/').slice(0, -1)
    for (const [depth] of segments.entries()) {
      const above = segments.slice(0, depth + 1).join('/')
      const stats = lstatSync(at(above), { throwIfNoEntry: false })
      if (stats && !stats.isDirectory()) rmSync(at(above))
    }
    rmSync(at(path), { recursive: true, force: true })
    mkdirSync(dirname(at(path)), { recursive: true })
  }
  switch (step.kind) {
    case 'write':
      clear(step.path)
      return writeFileSync(at(step.path), `${mark} wrote ${step.path}\n`)
    case 'delete':
      return rmSync(at(step.path), { recursive: true, force: true })
    case 'folder':
      clear(step.path)
      mkdirSync(at(step.path))
      return writeFileSync(at(`${step.path}/inside`), `${mark} made a folder\n`)
    case 'fifo':
      clear(step.path)
      return void execFileSync('mkfifo', [at(step.path)])
    case 'link':
      clear(step.path)
      return symlinkSync(`/${mark}`, at(step.path))
    case 'unreadable':
      clear(step.path)
      writeFileSync(at(step.path), `${mark} closed it\n`)
      return chmodSync(at(step.path), 0)
    case 'ignore':
      return writeFileSync(at('.gitignore'), step.rules)
    case 'repository':
      clear('nested')
      mkdirSync(at('nested'))
      writeFileSync(at('nested/file'), `${mark} in a repository\n`)
      return void execFileSync('git', ['init', '-q', at('nested')])
    case 'close':
      mkdirSync(at('closed/deep'), { recursive: true })
      writeFileSync(at('closed/deep/file'), `${mark} in a closed folder\n`)
      chmodSync(at('closed/deep'), 0o555)
      return chmodSync(at('closed'), 0o555)
  }
}
