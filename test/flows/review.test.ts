import t from 'tap'
import { script } from '#fixtures'
import { givenProject, seen, startProduct, type GivenProject } from '../helpers/product.ts'

const put = (project: GivenProject, path: string, content: string, headers = {}) =>
  project.client.call<{ commit: string; sha: string; code: string }>(
    'PUT',
    `/projects/${project.id}/files/${path}`,
    { content },
    headers
  )
const review = (project: GivenProject, jobId: string, verb: string, query = '') =>
  project.client.call('POST', `/jobs/${jobId}/${verb}${query}`)
const write = (path: string, content: string) => ({
  tool: 'write',
  input: { filePath: `{{worktree}}/${path}`, content }
})

/** People review an agent's work, and save their own files while it works. */
t.test('review', async (t) => {
  const { user } = await startProduct(t)
  const client = await user()
  const project = await givenProject(client, { 'a.txt': 'one\ntwo\nthree\n' })

  await t.test('held work waits until a person merges it', async (t) => {
    const story = await project.run(script(write('held.txt', 'held\n'), { say: 'ok' }), {
      review: 'hold'
    })
    t.match(story.only('job:success'), { merge: 'held', commit: /^[0-9a-f]{40}$/ })
    t.equal(await project.read('held.txt'), undefined, 'not in the worktree meanwhile')
    t.match(await review(project, story.jobId, 'revert'), {
      status: 409,
      body: { code: 'job_not_mergeable' }
    })
    t.match(await review(project, story.jobId, 'merge', '?dryRun=true'), {
      status: 200,
      body: { merge: 'merged', dryRun: true }
    })
    t.equal(await project.read('held.txt'), undefined, 'a dry run changes nothing')
    t.match(await review(project, story.jobId, 'merge'), {
      status: 200,
      body: { merge: 'merged' }
    })
    t.equal(await project.read('held.txt'), 'held\n')
    const { body: events } = await client.call<{ items: object[] }>(
      'GET',
      `/projects/${project.id}/events?types=project:changed`
    )
    t.match(events.items, [{ data: { jobId: story.jobId, merge: 'merged', by: /^usr_/ } }])
    t.match(await client.call('GET', `/jobs/${story.jobId}`), { body: { merge: 'merged' } })
    t.match(await review(project, story.jobId, 'merge'), { status: 409 })

    await t.test('and reverted, while later work stays', async (t) => {
      await put(project, 'later.txt', 'later\n')
      t.match(await review(project, story.jobId, 'revert'), { body: { merge: 'reverted' } })
      t.equal(await project.read('held.txt'), undefined)
      t.equal(await project.read('later.txt'), 'later\n')
    })
  })

  await t.test(
    'a review decides on the work of one job, not on later work of its conversation',
    async (t) => {
      const first = await project.run(script(write('wanted.txt', 'wanted\n'), { say: 'ok' }), {
        review: 'hold'
      })
      const { body: job } = await client.call<{ sessionId: string }>('GET', `/jobs/${first.jobId}`)
      const { sessionId } = job
      const cancelled = await project.submit(
        script(write('cancelled.txt', 'x\n'), {
          say: 'word '.repeat(100),
          chunks: 100,
          chunkMs: 100
        }),
        { sessionId }
      )
      await seen(client, cancelled, 'job:file-created')
      await client.call('POST', `/jobs/${cancelled}/cancel`)
      t.match((await project.story(cancelled)).only('job:error'), { code: 'cancelled' })

      const third = await project.run(script(write('third.txt', 'third\n'), { say: 'ok' }), {
        sessionId,
        review: 'hold'
      })
      t.match(await review(project, first.jobId, 'merge'), { body: { merge: 'merged' } })
      t.equal(await project.read('wanted.txt'), 'wanted\n')
      t.equal(await project.read('cancelled.txt'), undefined, 'not what was cancelled')
      t.equal(await project.read('third.txt'), undefined, 'nor what still waits')

      const both = await Promise.all([
        review(project, third.jobId, 'merge'),
        review(project, third.jobId, 'discard')
      ])
      t.same(
        both.map(({ status }) => status).toSorted((a, b) => a - b),
        [200, 409],
        'one of two concurrent decisions counts'
      )
    }
  )

  await t.test('work on discarded work never takes it into main', async (t) => {
    const first = await project.run(script(write('secret.txt', 'x\n'), { say: 'ok' }), {
      review: 'hold'
    })
    const { body } = await client.call<{ sessionId: string }>('GET', `/jobs/${first.jobId}`)
    const { sessionId } = body
    const second = await project.run(script(write('good.txt', 'good\n'), { say: 'ok' }), {
      sessionId,
      review: 'merge'
    })
    t.match(second.only('job:success'), { merge: 'held' }, 'it would take held work along')
    t.match(await client.call('GET', `/jobs/${second.jobId}`), { body: { basedOn: first.jobId } })
    t.match(await review(project, second.jobId, 'merge'), {
      status: 409,
      body: { code: 'stands_on_held_work', jobs: [first.jobId] }
    })
    t.match(await review(project, first.jobId, 'discard'), {
      body: {
        jobs: [
          { jobId: first.jobId, merge: 'discarded' },
          { jobId: second.jobId, merge: 'held' }
        ]
      }
    })
    t.match(await client.call('GET', `/jobs/${second.jobId}`), { body: { basedOn: null } })
    t.match(await review(project, second.jobId, 'merge'), { body: { merge: 'merged' } })
    t.equal(await project.read('good.txt'), 'good\n')
    t.equal(await project.read('secret.txt'), undefined)
  })

  await t.test('held work that is discarded', async (t) => {
    const story = await project.run(script(write('unwanted.txt', 'x\n'), { say: 'ok' }), {
      review: 'hold'
    })
    t.match(await review(project, story.jobId, 'discard'), { body: { merge: 'discarded' } })
    t.match(await review(project, story.jobId, 'merge'), { status: 409 })
    t.equal(await project.read('unwanted.txt'), undefined)
  })

  await t.test(
    'work that conflicts with main stays on its branch, and the refusal names the paths',
    async (t) => {
      const edit = {
        tool: 'edit',
        input: { filePath: '{{worktree}}/a.txt', oldString: 'two', newString: 'TWO by the agent' }
      }
      const read = { tool: 'read', input: { filePath: '{{worktree}}/a.txt' } }
      const story = await project.run(script(read, edit, { say: 'ok' }), { review: 'hold' })
      await put(project, 'a.txt', 'one\ntwo by a person\nthree\n')
      t.match(await review(project, story.jobId, 'merge'), {
        status: 409,
        body: { code: 'merge_conflict', paths: ['a.txt'] }
      })
      t.equal(await project.read('a.txt'), 'one\ntwo by a person\nthree\n')

      const resolutions = [{ path: 'a.txt', content: 'one\ntwo by both\nthree\n' }]
      const merge = (query: string, body: object) =>
        client.call('POST', `/jobs/${story.jobId}/merge${query}`, body)
      const other = [{ path: 'held.txt', content: '' }]
      t.match(await merge('', { resolutions: other }), { status: 400 })
      t.match(await merge('?dryRun=true', { resolutions }), { body: { dryRun: true } })
      t.match(await merge('', { resolutions }), { status: 200, body: { merge: 'merged' } })
      t.equal(await project.read('a.txt'), 'one\ntwo by both\nthree\n')
    }
  )

  await t.test('a save while a job runs is never lost, and never the agent’s', async (t) => {
    const slow = { say: 'word '.repeat(20), chunks: 20, chunkMs: 100 }
    const jobId = await project.submit(script(write('by-agent.txt', 'agent\n'), slow))
    await seen(client, jobId, 'job:file-created')
    const saved = await put(project, 'by-person.txt', 'person\n')
    t.equal(saved.status, 201)
    const story = await project.story(jobId)

    t.match(story.only('job:success'), { merge: 'merged' })
    t.equal(await project.read('by-person.txt'), 'person\n')
    t.equal(await project.read('by-agent.txt'), 'agent\n')
    t.same(
      story.only('job:diff').files.map(({ path }) => path),
      ['by-agent.txt']
    )
    t.same(
      story.all('job:file-created').map(({ path }) => path),
      ['by-agent.txt']
    )
  })

  await t.test(
    'a save over a file that the agent has just changed is refused with the job’s id',
    async (t) => {
      const before = await client.call<{ sha: string }>(
        'GET',
        `/projects/${project.id}/files/a.txt`
      )
      const story = await project.run(script(write('a.txt', 'all new\n'), { say: 'ok' }))
      const refused = await put(project, 'a.txt', 'mine\n', { 'if-match': `"${before.body.sha}"` })
      t.match(refused, { status: 412, body: { code: 'file_changed', changedByJob: story.jobId } })
      t.equal(await project.read('a.txt'), 'all new\n')
    }
  )

  await t.test('another user sees none of it', async (t) => {
    const otherUser = await user()
    const jobs = await client.call<{ items: { id: string; sessionId: string }[] }>(
      'GET',
      `/projects/${project.id}/jobs`
    )
    const { id, sessionId } = jobs.body.items[0]!
    for (const path of [
      `/projects/${project.id}`,
      `/projects/${project.id}/files`,
      `/projects/${project.id}/jobs`,
      `/projects/${project.id}/events`,
      `/jobs/${id}`,
      `/jobs/${id}/events`,
      `/jobs/${id}/diff`,
      `/sessions/${sessionId}/messages`
    ]) {
      t.match(await otherUser.call('GET', path), { status: 404, body: { code: 'not_found' } }, path)
    }
    for (const verb of ['cancel', 'retry', 'merge', 'revert']) {
      t.match(await otherUser.call('POST', `/jobs/${id}/${verb}`), { status: 404 }, verb)
    }
  })

  await t.test('deleting a project ends its agent and its job', async (t) => {
    const jobId = await project.submit(
      script({ say: 'word '.repeat(100), chunks: 100, chunkMs: 100 })
    )
    await seen(client, jobId, 'job:log')
    t.match(await client.call('DELETE', `/projects/${project.id}`), { status: 204 })
    t.match(await client.call('GET', `/projects/${project.id}`), { status: 404 })
    const { body } = await client.call<{ reserved: number }>('GET', '/wallet')
    t.equal(body.reserved, 0)
  })
})
