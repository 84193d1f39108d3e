/**
 * The update `correct` with all its actions: what a person decides is done, what was paid for is kept, and a late, double
 * or wrong decision harms nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Correction } from '../../src/contract/correction.js';
import { CORRECT_UPDATE } from '../../src/contract/messages.js';
import type { Attention } from '../../src/contract/progress.js';
import type { FaultRule } from '../../src/sandbox/index.js';
import { createRig, type Rig, type Training } from '../support/rig.js';

let rig: Rig;
let names = 0;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

afterAll(async () => {
  await rig.close();
});

async function start(
  faults: (name: string) => FaultRule[],
  input: Parameters<Rig['train']>[0] = {},
): Promise<Training> {
  const name = `Correction ${++names}`;
  rig.sandbox.addFaults(faults(name));
  // Each training has files of its own, so that a fault befalls only its own.
  return rig.train({ name, sources: rig.sourcesOf(name), ...input });
}

async function anotherThan(training: Training, { id }: Attention): Promise<Attention> {
  const { attention } = await training.until(
    'it parks again',
    (seen) => seen.attention !== undefined && seen.attention.id !== id,
  );
  if (attention === undefined) throw new Error('unreachable');
  return attention;
}

/** The sentence with which a correction is refused. */
async function refusal(training: Training, correction: Correction): Promise<string> {
  const error: unknown = await training.correct(correction).then(
    () => new Error('It was taken.'),
    (reason: unknown) => reason,
  );
  if (error instanceof WorkflowUpdateFailedError) return String(error.cause?.message);
  throw error;
}

const badFile =
  (number: number, times = 3) =>
  (name: string): FaultRule[] => [
    {
      on: 'upload',
      match: { audioUrl: `track-0${number}.wav?of=${encodeURIComponent(name)}` },
      times,
      fault: { kind: 'failTask', reason: 'not music' },
    },
  ];
const rejected = (name: string): FaultRule[] => [
  {
    on: 'create',
    match: { name },
    fault: { kind: 'status', status: 422, body: { message: 'name is taken' } },
  },
];

function sessionsOf(training: Training): number {
  const urls = new Set(training.input.sources.flatMap((source) => ('url' in source ? [source.url] : [])));
  return rig.sandbox
    .report()
    .sessions.filter(({ uploads }) => uploads.some(({ audioUrl }) => urls.has(audioUrl))).length;
}

describe('a correction', () => {
  it.concurrent(
    'renames: create is sent in the same session with the same clips, and the new name finds this training',
    async () => {
      const training = await start(rejected);
      const { attention } = await training.parked('create-rejected');
      expect(await refusal(training, { attentionId: attention.id, action: 'rename' })).toContain(
        'needs a name',
      );
      expect(
        await refusal(training, { attentionId: attention.id, action: 'rename', name: training.input.name }),
      ).toContain('already');
      await training.correct({ attentionId: attention.id, action: 'rename', name: 'Another name' });
      const result = await training.handle.result();
      expect(result).toMatchObject({ name: 'Another name', receipt: { uploads: { calls: 8 } } });
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 2 });
      expect(sessionsOf(training)).toBe(1);
      expect(await rig.aliasOf('Another name', training.input.sources)).toBe(training.handle.workflowId);
    },
  );

  it.concurrent(
    'replaces a bad file: the good clips are kept, and only the new file is uploaded',
    async () => {
      const training = await start(badFile(5));
      const { attention } = await training.parked('bad-files');
      const source = { url: `${rig.tracks.urls[4] ?? ''}?better=1`, label: 'better.wav' };
      await training.correct({
        attentionId: attention.id,
        action: 'replaceFiles',
        replacements: [{ file: 5, source }],
      });
      const result = await training.handle.result();
      expect(result.receipt.uploads.calls).toBe(8 + 2 + 1);
      expect(result.clips.map(({ source: label }) => label)[4]).toBe('better.wav');
      expect(sessionsOf(training)).toBe(1);
    },
  );

  it.concurrent('leaves files out as long as enough remain', async () => {
    const training = await start(badFile(5));
    const { attention } = await training.parked('bad-files');
    const { id: attentionId } = attention;
    expect(await refusal(training, { attentionId, action: 'dropFiles', files: [5, 6, 7] })).toContain(
      'at least 6',
    );
    expect(await refusal(training, { attentionId, action: 'dropFiles', files: [9] })).toContain('no file 9');
    await training.correct({ attentionId, action: 'dropFiles', files: [5] });
    const result = await training.handle.result();
    expect(result.clips.map(({ file }) => file)).toEqual([1, 2, 3, 4, 6, 7, 8]);
    expect(result.receipt.uploads.calls).toBe(10);
  });

  it.concurrent(
    'opens another session only when told to, says what that costs, and uploads everything again there',
    async () => {
      const training = await start(rejected);
      const { attention } = await training.parked('create-rejected');
      expect(attention.message).toContain('upload and pay all files again, perhaps on another account');
      const before = (await training.progress()).sessionId;
      await training.correct({ attentionId: attention.id, action: 'newSession' });
      const result = await training.handle.result();
      expect(result.sessionId).not.toBe(before);
      expect(result.receipt).toMatchObject({
        create: { verdict: 'charged', sends: 2 },
        uploads: { calls: 16 },
      });
      expect(sessionsOf(training)).toBe(2);
    },
  );

  it.concurrent(
    'to a create that is refused for now is carried out, and only `retry` sends before Retry-After is over',
    async () => {
      const training = await start((name) => [
        { on: 'create', match: { name }, fault: { kind: 'rateLimit', retryAfterSeconds: 600 } },
      ]);
      const { attention: first } = await training.parked('create-rejected');
      expect(first.message).toContain('Too many requests, until ');
      await training.correct({ attentionId: first.id, action: 'rename', name: 'Renamed meanwhile' });
      const second = await anotherThan(training, first);
      expect(second).toMatchObject({ kind: 'create-rejected', nextTryAt: first.nextTryAt });
      await training.correct({ attentionId: second.id, action: 'dropFiles', files: [1] });
      const third = await anotherThan(training, second);
      expect((await training.progress()).receipt.create.sends).toBe(1);
      await training.correct({ attentionId: third.id, action: 'retry' });
      const result = await training.handle.result();
      expect(result).toMatchObject({ name: 'Renamed meanwhile', receipt: { create: { sends: 2 } } });
      expect(result.clips.map(({ file }) => file)).toEqual([2, 3, 4, 5, 6, 7, 8]);
      const session = rig.sandbox.report().sessions.find(({ sessionId }) => sessionId === result.sessionId);
      expect(session?.trainings.map(({ name }) => name)).toEqual(['Renamed meanwhile']);
    },
  );

  it.concurrent('is taken once when two people decide at the same time', async () => {
    const training = await start(rejected);
    const {
      attention: { id: attentionId },
    } = await training.parked('create-rejected');
    const outcomes = await Promise.allSettled([
      training.correct({ attentionId, action: 'rename', name: 'Hers' }),
      training.correct({ attentionId, action: 'rename', name: 'His' }),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const result = await training.handle.result();
    expect(['Hers', 'His']).toContain(result.name);
    expect(result.receipt.create).toMatchObject({ credits: 100, sends: 2 });
  });

  it.concurrent('gets the same answer when it is sent twice under one update id', async () => {
    const training = await start(rejected);
    const {
      attention: { id: attentionId },
    } = await training.parked('create-rejected');
    const send = (): Promise<unknown> =>
      training.handle.executeUpdate(CORRECT_UPDATE, {
        args: [{ attentionId, action: 'retry' } satisfies Correction],
        updateId: 'the-same',
      });
    const answers = await Promise.all([send(), send()]);
    expect(answers[1]).toEqual(answers[0]);
    expect((await training.handle.result()).receipt.create.sends).toBe(2);
  });

  it.concurrent(
    'in the wrong phase, with a field it does not use, or with rubbish is refused and harms nothing',
    async () => {
      // It does not park before it was asked.
      let release = (): void => undefined;
      const training = await start((name) => {
        release = rig.hold({ audioUrl: `track-08.wav?of=${encodeURIComponent(name)}` });
        return rejected(name);
      });
      expect(await refusal(training, { attentionId: 'x', action: 'newSession' })).toContain('not parked');
      release();
      const {
        attention: { id: attentionId },
      } = await training.parked('create-rejected');
      expect(await refusal(training, { attentionId, action: 'resendCreate' })).toContain('does not apply');
      expect(await refusal(training, { attentionId, action: 'retry', name: 'x' })).toContain('takes no name');
      const rubbish = { attentionId, action: 'replaceFiles', replacements: [null] } as unknown as Correction;
      expect(await refusal(training, rubbish)).toBeTruthy();
      await training.correct({ attentionId, action: 'retry' });
      expect((await training.handle.result()).receipt.create.sends).toBe(2);
    },
  );
});

describe('the budget of a training', () => {
  it.concurrent(
    'counts what may be spent, keeps the price of create back, and is raised by a person',
    async () => {
      const training = await start(() => [], { maxCredits: 120, uploadCredits: 5 });
      const { attention } = await training.parked('credits');
      expect(attention.nextTryAt).toBeUndefined();
      expect(attention.message).toContain('the limit is 120');
      // 20 credits are left for uploads: four of them.
      expect((await training.progress()).receipt.uploads.calls).toBe(4);
      await training.correct({ attentionId: attention.id, action: 'retry', maxCredits: 140 });
      const result = await training.handle.result();
      expect(result.receipt).toMatchObject({ create: { credits: 100 }, uploads: { calls: 8 } });
    },
  );

  it.concurrent('gives the same room to one upload only where several ask for it at once', async () => {
    const training = await start(() => [], { maxCredits: 112, uploadCredits: 5, concurrency: 4 });
    const { attention } = await training.parked('credits');
    expect((await training.progress()).receipt.uploads.calls).toBe(2);
    await training.correct({ attentionId: attention.id, action: 'giveUp' });
    await expect(training.handle.result()).rejects.toThrow(WorkflowFailedError);
  });

  it.concurrent('refuses a second create that would pass it', async () => {
    const training = await start(
      (name) => [{ on: 'create', match: { name }, fault: { kind: 'failTask', reason: 'gpu on fire' } }],
      { maxCredits: 150 },
    );
    const { attention: failed } = await training.parked('training-failed');
    await training.correct({ attentionId: failed.id, action: 'resendCreate' });
    const { attention: stopped } = await training.parked('credits');
    expect(stopped.message).toContain('does not allow create');
    await training.correct({ attentionId: stopped.id, action: 'giveUp' });
    await expect(training.handle.result()).rejects.toThrow(WorkflowFailedError);
    expect((await training.memo()).receipt.create).toMatchObject({ credits: 100, sends: 1 });
  });
});

describe('a park that mends itself', () => {
  it('goes on when the key is put right, without a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tunesmith-key-'));
    const keyFile = join(folder, 'key');
    const own = await createRig();
    try {
      writeFileSync(keyFile, 'wrong-key');
      await own.startWorker({ MOUNTSEA_API_KEY: '', MOUNTSEA_API_KEY_FILE: keyFile });
      const training = await own.train();
      const { attention } = await training.parked('credentials');
      expect(attention.nextTryAt).toBeDefined();
      writeFileSync(keyFile, own.sandbox.apiKey);
      expect((await training.handle.result()).receipt.create).toMatchObject({ verdict: 'charged', sends: 1 });
    } finally {
      await own.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('parks uncharged when the account has all its models, and goes on when it has room again', async () => {
    const own = await createRig({ profile: { modelLimit: 1, accounts: 1 } });
    try {
      await own.startWorker();
      await (await own.train()).handle.result();
      const training = await own.train();
      const { attention } = await training.parked('account-limit');
      expect(attention.options).toEqual(['retry', 'newSession', 'giveUp']);
      expect(attention.message).toContain('not charged');
      own.sandbox.setProfile({ modelLimit: 2 });
      await training.correct({ attentionId: attention.id, action: 'retry' });
      const result = await training.handle.result();
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 2 });
    } finally {
      await own.close();
    }
  });
});
