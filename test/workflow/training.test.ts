import type { ServerResponse } from 'node:http';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TrainingFailureDetails } from '../../src/contract/failures.js';
import type { Snapshot } from '../../src/library/snapshot.js';
import { Trainings } from '../../src/library/trainings.js';
import { startServer } from '../support/http.js';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const MODEL_ID = /^chirp-custom:[0-9a-f-]{36}$/;

let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

beforeEach(() => {
  rig.sandbox.reset();
});

afterEach(async () => {
  // A test that fails in an outage leaves none behind.
  await rig.sandbox.setDown(false);
});

afterAll(async () => {
  await rig.close();
});

/** How a training ended that did not give a model. */
async function failureOf({ handle }: Training): Promise<ApplicationFailure | CancelledFailure> {
  const error: unknown = await handle.result().then(
    () => new Error('The training gave a model.'),
    (reason: unknown) => reason,
  );
  if (error instanceof WorkflowFailedError) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure || cause instanceof CancelledFailure) return cause;
  }
  throw error;
}

function detailsOf(failure: ApplicationFailure | CancelledFailure): TrainingFailureDetails {
  return failure.details?.[0] as TrainingFailureDetails;
}

async function looksIn({ handle }: Training): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter(
    ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === 'checkTasks',
  ).length;
}

describe('a training without trouble', () => {
  it('gives the model id, the session and the clips, and is charged once', async () => {
    const training = await rig.train();
    const result = await training.handle.result();

    expect(result.modelId).toMatch(MODEL_ID);
    expect(result.clips).toHaveLength(8);
    expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 1 });
    expect(result.receipt.uploads.calls).toBe(8);
    const report = rig.sandbox.report();
    expect(report.requests.counts).toMatchObject({ prepare: 1, upload: 8, create: 1 });
    expect(report.brokenRules).toEqual([]);
    expect(await training.memo()).toMatchObject({ phase: 'done', modelId: result.modelId });
  });

  it('gives the clips in the order of the sources, whatever the order in which they came', async () => {
    const result = await (await rig.train({ concurrency: 8 })).handle.result();
    expect(result.clips.map(({ file }) => file)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(result.clips.map(({ source }) => source)).toEqual(rig.tracks.urls);
    const { sessions } = rig.sandbox.report();
    const bySource = new Map(
      sessions.flatMap(({ uploads }) => uploads).map((upload) => [upload.audioUrl, upload.clipId]),
    );
    expect(result.clips.map(({ clipId }) => clipId)).toEqual(rig.tracks.urls.map((url) => bySource.get(url)));
  });

  it.each([1, 3, 8])(
    'uploads at the same time up to the limit of %i and never beyond',
    async (concurrency) => {
      const held: ServerResponse[] = [];
      // Gives no file before as many uploads are open as may be, so that it does not matter how fast they begin.
      const gate = await startServer(({ path }, response) => {
        response.writeHead(302, { location: rig.tracks.urls[Number(path.slice(1))] ?? '' });
        held.push(response);
        if (held.length >= concurrency) for (const one of held) one.end();
      });
      try {
        const sources = rig.tracks.urls.map((_, index) => ({
          url: `${gate.url}/${index}`,
          label: `${index}`,
        }));
        await (await rig.train({ concurrency, sources })).handle.result();
        expect(rig.sandbox.report().maxConcurrentUploads).toBe(concurrency);
      } finally {
        await gate.close();
      }
    },
  );

  it('shows each file, the session, the next check and the timeline while it runs', async () => {
    const name = 'shown';
    const releases = [rig.hold({ audioUrl: 'track-' }), rig.hold({ name })];
    const training = await rig.train({ name });
    const seen = await training.until('uploads are processed', ({ files }) =>
      files.some(({ state }) => state === 'processing'),
    );
    releases[0]?.();
    expect(seen.phase).toBe('uploading');
    expect(seen.sessionId).toBeDefined();
    expect(seen.files.find(({ state }) => state === 'processing')?.taskId).toBeDefined();
    expect(seen.receipt.create.verdict).toBe('not-charged');
    const trained = await training.until('it trains', ({ phase }) => phase === 'training');
    expect(trained.createTaskId).toBe(trained.sessionId);
    expect(trained.timeline.map(({ text }) => text).join('\n')).toContain('Sends create');
    releases[1]?.();
    await training.handle.result();
  });

  it('keeps the query of a source URL out of everything but its input', async () => {
    const training = await rig.train({
      sources: rig.tracks.urls.map((url) => ({ url: `${url}?X-Sig=sesame`, label: url })),
    });
    const result = await training.handle.result();
    const shown = JSON.stringify([result, await training.progress(), await training.memo()]);
    expect(shown).not.toContain('sesame');
    const { events } = await training.handle.fetchHistory();
    expect(JSON.stringify(events)).not.toContain(rig.sandbox.apiKey);
  });
});

describe('uploads that fail', () => {
  it('uploads a file again in the same session when its task failed', async () => {
    rig.sandbox.addFaults([{ on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'decoder crashed' } }]);
    const result = await (await rig.train()).handle.result();
    expect(result.clips).toHaveLength(8);
    expect(result.receipt.uploads.calls).toBe(9);
    expect(rig.sandbox.report().requests.counts).toMatchObject({ prepare: 1, upload: 9, create: 1 });
    expect(result.timeline.map(({ text }) => text).join('\n')).toContain('decoder crashed');
  });

  const alwaysBad = {
    on: 'upload',
    match: { audioUrl: 'track-05' },
    times: 1_000,
    fault: { kind: 'failTask', reason: 'not music' },
  } as const;

  it('parks with the bad file after its tries, and goes on with all good clips when a person retries', async () => {
    rig.sandbox.addFaults([{ ...alwaysBad, times: 3 }]);
    const training = await rig.train();
    const { attention, receipt } = await training.parked();
    expect(attention).toMatchObject({
      kind: 'bad-files',
      options: ['retry', 'replaceFiles', 'dropFiles', 'newSession', 'giveUp'],
    });
    // Each thing once: the reason is in the sentence, so it is no evidence beside it.
    expect(attention.message).toMatch(
      /^No clip of track-05\.wav: not music\. 10 uploads were sent \(about 50 credits, .* price.*\)\. Create was not charged; the clips are kept\.$/,
    );
    expect(attention.evidence).toEqual([]);
    expect(receipt).toMatchObject({ create: { verdict: 'not-charged' }, uploads: { calls: 10 } });
    await training.correct({ attentionId: attention.id, action: 'retry' });
    expect((await training.handle.result()).receipt.uploads.calls).toBe(11);
    expect(rig.sandbox.report().requests.counts).toMatchObject({ prepare: 1, create: 1 });
  });

  it('leaves the bad file out where the input says drop', async () => {
    rig.sandbox.addFaults([alwaysBad]);
    const result = await (await rig.train({ onBadFile: 'drop' })).handle.result();
    expect(result.clips.map(({ file }) => file)).toEqual([1, 2, 3, 4, 6, 7, 8]);
  });

  it('asks a person where dropping would leave fewer clips than asked for', async () => {
    rig.sandbox.addFaults([alwaysBad]);
    const training = await rig.train({ onBadFile: 'drop', minClips: 8 });
    const { attention } = await training.parked('bad-files');
    // What would be refused is not offered, and who asks for it all the same hears why.
    expect(attention.options).toEqual(['retry', 'replaceFiles', 'newSession', 'giveUp']);
    await expect(
      training.correct({ attentionId: attention.id, action: 'dropFiles', files: [5] }),
    ).rejects.toMatchObject({
      cause: { message: expect.stringContaining('at least 8 files are needed') as string },
    });
    await training.handle.terminate();
  });

  it('fails with the receipt and sends no create where the input says fail', async () => {
    rig.sandbox.addFaults([alwaysBad]);
    const failure = await failureOf(await rig.train({ onBadFile: 'fail' }));
    expect(failure).toMatchObject({ type: 'UploadRejected' });
    expect(detailsOf(failure).receipt.create.verdict).toBe('not-charged');
    expect(rig.sandbox.report().requests.counts.create ?? 0).toBe(0);
  });

  it('counts an upload whose answer was lost as a try, since it may have been charged', async () => {
    rig.sandbox.addFaults([{ on: 'upload', nth: 2, fault: { kind: 'lost' } }]);
    const result = await (await rig.train()).handle.result();
    expect(result.receipt.uploads.calls).toBe(9);
    expect(rig.sandbox.report().requests.counts.upload).toBe(9);
  });

  it('leaves a refusal for now to Temporal, which obeys Retry-After and uses up no try', async () => {
    rig.sandbox.addFaults([{ on: 'upload', nth: 1, fault: { kind: 'rateLimit', retryAfterSeconds: 1 } }]);
    const result = await (await rig.train()).handle.result();
    expect(result.receipt.uploads.calls).toBe(8);
    expect(rig.sandbox.report().requests.counts.upload).toBe(9);
  });

  it('parks when an upload is overdue, keeps looking, and goes on by itself when it ends after all', async () => {
    rig.sandbox.addFaults([{ on: 'upload', nth: 4, fault: { kind: 'neverFinish' } }]);
    const training = await rig.train();
    const { attention } = await training.parked();
    expect(attention.options).toEqual([
      'retry',
      'keepWaiting',
      'replaceFiles',
      'dropFiles',
      'newSession',
      'giveUp',
    ]);
    await training.correct({ attentionId: attention.id, action: 'retry' });
    expect((await training.handle.result()).clips).toHaveLength(8);
  });
});

describe('create', () => {
  it.each([
    ['a server error', { kind: 'status', status: 500 }],
    ['a redirect', { kind: 'redirect' }],
  ] as const)(
    'shows that the charge is unknown after %s, and a person may give up at once',
    async (_, fault) => {
      rig.sandbox.addFaults([{ on: 'create', nth: 1, fault }]);
      const training = await rig.train();
      const { attention } = await training.parked();
      expect(attention.kind).toBe('charge-unknown');
      await training.correct({ attentionId: attention.id, action: 'giveUp' });
      const failure = await failureOf(training);
      expect(failure).toMatchObject({ type: 'GivenUp' });
      expect(detailsOf(failure).receipt.create.verdict).toBe('unknown');
      expect(rig.sandbox.report().requests.counts.create).toBe(1);
    },
  );

  it('parks uncharged when it is refused', async () => {
    rig.sandbox.addFaults([
      { on: 'create', nth: 1, fault: { kind: 'status', status: 422, body: { message: 'name is taken' } } },
    ]);
    const training = await rig.train();
    const { attention, receipt } = await training.parked();
    expect(attention.kind).toBe('create-rejected');
    expect(attention.evidence.join()).toContain('name is taken');
    expect(receipt.create.verdict).toBe('not-charged');
    await training.handle.terminate();
  });

  it('waits and sends again by itself when it is refused for now', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'rateLimit', retryAfterSeconds: 1 } }]);
    const result = await (await rig.train()).handle.result();
    expect(result.receipt.create).toMatchObject({ verdict: 'charged', sends: 2 });
    expect(rig.sandbox.report().requests.counts.create).toBe(2);
  });

  it('goes on by itself when the balance was too low for a while', async () => {
    rig.sandbox.addFaults([
      {
        on: 'create',
        times: 1e9,
        fault: { kind: 'status', status: 429, body: { message: 'Insufficient credits' } },
      },
    ]);
    const training = await rig.train();
    const { attention } = await training.parked();
    expect(attention).toMatchObject({ kind: 'credits' });
    expect(attention.nextTryAt).toBeDefined();
    rig.sandbox.clearFaults();
    expect((await training.handle.result()).receipt.create.verdict).toBe('charged');
  });
});

describe('waiting for the model', () => {
  it('survives status answers that are late, unknown or missing at first', async () => {
    rig.sandbox.addFaults([
      { on: 'status', nth: 1, times: 3, fault: { kind: 'notFoundAtFirst' } },
      { on: 'status', nth: 6, times: 2, fault: { kind: 'unknownStatus', word: 'Polishing' } },
    ]);
    const result = await (await rig.train()).handle.result();
    expect(result.modelId).toMatch(MODEL_ID);
    expect(result.receipt.uploads.calls).toBe(8);
  });

  it('is not done at success without a model id', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'successWithoutModel' } }]);
    const training = await rig.train();
    const { attention, receipt } = await training.parked();
    expect(attention.kind).toBe('answer-unclear');
    expect(receipt.create.verdict).toBe('charged');
    await training.handle.terminate();
  });

  it('parks when the training failed, and sends nothing again', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'failTask', reason: 'gpu on fire' } }]);
    const training = await rig.train();
    const { attention } = await training.parked();
    expect(attention.kind).toBe('training-failed');
    expect(attention.message).toContain('gpu on fire');
    await training.correct({ attentionId: attention.id, action: 'giveUp' });
    expect(detailsOf(await failureOf(training)).receipt.create.verdict).toBe('charged');
    expect(rig.sandbox.report().requests.counts.create).toBe(1);
  });

  it('parks when it takes too long, says how unusual that is, and does not fail', async () => {
    await rig.learn();
    rig.sandbox.addFaults([{ on: 'create', fault: { kind: 'neverFinish' } }]);
    const training = await rig.train();
    const { attention, receipt } = await training.parked();
    expect(attention).toMatchObject({
      kind: 'training-overdue',
      options: ['keepWaiting', 'newSession', 'giveUp'],
    });
    // The deadline is 15 minutes of the service.
    expect(attention.message).toMatch(
      /after running for (1[5-9]|[2-9]\d|\d{3,}) min; the longest of the last \d+ took \d+ min/,
    );
    expect(receipt.create.verdict).toBe('charged');
    await training.handle.terminate();
  });

  it('outlives an outage of the API without another request that costs', async () => {
    const name = 'outlives';
    // It is not seen to end before the outage has been.
    const release = rig.hold({ name });
    const training = await rig.train({ name });
    await training.until('it trains', ({ phase }) => phase === 'training');
    const before = rig.sandbox.report().requests.counts;
    await rig.sandbox.setDown(true);
    const trainings = new Trainings(rig.client);
    const tries = (label: string, most: number): Promise<Snapshot> =>
      waitUntil(label, async () => {
        const snapshot = await trainings.look(training.handle.workflowId);
        const { why = '', tries: failed = 0 } = snapshot.progress?.outage ?? {};
        return why.includes('not sent') && failed >= most && snapshot;
      });
    await tries('the outage is told', 4);
    // Temporal carries it from here on, and no look comes into the history any more.
    const inHistory = await looksIn(training);
    const { memo, progress } = await tries('it is asked on and on', 8);
    expect(await looksIn(training)).toBe(inHistory);
    expect(memo.outage).toMatchObject({ request: 'look at 1 task' });
    expect(progress?.timeline.at(-1)?.text).toContain('No usable answer from Mountsea');
    await rig.sandbox.setDown(false);
    release();
    const result = await training.handle.result();
    expect(result.modelId).toMatch(MODEL_ID);
    expect(result.timeline.map(({ text }) => text)).toContain('Mountsea answers again.');
    expect((await training.memo()).outage).toBeUndefined();
    const after = rig.sandbox.report().requests.counts;
    expect([after.prepare, after.upload, after.create]).toEqual([
      before.prepare,
      before.upload,
      before.create,
    ]);
  });
});

describe('the update correct', () => {
  it('is refused with a sentence when nothing is parked, for an old attention, and for an action that does not apply', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'failTask', reason: 'no' } }]);
    const release = rig.hold({ audioUrl: 'track-08' });
    const training = await rig.train();
    await training.until('it uploads', ({ phase }) => phase === 'uploading');
    const causeOf = async (correction: Parameters<Training['correct']>[0]): Promise<string> =>
      training.correct(correction).then(
        () => 'accepted',
        (error: unknown) => String((error as Error).cause),
      );
    expect(await causeOf({ attentionId: 'x', action: 'retry' })).toContain('not parked');
    release();
    const { attention } = await training.parked();
    expect(await causeOf({ attentionId: 'x', action: 'giveUp' })).toContain('no longer the current one');
    expect(await causeOf({ attentionId: attention.id, action: 'retry' })).toContain('does not apply');
    await training.handle.terminate();
  });

  it('gives up after parkForMs where nobody answers', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'failTask', reason: 'no' } }]);
    expect(await failureOf(await rig.train({ parkForMs: 100 }))).toMatchObject({ type: 'ParkExpired' });
  });
});

describe('cancelling', () => {
  it('before create stops the training, uncharged, and leaves its receipt in the memo', async () => {
    rig.hold({ audioUrl: 'track-' });
    const training = await rig.train();
    await training.until('it uploads', ({ files }) => files.some(({ state }) => state === 'processing'));
    await training.handle.cancel();
    expect(await failureOf(training)).toBeInstanceOf(CancelledFailure);
    expect(await training.memo()).toMatchObject({
      phase: 'cancelled',
      receipt: { create: { verdict: 'not-charged' } },
    });
    expect(rig.sandbox.report().requests.counts.create ?? 0).toBe(0);
  });

  it('after create says that its credits are spent, with the session to go on from', async () => {
    const name = 'cancelled after create';
    rig.hold({ name });
    const training = await rig.train({ name });
    await training.until('it trains', ({ phase }) => phase === 'training');
    await training.handle.cancel();
    expect(await failureOf(training)).toBeInstanceOf(CancelledFailure);
    const memo = await training.memo();
    expect(memo).toMatchObject({
      phase: 'cancelled',
      receipt: { create: { verdict: 'charged', credits: 100 } },
    });
    expect(memo.sessionId).toBeDefined();
  });

  it('after the training has failed does not say that it goes on', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'failTask', reason: 'gpu on fire' } }]);
    const training = await rig.train();
    await training.parked('training-failed');
    await training.handle.cancel();
    expect(await failureOf(training)).toBeInstanceOf(CancelledFailure);
    expect((await training.progress()).timeline.at(-1)?.text).toContain(
      'its credits are spent. Mountsea says that the training failed.',
    );
    expect((await training.memo()).receipt.create.attempts).toMatchObject([{ ended: 'failed' }]);
  });

  it('while create is out waits for the truth about the charge', async () => {
    rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'slow', delayMs: 2_000 } }]);
    const name = 'cancelled with create out';
    rig.hold({ name });
    const training = await rig.train({ name });
    await waitUntil(
      'the request is at the API',
      () => (rig.sandbox.report().requests.counts.create ?? 0) > 0,
    );
    await training.handle.cancel();
    expect(await failureOf(training)).toBeInstanceOf(CancelledFailure);
    expect((await training.memo()).receipt.create.verdict).toBe('charged');
  });
});
