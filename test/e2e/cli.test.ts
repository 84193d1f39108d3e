/**
 * The command line against a configured Temporal server, with a worker process of its own.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/index.js';
import { runCli, startCli } from '../support/cli.js';
import { recordsIn } from '../support/json.js';
import { createRig, type Rig, type WorkerProcess } from '../support/rig.js';
import { onTerminal } from '../support/terminal.js';
import { wordsOf } from '../support/shellWords.js';
import { waitUntil } from '../support/waitUntil.js';

const MODEL_ID_LINE = /^chirp-custom:[0-9a-f-]{36}\n$/;
const CONTROL = /\u001b/;

let rig: Rig;
let folder: string;
let names = 0;
let name: string;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

beforeEach(() => {
  rig.sandbox.reset();
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-cli-'));
  name = `Model ${process.pid} ${++names}`;
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await rig.close();
});

const train = (...more: string[]): string[] => [
  'train',
  '--yes',
  '--name',
  name,
  ...more,
  ...rig.tracks.urls,
];
const creates = (): number => rig.sandbox.report().requests.counts.create ?? 0;

describe('train', () => {
  it('gives the model id alone on stdout and one line a change on stderr', async () => {
    const { code, stdout, stderr } = await runCli(train(), rig.env);
    expect(code).toBe(0);
    expect(stdout).toMatch(MODEL_ID_LINE);
    expect(stderr).toMatch(/ track-08\.wav is clip /);
    expect(stderr).toMatch(/Spent on this training: create: 100 credits .*8 uploads/);
    expect(stderr).not.toMatch(CONTROL);
  });

  it('attaches when the same command is given again, and says which options it ignores', async () => {
    // No upload is seen to end before the second command has attached.
    const release = rig.hold({ audioUrl: 'track-' });
    const first = startCli(train(), rig.env);
    await waitUntil('it runs', () => first.stderr().includes('Started'));
    const attached = startCli(train('--concurrency', '2', '--min-clips', '6'), rig.env);
    await waitUntil('it is attached', () => attached.stderr().includes('Nothing more is spent'));
    release();
    const second = await attached.finished;
    expect(second.code).toBe(0);
    expect(second.stderr).toContain('Nothing more is spent');
    expect(second.stderr).toContain('ignored here: --concurrency.');
    expect((await first.finished).stdout).toBe(second.stdout);
    expect(creates()).toBe(1);
  });

  it('gives the stored result when the same content was trained before, and spends nothing', async () => {
    const first = await runCli(train(), rig.env);
    const before = rig.sandbox.report().requests.counts;
    const second = await runCli(train(), rig.env);
    expect(second).toMatchObject({ code: 0, stdout: first.stdout });
    expect(rig.sandbox.report().requests.counts).toEqual(before);
  });

  it('trains the same content once more only with --again', async () => {
    rig.sandbox.addFaults([{ on: 'upload', fault: { kind: 'neverFinish' } }]);
    await runCli(train('--detach'), rig.env);
    const refused = await runCli(train('--again'), rig.env);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('refused while');
    expect((await runCli(['cancel', name], rig.env)).code).toBe(3);
    const ended = await runCli(train(), rig.env);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('--again');
    expect((await runCli(train('--again'), rig.env)).code).toBe(0);
  });

  it('leaves with 7 when it is detached or the wait runs out, and says how to come back', async () => {
    const release = rig.hold({ name });
    const detached = await runCli(train('--detach'), rig.env);
    expect(detached.code).toBe(7);
    // There is no model yet, and stdout is the model id alone.
    expect(detached.stdout).toBe('');
    expect(detached.stderr).toMatch(/tunesmith watch train-/);
    const waited = await runCli(['watch', name, '--wait', '0'], rig.env);
    expect(waited.code).toBe(7);
    release();
    expect((await runCli(['watch', name], rig.env)).code).toBe(0);
  });

  it('writes one JSON record a line with --json: progress, the result, and how it ended', async () => {
    const { code, stdout } = await runCli(train('--json'), rig.env);
    expect(code).toBe(0);
    const records = recordsIn(stdout);
    expect(records[0]).toMatchObject({ type: 'progress', version: 1, live: true });
    expect(records.at(-2)).toMatchObject({ type: 'result', version: 1, name });
    expect(records.at(-1)).toEqual({ type: 'end', version: 1, exit: 0, ending: 'done' });
  });

  it('shows no query of a URL, in no output', async () => {
    const signed = rig.tracks.urls.map((url) => `${url}?token=sesame`);
    const { stdout, stderr } = await runCli(['train', '--yes', '--name', name, '--json', ...signed], rig.env);
    const status = await runCli(['status', name], rig.env);
    expect(stdout + stderr + status.stdout + status.stderr).not.toContain('sesame');
  });
});

describe('interrupted', () => {
  it('by SIGTERM it ends only the following, and says so in JSON', async () => {
    rig.sandbox.addFaults([{ on: 'status', times: 1e9, fault: { kind: 'unknownStatus' } }]);
    const followed = startCli(train('--json'), rig.env);
    await waitUntil('it follows', () => followed.stdout().includes('"progress"'));
    followed.process.kill('SIGTERM');
    const { code, stdout, stderr } = await followed.finished;
    expect(code).toBe(130);
    expect(recordsIn(stdout).at(-1)).toEqual({ type: 'end', version: 1, exit: 130, ending: 'interrupted' });
    expect(stderr).toMatch(/The training goes on\. So far: .* To come back: tunesmith watch train-/);
    expect((await runCli(['status', name, '--exit-status'], rig.env)).code).toBe(7);
    // It would go on asking the sandbox while later tests count.
    expect((await runCli(['cancel', name], rig.env)).code).toBe(3);
  });
});

describe('a training that waits for a person', () => {
  it('exits 5 with the commands that can follow; fix answers it and follows to the end', async () => {
    rig.sandbox.addFaults([
      {
        on: 'upload',
        match: { audioUrl: 'track-05' },
        times: 3,
        fault: { kind: 'failTask', reason: 'not music' },
      },
    ]);
    const parked = await runCli(train(), rig.env);
    expect(parked).toMatchObject({ code: 5, stdout: '' });
    expect(parked.stderr).toContain('not music');
    expect(parked.stderr).toMatch(/tunesmith fix train-\S+ --retry/);
    const unsaid = await runCli(['fix', name], rig.env);
    expect(unsaid.code).toBe(2);
    expect(unsaid.stderr).toMatch(/tunesmith fix train-\S+ --retry\n +uploads the bad files again/);
    const wrong = await runCli(['fix', name, '--keep-waiting'], rig.env);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('does not apply');
    const fixed = await runCli(['fix', name, '--retry'], rig.env);
    expect(fixed.code).toBe(0);
    expect(fixed.stdout).toMatch(MODEL_ID_LINE);
    // What was before the answer was told already.
    expect(fixed.stderr).toMatch(/A person answered: retry/);
    expect(fixed.stderr).not.toMatch(/Opens a session|Needs attention/);
  });

  it('goes on by itself when the answer of create is lost, and is paid once', async () => {
    rig.sandbox.addFaults([{ on: 'create', fault: { kind: 'lost' } }]);
    const { code, stdout, stderr } = await runCli(train(), rig.env);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(MODEL_ID_LINE);
    expect(stderr).toContain('charge-unknown');
    expect(creates()).toBe(1);
  });

  it('exits 6 when the charge is unknown, parked and given up', async () => {
    // Where no training has shown yet how soon charges appear, nobody can tell.
    const fresh = await createRig();
    try {
      await fresh.startWorker();
      fresh.sandbox.addFaults([{ on: 'create', fault: { kind: 'status', status: 500 } }]);
      const parked = await runCli(['train', '--yes', '--name', name, ...fresh.tracks.urls], fresh.env);
      expect(parked.code, parked.stderr).toBe(6);
      expect(parked.stderr).toContain('Whether the 100 credits of create are spent is unknown');
      const status = await runCli(['status', name, '--exit-status'], fresh.env);
      expect(status.code).toBe(6);
      const waiting = await runCli(['result', name], fresh.env);
      expect(waiting.code).toBe(6);
      expect(waiting.stderr).toMatch(/has no model yet: .* the answers that apply: tunesmith watch /);
      const goOn = /paid for:\n {2}tunesmith train --like train-\S+ --session \S+ --again\n/;
      const givenUp = await runCli(['fix', name, '--give-up'], fresh.env);
      expect(givenUp.code).toBe(6);
      expect(givenUp.stderr).toMatch(goOn);
      const result = await runCli(['result', name], fresh.env);
      expect(result.code).toBe(6);
      expect(result.stderr).toContain('has ended without a model: failed. Given up by a person. ');
      expect(result.stderr).toMatch(goOn);
      expect((await runCli(['status', name], fresh.env)).stdout).toContain('\nGiven up by a person.\n');
      expect((await runCli(['fix', name, '--retry'], fresh.env)).stderr).toContain('has ended (failed)');
      expect(fresh.sandbox.report().requests.counts.create).toBe(1);
    } finally {
      await fresh.close();
    }
  });
});

describe('cancel', () => {
  it('exits 3 before create and 4 after it, says what is spent, and 0 when there is nothing to cancel', async () => {
    rig.sandbox.addFaults([
      { on: 'upload', fault: { kind: 'neverFinish' } },
      { on: 'create', fault: { kind: 'neverFinish' } },
    ]);
    await runCli(train('--detach'), rig.env);
    const before = await runCli(['cancel', name], rig.env);
    expect(before.code).toBe(3);
    expect(before.stderr).toContain('not charged');
    // The command that goes on is there to be pasted.
    const [command = ''] = /tunesmith train --like .*/.exec(before.stderr) ?? [];
    const [, verb, ...words] = wordsOf(command);
    expect([verb, words.at(-1)]).toEqual(['train', '--again']);
    // As a plan, since the upload that never ends would be gone on with.
    const planned = await runCli(['plan', ...words], rig.env);
    expect(planned.code, planned.stderr).toBe(0);
    expect(planned.stderr).toMatch(/of 8 files have their clips, which are paid for/);
    const again = await runCli(train('--again', '--json', '--detach'), rig.env);
    const { workflowId } = recordsIn(again.stdout)[0] as { workflowId: string };
    await waitUntil('it trains', () => creates() === 1);
    await waitUntil('the charge is known', async () =>
      (await runCli(['status', workflowId], rig.env)).stdout.includes('100 credits'),
    );
    const after = await runCli(['cancel', workflowId], rig.env);
    expect(after.code).toBe(4);
    expect(after.stderr).toContain('Mountsea cannot cancel');
    expect((await runCli(['cancel', workflowId], rig.env)).code).toBe(0);
  });
});

describe('input that is wrong', () => {
  it.each([
    ['no name', () => ['train', ...rig.tracks.urls], /--name/],
    ['too few files', () => ['train', '--name', 'x', ...rig.tracks.urls.slice(0, 5)], /at least 6/],
    [
      'the same URL twice',
      () => ['train', '--name', 'x', ...rig.tracks.urls, ...rig.tracks.urls],
      /same URL/,
    ],
    ['a path', () => ['train', '--name', 'x', 'a.mp3', ...rig.tracks.urls], /no http or https URL/],
    ['too many clips asked for', () => train('--min-clips', '9'), /more than the 8/],
    ['too few clips asked for', () => train('--min-clips', '5'), /6 or more/],
    ['a policy nobody knows', () => train('--on-bad-file', 'shrug'), /ask, drop, fail/],
    ['a duration nobody knows', () => train('--park-for', 'soon'), /duration/],
    ['a command nobody knows', () => ['trian'], /train/],
    ['an id nobody knows', () => ['status', 'nothing-like-this'], /No training and no song fits/],
    ['--record without a worker of our own', () => train('--record', folder), /--record/],
  ])('exits 2 with a sentence for %s', async (_, args, sentence) => {
    const { code, stdout, stderr } = await runCli(args(), rig.env);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('refuses loopback sources unless they are allowed', async () => {
    const { code, stderr } = await runCli(train(), { ...rig.env, TUNESMITH_ALLOW_PRIVATE_URLS: '' });
    expect(code).toBe(2);
    expect(stderr).toContain('TUNESMITH_ALLOW_PRIVATE_URLS=1');
    expect(rig.sandbox.report().requests.counts).toEqual({});
  });

  it('lets the worker start only with a key, and says which variable holds it', async () => {
    const { code, stderr } = await runCli(['worker'], { ...rig.env, MOUNTSEA_API_KEY: '' });
    expect(code).toBe(2);
    expect(stderr).toContain('MOUNTSEA_API_KEY_FILE');
  });
});

describe('without a worker', () => {
  let other: Rig;
  let worker: WorkerProcess;

  beforeAll(async () => {
    other = await createRig();
    worker = await other.startWorker();
  });

  afterAll(async () => {
    await other.close();
  });

  it('status, list and result answer from the memo and say that no worker does', async () => {
    other.sandbox.addFaults([{ on: 'create', fault: { kind: 'neverFinish' } }]);
    await runCli(['train', '--yes', '--name', name, '--detach', ...other.tracks.urls], other.env);
    await waitUntil('it trains', async () =>
      (await runCli(['status', name], other.env)).stdout.includes('100 credits'),
    );
    await worker.kill();
    const status = await runCli(['status', name], other.env);
    expect(status.code, status.stderr).toBe(0);
    expect(status.stdout).toContain('8 ready');
    expect(status.stderr).toContain('No worker answers');
    expect(status.stderr).toContain('tunesmith worker');
    const list = await runCli(['list', '--json'], other.env);
    expect(list.code).toBe(0);
    const found = (JSON.parse(list.stdout) as { name: string }[]).find((training) => training.name === name);
    expect(found).toMatchObject({ status: 'running', phase: 'training', live: false });
    expect((await runCli(['result', name], other.env)).code).toBe(7);
    const watched = await runCli(['watch', name, '--wait', '5', '--json'], other.env);
    expect(watched.code).toBe(7);
    expect(recordsIn(watched.stdout).at(-1)).toMatchObject({ type: 'end', ending: 'still-running' });
    expect(watched.stderr).toContain('No worker answers');
  });
});

describe('on a terminal', () => {
  it.each([80, 160])('draws one calm picture in %i columns that ends with the model id', async (cols) => {
    const terminal = onTerminal(train(), rig.env, { cols });
    expect(await terminal.code).toBe(0);
    expect(terminal.output()).toContain('track-08.wav');
    expect(terminal.output()).toMatch(/chirp-custom:/);
    // Never the whole screen, and the cursor is back.
    expect(terminal.output()).not.toMatch(/\u001b\[(2?J|H)/);
    expect(terminal.output().lastIndexOf('\u001b[?25h')).toBeGreaterThan(
      terminal.output().lastIndexOf('\u001b[?25l'),
    );
  });

  it('is drawn anew in the width that the window has by now', async () => {
    const release = rig.hold({ name });
    const terminal = onTerminal(train(), rig.env, { cols: 120 });
    await waitUntil('it draws', () => terminal.output().includes('track-08.wav'));
    const before = terminal.output().length;
    terminal.resize(50, 24);
    // Each frame ends with the end of a synchronized update; what was on its way may still be of the old width.
    const frames = (): string[] => terminal.output().slice(before).split('\u001b[?2026l').slice(1, -1);
    await waitUntil('it draws on', () => frames().length >= 2);
    const lines = frames().flatMap((frame) => stripVTControlCharacters(frame).split(/[\r\n]+/));
    expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(50);
    expect(terminal.output().slice(before)).toContain('track-08.wav');
    release();
    expect(await terminal.code).toBe(0);
  });

  it('leaves with 130 on Ctrl-C, says that the training goes on, what is spent, and how to come back', async () => {
    const release = rig.hold({ name });
    const terminal = onTerminal(train(), rig.env);
    await waitUntil('it draws', () => terminal.output().includes('track-01.wav'));
    terminal.type('\u0003');
    expect(await terminal.code).toBe(130);
    expect(terminal.output()).toContain('The training goes on');
    expect(terminal.output()).toMatch(/tunesmith watch train-/);
    release();
    expect((await runCli(['watch', name], rig.env)).code).toBe(0);
  });
});

describe('a training that waits, with somebody at the terminal', () => {
  const badFile = {
    on: 'upload',
    match: { audioUrl: 'track-05' },
    times: 3,
    fault: { kind: 'failTask', reason: 'not music' },
  } as const;
  const QUESTION = 'What now?';

  it('asks, with the price of each choice; Ctrl-C leaves it parked, an answer goes on to the model', async () => {
    rig.sandbox.addFaults([badFile]);
    const first = onTerminal(train(), rig.env);
    await waitUntil('it asks', () => first.output().includes(QUESTION));
    expect(first.output()).toContain('each upload is paid');
    first.type('\u0003');
    expect(await first.code).toBe(130);
    expect(first.output()).toMatch(/fix train-\S+ --drop 5/);
    const second = onTerminal(['watch', name], rig.env);
    await waitUntil('it asks again', () => second.output().includes(QUESTION));
    // Typing goes to the choice that begins so.
    second.type('Leave f');
    await waitUntil('it is chosen', () => second.output().includes('❯ Leave files out'));
    second.type('\r');
    await waitUntil('it asks which', () => second.output().includes('Which files are left out?'));
    second.type('\r');
    expect(await second.code).toBe(0);
    expect(second.output()).toMatch(/chirp-custom:/);
    expect(creates()).toBe(1);
  });

  it('withdraws the question when somebody else has answered', async () => {
    rig.sandbox.addFaults([badFile]);
    const terminal = onTerminal(train(), rig.env, { cols: 160 });
    await waitUntil('it asks', () => terminal.output().includes(QUESTION));
    expect((await runCli(['fix', name, '--drop', '5', '--detach'], rig.env)).code).toBe(7);
    expect(await terminal.code).toBe(0);
    expect(terminal.output()).toContain('The question is withdrawn');
    expect(terminal.output()).toMatch(/chirp-custom:/);
  });
});

describe('--record and --replay', () => {
  it('keeps every exchange without keys or signatures, and the sandbox answers from it', async () => {
    const worker = await createRig();
    try {
      const recorder = startCli(['worker', '--record', folder], worker.env);
      await waitUntil('the worker runs', () => recorder.stderr().includes('is running'));
      const signed = worker.tracks.urls.map((url) => `${url}?token=sesame`);
      const { code, stdout } = await runCli(['train', '--yes', '--name', name, ...signed], worker.env);
      expect(code).toBe(0);
      recorder.process.kill('SIGTERM');
      await recorder.finished;
      const text = readdirSync(folder)
        .map((file) => readFileSync(join(folder, file), 'utf8'))
        .join('');
      expect(text).not.toMatch(/sesame|sandbox-key/);
      expect(text.trim().split('\n').length).toBeGreaterThan(10);
      const replayed = await startSandbox({ replayDir: folder });
      try {
        const prepared = await fetch(`${replayed.url}/suno/v2/customModel/prepare`, { method: 'POST' });
        const { sessionId } = (await prepared.json()) as { sessionId: string };
        const bodies = [];
        for (let looks = 0; looks < 60; looks++) {
          bodies.push(await (await fetch(`${replayed.url}/suno/v2/status?taskId=${sessionId}`)).text());
        }
        expect(bodies.join()).toContain(stdout.trim());
      } finally {
        await replayed.close();
      }
    } finally {
      await worker.close();
    }
  });
});
