import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { script } from '#fixtures'
import t from 'tap'
import { openStage, play, processesWith, toolsOf } from '../helpers.ts'

t.test('runs turns of a real Kilo, isolated as well as this machine allows', async (t) => {
  const { supervisor, project, metrics, model, folder } = await openStage(t)
  const { id, worktree, agent } = await project()

  t.equal(supervisor.kiloVersion, '7.7.7')
  t.same(supervisor.modes(), ['code', 'plan', 'ask', 'debug', 'orchestrator'])
  t.equal(supervisor.peek(id), agent)

  await t.test('emits a text in pieces, exactly, and ends the turn once', async (t) => {
    const text = 'Zwölf Boxkämpfer jagen Viktor \u{1f44b} quer über den Deich. \n\n'
    const { events, outcome, answer, thought } = await play(agent, {
      text: script({ think: 'Let me see. ', say: text, chunks: 9, chunkMs: 5 })
    })
    t.equal(answer, text)
    t.equal(thought.trim(), 'Let me see.')
    t.same(outcome, { kind: 'completed' })
    t.equal(events[0]?.type, 'turn.opened')
    t.equal(events.at(-1)?.type, 'turn.finished')
    t.equal(events.filter(({ type }) => type === 'turn.finished').length, 1)
    t.ok(events.filter(({ type }) => type === 'text.appended').length > 3, 'in pieces')
    t.same(
      events.filter(({ type }) => type === 'unrecognised'),
      []
    )
  })

  await t.test('reports usage per step, and per session', async (t) => {
    model.reset()
    const agentSessionId = await agent.openSession()
    const usage = { input: 1000, output: 50, reasoning: 5, cacheRead: 300, cacheWrite: 0 }
    const { events } = await play(agent, { agentSessionId, text: script({ say: 'a', usage }) })

    const [step, ...more] = events.filter((e) => e.type === 'usage.reported')
    t.same(more, [])
    t.match(step, { agentSessionId, model: 'openai-compatible/scripted', usage })
    t.same((await agent.sessionUsage(agentSessionId)).usage, usage)
    t.equal((await agent.sessionUsage(agentSessionId)).steps, 1)
    t.equal(model.requests[0]?.sessionId, agentSessionId)

    await play(agent, { agentSessionId, text: script({ say: 'b', usage }) })
    t.equal((await agent.sessionUsage(agentSessionId)).steps, 2, 'a session continues')
    t.equal(await agent.hasSession(agentSessionId), true)
    t.equal(await agent.hasSession('ses_e025000000ffeAAAAAAAAAAAAAA'), false)
  })

  await t.test('writes a file, and names it relative to the worktree', async (t) => {
    const { events, outcome } = await play(agent, {
      text: script(
        { tool: 'write', input: { filePath: 'src/new.ts', content: 'one\n' } },
        { say: 'done' }
      )
    })
    t.same(outcome, { kind: 'completed' })
    t.equal(await readFile(join(worktree, 'src/new.ts'), 'utf8'), 'one\n')
    t.match(toolsOf(events), [
      { tool: 'write', status: 'running', title: 'src/new.ts', mayWrite: false },
      { tool: 'write', status: 'completed', title: 'src/new.ts', mayWrite: true }
    ])
    t.equal(toolsOf(events).length, 2)
  })

  await t.test('truncates a long input in the event, and not in the file', async (t) => {
    const content = 'ä'.repeat(60_000)
    const { events } = await play(agent, {
      text: script({ tool: 'write', input: { filePath: 'long.txt', content } }, { say: 'done' })
    })
    const shown = toolsOf(events)
    t.ok(shown.every((event) => JSON.stringify(event).length < 20_000))
    t.ok(shown.every(({ truncated }) => truncated))
    t.equal(await readFile(join(worktree, 'long.txt'), 'utf8'), content)
  })

  await t.test('searches files without changing them', async (t) => {
    const { events } = await play(agent, {
      text: script({ tool: 'grep', input: { pattern: 'one', path: '.' } }, { say: 'done' })
    })
    t.match(toolsOf(events).at(-1), { status: 'completed', title: 'one', mayWrite: false })
    t.match(toolsOf(events).at(-1)?.output, /new\.ts/)
  })

  await t.test('waits for the answer to a question, or for its rejection', async (t) => {
    const questions = [
      {
        question: 'Which database?',
        header: 'DB',
        options: [
          { label: 'Postgres', description: 'pg' },
          { label: 'SQLite', description: 'small' }
        ]
      }
    ]
    const text = script({ tool: 'question', input: { questions } }, { say: 'fine' })

    const answered = await play(agent, { text }, (event) => {
      if (event.type !== 'question.asked') return
      t.match(event.questions, questions)
      return agent.answerQuestion(event.questionId, [['Postgres']])
    })
    t.equal(answered.answer, 'fine')
    t.match(toolsOf(answered.events).at(-1)?.output, /Postgres/)

    const turnedAway = await play(agent, { text }, (event) =>
      event.type === 'question.asked' ? agent.answerQuestion(event.questionId, null) : undefined
    )
    t.same(turnedAway.outcome, { kind: 'completed' })
  })

  await t.test(
    'emits the tools and usage of sub-agents, and their texts as the output of the tool',
    async (t) => {
      const prompt = script(
        { tool: 'write', input: { filePath: 'child.txt', content: 'c' } },
        { say: 'the child says' }
      )
      const { events, answer, outcome } = await play(agent, {
        text: script(
          { tool: 'task', input: { description: 'help', prompt, subagent_type: 'general' } },
          { say: 'the root says' }
        )
      })
      t.same(outcome, { kind: 'completed' })
      t.equal(answer, 'the root says')
      t.match(
        toolsOf(events).find(({ tool }) => tool === 'write'),
        { title: 'child.txt' }
      )
      t.match(toolsOf(events).at(-1)?.output, /the child says/)
      const sessions = events.flatMap((e) =>
        e.type === 'usage.reported' ? [e.agentSessionId] : []
      )
      t.equal(sessions.length, 4)
      t.equal(new Set(sessions).size, 2)
    }
  )

  await t.test('emits to-do lists', async (t) => {
    const todos = [{ content: 'first', status: 'in_progress', priority: 'high' }]
    const { events } = await play(agent, {
      text: script({ tool: 'todowrite', input: { todos } }, { say: 'done' })
    })
    t.match(
      events.find(({ type }) => type === 'todo.updated'),
      { items: todos }
    )
  })

  await t.test('fails with the message of the provider', async (t) => {
    const fails = (status: number, message: string) =>
      play(agent, { text: script({ fail: status, message }) }).then(({ outcome }) => outcome)

    t.same(await fails(401, 'bad key sk-abcdefghijkl'), {
      kind: 'failed',
      reason: 'model_error',
      message: 'bad key [redacted]',
      status: 401
    })
    t.match(await fails(402, 'no money'), { reason: 'model_error', status: 402 })
    t.match(await fails(404, 'no such model'), { reason: 'model_error', status: 404 })
  })

  await t.test('retries a model that fails once, and emits a notice', async (t) => {
    const { outcome, events, answer } = await play(agent, {
      text: script({ fail: 500, message: 'boom', times: 1 }, { say: 'at last' })
    })
    t.same(outcome, { kind: 'completed' })
    t.equal(answer, 'at last')
    const notices = events.flatMap((e) => (e.type === 'notice' ? [e.text] : []))
    t.match(notices, [/The model answered “.*”; trying again in \d+ s\./])
    t.equal(notices.length, 1)
  })

  await t.test('reports a rate limit as a reason of its own', async (t) => {
    const { outcome } = await play(agent, { text: script({ fail: 429, retryAfter: 1 }) })
    t.match(outcome, { kind: 'failed', reason: 'model_rate_limited', status: 429 })
  })

  await t.test('retries a reset connection a few times, then fails', async (t) => {
    const once = await play(agent, {
      text: script({ reset: 'before', times: 1 }, { say: 'there you are' })
    })
    t.equal(once.answer, 'there you are')
    const always = await play(agent, { text: script({ reset: 'before' }) })
    t.match(always.outcome, { kind: 'failed', reason: 'model_unreachable' })
  })

  await t.test('ends a cancelled turn within its grace period, and keeps the agent', async (t) => {
    const cancel = new AbortController()
    const slow = script({ say: 'word '.repeat(400), chunks: 400, chunkMs: 20 })
    const { outcome, answer } = await play(
      agent,
      { text: slow },
      (event) => event.type === 'text.appended' && cancel.abort(),
      cancel.signal
    )
    t.same(outcome, { kind: 'interrupted' })
    t.ok(answer.length < 1000)
    t.equal((await play(agent, { text: script({ say: 'still here' }) })).answer, 'still here')
  })

  await t.test('stops a turn whose reader leaves', async (t) => {
    const agentSessionId = await agent.openSession()
    const text = script({ say: 'word '.repeat(400), chunks: 400, chunkMs: 20 })
    const turn = { agentSessionId, mode: 'code', model: 'openai-compatible/scripted', text }
    for await (const event of agent.runTurn(turn, new AbortController().signal)) {
      if (event.type === 'text.appended') break
    }
    t.match(supervisor.running(), [{ projectId: id, turnRunning: false }])
    const next = await play(agent, { agentSessionId, text: script({ say: 'and on' }) })
    t.equal(next.answer, 'and on')
  })

  await t.test('does not begin a turn that was cancelled before', async (t) => {
    model.reset()
    const { events } = await play(
      agent,
      { text: script({ say: 'x' }) },
      undefined,
      AbortSignal.abort()
    )
    t.same(events, [{ type: 'turn.finished', outcome: { kind: 'interrupted' } }])
    t.equal(model.requests.length, 0)
  })

  await t.test('refuses an unknown mode and an unknown model', async (t) => {
    await t.rejects(play(agent, { text: 'hello', mode: 'nope' }), {
      reason: 'unavailable',
      message: /no mode “nope”, only code, plan/
    })
    const { outcome } = await play(agent, { text: 'hello', model: 'openai-compatible/nope' })
    t.match(outcome, { reason: 'model_error', message: /Model not found/ })
  })

  await t.test('leaves no process after a stop', async (t) => {
    t.ok((await processesWith(folder)).length > 0)
    await supervisor.stop(id)
    t.same(await processesWith(folder), [])
    t.equal(supervisor.peek(id), undefined)
    t.same(supervisor.running(), [])
    t.same(
      metrics.filter(({ kind }) => kind !== 'started' && kind !== 'stopped'),
      [{ kind: 'ended', reason: 'interrupted' }]
    )
  })
})

t.test('reports a silent model as unreachable, before its answer and within it', async (t) => {
  const { project } = await openStage(t, { modelTimeouts: { headerMs: 2000, chunkMs: 2000 } })
  const { agent } = await project()
  const before = await play(agent, { text: script({ hang: 'headers' }) })
  t.match(before.outcome, { kind: 'failed', reason: 'model_unreachable' })
  const within = await play(agent, { text: script({ say: 'some words', hang: 'mid' }) })
  t.match(within.outcome, { kind: 'failed', reason: 'model_unreachable' })
})
