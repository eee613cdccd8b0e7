import t from 'tap'
import { silentLog } from '#kernel/log.ts'
import { createSpareSession } from '../../supervisor/agent/spare-session.ts'

t.test('a prepared session is used once, and none is made twice', async (t) => {
  let made = 0
  const sessions = createSpareSession(async () => `ses_${(made += 1)}`, silentLog)
  t.equal(await sessions.take(), 'ses_1', 'nothing was prepared')
  sessions.prepare()
  sessions.prepare()
  t.equal(made, 2)
  const both = await Promise.all([sessions.take(), sessions.take()])
  t.same(both.toSorted(), ['ses_2', 'ses_3'])
})

t.test('a session that could not be prepared is made when it is needed', async (t) => {
  let refuses = true
  const create = async () => {
    if (refuses) throw new Error('busy')
    return 'ses_1'
  }
  const sessions = createSpareSession(create, silentLog)
  sessions.prepare()
  await new Promise(setImmediate)
  await t.rejects(sessions.take(), { message: 'busy' })
  sessions.prepare()
  refuses = false
  t.equal(await sessions.take(), 'ses_1')
})
