/**
 * What the histories of a training say of its creates in doubt, and of what went wrong in the workflow itself. Read after
 * the fact, so that nothing is missed between two looks.
 */
import type { Client } from '@temporalio/client';
import { TRAINING_MEMO } from '../../src/contract/messages.js';
import type { TrainingMemo } from '../../src/contract/progress.js';

type History = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>;
type Event = NonNullable<History['events']>[number];
type Payload = NonNullable<
  NonNullable<Event['workflowExecutionStartedEventAttributes']>['input']
>['payloads'] extends (infer P)[] | null | undefined
  ? P
  : never;

/** A doubt that the witnesses did not clear. */
export interface SilentDoubt {
  attentionId: string;
  evidence: string[];
  /** It was about what another run of the training may have sent. */
  isAfterReset: boolean;
}

export interface Story {
  runs: number;
  /** Sends whose outcome proved nothing. */
  doubtfulSends: number;
  /** Doubts of all kinds that people saw, by attention. */
  doubts: number;
  silent: SilentDoubt[];
  /** Workflow tasks that failed, by cause and message. */
  failedTasks: string[];
  events: number;
}

export async function storyOf(client: Client, workflowId: string): Promise<Story> {
  const story: Story = { runs: 0, doubtfulSends: 0, doubts: 0, silent: [], failedTasks: [], events: 0 };
  const seen = new Set<string>();
  for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    story.runs += 1;
    story.events += events?.length ?? 0;
    tell(story, ownEvents(events ?? []), seen);
  }
  return story;
}

/** A reset run begins with a copy of the earlier run's events. */
function ownEvents(events: readonly Event[]): readonly Event[] {
  const at = events.findLastIndex((event) => isReset(event));
  return events.slice(at + 1);
}

function isReset({ workflowTaskFailedEventAttributes: task }: Event): boolean {
  return (task?.newRunId ?? '') !== '';
}

/** The server's own reasons to make a worker do its task again: new events, a lost cache, a restart, a reset. */
const OF_THE_SERVER = new Set([1, 13, 17, 18, 20]);

function tell(story: Story, events: readonly Event[], seen: Set<string>): void {
  const sends = new Set<string>();
  for (const event of events) {
    const {
      activityTaskScheduledEventAttributes: scheduled,
      activityTaskFailedEventAttributes: failed,
      activityTaskTimedOutEventAttributes: timedOut,
      workflowPropertiesModifiedEventAttributes: modified,
      workflowTaskFailedEventAttributes: taskFailed,
    } = event;
    if (scheduled?.activityType?.name === 'submitTraining') sends.add(String(event.eventId));
    if (failed && sends.has(String(failed.scheduledEventId))) {
      if (failed.failure?.applicationFailureInfo?.type === 'Ambiguous') story.doubtfulSends += 1;
    }
    if (timedOut && sends.has(String(timedOut.scheduledEventId))) {
      const beats = timedOut.failure?.timeoutFailureInfo?.lastHeartbeatDetails?.payloads ?? [];
      if (!beats.some((payload) => textOf(payload).includes('"answer"'))) story.doubtfulSends += 1;
    }
    if (taskFailed && !OF_THE_SERVER.has(Number(taskFailed.cause))) {
      story.failedTasks.push(`${Number(taskFailed.cause)}: ${taskFailed.failure?.message ?? ''}`);
    }
    const payload = modified?.upsertedMemo?.fields?.[TRAINING_MEMO];
    if (payload) tellDoubt(story, JSON.parse(textOf(payload)) as TrainingMemo, seen);
  }
}

function tellDoubt(story: Story, { attention }: TrainingMemo, seen: Set<string>): void {
  if (attention?.kind !== 'charge-unknown') return;
  const { id, nextTryAt, evidence, message } = attention;
  if (!seen.has(id)) {
    seen.add(id);
    story.doubts += 1;
  }
  if (nextTryAt !== undefined || story.silent.some(({ attentionId }) => attentionId === id)) return;
  story.silent.push({
    attentionId: id,
    evidence,
    isAfterReset: message.includes('Another run of this training'),
  });
}

function textOf({ data }: Payload): string {
  return Buffer.from(data ?? []).toString('utf8');
}
