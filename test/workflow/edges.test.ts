/**
 * Cases in which a person, a reset or a cancel comes at the worst moment. Each was a way to pay twice, to lose what was
 * paid for, or to be told something untrue.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowFailedError } from '@temporalio/client';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activities } from '../../src/activities/index.js';
import { CORRECT_UPDATE } from '../../src/contract/messages.js';
import {
  RECORD_MEMO,
  RECORD_SIGNAL,
  RECORD_WORKFLOW,
  type TrainingRecord,
} from '../../src/contract/record.js';
import type { TrainCustomModelInput, TrainedModel } from '../../src/contract/training.js';
import { Trainings } from '../../src/library/trainings.js';
import type { FaultRule } from '../../src/sandbox/index.js';
import { keyFingerprint, readSettings } from '../../src/temporal/settings.js';
import { createWork } from '../../src/worker.js';
import { factsOf } from '../support/account.js';
import { startServer } from '../support/http.js';
import '../support/quietLogger.js';
import { createRig, experiencedRig, onCreateOf, type Rig, type Training } from '../support/rig.js';
import { startSong } from '../support/songs.js';
import { waitUntil } from '../support/waitUntil.js';

const WORKFLOW_BUNDLE = fileURLToPath(new URL('../../dist/workflow-bundle.cjs', import.meta.url));

let rig: Rig;

beforeAll(async () => {
  rig = await experiencedRig();
});

afterAll(async () => {
  await rig.close();
});

/** Workers in this process, and their activities, in front of which a test may stand. */
async function workHere(own: Rig): Promise<{
  activities: Activities;
  work: (options: Partial<WorkerOptions>) => Promise<Worker>;
  close: () => Promise<void>;
}> {
  const { taskQueue, activities, close } = createWork({ settings: readSettings(own.env) });
  const connection = await NativeConnection.connect({ address: own.env['TEMPORAL_ADDRESS'] ?? '' });
  return {
    activities: activities as Activities,
    work: (options) => Worker.create({ connection, taskQueue, ...options }),
    close: async () => {
      await close();
      await connection.close();
    },
  };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function onUploadOf(name: string, file: number, fault: FaultRule['fault']): FaultRule {
  return { on: 'upload', match: { audioUrl: `track-0${file}.wav?of=${encodeURIComponent(name)}` }, fault };
}

function rows(sessionId: string | undefined, kind: string): number {
  return rig.sandbox.report().ledger.filter((row) => row.kind === kind && row.sessionId === sessionId).length;
}

function uploadsOf(name: string): string[] {
  const mark = `of=${encodeURIComponent(name)}`;
  return rig.sandbox
    .report()
    .sessions.flatMap(({ uploads }) => uploads)
    .map(({ audioUrl }) => audioUrl)
    .filter((url) => url.includes(mark));
}

/** The history, and when sends of create were scheduled in it. */
async function sendsOf({ handle }: Training): Promise<{ all: HistoryEvent[]; sends: HistoryEvent[] }> {
  const { events } = await handle.fetchHistory();
  const all = events ?? [];
  const sends = all.filter(
    ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === 'submitTraining',
  );
  return { all, sends };
}

/** Waits until create was sent a second time and that has failed. */
async function secondSend(training: Training): ReturnType<typeof sendsOf> {
  return waitUntil('create was sent a second time', async () => {
    const { all, sends } = await sendsOf(training);
    const [, second] = sends;
    const hasFailed = all.some(
      ({ activityTaskFailedEventAttributes: task }) =>
        String(task?.scheduledEventId) === String(second?.eventId),
    );
    return second !== undefined && hasFailed && { all, sends };
  });
}
type HistoryEvent = NonNullable<Awaited<ReturnType<Training['handle']['fetchHistory']>>['events']>[number];

/** Somebody else with the same key, who has a session with clips. */
async function clipsElsewhere({ sandbox, tracks }: Rig): Promise<{ create: () => Promise<unknown> }> {
  const { url, apiKey } = sandbox;
  const post = async (path: string, body: object): Promise<Record<string, string>> => {
    const response = await fetch(`${url}/suno/v2/customModel/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, string>;
  };
  const { sessionId } = await post('prepare', {});
  for (const audioUrl of tracks.urls) await post('upload', { sessionId, audioUrl });
  const uploads = await waitUntil('the clips are there', () => {
    const session = sandbox.report().sessions.find((one) => one.sessionId === sessionId);
    return session?.uploads.every(({ clipId }) => clipId !== undefined) === true && session.uploads;
  });
  const clipIds = uploads.map(({ clipId }) => clipId);
  return { create: () => post('create', { sessionId, clipIds, name: 'Somebody else' }) };
}

/** What the button does. */
async function reset({ handle }: Training, boundary: HistoryEvent | undefined): Promise<TrainedModel> {
  const { client } = rig;
  await client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: handle.workflowId, runId: (await handle.describe()).runId },
    reason: 'a test',
    ...(boundary?.eventId ? { workflowTaskFinishEventId: boundary.eventId } : {}),
    requestId: randomUUID(),
  });
  return (await client.workflow.getHandle(handle.workflowId).result()) as TrainedModel;
}

describe('a reset', () => {
  it.concurrent('to between a refusal and the create that followed it charges no second create', async () => {
    const name = 'refused, then late';
    rig.sandbox.addFaults([
      onCreateOf(name, { kind: 'rateLimit', retryAfterSeconds: 1 }),
      onCreateOf(name, { kind: 'late', afterMs: 200_000 }, { nth: 2 }),
    ]);
    const training = await rig.train({ name });
    const { all, sends } = await secondSend(training);
    const refused = all.find(
      ({ activityTaskFailedEventAttributes: task }) =>
        String(task?.scheduledEventId) === String(sends[0]?.eventId),
    );
    const boundary = all.find(
      ({ eventId, workflowTaskCompletedEventAttributes: task }) =>
        Boolean(task) && Number(eventId) > Number(refused?.eventId),
    );
    const result = await reset(training, boundary);
    expect(rows(result.sessionId, 'create')).toBe(1);
    expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
  });
});

describe('a reset to before a session was given up', () => {
  it.concurrent('goes on in the new one, with the clips that are paid for there', async () => {
    const name = 'given up, then reset';
    rig.sandbox.addFaults([
      onCreateOf(name, { kind: 'status', status: 422, body: { message: 'no' } }),
      onCreateOf(name, { kind: 'status', status: 503 }, { nth: 2 }),
    ]);
    const training = await rig.train({ name, sources: rig.sourcesOf(name) });
    const {
      attention: { id: attentionId },
    } = await training.parked('create-rejected');
    await training.correct({ attentionId, action: 'newSession' });
    const { all, sends } = await secondSend(training);
    const { sessionId } = await training.progress();
    const before = all.findLast(
      ({ eventId, workflowTaskCompletedEventAttributes: task }) =>
        Boolean(task) && Number(eventId) < Number(sends[0]?.eventId),
    );
    const result = await reset(training, before);
    expect(result.sessionId).toBe(sessionId);
    expect(rows(sessionId, 'create')).toBe(1);
    expect(result.clips).toHaveLength(8);
    expect(uploadsOf(name)).toHaveLength(16);
  });
});

describe('a person', () => {
  it.concurrent(
    'who gives up two sessions one after the other gets a third one, not the first again',
    async () => {
      const name = 'two sessions given up';
      const refusal = { kind: 'status', status: 422, body: { message: 'no' } } as const;
      rig.sandbox.addFaults([onCreateOf(name, refusal, { times: 2 })]);
      const training = await rig.train({ name });
      const sessions: (string | undefined)[] = [];
      for (let round = 0; round < 2; round += 1) {
        const {
          attention: { id },
        } = await training.parked('create-rejected');
        sessions.push((await training.progress()).sessionId);
        await training.correct({ attentionId: id, action: 'newSession' });
        await training.until('it is answered', ({ attention }) => attention?.id !== id);
      }
      sessions.push((await training.handle.result()).sessionId);
      expect(new Set(sessions).size).toBe(3);
    },
  );

  it.concurrent('who replaces an overdue file has no other file uploaded twice', async () => {
    const name = 'overdue, replaced';
    rig.sandbox.addFaults([onUploadOf(name, 1, { kind: 'neverFinish' })]);
    const training = await rig.train({ name, concurrency: 1, sources: rig.sourcesOf(name) });
    const {
      attention: { id },
    } = await training.parked('bad-files');
    const url = `${rig.tracks.urls[0] ?? ''}?of=${encodeURIComponent(name)}&again`;
    await training.correct({
      attentionId: id,
      action: 'replaceFiles',
      replacements: [{ file: 1, source: { url, label: 'again' } }],
    });
    expect((await training.handle.result()).receipt.uploads.calls).toBe(9);
    const uploads = uploadsOf(name);
    expect([uploads.length, new Set(uploads).size]).toEqual([9, 9]);
  });

  it.concurrent('who drops files has none of them uploaded or trained', async () => {
    const name = 'overdue, dropped';
    rig.sandbox.addFaults([onUploadOf(name, 1, { kind: 'neverFinish' })]);
    const training = await rig.train({ name, concurrency: 1, sources: rig.sourcesOf(name) });
    const {
      attention: { id },
    } = await training.parked('bad-files');
    await training.correct({ attentionId: id, action: 'dropFiles', files: [1, 5] });
    const { clips } = await training.handle.result();
    expect(clips.map(({ file }) => file)).toEqual([2, 3, 4, 6, 7, 8]);
    expect(uploadsOf(name)).toHaveLength(7);
  });

  it.concurrent(
    'who sends again while the first create lands pays one, and the receipt says so',
    async () => {
      const name = 'lands before the second';
      const own = await createRig();
      try {
        await own.startWorker();
        own.sandbox.addFaults([onCreateOf(name, { kind: 'late', afterMs: 100_000_000 })]);
        own.sandbox.addFaults([
          { on: 'create', nth: 1, match: { name: 'nobody' }, fault: { kind: 'refuse' } },
        ]);
        const training = await own.train({ name });
        const { attention, sessionId } = await training.until(
          'the witnesses do not tell',
          (seen) => seen.attention !== undefined && seen.attention.nextTryAt === undefined,
        );
        // The create lands in the moment in which the person answers.
        const clipIds = (await training.progress()).files.map(({ clipId }) => clipId);
        const answer = await fetch(`${own.sandbox.url}/suno/v2/customModel/create`, {
          method: 'POST',
          headers: { authorization: `Bearer ${own.sandbox.apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ sessionId, clipIds, name: 'the first one' }),
        });
        expect(answer.status).toBe(201);
        await training
          .correct({ attentionId: attention?.id ?? '', action: 'resendCreate', acceptSecondCharge: true })
          .catch(() => undefined);
        const { receipt } = await training.handle.result();
        expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 1 });
        expect(own.sandbox.report().ledger.filter(({ kind }) => kind === 'create')).toHaveLength(1);
      } finally {
        await own.close();
      }
    },
  );

  it.concurrent('cannot give a source without a label, which would be shown', async () => {
    const name = 'no label';
    rig.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 422, body: { message: 'no' } })]);
    const training = await rig.train({ name });
    const {
      attention: { id: attentionId },
    } = await training.parked('create-rejected');
    const source = { url: 'https://cdn.example/1.wav' } as { url: string; label: string };
    await expect(
      training.correct({ attentionId, action: 'replaceFiles', replacements: [{ file: 1, source }] }),
    ).rejects.toThrow();
    await training.correct({ attentionId, action: 'retry' });
    await training.handle.result();
  });
});

describe('a cancel', () => {
  it.concurrent('before anything of create was sent leaves it unsent', async () => {
    const name = 'cancelled before create';
    const own = await createRig();
    try {
      await own.startWorker();
      // The last upload is not seen to end before the fault is there.
      const release = own.hold({ audioUrl: 'track-08' });
      const training = await own.train({ name });
      const { sessionId } = await training.until('it uploads', (seen) => seen.sessionId !== undefined);
      // The look before create is held up, and the send with it.
      own.sandbox.addFaults([
        {
          on: 'status',
          match: { taskId: sessionId ?? '' },
          times: 1_000,
          fault: { kind: 'hang', when: 'before' },
        },
      ]);
      release();
      await training.until('it looks before create', ({ phase }) => phase === 'creating');
      await training.handle.cancel();
      await expect(training.handle.result()).rejects.toThrow();
      expect((await training.memo()).receipt.create).toMatchObject({ verdict: 'not-charged', sends: 0 });
      expect(own.sandbox.report().requests.counts.create).toBeUndefined();
    } finally {
      await own.close();
    }
  });
});

describe('a training that goes on with the session of one that was cancelled before create', () => {
  const cancelled = async (
    own: Rig,
    name: string,
  ): Promise<NonNullable<TrainCustomModelInput['session']>> => {
    const release = own.hold({ audioUrl: 'track-08' });
    const first = await own.train({ name });
    const { sessionId, files } = await first.until('seven clips are there', (seen) => {
      return seen.files.filter(({ clipId }) => clipId !== undefined).length === 7;
    });
    await first.handle.cancel();
    await expect(first.handle.result()).rejects.toThrow();
    release();
    const clips = files.flatMap(({ clipId, number }) =>
      clipId === undefined ? [] : [{ clipId, file: number }],
    );
    const { startedAt } = await first.memo();
    return { sessionId: sessionId ?? '', clips, openedAt: startedAt };
  };

  it.concurrent('asks nobody, since none was ever sent', async () => {
    const own = await createRig();
    try {
      await own.startWorker();
      const name = 'cancelled, gone on with';
      const session = await cancelled(own, name);
      const second = await own.train({ name, session });
      const { receipt, timeline } = await second.handle.result();
      expect(receipt.create).toMatchObject({ verdict: 'charged', sends: 1 });
      expect(timeline.map(({ text }) => text).join()).not.toContain('charge-unknown');
      expect(own.sandbox.report().requests.counts).toMatchObject({ prepare: 1, create: 1 });
    } finally {
      await own.close();
    }
  });

  it.concurrent('waits for a person all the same where somebody else may have sent one', async () => {
    const own = await createRig({ profile: { sessionBeforeCreate: 'success' } });
    try {
      await own.startWorker();
      const name = 'cancelled, sent elsewhere';
      const elsewhere = await clipsElsewhere(own);
      const session = await cancelled(own, name);
      await elsewhere.create();
      const second = await own.train({ name, session });
      await second.parked('charge-unknown');
      await second.handle.cancel();
    } finally {
      await own.close();
    }
  });
});

describe('a create that only a ledger row speaks for', () => {
  it.concurrent(
    'can be sent again by a person when nothing comes of it, since the row may be somebody else’s',
    async () => {
      const own = await createRig({ profile: { sessionBeforeCreate: 'success' } });
      try {
        await own.startWorker();
        const name = 'spoken for by a row';
        own.sandbox.addFaults([onCreateOf(name, { kind: 'refuse' })]);
        const clips = await clipsElsewhere(own);
        const training = await own.train({ name });
        await training.parked('charge-unknown');
        await clips.create();
        const {
          attention: { id, options, riskOfSecondCharge },
        } = await training.parked('answer-unclear');
        expect(options).toContain('resendCreate');
        expect(riskOfSecondCharge).toContain('resendCreate');
        await training.correct({ attentionId: id, action: 'resendCreate', acceptSecondCharge: true });
        const { sessionId } = await training.handle.result();
        const { sessions } = own.sandbox.report();
        expect(sessions.find((session) => session.sessionId === sessionId)?.creates).toBe(1);
      } finally {
        await own.close();
      }
    },
  );
});

describe('a person who answers in the moment of a look', () => {
  it.concurrent('does not end the training', async () => {
    const own = await createRig();
    const { activities, work, close } = await workHere(own);
    const { checkTasks, ...others } = activities;
    const begun = deferred();
    const released = deferred();
    let isHeld = false;
    // One worker for the looks and one for the workflow, so that the look can end while the workflow sleeps.
    const looks = await work({
      activities: {
        ...others,
        checkTasks: async (input: Parameters<typeof checkTasks>[0]) => {
          if (isHeld) {
            begun.resolve();
            await released.promise;
          }
          return checkTasks(input);
        },
      },
    });
    const stories = (): Promise<Worker> => work({ workflowBundle: { codePath: WORKFLOW_BUNDLE } });
    try {
      await looks.runUntil(async () => {
        const name = 'answered in a look';
        own.sandbox.addFaults([
          { on: 'upload', match: { audioUrl: 'track-01' }, times: 1, fault: { kind: 'neverFinish' } },
        ]);
        const training = await own.train({ name });
        const { id: attentionId } = await (
          await stories()
        ).runUntil(async () => {
          const { attention } = await training.parked('bad-files');
          isHeld = true;
          await begun.promise;
          return attention;
        });
        isHeld = false;
        released.resolve();
        await waitUntil('the look has ended', async () => {
          const { events } = await training.handle.fetchHistory();
          return Boolean(
            events?.findLast((event) => isEndOrStart(event))?.activityTaskCompletedEventAttributes,
          );
        });
        const url = own.tracks.urls[0] ?? '';
        const replacement = { file: 1, source: { url: `${url}?again`, label: 'again' } };
        const updateId = randomUUID();
        const answered = training.handle.executeUpdate(CORRECT_UPDATE, {
          args: [{ attentionId, action: 'replaceFiles', replacements: [replacement] }],
          updateId,
        });
        await waitUntil('the answer is there', () => isAdmitted(training, updateId));
        const { clips } = await (await stories()).runUntil(training.handle.result());
        await answered;
        expect(clips).toHaveLength(8);
      });
    } finally {
      await close();
      await own.close();
    }
  });

  function isEndOrStart(event: HistoryEvent): boolean {
    return Boolean(event.activityTaskCompletedEventAttributes ?? event.activityTaskScheduledEventAttributes);
  }

  async function isAdmitted({ handle: { workflowId } }: Training, updateId: string): Promise<boolean> {
    try {
      await rig.client.workflowService.pollWorkflowExecutionUpdate({
        namespace: 'default',
        updateRef: { workflowExecution: { workflowId }, updateId },
      });
      return true;
    } catch (error) {
      if ((error as { code?: number }).code === NOT_FOUND) return false;
      throw error;
    }
  }
});

/** Of gRPC. */
const NOT_FOUND = 5;

describe('a cancel while the gate is asked', () => {
  it.concurrent('takes the grant back, so that no other create waits for it', async () => {
    const own = await createRig();
    const { activities, work, close } = await workHere(own);
    const { requestSend, ...others } = activities;
    const granted = deferred();
    const told = deferred();
    const worker = await work({
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      activities: {
        ...others,
        // The account has answered, and the training has not heard it.
        requestSend: async (input: Parameters<typeof requestSend>[0]) => {
          const grant = await requestSend(input);
          granted.resolve();
          await told.promise;
          return grant;
        },
      },
    });
    try {
      await worker.runUntil(async () => {
        const training = await own.train();
        await granted.promise;
        await training.handle.cancel();
        told.resolve();
        await expect(training.handle.result()).rejects.toThrow();
        const { inDoubt } = await factsOf(own, training.handle.workflowId);
        expect(inDoubt).toEqual([]);
      });
      expect(own.sandbox.report().requests.counts.create).toBeUndefined();
    } finally {
      await close();
      await own.close();
    }
  });
});

describe('a cancel while the books are closed', () => {
  /** A worker whose last activity begins, and ends when it is let go. */
  async function heldAt(
    own: Rig,
    held: 'closeTraining' | 'readSongLedger',
    story: (begun: Promise<void>, release: () => void) => Promise<void>,
  ): Promise<void> {
    const { activities, work, close } = await workHere(own);
    const begun = deferred();
    const released = deferred();
    const worker = await work({
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      activities: {
        ...activities,
        [held]: async (input: never) => {
          begun.resolve();
          await released.promise;
          return (activities[held] as (given: never) => Promise<unknown>)(input);
        },
      },
    });
    try {
      await worker.runUntil(() => story(begun.promise, released.resolve));
    } finally {
      await close();
    }
  }

  it('comes too late for a training that has its model, and only its song is not ordered', async () => {
    const own = await createRig();
    try {
      await heldAt(own, 'closeTraining', async (begun, release) => {
        const training = await own.train({ song: { request: { prompt: 'la' } } });
        await begun;
        await training.handle.cancel();
        release();
        const { modelId, songId } = await training.handle.result();
        expect(songId).toBeUndefined();
        expect(await training.memo()).toMatchObject({ phase: 'done', modelId });
      });
      expect(own.sandbox.report().requests.counts.generate).toBeUndefined();
    } finally {
      await own.close();
    }
  });

  it('comes too late for a song that has its clips', async () => {
    const own = await createRig();
    try {
      await heldAt(own, 'readSongLedger', async (begun, release) => {
        const song = await startSong(own);
        await begun;
        await song.handle.cancel();
        release();
        expect((await song.handle.result()).clips).toHaveLength(2);
      });
    } finally {
      await own.close();
    }
  });
});

describe('a worker', () => {
  it('whose key file is gone for a moment waits visibly, and goes on when it is back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tunesmith-key-'));
    const keyFile = join(folder, 'key');
    const own = await createRig();
    try {
      writeFileSync(keyFile, own.sandbox.apiKey);
      await own.startWorker({ MOUNTSEA_API_KEY: '', MOUNTSEA_API_KEY_FILE: keyFile });
      rmSync(keyFile);
      const training = await own.train();
      const {
        attention: { message, nextTryAt },
      } = await training.parked('credentials');
      expect(message).toContain('No upload was sent');
      expect(nextTryAt).toBeDefined();
      writeFileSync(keyFile, own.sandbox.apiKey);
      const { receipt } = await training.handle.result();
      expect(receipt.create).toMatchObject({ verdict: 'charged', sends: 1 });
    } finally {
      await own.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('whose key is refused while create is in doubt is answered by a person all the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tunesmith-key-'));
    const keyFile = join(folder, 'key');
    const own = await createRig();
    const name = 'doubt and a bad key';
    try {
      writeFileSync(keyFile, own.sandbox.apiKey);
      await own.startWorker({ MOUNTSEA_API_KEY: '', MOUNTSEA_API_KEY_FILE: keyFile });
      own.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 500 })]);
      const training = await own.train({ name });
      await training.parked('charge-unknown');
      writeFileSync(keyFile, 'wrong');
      // Each of its tries is an attention of its own, so the answer may come a moment too late for one.
      await waitUntil('the answer is taken', async () => {
        const {
          attention: { id },
        } = await training.parked('credentials');
        return training.correct({ attentionId: id, action: 'giveUp' });
      });
      await expect(training.handle.result()).rejects.toThrow();
      expect((await training.memo()).receipt.create.verdict).toBe('unknown');
    } finally {
      await own.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.concurrent('does not count uploads that were refused for want of credits', async () => {
    const name = 'no credits for a moment';
    rig.sandbox.addFaults([
      onUploadOf(name, 3, { kind: 'status', status: 402, body: { message: 'insufficient credits' } }),
    ]);
    const training = await rig.train({ name, sources: rig.sourcesOf(name), maxCredits: 140 });
    const { receipt } = await training.handle.result();
    expect(receipt.uploads.calls).toBe(8);
    expect(rows(receipt.create.attempts.length > 0 ? (await training.memo()).sessionId : '', 'create')).toBe(
      1,
    );
  });
});

it('a record that continues as new keeps the newest of what it was told', async () => {
  const workflowId = `record-of-test-${randomUUID()}`;
  const record = (updatedAt: string): TrainingRecord => ({
    version: 1,
    workflowId: 'test',
    name: updatedAt,
    origin: rig.sandbox.url,
    end: 'open',
    sources: [],
    clips: [],
    receipt: {
      create: { verdict: 'not-charged', sends: 0, evidence: [], attempts: [] },
      uploads: { calls: 0, credits: 'unknown' },
    },
    startedAt: '2026-01-01T00:00:00.000Z',
    updatedAt,
  });
  const handle = await rig.client.workflow.start(RECORD_WORKFLOW, {
    workflowId,
    taskQueue: rig.taskQueue,
    args: [{ record: record('0'), recordsEachRun: 2 }],
    memo: { [RECORD_MEMO]: record('0') },
  });
  for (const nth of ['1', '2']) await handle.signal(RECORD_SIGNAL, record(nth));
  const newest = await waitUntil('it has continued as new', async () => {
    const { runId, memo } = await rig.client.workflow.getHandle(workflowId).describe();
    const kept = memo?.[RECORD_MEMO] as TrainingRecord | undefined;
    return runId !== handle.firstExecutionRunId && kept?.updatedAt === '2' ? kept : undefined;
  });
  expect(newest.name).toBe('2');
});

it('a terminated training is gone on with without paying again for the uploads that were under way', async () => {
  const held: ServerResponse[] = [];
  let isOpen = false;
  // A task ends when its file is there, so it is under way for as long as the test needs.
  const gate = await startServer(({ path }, response) => {
    response.writeHead(302, { location: rig.tracks.urls[Number(path.slice(1))] ?? '' });
    if (isOpen) response.end();
    else held.push(response);
  });
  try {
    const name = 'terminated while uploading';
    const sources = rig.tracks.urls.map((_, index) => ({ url: `${gate.url}/${index}`, label: `${index}` }));
    const training = await rig.train({ name, sources, concurrency: 8 });
    const { sessionId, files } = await training.until(
      'all tasks are under way',
      (seen) => seen.files.filter(({ state }) => state === 'processing' || state === 'overdue').length === 8,
    );
    await training.handle.terminate('a test');
    isOpen = true;
    for (const response of held) response.end();
    const tasks = files.map(({ number: file, taskId = '' }) => ({ file, taskId }));
    const next = await rig.train({
      name: `${name}, on`,
      sources,
      session: { sessionId: sessionId ?? '', clips: [], tasks, openedAt: new Date().toISOString() },
    });
    await next.handle.result();
    expect(rows(sessionId, 'upload')).toBe(8);
    expect(rows(sessionId, 'create')).toBe(1);
  } finally {
    await gate.close();
  }
});

it('a create that answers with a task of its own is asked for that task, also after a reset', async () => {
  const own = await createRig({ profile: { createTask: 'own' } });
  try {
    await own.startWorker();
    const name = 'own task';
    const release = own.hold({ name });
    const training = await own.train({ name });
    const { sessionId, createTaskId = '' } = await training.until(
      'it trains',
      ({ phase }) => phase === 'training',
    );
    expect(createTaskId).toBe(own.sandbox.report().sessions[0]?.trainings[0]?.taskId);
    expect(createTaskId).not.toBe(sessionId);
    const { all, sends } = await sendsOf(training);
    const before = all.findLast(
      ({ eventId, workflowTaskCompletedEventAttributes: task }) =>
        Boolean(task) && Number(eventId) < Number(sends[0]?.eventId),
    );
    release();
    const result = await reset(training, before);
    expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
    expect(result.timeline.map(({ text }) => text)).toContainEqual(expect.stringContaining(createTaskId));
    await waitUntil(
      'the record has its task',
      async () => (await training.record())?.createTaskId === createTaskId,
    );
    expect(own.sandbox.report().ledger.filter(({ kind }) => kind === 'create')).toHaveLength(1);
  } finally {
    await own.close();
  }
});

describe('the record of a training that is terminated', () => {
  // In doubt for ever, the creates of other tests would leave open whose row is whose.
  let own: Rig;
  beforeAll(async () => {
    own = await createRig();
    await own.startWorker();
  });
  afterAll(async () => {
    await own.close();
  });

  async function terminated(name: string): Promise<Training> {
    const release = own.hold({ name });
    const training = await own.train({ name });
    await training.until('it trains', ({ phase }) => phase === 'training');
    await waitUntil('it has a record', async () => (await training.record())?.end === 'open');
    await training.handle.terminate('a test');
    release();
    return training;
  }

  function settled(training: Training): Promise<TrainingRecord> {
    return waitUntil('its receipt is settled', async () => {
      const record = await training.record();
      const { verdict, provisional } = record?.receipt.create ?? {};
      const isOpen = record?.end === 'open' || provisional === true || verdict === 'unknown';
      return !isOpen && record;
    });
  }

  it.concurrent('is closed by itself, with what its create was charged', async () => {
    const training = await terminated('nobody looks');
    const { end, receipt, clips } = await settled(training);
    expect([end, clips.length]).toEqual(['failed', 8]);
    expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
    expect(receipt.create.provisional).toBeUndefined();
  });

  it.concurrent(
    'says what its create was charged also where the training was deleted before anybody looked',
    async () => {
      const training = await terminated('deleted');
      const { workflowId } = training.handle;
      await own.client.workflowService.deleteWorkflowExecution({
        namespace: 'default',
        workflowExecution: { workflowId },
      });
      const { end, receipt } = await settled(training);
      expect(end).toBe('failed');
      expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 1 });
    },
  );

  it.concurrent('is closed by the first who looks', async () => {
    const training = await terminated('somebody looks');
    const { status, record } = await new Trainings(own.client).look(training.handle.workflowId);
    expect([status, record?.end]).toEqual(['terminated', 'failed']);
    await settled(training);
  });

  it('learns from its session what became of a create that was out', async () => {
    const name = 'out when terminated';
    own.sandbox.setProfile({ ledgerLagMs: 1e9 });
    own.sandbox.addFaults([onCreateOf(name, { kind: 'slow', delayMs: 3_000 })]);
    const training = await own.train({ name });
    await waitUntil('create has arrived', () =>
      own.sandbox
        .report()
        .sessions.some(({ trainings }) => trainings.some((created) => created.name === name)),
    );
    await training.handle.terminate('a test');
    await new Trainings(own.client).look(training.handle.workflowId);
    const { receipt } = await waitUntil('it is known', async () => {
      const record = await training.record();
      return record?.end === 'failed' && record.receipt.create.verdict === 'charged' && record;
    });
    expect(receipt.create).toMatchObject({ credits: 100, sends: 1 });
    expect(receipt.create.evidence.join()).toContain('session');
  });
});

/** A worker for a rig of its own, with a test in front of its activities. */
async function workedOn(
  own: Rig,
  inFront: (activities: Activities) => Partial<Activities>,
  story: () => Promise<void>,
): Promise<void> {
  const { activities, work, close } = await workHere(own);
  try {
    const worker = await work({
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      activities: { ...activities, ...inFront(activities) },
    });
    await worker.runUntil(story);
  } finally {
    await close();
    await own.close();
  }
}

describe('a worker whose clock is ahead of all others', () => {
  it.concurrent('does not end the grace of a create in doubt before its time', async () => {
    const own = await createRig();
    const aheadMs = 3_600_000;
    await workedOn(
      own,
      ({ readWitnesses }) => ({
        readWitnesses: async (input) => {
          const { look, account } = await readWitnesses(input);
          const ledger = look.ledger && { ...look.ledger, at: look.ledger.at + aheadMs };
          const ahead = { ...look, at: look.at + aheadMs, ...(ledger === undefined ? {} : { ledger }) };
          return { look: ahead, account };
        },
      }),
      async () => {
        const name = 'read by a clock ahead';
        await own.learn();
        own.sandbox.addFaults([onCreateOf(name, { kind: 'late', afterMs: 300_000 })]);
        const { sessionId, receipt } = await (await own.train({ name })).handle.result();
        const { sessions } = own.sandbox.report();
        expect(sessions.find((session) => session.sessionId === sessionId)?.creates).toBe(1);
        expect(receipt.create).toMatchObject({ verdict: 'charged', sends: 1 });
      },
    );
  });
});

describe('a worker whose clock is behind all others', () => {
  it.concurrent('does not make a charge that is booked at the end look early', async () => {
    const own = await createRig();
    let training: Training | undefined;
    await workedOn(
      own,
      ({ readLedger }) => ({
        readLedger: async (input) => {
          const { ledger, ...more } = await readLedger(input);
          if (ledger === undefined) return more;
          // However slow the machine is, its end is seen before the row.
          const hasEnded = (await training?.progress())?.modelId !== undefined;
          const creates = hasEnded ? ledger.creates : [];
          return { ...more, ledger: { ...ledger, creates, at: ledger.at - 60_000 } };
        },
      }),
      async () => {
        training = await own.train({ name: 'read by a clock behind' });
        const { receipt } = await training.handle.result();
        expect(receipt.create.provisional).toBeUndefined();
        const { charges } = await factsOf(own);
        expect(charges.areEarly).toBe(false);
      },
    );
  });
});

describe('a person who gives up while it is told that create had no effect', () => {
  it.concurrent('is not told that this is done while create is sent again', async () => {
    const own = await createRig();
    const begun = deferred();
    const released = deferred();
    const name = 'given up too late';
    await workedOn(
      own,
      ({ reportSend }) => ({
        reportSend: async (input) => {
          if (input.outcome === 'not-accepted') {
            begun.resolve();
            await released.promise;
          }
          return reportSend(input);
        },
      }),
      async () => {
        await own.learn();
        own.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 500 })]);
        const training = await own.train({ name });
        const {
          attention: { id: attentionId },
        } = await training.parked('charge-unknown');
        await begun.promise;
        const given = await training.correct({ attentionId, action: 'giveUp' }).catch(() => undefined);
        released.resolve();
        expect(given).toBeUndefined();
        const { receipt } = await training.handle.result();
        expect(receipt.create).toMatchObject({ verdict: 'charged', sends: 2 });
      },
    );
  });
});

describe('a create that another run of the training has sent since (a reset)', () => {
  it.concurrent('leaves nothing in doubt here, so that a later refusal is told as one', async () => {
    const own = await createRig();
    const name = 'sent by another run';
    let asked = 0;
    await workedOn(
      own,
      ({ requestSend }) => ({
        requestSend: async (input) => {
          if (++asked !== 2) return requestSend(input);
          // What the account workflow says of a send that the run before the reset has made.
          const { sessionId } = input;
          const { uploads } = own.sandbox.report().sessions.find((one) => one.sessionId === sessionId) ?? {};
          await fetch(`${own.sandbox.url}/suno/v2/customModel/create`, {
            method: 'POST',
            headers: { authorization: `Bearer ${own.sandbox.apiKey}`, 'content-type': 'application/json' },
            body: JSON.stringify({ sessionId, clipIds: uploads?.map(({ clipId }) => clipId), name }),
          });
          const now = Date.now();
          const answer = {
            kind: 'accepted',
            decision: 'of it',
            sessionId,
            sentAt: now,
            acceptedAt: now,
          } as const;
          const { url: origin, apiKey } = own.sandbox;
          return { origin, keyFingerprint: keyFingerprint(origin, apiKey), runId: 'another', answer };
        },
      }),
      async () => {
        own.sandbox.addFaults([
          onCreateOf(name, { kind: 'status', status: 500 }),
          onCreateOf(name, { kind: 'failTask', reason: 'no' }, { nth: 2 }),
          { on: 'create', match: { name: 'refused' }, fault: { kind: 'status', status: 422, body: {} } },
        ]);
        const training = await own.train({ name });
        const { attention: doubt } = await training.parked('charge-unknown');
        await training.correct({
          attentionId: doubt.id,
          action: 'resendCreate',
          acceptSecondCharge: true,
        });
        const {
          attention: { id: attentionId },
        } = await training.parked('training-failed');
        await training.correct({ attentionId, action: 'rename', name: 'refused' });
        const { attention, receipt } = await training.until(
          'it parks again',
          (seen) => seen.attention !== undefined && seen.attention.id !== attentionId,
        );
        expect(attention?.kind).toBe('create-rejected');
        expect(receipt.create.attempts.map(({ verdict }) => verdict)).toEqual([
          'unknown',
          'charged',
          'not-charged',
        ]);
        await training.handle.terminate();
      },
    );
  });
});

describe('a person who does not come in time (--park-for)', () => {
  it.concurrent('is not waited for any longer because the API is down', async () => {
    const own = await createRig();
    try {
      await own.startWorker();
      const name = 'expired in an outage';
      own.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 500 })]);
      const training = await own.train({ name, parkForMs: 4_000 });
      const { sessionId = '' } = await training.until(
        'a person is needed',
        ({ attention }) => attention?.kind === 'charge-unknown' && attention.nextTryAt === undefined,
      );
      own.sandbox.addFaults([
        { on: 'status', match: { taskId: sessionId }, times: 1e9, fault: { kind: 'status', status: 503 } },
      ]);
      const error: unknown = await training.handle.result().catch((reason: unknown) => reason);
      expect((error as WorkflowFailedError).cause).toMatchObject({ type: 'ParkExpired' });
      expect((await training.memo()).receipt.create.verdict).toBe('unknown');
    } finally {
      await own.close();
    }
  });
});

describe('a finished training that is reset by mistake, and cancelled', () => {
  it.concurrent('keeps its model in the registry, and its receipt what create was charged', async () => {
    const own = await createRig();
    try {
      const worker = await own.startWorker();
      const training = await own.train({ name: 'reset by mistake' });
      const { modelId } = await training.handle.result();
      const { all } = await sendsOf(training);
      const prepared = all.find(({ activityTaskCompletedEventAttributes: task }) => Boolean(task));
      const boundary = all.find(
        ({ eventId, workflowTaskCompletedEventAttributes: task }) =>
          Boolean(task) && Number(eventId) > Number(prepared?.eventId),
      );
      await worker.kill();
      await own.client.workflowService.resetWorkflowExecution({
        namespace: 'default',
        workflowExecution: {
          workflowId: training.handle.workflowId,
          runId: (await training.handle.describe()).runId,
        },
        reason: 'a test',
        workflowTaskFinishEventId: boundary?.eventId ?? null,
        requestId: randomUUID(),
      });
      const again = own.client.workflow.getHandle(training.handle.workflowId);
      await again.cancel();
      await own.startWorker();
      await expect(again.result()).rejects.toThrow();
      const { receipt } = await training.memo();
      expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
      const record = await waitUntil('its record is closed', async () => {
        const now = await training.record();
        return now?.end === 'cancelled' && now;
      });
      expect(record.receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
      expect(record.modelId).toBe(modelId);
    } finally {
      await own.close();
    }
  });
});
