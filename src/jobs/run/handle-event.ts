import type { Agent } from '#supervisor'
import type { AgentEvent, TurnOutcome } from '#kernel/agent-events.ts'
import type { Draft } from '#kernel/frames.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { LIMITS } from '#kernel/limits.ts'
import { askPermission, askQuestion, closePrompt } from './prompts.ts'
import type { FileWatch } from './file-watch.ts'
import type { JobRun } from './run-context.ts'
import { logPieces } from './frame-writer.ts'

type ToolUpdated = Extract<AgentEvent, { type: 'tool.updated' }>

function toolFrame(event: ToolUpdated): Draft {
  const { callId, tool, status, title, input, output, truncated } = event
  return {
    type: 'job:tool',
    data: {
      callId,
      tool,
      status,
      title,
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
      ...(truncated ? { truncated } : {})
    }
  }
}

/** Kilo has no such limit of its own: its setting `steps` is only a hint to the model. */
function stopAfterTooMany(run: JobRun): void {
  run.steps += 1
  if (run.steps <= LIMITS.stepsPerJobMax) return
  const message = `the job took more than ${LIMITS.stepsPerJobMax} model steps`
  run.stop(new JobFailure('job_timeout', message))
}

/** Turns one event of the agent into frames, usage and prompts of its job. Answers the turn's outcome at its end. */
export async function handleEvent(
  run: JobRun,
  agent: Agent,
  files: FileWatch,
  event: AgentEvent
): Promise<TurnOutcome | undefined> {
  switch (event.type) {
    case 'text.appended': {
      const { source, partId, text } = event
      for (const piece of logPieces(text)) {
        run.writer.write({ type: 'job:log', data: { source, partId, text: piece } })
      }
      return
    }
    case 'tool.updated':
      run.writer.write(toolFrame(event))
      files.toolSeen()
      if (event.mayWrite) files.schedule()
      return
    case 'todo.updated':
      run.writer.write({
        type: 'job:todo',
        data: { items: event.items.map((item) => ({ ...item })) }
      })
      return
    case 'permission.asked':
      return void (await askPermission(run, agent, event))
    case 'question.asked':
      return void (await askQuestion(run, event))
    case 'prompt.closed':
      return void (await closePrompt(run, event.promptId))
    case 'usage.reported': {
      const { stepId, agentSessionId, model, usage } = event
      run.meter.add(stepId, model, usage)
      run.reportedSteps.push({ stepId, agentSessionId, model, usage })
      stopAfterTooMany(run)
      return
    }
    case 'notice':
      run.writer.write({
        type: 'job:log',
        data: { source: 'system', partId: 'notices', text: `${event.text}\n` }
      })
      return
    case 'turn.opened':
      return
    case 'unrecognised':
      run.deps.metrics.unrecognisedEvent(event.name)
      return
    case 'turn.finished':
      // Read while the agent makes sure that nothing of the turn is left.
      files.schedule()
      return event.outcome
  }
}
