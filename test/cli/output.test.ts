/**
 * What a follower writes, by what its streams are.
 */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Io, Output } from '../../src/cli/output.js';
import type { Snapshot } from '../../src/library/snapshot.js';
import { emptyReceipt } from '../../src/money/receipt.js';
import { recordsIn } from '../support/json.js';

const START = '2026-01-01T00:00:00.000Z';

function snapshotOf(texts: string[]): Snapshot {
  const facts = {
    name: 'Night Drive',
    origin: '',
    phase: 'uploading' as const,
    startedAt: START,
    phaseSince: START,
    receipt: emptyReceipt(),
  };
  return {
    workflowId: 'train-x',
    runId: 'r',
    status: 'running',
    memo: { ...facts, fileCounts: {}, fileTotal: 0, uploads: [] },
    progress: {
      version: 1,
      workflowId: 'train-x',
      runId: 'r',
      ...facts,
      files: [],
      timeline: texts.map((text) => ({ at: START, text })),
    },
  };
}

function streams(
  env: NodeJS.ProcessEnv = {},
  terminal?: { columns: number; rows: number },
): { io: Io; stderr: () => string; stdout: () => string } {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  Object.assign(stderr, { isTTY: terminal !== undefined, ...terminal });
  let [out, err] = ['', ''];
  stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return {
    io: {
      env,
      stdout: stdout as unknown as NodeJS.WriteStream,
      stderr: stderr as unknown as NodeJS.WriteStream,
      cwd: '/',
    },
    stdout: () => out,
    stderr: () => err,
  };
}

const terminal = { columns: 80, rows: 24 };

describe('without a terminal', () => {
  it('is a line a change, and a status line when there was none for a minute', () => {
    const { io, stderr } = streams();
    let now = Date.parse(START);
    const view = new Output(io, false, () => now).follower(() => undefined);
    view.snapshot(snapshotOf(['Opens a session.']));
    now += 59_000;
    view.snapshot(snapshotOf(['Opens a session.']));
    expect(stderr().split('\n')).toHaveLength(2);
    now += 1_000;
    view.snapshot(snapshotOf(['Opens a session.']));
    now += 30_000;
    view.snapshot(snapshotOf(['Opens a session.', 'Uploads 8 files.']));
    now += 59_000;
    // Also while nobody answers.
    view.note('No worker answers.');
    now += 60_000;
    view.note('No worker answers.');
    const lines = stderr().trim().split('\n');
    expect(lines).toEqual([
      expect.stringContaining('Opens a session.'),
      expect.stringMatching(/uploading.* 1:00 so far · .*create: not charged/),
      expect.stringContaining('Uploads 8 files.'),
      'No worker answers.',
      expect.stringContaining('3:29 so far'),
    ]);
    expect(stderr()).not.toContain('\u001b');
    view.end();
  });

  it('tells only what came after what was told already', () => {
    const { io, stderr } = streams();
    const told = snapshotOf(['Opens a session.', 'Waits (bad-files): no clip.']);
    const view = new Output(io, false).follower(() => 'http://127.0.0.1:8233/', told);
    const texts = ['Opens a session.', 'Waits (bad-files): no clip.', 'A person answered: retry.'];
    view.snapshot(snapshotOf(texts));
    view.end();
    expect(stderr().trim().split('\n')).toEqual([
      'http://127.0.0.1:8233/',
      expect.stringContaining('A person answered: retry.'),
    ]);
  });
});

describe('with --json', () => {
  it('is a record a change on stdout, and nothing of it on stderr', () => {
    const { io, stdout, stderr } = streams({}, terminal);
    const view = new Output(io, true).follower(() => undefined);
    for (const texts of [['a'], ['a'], ['a', 'b']]) view.snapshot(snapshotOf(texts));
    view.end();
    expect(recordsIn(stdout())).toHaveLength(2);
    expect(stderr()).toBe('');
  });
});

describe('what the environment says', () => {
  it.each([
    [{}, terminal, true],
    [{ NO_COLOR: '1' }, terminal, false],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, terminal, false],
    [{ TERM: 'dumb' }, terminal, false],
    [{}, undefined, false],
    [{ FORCE_COLOR: '1' }, undefined, true],
    [{ FORCE_COLOR: '0' }, terminal, false],
  ])('of colours is followed: %o, terminal %o', (env, size, isColored) => {
    expect(new Output(streams(env, size).io, false).canvas.isColored).toBe(isColored);
  });

  it.each([
    [{}, '✓'],
    [{ LANG: 'de_DE.UTF-8' }, '✓'],
    [{ LANG: 'de_DE.UTF-8', LC_ALL: 'C' }, '+'],
    [{ LANG: 'de_DE@euro' }, '+'],
    [{ TERM: 'linux', LANG: 'C.UTF-8' }, '+'],
  ])('of Unicode is followed on a terminal: %o', (env, mark) => {
    const { io, stderr } = streams(env, terminal);
    new Output(io, false).say('✓');
    expect(stderr()).toBe(`${mark}\n`);
  });

  it('of Unicode is nothing for a file', () => {
    const { io, stderr } = streams({ LC_ALL: 'C' });
    new Output(io, false).say('夜 ✓');
    expect(stderr()).toBe('夜 ✓\n');
  });

  it.each([{ TERM: 'dumb' }, {}])('of a terminal that cannot be drawn on is followed: %o', (env) => {
    const { io, stderr } = streams(env, terminal);
    const view = new Output(io, false).follower(() => undefined);
    view.snapshot(snapshotOf(['Opens a session.']));
    view.end();
    expect(stderr().includes('\u001b')).toBe(env.TERM !== 'dumb');
  });
});

it('keeps the files in the picture while nobody answers', () => {
  const { io, stderr } = streams({}, terminal);
  const view = new Output(io, false).follower(() => undefined);
  const seen = snapshotOf(['a']);
  const file = { number: 1, label: 'x/song.mp3', state: 'waiting', tries: 0, since: START } as const;
  if (seen.progress !== undefined) seen.progress.files = [{ ...file }];
  view.snapshot(seen);
  const silent = snapshotOf([]);
  delete silent.progress;
  view.snapshot({ ...silent, memo: { ...silent.memo, phase: 'training' } });
  view.note('No worker answers.');
  view.end();
  // Written once: it is still there, under other stages.
  expect(stderr().split('song.mp3')).toHaveLength(2);
  expect(stderr()).toContain('No worker answers.');
});
