import t from 'tap'
import { script } from '#fixtures'
import { givenProject, seen, startProduct } from '../helpers/product.ts'

/** Without a jail the agent asks before it runs a command: answers of people, and no answer. */
t.test('permissions and questions', async (t) => {
  const { user } = await startProduct(t, {
    env: { ISOLATION: 'process' },
    tuning: { jobs: { promptAnswerMs: 8000 } }
  })
  const client = await user()
  const project = await givenProject(client)
  const bash = (command: string) => ({
    tool: 'bash',
    input: { command, description: 'a shell command' }
  })
  const answer = (jobId: string, id: string, body: object) =>
    client.call('POST', `/jobs/${jobId}/permissions/${id}`, body)

  await t.test('a permission that is granted', async (t) => {
    const jobId = await project.submit(script(bash('echo yes > yes.txt'), { say: 'Written.' }))
    const asked = await seen(client, jobId, 'job:permission')
    t.match(asked, { kind: 'bash', title: /echo yes/, patterns: [/echo yes/] })
    const { body: job } = await client.call('GET', `/jobs/${jobId}`)
    t.match(job, { pending: { permissions: [{ permissionId: asked.permissionId }] } })

    const given = await answer(jobId, asked.permissionId, { reply: 'once' })
    t.ok(given.status < 300)
    const story = await project.story(jobId)
    t.match(story.only('job:permission-resolved'), { reply: 'once', by: /^usr_/ })
    t.equal(await project.read('yes.txt'), 'yes\n')
    t.equal(story.last.type, 'job:success')
    t.match(await answer(jobId, asked.permissionId, { reply: 'once' }), { status: 404 })
  })

  await t.test('a permission that is rejected', async (t) => {
    const jobId = await project.submit(script(bash('echo no > no.txt'), { say: 'Written.' }))
    const { permissionId } = await seen(client, jobId, 'job:permission')
    await answer(jobId, permissionId, { reply: 'reject' })
    const story = await project.story(jobId)
    t.match(story.only('job:permission-resolved'), { reply: 'reject' })
    t.equal(await project.read('no.txt'), undefined)
    t.equal(story.last.type, 'job:success', 'the turn ended well, without the command')
  })

  await t.test('a permission for the rest of the conversation is asked once', async (t) => {
    const first = await project.submit(script(bash('echo a >> log.txt'), { say: '1' }))
    const { permissionId } = await seen(client, first, 'job:permission')
    await answer(first, permissionId, { reply: 'always' })
    await project.story(first)
    const { body } = await client.call<{ sessionId: string }>('GET', `/jobs/${first}`)
    const story = await project.run(script(bash('echo a >> log.txt'), { say: '2' }), {
      sessionId: body.sessionId
    })
    t.same(story.all('job:permission'), [])
    t.equal(await project.read('log.txt'), 'a\na\n')
  })

  await t.test(
    'without an answer the policy rejects, and the job fails with permission_timeout',
    async (t) => {
      const story = await project.run(script(bash('echo late > late.txt'), { say: 'Written.' }))
      t.match(story.only('job:permission-resolved'), { reply: 'reject', by: 'policy' })
      t.match(story.only('job:error'), { code: 'permission_timeout', retryable: true })
      t.equal(await project.read('late.txt'), undefined)
    }
  )

  await t.test('refuses a write outside the worktree without asking', async (t) => {
    const path = '/var/tmp/kilowatt-outside.txt'
    const write = { tool: 'write', input: { filePath: path, content: 'x' } }
    const story = await project.run(script(write, { say: 'Tried.' }))
    t.match(
      story.all('job:tool').filter(({ status }) => status !== 'running'),
      [{ tool: 'write', status: 'error' }]
    )
    t.same(story.all('job:permission'), [])
  })

  const question = {
    tool: 'question',
    input: {
      questions: [
        {
          question: 'Which database?',
          header: 'DB',
          options: [
            { label: 'Postgres', description: 'pg' },
            { label: 'SQLite', description: 'file' }
          ]
        }
      ]
    }
  }

  await t.test('a question that is answered', async (t) => {
    const jobId = await project.submit(script(question, { say: 'Thank you.' }))
    const asked = await seen(client, jobId, 'job:question')
    t.match(asked.questions, [
      { question: 'Which database?', options: [{ label: 'Postgres' }, {}] }
    ])
    const path = `/jobs/${jobId}/questions/${asked.questionId}`
    for (const answers of [[['a'], ['b']], [[]], [['\u200b ']], [['Postgres', 'SQLite']]]) {
      t.match(
        await client.call('POST', path, { answers }),
        { status: 400, body: { code: 'invalid_request' } },
        JSON.stringify(answers)
      )
    }
    t.ok((await client.call('POST', path, { answers: [['Postgres']] })).status < 300)
    const story = await project.story(jobId)
    t.match(story.only('job:question-resolved'), { answers: [['Postgres']], by: /^usr_/ })
    t.equal(story.text(), 'Thank you.')
  })

  await t.test('a question that is rejected', async (t) => {
    const jobId = await project.submit(script(question, { say: 'Thank you.' }))
    const { questionId } = await seen(client, jobId, 'job:question')
    await client.call('POST', `/jobs/${jobId}/questions/${questionId}`, { reject: true })
    const story = await project.story(jobId)
    t.match(story.only('job:question-resolved'), { answers: null })
    t.equal(story.last.type, 'job:success')
  })
})
