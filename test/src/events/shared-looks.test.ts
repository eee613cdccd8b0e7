import t from 'tap'
import { projectId } from '#kernel/ids.ts'
import { shareLooks, type Seen } from '../../../src/events/shared-looks.ts'

t.test(
  'readers at the same place look once, and never into what was seen before a ring',
  async (t) => {
    const project = projectId.create()
    const answers: PromiseWithResolvers<Seen>[] = []
    const { look, forget } = shareLooks(() => {
      const answer = Promise.withResolvers<Seen>()
      answers.push(answer)
      return answer.promise
    })
    const seen: Seen = { frames: [], more: false }

    const together = [
      look(project, { after: 1, isBehind: false }),
      look(project, { after: 1, isBehind: false })
    ]
    t.equal(answers.length, 1, 'the second joins the first')
    void look(project, { after: 2, isBehind: false })
    void look(project, { after: 1, isBehind: false, types: ['job:log'] })
    void look(project, { after: 1, isBehind: true })
    void look(projectId.create(), { after: 1, isBehind: false })
    t.equal(answers.length, 5, 'another place, choice, size or project is another look')

    forget(project)
    const later = look(project, { after: 1, isBehind: false })
    t.equal(answers.length, 6, 'after a ring a look begins anew')
    answers[0]!.resolve(seen)
    t.same(await Promise.all(together), [seen, seen])
    void look(project, { after: 1, isBehind: false })
    t.equal(answers.length, 6, 'what was begun before the ring ends without ending the later one')

    answers[5]!.reject(new Error('the database is away'))
    await t.rejects(later, /away/)
    void look(project, { after: 1, isBehind: false })
    t.equal(answers.length, 7, 'a look that is over is not joined')
  }
)
