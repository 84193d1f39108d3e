/**
 * The buttons of the Web UI: reset to each boundary and terminate at each phase. Create is charged once, and nothing that
 * was paid for is paid again.
 */
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Phase, TrainingProgress } from '../../src/contract/progress.js';
import type { TrainedModel } from '../../src/contract/training.js';
import { factsOf } from '../support/account.js';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

afterAll(async () => {
  await rig.close();
});

/** What the button does. */
async function reset({ handle }: Training, runId: string, eventId: number, { client } = rig): Promise<void> {
  await client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: handle.workflowId, runId },
    reason: 'a test',
    workflowTaskFinishEventId: eventId as unknown as Long,
    requestId: randomUUID(),
  });
}
type Long = NonNullable<
  Parameters<typeof rig.client.workflowService.resetWorkflowExecution>[0]['workflowTaskFinishEventId']
>;

/** Events to which a run can be reset. */
async function boundariesOf({ handle }: Training): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? [])
    .filter(({ workflowTaskCompletedEventAttributes: task }) => task !== undefined && task !== null)
    .map(({ eventId }) => Number(eventId));
}

async function runIdOf({ handle }: Training): Promise<string> {
  return (await handle.describe()).runId;
}

/** The result of the newest run. */
async function newestResult({ handle }: Training): Promise<TrainedModel> {
  return (await rig.client.workflow.getHandle(handle.workflowId).result()) as TrainedModel;
}

function paid(sessionId: string): { creates: number; uploads: number } {
  const rows = rig.sandbox.report().ledger.filter((row) => row.sessionId === sessionId);
  const count = (kind: string): number => rows.filter((row) => row.kind === kind).length;
  return { creates: count('create'), uploads: count('upload') };
}

describe('a finished training that is reset', () => {
  it.concurrent.each([0, 1, 2, 3])(
    'to each boundary (part %i of 4) gives the same model, and nothing is paid again',
    async (part) => {
      const training = await rig.train();
      const first = await training.handle.result();
      const runId = await runIdOf(training);
      const boundaries = (await boundariesOf(training)).filter((_, index) => index % 4 === part);
      expect(boundaries.length).toBeGreaterThan(2);
      for (const boundary of boundaries) {
        await reset(training, runId, boundary);
        const again = await newestResult(training);
        expect([boundary, again.modelId]).toEqual([boundary, first.modelId]);
        expect([boundary, paid(first.sessionId)]).toEqual([boundary, { creates: 1, uploads: 8 }]);
      }
      const { sessions } = rig.sandbox.report();
      expect(sessions.find(({ sessionId }) => sessionId === first.sessionId)?.creates).toBe(1);
    },
  );
});

/** Starts a training and holds it in a phase, however long the test takes. */
async function heldIn(phase: Phase, name: string): Promise<{ training: Training; release: () => void }> {
  const sources = rig.sourcesOf(name);
  const releases = [rig.hold({ name })];
  if (phase === 'uploading') {
    releases.push(rig.hold({ audioUrl: sources[7]?.url ?? '' }));
  } else if (phase === 'creating') {
    rig.sandbox.addFaults([{ on: 'create', match: { name }, fault: { kind: 'slow', delayMs: 3_000 } }]);
  }
  const training = await rig.train({ name, sources });
  if (phase === 'creating') {
    // What stays true afterwards: whether the answer is still out when the test acts is not what it tests.
    await waitUntil('create has arrived', () =>
      rig.sandbox
        .report()
        .sessions.some(({ trainings }) => trainings.some((created) => created.name === name)),
    );
  } else {
    await training.until(
      phase,
      (seen) =>
        seen.phase === phase &&
        (phase !== 'uploading' || seen.files.filter(({ state }) => state === 'ready').length === 7),
    );
  }
  return {
    training,
    release: () => {
      for (const release of releases) release();
    },
  };
}

describe('a training that is reset while it runs', () => {
  it.concurrent.each([
    ['uploading', 2],
    ['creating', 1],
    ['training', 1],
  ] satisfies [Phase, number][])(
    'in the phase %s goes on in the same session, with one create',
    async (phase, back) => {
      const { training, release } = await heldIn(phase, `Reset while ${phase}`);
      const { sessionId } = await training.progress();
      const boundaries = await boundariesOf(training);
      await reset(training, await runIdOf(training), boundaries.at(-1 - back) ?? 4);
      release();
      const result = await newestResult(training);
      expect(result.sessionId).toBe(sessionId);
      expect(paid(result.sessionId).creates).toBe(1);
      // An upload that was out when the run was reset is the only one that may be paid again.
      expect(paid(result.sessionId).uploads).toBeLessThanOrEqual(phase === 'uploading' ? 12 : 8);
    },
  );
});

it('a create in doubt stays one for all others when its training is reset to just before the send', async () => {
  // In doubt for ever, it would leave open whose row is whose for the other tests.
  const own = await createRig();
  try {
    await own.startWorker();
    const name = 'Reset in doubt';
    own.sandbox.addFaults([{ on: 'create', match: { name }, fault: { kind: 'lost' } }]);
    own.hold({ name });
    const training = await own.train({ name });
    const isInDoubt = ({ attention }: TrainingProgress): boolean => attention?.kind === 'charge-unknown';
    await training.until('it is in doubt', isInDoubt);
    const { events } = await training.handle.fetchHistory();
    const submit = (events ?? []).find(
      ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === 'submitTraining',
    );
    const before = submit?.activityTaskScheduledEventAttributes?.workflowTaskCompletedEventId;
    await reset(training, await runIdOf(training), Number(before), own);
    const again = own.client.workflow.getHandle(training.handle.workflowId);
    const { runId } = await again.describe();
    await waitUntil('the new run is in doubt, too', async () => {
      const progress = await again.query<TrainingProgress>('progress');
      return progress.runId === runId && isInDoubt(progress);
    });
    const { inDoubt } = await factsOf(own);
    expect(inDoubt.map(({ workflowId }) => workflowId)).toEqual([training.handle.workflowId]);
    expect(own.sandbox.report().requests.counts.create).toBe(1);
    await again.terminate();
  } finally {
    await own.close();
  }
});

describe('a training that is terminated', () => {
  it.concurrent.each(['uploading', 'creating', 'training'] satisfies Phase[])(
    'in the phase %s is gone on with by its session and clips, with one create in all',
    async (phase) => {
      const name = `Terminated while ${phase}`;
      const { training, release } = await heldIn(phase, name);
      await training.handle.terminate('a test');
      release();
      await expect(training.handle.result()).rejects.toThrow(WorkflowFailedError);
      const memo = await training.memo();
      expect(memo.sessionId).toBeDefined();
      const clips = memo.uploads.flatMap(({ file, clipId }) =>
        clipId === undefined ? [] : [{ file, clipId }],
      );
      expect(clips.length).toBeGreaterThan(0);
      const next = await rig.train({
        name,
        session: { sessionId: memo.sessionId ?? '', clips, openedAt: memo.startedAt },
      });
      // What is left open in the end is a question to a person, never a second charge.
      await waitUntil('it is decided', async () => {
        if ((await next.handle.describe()).status.name !== 'RUNNING') return true;
        const { attention } = await next.progress();
        return attention !== undefined && attention.nextTryAt === undefined;
      });
      expect(paid(memo.sessionId ?? '').creates).toBeLessThanOrEqual(1);
      if (phase === 'training') expect((await next.handle.result()).sessionId).toBe(memo.sessionId);
      await next.handle.terminate().catch(() => undefined);
    },
  );
});

describe('a session', () => {
  it('has one owner: a second training is refused and told the first', async () => {
    const name = 'The owner';
    rig.sandbox.addFaults([{ on: 'create', match: { name }, fault: { kind: 'neverFinish' } }]);
    const owner = await rig.train({ name });
    const { sessionId = '' } = await owner.until('it trains', ({ phase }) => phase === 'training');
    const second = await rig.train({ name: 'The thief', session: { sessionId, clips: [] } });
    const error: unknown = await second.handle.result().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect((error as WorkflowFailedError).cause).toMatchObject({ type: 'SessionTaken' });
    expect(String((error as WorkflowFailedError).cause)).toContain(owner.handle.workflowId);
    expect(paid(sessionId).creates).toBe(1);
    await owner.handle.terminate();
  });
});
