import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { script } from '#fixtures'
import { givenProject, startProduct } from '../helpers/product.ts'

/** What an agent does in a project, each described by the model's script and carried out by the real Kilo. */
t.test('the work of an agent', async (t) => {
  const { user, model } = await startProduct(t)
  const client = await user()
  const at = (path: string) => `{{worktree}}/${path}`
  const write = (path: string, content: string) => ({
    tool: 'write',
    input: { filePath: at(path), content }
  })
  const bash = (command: string) => ({
    tool: 'bash',
    input: { command, description: 'a shell command' }
  })

  const project = await givenProject(client, { 'README.md': '# Hi\n' })

  await t.test('text only', async (t) => {
    const story = await project.run(script({ say: 'Hello 👋, it is done.' }))
    t.equal(story.text(), 'Hello 👋, it is done.')
    t.match(story.only('job:success'), { commit: null, merge: 'none' })
    t.same(story.all('job:diff'), [], 'nothing changed')

    const { body: job } = await client.call('GET', `/jobs/${story.jobId}`)
    t.match(job, { status: 'succeeded', error: null, credits: story.only('job:success').credits })
  })

  await t.test('frames come in the promised order, once each', async (t) => {
    const story = await project.run(script(write('a.txt', 'a'), { say: 'Done.' }))
    const types = story.frames.map(({ type }) => type)
    t.same(types.slice(0, 2), ['job:queued', 'job:running'])
    t.same(types.slice(-3), ['job:diff', 'job:credits-used', 'job:success'])
    t.same(
      story.frames.map(({ seq }) => seq),
      story.frames.map((_, index) => story.frames[0]!.seq + index)
    )
    t.ok(types.indexOf('job:file-created') < types.indexOf('job:diff'))
    t.equal(story.all('job:credits-used').filter(({ final }) => final).length, 1)
  })

  await t.test('a new file is written, committed with trailers, and on main', async (t) => {
    const story = await project.run(
      script(write('src/new file ü.txt', 'one\ntwo\n'), { say: 'ok' })
    )
    const { commit, merge, branch } = story.only('job:success')
    t.equal(merge, 'merged')
    t.match(branch, /^ai\/session-[0-9A-Z]{26}$/)
    t.match(story.all('job:file-created'), [{ path: 'src/new file ü.txt', by: 'agent' }])
    t.equal(await project.read('src/new%20file%20%C3%BC.txt'), 'one\ntwo\n')

    const { body: files } = await client.call<{ head: string; files: { path: string }[] }>(
      'GET',
      `/projects/${project.id}/files`
    )
    t.equal(files.head, commit)
    t.same(
      files.files.map(({ path }) => path),
      ['README.md', 'a.txt', 'src/new file ü.txt']
    )
    t.match(story.only('job:diff'), {
      head: commit,
      files: [{ path: 'src/new file ü.txt', status: 'added', additions: 2, deletions: 0 }],
      patch: /\+one\n\+two/
    })
    const { body: patch } = await client.call<string>(
      'GET',
      `/jobs/${story.jobId}/diff`,
      undefined,
      { accept: 'text/x-diff' }
    )
    t.match(patch, /^diff --git [^]*\+one\n\+two\n/, 'as a patch that git takes')
  })

  await t.test('an edit', async (t) => {
    await project.save('b.txt', 'red\ngreen\n')
    const story = await project.run(
      script(
        { tool: 'read', input: { filePath: at('b.txt') } },
        {
          tool: 'edit',
          input: { filePath: at('b.txt'), oldString: 'green', newString: 'blue' }
        },
        { say: 'Edited.' }
      )
    )
    t.equal(await project.read('b.txt'), 'red\nblue\n')
    t.match(story.all('job:file-updated'), [{ path: 'b.txt' }])
    t.match(story.only('job:diff').files, [{ path: 'b.txt', status: 'modified' }])
    t.match(
      story.all('job:tool').filter(({ status }) => status === 'completed'),
      [{ tool: 'read' }, { tool: 'edit' }]
    )
  })

  await t.test('several files in folders, a todo list, and files by bash', async (t) => {
    const story = await project.run(
      script(
        {
          tool: 'todowrite',
          input: { todos: [{ content: 'write', status: 'in_progress', priority: 'high' }] }
        },
        { tools: [write('src/a/one.ts', '1\n'), write('src/b/two.ts', '2\n')] },
        bash('mkdir -p docs && printf hi > docs/three.md'),
        { say: 'All there.' }
      )
    )
    t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
    t.same(
      story
        .all('job:file-created')
        .map(({ path }) => path)
        .toSorted(),
      ['docs/three.md', 'src/a/one.ts', 'src/b/two.ts']
    )
    t.match(story.all('job:todo'), [{ items: [{ content: 'write', status: 'in_progress' }] }])
    t.equal(await project.read('docs/three.md'), 'hi')
  })

  await t.test('a file is deleted by bash', async (t) => {
    await project.save('old.txt', 'old\n')
    await project.save('kept.txt', 'kept\n')
    const story = await project.run(script(bash('rm old.txt'), { say: 'Gone.' }))
    t.same(story.all('job:file-deleted'), [{ path: 'old.txt', sha: null, by: 'agent' }])
    t.equal(await project.read('old.txt'), undefined)
    t.equal(await project.read('kept.txt'), 'kept\n')
  })

  await t.test(
    'a file that is changed and changed back is reported with its final content',
    async (t) => {
      await project.save('back.txt', 'before\n')
      const story = await project.run(
        script(bash('echo after > back.txt'), bash('sleep 2; echo before > back.txt'), {
          say: 'Ok.'
        })
      )
      const updates = story.all('job:file-updated').filter(({ path }) => path === 'back.txt')
      const { body } = await client.call('GET', `/projects/${project.id}/files/back.txt`)
      t.equal(updates.at(-1)?.sha, body['sha'])
      t.match(story.last.data, { commit: null }, 'nothing was changed in the end')
    }
  )

  await t.test('in its jail it has a /tmp of its own, and nothing of the host', async (t) => {
    const secret = join(tmpdir(), `kilowatt-host-${randomUUID()}.txt`)
    await writeFile(secret, 'the host')
    t.teardown(() => rm(secret))
    const story = await project.run(
      script(
        bash(`echo mine > /tmp/mine.txt && cp /tmp/mine.txt copy.txt; cat ${secret} > stolen.txt`),
        { tool: 'write', input: { filePath: '/etc/kilowatt.txt', content: 'x' } },
        { say: 'Tried.' }
      )
    )
    t.equal(await project.read('copy.txt'), 'mine\n')
    t.equal(await project.read('stolen.txt'), '', 'there was nothing to read')
    t.match(
      story.all('job:tool').filter(({ tool, status }) => tool === 'write' && status !== 'running'),
      [{ status: 'error' }]
    )
  })

  await t.test('a subagent works, and its tokens are paid for', async (t) => {
    const before = model.requests.length
    const inner = script(write('by-child.txt', 'child\n'), { say: 'The child is done.' })
    const story = await project.run(
      script(
        {
          tool: 'task',
          input: { description: 'a child', prompt: inner, subagent_type: 'general' }
        },
        { say: 'The parent is done.' }
      )
    )
    t.equal(await project.read('by-child.txt'), 'child\n')
    t.equal(story.text(), 'The parent is done.', 'only what the root says is its answer')

    const requests = model.requests.slice(before)
    t.ok(
      requests.some(({ parentSessionId }) => parentSessionId),
      'a child asked the model'
    )
    const counted = requests.reduce((sum, { usage }) => sum + usage.input + usage.output, 0)
    const { usage } = story.all('job:credits-used').at(-1)!
    t.equal(usage.input + usage.output + usage.reasoning + usage.cacheRead, counted)
  })

  await t.test('a conversation continues in its session', async (t) => {
    const first = await project.run(script({ say: 'The number is 42.' }))
    const { body: job } = await client.call<{ sessionId: string }>('GET', `/jobs/${first.jobId}`)
    const before = model.requests.length
    const second = await project.run(script(write('n.txt', '42'), { say: 'Still 42.' }), {
      sessionId: job.sessionId
    })
    t.equal(second.last.type, 'job:success')
    t.ok(
      model.requests[before]!.usage.input > model.requests[before - 1]!.usage.input,
      'the model receives the earlier messages'
    )
    const { body: messages } = await client.call<{ items: { role: string; text: string }[] }>(
      'GET',
      `/sessions/${job.sessionId}/messages`
    )
    t.match(messages.items, [
      { role: 'user' },
      { role: 'assistant', text: 'The number is 42.' },
      { role: 'user' },
      { role: 'assistant', text: 'Still 42.' }
    ])
    const { body: sessions } = await client.call<{ items: { id: string }[] }>(
      'GET',
      `/projects/${project.id}/sessions`
    )
    t.equal(sessions.items.filter(({ id }) => id === job.sessionId).length, 1)
  })

  await t.test('jobs of one project run one at a time, oldest first', async (t) => {
    const slow = script({ say: 'one two three four five six', chunks: 6, chunkMs: 50 })
    const ids = [await project.submit(slow), await project.submit(slow), await project.submit(slow)]
    const stories = await Promise.all(ids.map((id) => project.story(id)))
    t.same(
      stories.map((story) => story.only('job:queued').position),
      [0, 1, 2]
    )
    for (const [index, story] of stories.entries()) {
      const next = stories[index + 1]
      if (!next) break
      const running = next.frames.find(({ type }) => type === 'job:running')!
      t.ok(story.last.seq < running.seq, 'the next one begins after this one has ended')
    }
  })

  await t.test('the file that is open in the editor is given as context', async (t) => {
    await project.save('src/open.ts', 'export {}\n')
    const story = await project.run(script({ say: 'I see.' }), { currentFilePath: 'src/open.ts' })
    t.equal(story.last.type, 'job:success')
  })

  await t.test('a mode, by its own name and by the other one', async (t) => {
    for (const [mode, expected] of [
      ['ask', 'ask'],
      ['architect', 'plan'],
      ['coder', 'code']
    ]) {
      const story = await project.run(script({ say: 'ok' }), { mode })
      t.equal(story.only('job:queued').mode, expected)
      t.equal(story.last.type, 'job:success')
    }
    const refused = await client.call('POST', `/projects/${project.id}/ai-command`, {
      text: 'x',
      mode: 'wizard'
    })
    t.match(refused, { status: 422, body: { code: 'unknown_mode', known: Array } })
  })
})
