/**
 * The workflow generateSong against the sandbox: one paid request for each decision, whatever happens to its answer.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRig, type Rig, SPEED } from '../support/rig.js';
import { startSong } from '../support/songs.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

beforeEach(() => {
  rig.sandbox.reset();
});

afterAll(async () => {
  await rig.close();
});

function paid(): number[] {
  return rig.sandbox.report().ledger.map(({ amount }) => amount);
}

describe('a song', () => {
  it('gives its clips and is charged once, with the row of the ledger', async () => {
    const song = await startSong(rig);
    const { clips, title, receipt } = await song.handle.result();

    expect(title).toBe('Night Drive');
    expect(clips).toHaveLength(2);
    expect(clips[0]).toMatchObject({ title: 'Night Drive', duration: 2 });
    const audio = await fetch(clips[0]?.audioUrl ?? '');
    expect(Buffer.from(await audio.arrayBuffer()).toString('latin1', 0, 4)).toBe('RIFF');
    const [row] = rig.sandbox.report().ledger;
    expect(receipt.generate).toMatchObject({ verdict: 'charged', credits: 40, sends: 1 });
    expect(receipt.generate.attempts[0]?.rowId).toBe(row?.id);
    expect(receipt.generate.provisional).toBeUndefined();
    expect(rig.sandbox.report().brokenRules).toEqual([]);
    expect(await song.memo()).toMatchObject({ phase: 'done', clips: [{}, {}] });
  });

  it('can be heard before its end, and a cancelled one says that it is paid for', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'neverFinish', at: 'stream' } }]);
    const song = await startSong(rig);
    const { clips } = await song.until('it plays', ({ taskStatus }) => taskStatus === 'stream');
    expect(clips).toHaveLength(2);
    await song.handle.cancel();
    await expect(song.handle.result()).rejects.toThrow();
    const memo = await song.memo();
    expect(memo).toMatchObject({ phase: 'cancelled', receipt: { generate: { verdict: 'charged' } } });
  });

  it('that fails at Mountsea asks before it is paid again', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'failTask', reason: 'lyrics refused' } }]);
    const song = await startSong(rig);
    const { attention } = await song.parked();
    expect(attention).toMatchObject({ kind: 'song-failed', options: ['retry', 'giveUp'] });
    expect(attention.message).toContain('lyrics refused');
    // What needs no worker to be seen.
    await waitUntil('its memo has it', async () => (await song.memo()).attention?.kind === 'song-failed');
    expect((await song.memo()).finishedAt).toBeUndefined();
    expect((await song.memo()).receipt.generate.attempts).toMatchObject([{ ended: 'failed' }]);
    await song.correct({ attentionId: attention.id, action: 'giveUp' });
    await expect(song.handle.result()).rejects.toThrow();
    expect(paid()).toEqual([40]);
    const memo = await song.memo();
    expect(memo).toMatchObject({ phase: 'failed', clips: [], finishedAt: memo.phaseSince });
    expect(memo.attention).toBeUndefined();
  });
});

describe('a request that is proved to have had no effect', () => {
  it('is sent again by itself where it was only too early, and not charged twice', async () => {
    rig.sandbox.addFaults([
      { on: 'generate', nth: 1, fault: { kind: 'rateLimit', retryAfterSeconds: 0 } },
      { on: 'generate', nth: 2, fault: { kind: 'status', status: 402 } },
    ]);
    const { receipt } = await (await startSong(rig)).handle.result();
    expect(receipt.generate).toMatchObject({ verdict: 'charged', credits: 40 });
    expect(rig.sandbox.report().requests.counts.generate).toBe(3);
    expect(paid()).toEqual([40]);
  });

  it('parks where it is refused, and says that nothing is spent', async () => {
    const song = await startSong(rig, { request: { model: 'chirp-custom:nobody', prompt: 'la' } });
    const { attention, receipt } = await song.parked();
    expect(attention).toMatchObject({ kind: 'song-rejected', options: ['retry', 'giveUp'] });
    expect(attention.message).toContain('Nothing is spent');
    expect(receipt.generate.verdict).toBe('not-charged');
    await song.correct({ attentionId: attention.id, action: 'giveUp' });
    await expect(song.handle.result()).rejects.toThrow();
    expect(paid()).toEqual([]);
  });

  it('is not made where the budget does not allow it', async () => {
    const song = await startSong(rig, { maxCredits: 39 });
    const { attention } = await song.parked();
    expect(attention.kind).toBe('credits');
    expect(rig.sandbox.report().requests.counts.generate).toBeUndefined();
    await song.correct({ attentionId: attention.id, action: 'retry', maxCredits: 40 });
    await song.handle.result();
    expect(paid()).toEqual([40]);
  });
});

describe('a request whose answer is lost', () => {
  it('parks with the row that nothing explains, and is sent again only by a person who accepts a second charge', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'lost' } }]);
    const song = await startSong(rig);
    const { attention, receipt } = await song.until(
      'the ledger was asked',
      (progress) => progress.attention !== undefined && progress.attention.nextTryAt === undefined,
    );
    const id = attention?.id ?? '';
    const [row] = rig.sandbox.report().ledger;
    expect(attention).toMatchObject({ kind: 'charge-unknown', options: ['keepWaiting', 'retry', 'giveUp'] });
    expect(attention?.evidence.join('\n')).toContain(`row ${row?.id ?? ''}: 40 credits, which no other song`);
    expect(attention?.evidence.join('\n')).toContain('was 10000 before it was sent and is 9960 now');
    expect(receipt.generate).toMatchObject({ verdict: 'unknown', sends: 1 });
    expect(paid()).toEqual([40]);

    await expect(song.correct({ attentionId: id, action: 'retry' })).rejects.toThrow();
    await song.correct({ attentionId: id, action: 'retry', acceptSecondCharge: true });
    const result = await song.handle.result();
    expect(result.clips).toHaveLength(2);
    // The first one is still not known, and is said so.
    expect(result.receipt.generate).toMatchObject({ verdict: 'unknown', sends: 2 });
    expect(paid()).toEqual([40, 40]);
  });

  it('ends for want of an answer only when a person was needed for as long as `--park-for` says', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'refuse' } }]);
    // Shorter than the time in which the ledger is asked before anybody is: two minutes of the service.
    const askedMs = (2 * 60_000) / SPEED;
    const parkForMs = askedMs - 100;
    const song = await startSong(rig, { parkForMs });
    await expect(song.handle.result()).rejects.toMatchObject({ cause: { type: 'ParkExpired' } });
    const { timeline } = await song.until('it has ended', ({ phase }) => phase === 'failed');
    const doubt = timeline.find(({ text }) => text.startsWith('Waits (charge-unknown)'));
    const took = Date.parse(timeline.at(-1)?.at ?? '') - Date.parse(doubt?.at ?? '');
    expect(took).toBeGreaterThanOrEqual(askedMs + parkForMs);
  });

  it('is not sent again when its worker is killed with it', async () => {
    const own = await createRig();
    try {
      const worker = await own.startWorker();
      const release = own.sandbox.addFaults([{ on: 'generate', fault: { kind: 'hang' } }]);
      const song = await startSong(own);
      await waitUntil('it is out', () => own.sandbox.report().requests.counts.generate === 1);
      await worker.kill();
      release();
      await own.startWorker();
      const { attention } = await song.parked();
      expect(attention.kind).toBe('charge-unknown');
      expect(attention.message).toContain('the worker was lost');
      expect(own.sandbox.report().requests.counts.generate).toBe(1);
    } finally {
      await own.close();
    }
  });
});

/** What the button of the Web UI does, to the last boundary or the first. */
async function reset(workflowId: string, to: 'first' | 'last'): Promise<void> {
  const handle = rig.client.workflow.getHandle(workflowId);
  const { runId } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const boundaries = (events ?? []).filter(({ workflowTaskCompletedEventAttributes: task }) => task);
  const eventId = boundaries.at(to === 'first' ? 0 : -1)?.eventId;
  if (eventId === undefined || eventId === null) throw new Error('No boundary.');
  await rig.client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId, runId },
    reason: 'a test',
    workflowTaskFinishEventId: eventId,
    requestId: randomUUID(),
  });
}

describe('a song that is reset in the Web UI', () => {
  it('to its beginning goes on with the task that is paid for', async () => {
    const song = await startSong(rig);
    const first = await song.handle.result();
    await reset(song.handle.workflowId, 'first');
    const again: unknown = await rig.client.workflow.getHandle(song.handle.workflowId).result();
    expect(again).toMatchObject({ taskId: first.taskId, receipt: { generate: { sends: 1 } } });
    expect(paid()).toEqual([40]);
  });
});

describe('a song that is ordered with its model', () => {
  it('is made when the model is ready, by itself, and once also where the training is reset', async () => {
    const training = await rig.train({
      song: { request: { prompt: 'la', title: 'First' } },
      maxCredits: 200,
    });
    const { modelId, songId = '' } = await training.handle.result();
    expect(songId).toBe(`${training.handle.workflowId}-song`);
    const song: unknown = await rig.client.workflow.getHandle(songId).result();
    expect(song).toMatchObject({ model: modelId, modelName: training.input.name, clips: [{}, {}] });
    // 8 uploads at 5 and create leave 60 of 200.
    expect(await inputOf(songId)).toMatchObject({ maxCredits: 60 });

    await reset(training.handle.workflowId, 'first');
    const again: unknown = await rig.client.workflow.getHandle(training.handle.workflowId).result();
    expect(again).toMatchObject({ modelId, songId });
    expect(rig.sandbox.report().requests.counts).toMatchObject({ create: 1, generate: 1 });
  });
});

async function inputOf(workflowId: string): Promise<unknown> {
  const { events } = await rig.client.workflow.getHandle(workflowId).fetchHistory();
  const started = events?.[0]?.workflowExecutionStartedEventAttributes;
  return JSON.parse(Buffer.from(started?.input?.payloads?.[0]?.data ?? []).toString('utf8'));
}
