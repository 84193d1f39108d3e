/**
 * What the command line does about money: corrections, sessions that are gone on with, the file of `--save`, models, audit.
 * Real processes against a sandbox; each test has a model name of its own, and its files a query of its own, so that faults
 * find the right training.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Trainings } from '../../src/library/trainings.js';
import { recordIdFor, type TrainingRecord } from '../../src/contract/record.js';
import type { FaultRule, SandboxOptions } from '../../src/sandbox/index.js';
import { type Finished, runCli, startCli } from '../support/cli.js';
import { createRig, experiencedRig, onCreateOf, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const MODEL_ID_LINE = /^chirp-custom:[0-9a-f-]{36}\n$/;

let folder: string;
let names = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-money-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const newName = (): string => `M${process.pid}x${++names}`;
const filesFor = (rig: Rig, name: string): string[] => rig.tracks.urls.map((url) => `${url}?for=${name}`);

const badFile = (name: string, number: number, times = 3): FaultRule => ({
  on: 'upload',
  match: { audioUrl: `track-0${number}.wav?for=${name}` },
  times,
  fault: { kind: 'failTask', reason: 'not music' },
});
const REFUSED = { kind: 'status', status: 400, body: { message: 'name not allowed' } } as const;

/** A training as JSON shows it. */
interface Shown {
  workflowId: string;
  sessionId: string;
  status: string;
  files: { number: number; state: string; clipId: string; label: string }[];
  attention?: { id: string; kind: string };
  receipt: { create: { credits?: number; sends: number }; uploads: { calls: number } };
}

async function statusOf(rig: Rig, id: string): Promise<Shown> {
  const { stdout, stderr, code } = await runCli(['status', id, '--json'], rig.env);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Shown;
}

function train(rig: Rig, name: string, more: string[] = [], files = filesFor(rig, name)): Promise<Finished> {
  return runCli(['train', '--yes', '--name', name, ...more, ...files], rig.env);
}

function fix(rig: Rig, name: string, ...flags: string[]): Promise<Finished> {
  return runCli(['fix', name, ...flags], rig.env);
}

/** Ledger rows of one session. */
function charged(rig: Rig, sessionId: string, kind: 'create' | 'upload'): number {
  return rig.sandbox.report().ledger.filter((row) => row.sessionId === sessionId && row.kind === kind).length;
}

/** Uploads of one session that Mountsea saw. */
function uploaded(rig: Rig, sessionId: string): number {
  return (
    rig.sandbox.report().sessions.find((session) => session.sessionId === sessionId)?.uploads.length ?? 0
  );
}

async function rigWithWorker(options: SandboxOptions = {}): Promise<Rig> {
  const rig = await createRig(options);
  await rig.startWorker();
  return rig;
}

describe('with a worker that knows how soon charges appear', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await experiencedRig();
  });
  afterAll(async () => {
    await rig.close();
  });

  describe('fix', () => {
    it.concurrent('--drop leaves out a file that is named by its source', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 5)]);
      const parked = await train(rig, name);
      expect(parked.code, parked.stderr).toBe(5);
      expect(parked.stderr).toMatch(/tunesmith fix train-\S+ --drop 5\n/);
      expect(parked.stderr).toMatch(/tunesmith fix train-\S+ --replace 5=NEW\n/);
      const fixed = await fix(rig, name, '--drop', rig.tracks.urls[4] ?? '');
      expect(fixed.code, fixed.stderr).toBe(0);
      const result = await runCli(['result', name], rig.env);
      expect(result.stdout).toContain('clips   7');
    });

    it.concurrent('--replace uploads another source for a file, and only that one', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 5)]);
      const all = filesFor(rig, name);
      const [files, spare] = [all.slice(0, 7), all[7] ?? ''];
      expect((await train(rig, name, [], files)).code).toBe(5);
      const twin = await fix(rig, name, '--replace', `5=${rig.tracks.urls[0] ?? ''}`);
      expect(twin.code).toBe(2);
      expect(twin.stderr).toContain('is that of file 1');
      const unknown = await fix(rig, name, '--replace', `nothing.wav=${spare}`);
      expect(unknown.code).toBe(2);
      expect(unknown.stderr).toContain('No file of the training is nothing.wav');
      const fixed = await fix(rig, name, '--replace', `track-05.wav=${spare}`);
      expect(fixed.code, fixed.stderr).toBe(0);
      const { sessionId } = await statusOf(rig, name);
      // Six that were good, three tries of the bad one, one of the new one.
      expect(uploaded(rig, sessionId)).toBe(10);
    });

    it.concurrent('--rename keeps the clips, and the corrected command finds the same training', async () => {
      const [name, other] = [newName(), newName()];
      rig.sandbox.addFaults([onCreateOf(name, REFUSED)]);
      const files = filesFor(rig, name);
      const parked = await train(rig, name, [], files);
      expect(parked.code, parked.stderr).toBe(5);
      const fixed = await fix(rig, name, '--rename', other);
      expect(fixed.code, fixed.stderr).toBe(0);
      for (const known of [name, other]) {
        expect(await train(rig, known, [], files)).toMatchObject({ code: 0, stdout: fixed.stdout });
      }
      const { sessionId } = await statusOf(rig, other);
      expect([uploaded(rig, sessionId), charged(rig, sessionId, 'create')]).toEqual([8, 1]);
    });

    it.concurrent(
      '--resend-create sends once more after a failed training, and says what that costs',
      async () => {
        const name = newName();
        rig.sandbox.addFaults([onCreateOf(name, { kind: 'failTask', reason: 'gpu on fire' })]);
        const parked = await train(rig, name);
        expect(parked.code, parked.stderr).toBe(5);
        expect(parked.stderr).toMatch(/--resend-create\n +sends create again: 100 credits\n/);
        const fixed = await fix(rig, name, '--resend-create');
        expect(fixed.code, fixed.stderr).toBe(0);
        const status = await runCli(['status', name], rig.env);
        expect(status.stdout).toContain('create: 200 credits');
        expect(status.stdout).toMatch(/create 1 .*charged: 100 credits[^]*create 2 .*charged: 100 credits/);
      },
    );

    it.concurrent('--new-session says first that everything is paid again, and then does it', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 2)]);
      expect((await train(rig, name)).code).toBe(5);
      const before = await statusOf(rig, name);
      const fixed = await fix(rig, name, '--new-session');
      expect(fixed.code, fixed.stderr).toBe(0);
      expect(fixed.stderr).toMatch(/all 8 files are uploaded and paid again[^]*Taken: newSession/);
      const after = await statusOf(rig, name);
      expect(after.sessionId).not.toBe(before.sessionId);
      expect(uploaded(rig, after.sessionId)).toBe(8);
    });

    it.concurrent('refuses what does not apply, with what does; --give-up ends it with 3', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 3)]);
      expect((await train(rig, name)).code).toBe(5);
      const refused = await fix(rig, name, '--resend-create');
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toContain('--resend-create does not apply to bad-files. What applies: --retry');
      const few = await fix(rig, name, '--drop', '1', '--drop', '2', '--drop', '3');
      expect(few.code).toBe(2);
      expect(few.stderr).toContain('That would leave 5 files');
      expect((await fix(rig, name, '--give-up')).code).toBe(3);
      const late = await fix(rig, name, '--retry');
      expect(late.code).toBe(2);
      expect(late.stderr).toContain('nothing to fix');
    });

    it.concurrent('--retry --max-credits goes on with a training that its own budget stopped', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 4, 1)]);
      const parked = await train(rig, name, ['--max-credits', '140', '--upload-credits', '5']);
      expect(parked.code, parked.stderr).toBe(5);
      expect(parked.stderr).toContain('At most 140 credits');
      expect(parked.stderr).toMatch(/tunesmith fix train-\S+ --retry --max-credits N/);
      const fixed = await fix(rig, name, '--retry', '--max-credits', '145');
      expect(fixed.code, fixed.stderr).toBe(0);
    });

    it.concurrent('takes one of two corrections at once, and the same one twice as one', async () => {
      const name = newName();
      rig.sandbox.addFaults([badFile(name, 6, 6)]);
      expect((await train(rig, name)).code).toBe(5);
      const { workflowId, attention } = await statusOf(rig, name);
      const trainings = new Trainings(rig.client);
      const retry = { attentionId: attention?.id ?? '', action: 'retry' } as const;
      const first = await trainings.correct(workflowId, retry);
      expect(await trainings.correct(workflowId, retry)).toEqual(first);
      await expect(
        trainings.correct(workflowId, { attentionId: attention?.id ?? '', action: 'giveUp' }),
      ).rejects.toThrow(/not parked|no longer the current one/);
      await waitUntil('it parks again', async () => {
        const again = await rig.client.workflow.getHandle(workflowId).query<Shown>('progress');
        return again.attention !== undefined && again.attention.id !== attention?.id;
      });
      // Either way it gets its model: the third round of tries goes well.
      const both = await Promise.all([
        fix(rig, name, '--drop', '6', '--detach'),
        fix(rig, name, '--retry', '--detach'),
      ]);
      expect(both.map(({ code }) => code).sort()).toEqual([2, 7]);
      expect((await runCli(['watch', name], rig.env)).code).toBe(0);
    });
  });

  describe('a session that is gone on with', () => {
    /** A training that ended with its clips paid for. */
    async function ended(name: string, files: string[], more: string[] = []): Promise<Shown> {
      rig.sandbox.addFaults([onCreateOf(name, REFUSED)]);
      const parked = await train(rig, name, more, files);
      expect(parked.code, parked.stderr).toBe(5);
      const seen = await statusOf(rig, name);
      expect((await fix(rig, name, '--give-up')).code).toBe(3);
      return seen;
    }

    it.concurrent('is named by the command that finds the ended training, and costs no upload', async () => {
      const name = newName();
      const { sessionId } = await ended(name, rig.tracks.urls);
      const found = await train(rig, name, ['--concurrency', '3'], rig.tracks.urls);
      expect(found.code).toBe(3);
      const [command = ''] = /tunesmith train --session .*/.exec(found.stderr) ?? [];
      expect(command).toContain(`--session ${sessionId}`);
      const adopted = await runCli(command.split(' ').slice(1), rig.env);
      expect(adopted.code, adopted.stderr).toBe(0);
      expect(adopted.stdout).toMatch(MODEL_ID_LINE);
      expect(adopted.stderr).toContain('8 of 8 files have their clips');
      expect([uploaded(rig, sessionId), charged(rig, sessionId, 'create')]).toEqual([8, 1]);
    });

    it.concurrent('has the clips that --clip names, and their sources without being told', async () => {
      const name = newName();
      const { sessionId, files } = await ended(name, filesFor(rig, name));
      const clips = files.slice(0, 6).flatMap(({ clipId, label }) => ['--clip', `${clipId}=${label}`]);
      const adopted = await runCli(
        ['train', '--yes', '--name', `${name}b`, '--session', sessionId, ...clips],
        rig.env,
      );
      expect(adopted.code, adopted.stderr).toBe(0);
      expect(uploaded(rig, sessionId)).toBe(8);
      expect((await runCli(['result', `${name}b`], rig.env)).stdout).toContain('clips   6');
    });

    it.concurrent('comes out of a file of --save, which is private and holds no query', async () => {
      const name = newName();
      const path = join(folder, `${name}.json`);
      const { sessionId } = await ended(name, filesFor(rig, name), ['--save', path]);
      const text = readFileSync(path, 'utf8');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(text).not.toContain('?');
      const saved = JSON.parse(text) as TrainingRecord;
      expect(saved).toMatchObject({ version: 1, name, sessionId, end: 'open' });
      expect(saved.clips).toHaveLength(8);
      const adopted = await runCli(['train', '--yes', '--adopt', path, '--save', path], rig.env);
      expect(adopted.code, adopted.stderr).toBe(0);
      expect(adopted.stderr).toContain('only while a command like this one follows');
      expect([uploaded(rig, sessionId), charged(rig, sessionId, 'create')]).toEqual([8, 1]);
      const done = JSON.parse(readFileSync(path, 'utf8')) as TrainingRecord;
      expect(done).toMatchObject({ end: 'done', modelId: adopted.stdout.trim() });
      const again = await runCli(['train', '--adopt', path], { ...rig.env, TEMPORAL_ADDRESS: '127.0.0.1:1' });
      expect(again).toMatchObject({ code: 0, stdout: adopted.stdout });
    });

    it.concurrent('is refused while its training still runs, by that one’s name', async () => {
      const name = newName();
      rig.sandbox.addFaults([onCreateOf(name, REFUSED)]);
      expect((await train(rig, name)).code).toBe(5);
      const { sessionId } = await statusOf(rig, name);
      const refused = await train(rig, `${name}b`, ['--session', sessionId], filesFor(rig, name));
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain(`"${name}"`);
      expect((await runCli(['cancel', name], rig.env)).code).toBe(3);
    });
  });

  it.concurrent('knows a training by its record when the server has forgotten it', async () => {
    const name = newName();
    const trained = await train(rig, name);
    expect(trained.code, trained.stderr).toBe(0);
    const { workflowId, sessionId } = await statusOf(rig, name);
    const { workflowService, options } = rig.client;
    await workflowService.deleteWorkflowExecution({
      namespace: options.namespace,
      workflowExecution: { workflowId },
    });
    await waitUntil('it is forgotten', () =>
      rig.client.workflow
        .getHandle(workflowId)
        .describe()
        .then(
          () => false,
          () => true,
        ),
    );
    expect(await train(rig, name)).toMatchObject({ code: 0, stdout: trained.stdout });
    expect(charged(rig, sessionId, 'create')).toBe(1);
    expect((await runCli(['result', sessionId], rig.env)).stdout).toContain('clips   8');
    expect((await runCli(['status', name], rig.env)).stderr).toContain('this is its record');
    const list = await runCli(['list'], rig.env);
    expect(list.stdout).not.toContain(workflowId);
    const models = await runCli(['models'], rig.env);
    const line = models.stdout.split('\n').find((one) => one.startsWith(name));
    expect(line).toMatch(/chirp-custom:\S+ +\d{4}-\d\d-\d\d +8 files +create: 100 credits/);
    const json = JSON.parse((await runCli(['models', '--json'], rig.env)).stdout) as { name: string }[];
    expect(json.find((model) => model.name === name)).toMatchObject({
      type: 'model',
      modelId: trained.stdout.trim(),
    });
  });

  it.concurrent('cancel waits for the truth about the charge, says so, and gives the session', async () => {
    const name = newName();
    // However late the cancel comes, no create has been accepted by then.
    rig.sandbox.addFaults([{ ...onCreateOf(name, { kind: 'status', status: 500 }), times: 1e9 }]);
    const follower = startCli(['train', '--yes', '--name', name, ...filesFor(rig, name)], rig.env);
    await waitUntil('it asks', () => follower.stderr().includes('charge-unknown'));
    const cancelled = await runCli(['cancel', name], rig.env);
    expect(cancelled.code, cancelled.stderr).toBe(3);
    expect(cancelled.stderr).toContain('It ends when it is known what became of create');
    expect(cancelled.stderr).toContain('nothing but the uploads is spent');
    expect(cancelled.stderr).toMatch(/tunesmith train --like train-\S+ .*--session \S+ --again\n/);
    expect((await follower.finished).code).toBe(3);
  });
});

describe('where nobody knows how soon charges appear', () => {
  it('a create in doubt goes on waiting, and is sent again only with --accept-second-charge', async () => {
    const rig = await rigWithWorker();
    try {
      const name = newName();
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 500 })]);
      const parked = await train(rig, name);
      expect(parked.code, parked.stderr).toBe(6);
      expect(parked.stderr).toMatch(
        /--resend-create --accept-second-charge\n +sends create again: 100 credits, perhaps for the second time/,
      );
      const waiting = await fix(rig, name, '--keep-waiting', '--wait', '0');
      expect(waiting.code, waiting.stderr).toBe(6);
      const refused = await fix(rig, name, '--resend-create');
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('It needs --accept-second-charge');
      const fixed = await fix(rig, name, '--resend-create', '--accept-second-charge');
      expect(fixed.code, fixed.stderr).toBe(0);
      const { sessionId } = await statusOf(rig, name);
      expect(charged(rig, sessionId, 'create')).toBe(1);
    } finally {
      await rig.close();
    }
  });
});

describe('audit', () => {
  it('lays the ledger beside the trainings: a row with its training, a row that is nobody’s', async () => {
    const rig = await rigWithWorker({ profile: { foreignCreateEveryMs: 10_000 } });
    try {
      const foreign = (): number => rig.sandbox.report().ledger.filter((row) => row.foreign === true).length;
      await runCli(['audit'], rig.env);
      await waitUntil('somebody else creates', () => foreign() > 0);
      rig.sandbox.setProfile({ foreignCreateEveryMs: 0 });
      const orphans = foreign();
      // Further away than clocks may differ: 2 minutes, at the speed of the sandbox.
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      const name = newName();
      expect((await train(rig, name)).code).toBe(0);
      const { stdout, stderr, code } = await runCli(['audit', '--days', '1'], rig.env);
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(new RegExp(`Creates with their trainings\n.*100 credits .*${name}`));
      expect(stdout).toContain('Rows without a training here');
      const json = JSON.parse((await runCli(['audit', '--json'], rig.env)).stdout) as {
        matched: { training: { name: string } }[];
        orphanRows: unknown[];
        shared: unknown[];
      };
      expect(json.matched.map(({ training }) => training.name)).toEqual([name]);
      expect(json.orphanRows).toHaveLength(orphans);
      expect(json.shared).toEqual([]);
    } finally {
      await rig.close();
    }
  });

  it('settles a provisional receipt by the only row that fits', async () => {
    const rig = await rigWithWorker({ profile: { ledgerLagMs: 1e9 } });
    try {
      const name = newName();
      expect((await train(rig, name)).code).toBe(0);
      expect((await runCli(['status', name], rig.env)).stdout).toContain('(provisional)');
      const { workflowId } = await statusOf(rig, name);
      // The record looks by itself, too. After its fifth look there is time enough for a command on a busy machine.
      await waitUntil('the record has looked five times', async () => {
        const { events } = await rig.client.workflow.getHandle(recordIdFor(workflowId)).fetchHistory();
        const looks = new Set(
          (events ?? [])
            .filter(
              ({ activityTaskScheduledEventAttributes: task }) =>
                task?.activityType?.name === 'settleReceipt',
            )
            .map(({ eventId }) => String(eventId)),
        );
        const done = (events ?? []).filter(({ activityTaskCompletedEventAttributes: task }) =>
          looks.has(String(task?.scheduledEventId)),
        );
        return done.length >= 5;
      });
      rig.sandbox.setProfile({ ledgerLagMs: 0 });
      const { stdout, stderr } = await runCli(['audit'], rig.env);
      expect(stdout).toContain('Creates with their trainings');
      expect(stderr).toContain('Settled: the receipts of train-');
      const status = await waitUntil('the record has it', async () => {
        const seen = (await runCli(['status', name], rig.env)).stdout;
        return !seen.includes('provisional') && seen;
      });
      expect(status).toMatch(/because ledger row \S+: 100 credits/);
    } finally {
      await rig.close();
    }
  });

  it('says unknown where no worker answers, and where no billing is configured', async () => {
    const rig = await createRig();
    try {
      const alone = await runCli(['audit', '--json'], rig.env);
      expect(alone.code).toBe(1);
      expect(JSON.parse(alone.stdout)).toMatchObject({ type: 'audit', ledger: 'unknown', why: 'no worker' });
      expect(alone.stderr).toContain('tunesmith worker');
      await rig.startWorker({ MOUNTSEA_BILLING_URL: '' });
      const silent = await runCli(['audit'], rig.env);
      expect(silent.code).toBe(1);
      expect(silent.stdout).toMatch(/^unknown \(No billing URL is set/);
    } finally {
      await rig.close();
    }
  });
});

describe('--save', () => {
  it('is written by the worker of our own server, whoever follows', async () => {
    const rig = await createRig();
    const home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
    const env: NodeJS.ProcessEnv = {
      ...rig.env,
      TUNESMITH_HOME: home,
      TEMPORAL_CONFIG_FILE: join(home, 'none.toml'),
    };
    delete env['TEMPORAL_ADDRESS'];
    try {
      const path = join(folder, 'own.json');
      const name = newName();
      rig.sandbox.addFaults([
        { on: 'upload', match: { audioUrl: 'track-05' }, times: 3, fault: { kind: 'failTask' } },
      ]);
      const started = await runCli(
        ['train', '--yes', '--name', name, '--detach', '--save', path, ...rig.tracks.urls],
        env,
      );
      expect(started.code, started.stderr).toBe(7);
      expect(started.stderr).not.toContain('only while');
      const saved = (): TrainingRecord => JSON.parse(readFileSync(path, 'utf8')) as TrainingRecord;
      // It waits for a person: what is paid for is in the file, though nobody follows.
      await waitUntil('the clips are saved', () => saved().clips.length === 7);
      expect((await runCli(['fix', name, '--retry', '--detach'], env)).code).toBe(7);
      const done = await waitUntil('the model is saved', () =>
        saved().modelId === undefined ? undefined : saved(),
      );
      expect(done).toMatchObject({ name, end: 'done' });
      expect(done.keyFingerprint).toBeDefined();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const result = await runCli(['result', name, '--json'], env);
      expect(JSON.parse(result.stdout)).toMatchObject({ modelId: done.modelId });
    } finally {
      await runCli(['down'], env);
      await rig.close();
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('writes over no file of another kind, nor over that of another training', async () => {
    const rig = await createRig();
    try {
      const path = join(folder, 'song.wav');
      writeFileSync(path, 'RIFF');
      const refused = await train(rig, newName(), ['--save', path]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('no file of --save');
      expect(readFileSync(path, 'utf8')).toBe('RIFF');
    } finally {
      await rig.close();
    }
  });
});
