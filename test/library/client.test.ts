/**
 * The library in this process, as a program uses it: against a configured Temporal server, with a worker process of its
 * own. With our own server it is tested from the package (test/package).
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  AmbiguousIdError,
  AttentionNeededError,
  CorrectionRefusedError,
  SessionTakenError,
  type StartOptions,
  TrainingClient,
  TrainingEndedError,
  TrainingNotFoundError,
  TrainingOpenError,
  type TrainingState,
  UsageError,
} from '../../src/library/index.js';
import { createRig, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
let client: TrainingClient;
let names = 0;
let wish: StartOptions;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
  client = new TrainingClient({ env: withoutKey(rig.env) });
});

beforeEach(() => {
  rig.sandbox.reset();
  wish = { name: `Model ${process.pid} ${++names}`, sources: rig.tracks.urls };
});

afterAll(async () => {
  await client.close();
  await rig.close();
});

function withoutKey(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, MOUNTSEA_API_KEY: '' };
}

async function until(
  states: AsyncIterable<TrainingState>,
  isReached: (state: TrainingState) => boolean,
): Promise<TrainingState> {
  for await (const state of states) if (isReached(state)) return state;
  throw new Error('It ended before that.');
}

describe('a training', () => {
  it('is started without a key, followed to its end, and found by the same call, its name and a prefix', async () => {
    const training = await client.start(wish);
    expect(training.how).toBe('started');
    const states: TrainingState[] = [];
    for await (const state of training.follow({ everyMs: 20 })) states.push(state);
    expect(states.at(-1)).toMatchObject({ status: 'completed', phase: 'done', isLive: false });
    const asText = states.map((state) => JSON.stringify(state));
    // Where a look got no answer the same state may come again, after that.
    expect(asText.filter((text, at) => text === asText[at - 1])).toEqual([]);
    const { modelId, receipt } = await training.result();
    expect(modelId).toMatch(/^chirp-custom:/);
    expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });

    const { workflowId } = training;
    const again = await client.start({ ...wish, sources: [...wish.sources].reverse(), concurrency: 2 });
    expect(again).toMatchObject({ workflowId, how: 'found', ignored: ['concurrency'] });
    expect(await again.result()).toMatchObject({ modelId });
    expect((await client.attach(wish.name)).workflowId).toBe(workflowId);
    expect((await client.attach(workflowId.slice(0, -2))).workflowId).toBe(workflowId);
    expect((await client.list()).map((state) => state.workflowId)).toContain(workflowId);
    await waitUntil('its record is complete', async () =>
      (await client.models()).some((model) => model.modelId === modelId && model.name === wish.name),
    );
    expect(rig.sandbox.report().requests.counts.create).toBe(1);

    // A program that has a Temporal client already lends it, and keeps it.
    const borrowing = new TrainingClient({ client: rig.client, env: { ...rig.env, TEMPORAL_ADDRESS: '' } });
    expect(await (await borrowing.attach(wish.name)).result()).toMatchObject({ modelId });
    await borrowing.close();
    expect(await rig.client.workflowService.getSystemInfo({})).toBeDefined();
  });

  it('that parks is told to whoever waits for the result, and is followed through the correction', async () => {
    rig.sandbox.addFaults([
      { on: 'upload', match: { audioUrl: 'track-05' }, times: 3, fault: { kind: 'failTask' } },
    ]);
    const training = await client.start(wish);
    const error: unknown = await training.result({ everyMs: 20 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AttentionNeededError);
    expect(error).toMatchObject({ code: 'ATTENTION_NEEDED', attention: { kind: 'bad-files' } });
    const corrected: string[] = [];
    for await (const { attention, status } of training.follow({ everyMs: 20 })) {
      if (attention !== undefined && !corrected.includes(attention.id)) {
        corrected.push(attention.id);
        const replacements = [{ file: 5, source: `${rig.tracks.urls[4] ?? ''}?second` }];
        await training.correct({ attentionId: attention.id, action: 'replaceFiles', replacements });
      }
      if (status !== 'running') expect(status).toBe('completed');
    }
    expect(corrected).toHaveLength(1);
    const { clips } = await training.result();
    expect(clips).toHaveLength(8);
    await expect(
      training.correct({ attentionId: corrected[0] ?? '', action: 'retry' }),
    ).rejects.toBeInstanceOf(CorrectionRefusedError);
  });

  it('goes on when its follower is aborted; cancelled, it has a receipt and a session to go on with', async () => {
    rig.sandbox.addFaults([{ on: 'status', times: 1e9, fault: { kind: 'unknownStatus' } }]);
    const training = await client.start(wish);
    await until(training.follow({ everyMs: 20 }), ({ files }) =>
      (files ?? []).some(({ taskId }) => taskId !== undefined),
    );
    const leave = new AbortController();
    const reason = new Error('seen enough');
    const following = until(training.follow({ signal: leave.signal, everyMs: 60_000 }), ({ status }) => {
      leave.abort(reason);
      return status !== 'running';
    });
    await expect(following).rejects.toBe(reason);
    const { sessionId = '', status } = await training.look();
    expect(status).toBe('running');

    await expect(client.start({ ...wish, again: true })).rejects.toBeInstanceOf(TrainingOpenError);
    const taken = client.start({ ...wish, name: `${wish.name} b`, session: { sessionId } });
    await expect(taken).rejects.toBeInstanceOf(SessionTakenError);

    await training.cancel();
    const error: unknown = await training.result({ everyMs: 20 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TrainingEndedError);
    const receipt = { create: { verdict: 'not-charged' } };
    expect(error).toMatchObject({ status: 'cancelled', sessionId, receipt });

    rig.sandbox.clearFaults();
    const next = await client.start({ ...wish, again: true, session: { sessionId } });
    expect(next.how).toBe('started');
    await until(
      next.follow({ everyMs: 20 }),
      ({ files }) => files?.every(({ clipId }) => clipId !== undefined) === true,
    );
    await rig.client.workflow.getHandle(next.workflowId).terminate();
    const { prepare, upload } = rig.sandbox.report().requests.counts;
    expect({ prepare, upload }, 'what is paid for is not sent again').toEqual({ prepare: 1, upload: 8 });
  });
});

describe('a client', () => {
  it.each<[string, Partial<StartOptions> | Record<string, unknown>, RegExp]>([
    ['too few sources', { sources: ['https://93.184.216.34/a.mp3'] }, /at least 6/],
    ['an empty name', { name: ' ' }, /name: must not be empty/],
    ['an option that does not exist', { maxCredit: 500 }, /maxCredit/],
    ['no whole number', { concurrency: 1.5 }, /concurrency/],
  ])('refuses %s before anything is started', async (_, wrong, sentence) => {
    const wanted = { ...wish, name: `Refused ${process.pid}`, ...wrong };
    const error: unknown = await client.start(wanted).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(sentence) as string,
    });
    // Other files of tests start trainings on the same server.
    expect((await client.list()).map((training) => training.name)).not.toContain(wanted.name);
  });

  it('says which situation it is, by class and code', async () => {
    await expect(client.attach('nothing-like-this')).rejects.toBeInstanceOf(TrainingNotFoundError);
    const error: unknown = await client.attach('train-').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AmbiguousIdError);
    expect(error).toMatchObject({ code: 'AMBIGUOUS_ID', id: 'train-' });
    expect(() => new TrainingClient({ baseUrl: 'nonsense', env: {} })).toThrow(UsageError);
  });
});
