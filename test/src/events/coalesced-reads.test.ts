import t from 'tap'
import { projectId } from '#kernel/ids.ts'
import { coalesceReads, type FramePage } from '../../../src/events/coalesced-reads.ts'

t.test('readers at the same place read once, and never what was read before a ring', async (t) => {
  const project = projectId.create()
  const answers: PromiseWithResolvers<FramePage>[] = []
  const { read, invalidate } = coalesceReads(() => {
    const answer = Promise.withResolvers<FramePage>()
    answers.push(answer)
    return answer.promise
  })
  const seen: FramePage = { frames: [], more: false }

  const together = [
    read(project, { after: 1, isBehind: false }),
    read(project, { after: 1, isBehind: false })
  ]
  t.equal(answers.length, 1, 'the second joins the first')
  void read(project, { after: 2, isBehind: false })
  void read(project, { after: 1, isBehind: false, types: ['job:log'] })
  void read(project, { after: 1, isBehind: true })
  void read(projectId.create(), { after: 1, isBehind: false })
  t.equal(answers.length, 5, 'another place, choice, size or project is another look')

  invalidate(project)
  const later = read(project, { after: 1, isBehind: false })
  t.equal(answers.length, 6, 'after a ring a look begins anew')
  answers[0]!.resolve(seen)
  t.same(await Promise.all(together), [seen, seen])
  void read(project, { after: 1, isBehind: false })
  t.equal(answers.length, 6, 'what was begun before the ring ends without ending the later one')

  answers[5]!.reject(new Error('the database is away'))
  await t.rejects(later, /away/)
  void read(project, { after: 1, isBehind: false })
  t.equal(answers.length, 7, 'a look that is over is not joined')
})
