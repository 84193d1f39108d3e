import { describe, expect, it } from 'vitest';
import { clock, listLines, news, picture, statusLines } from '../../src/cli/draw.js';
import type { Snapshot } from '../../src/cli/trainings.js';
import type { FileProgress, TrainingMemo, TrainingProgress } from '../../src/contract/progress.js';

const NOW = Date.parse('2026-01-01T00:01:00Z');
const START = '2026-01-01T00:00:00Z';

function file(number: number, more: Partial<FileProgress> = {}): FileProgress {
  return {
    number,
    label: `https://cdn.example/track-${number}.mp3`,
    state: 'processing',
    tries: 1,
    since: START,
    ...more,
  };
}

function snapshotOf(files: FileProgress[], more: Partial<TrainingProgress> = {}): Snapshot {
  const shared = {
    name: 'Night Drive',
    origin: 'https://api.mountsea.ai',
    phase: 'uploading',
    startedAt: START,
    phaseSince: START,
    receipt: {
      create: { verdict: 'not-charged', sends: 0, evidence: ['create was not sent'] },
      uploads: { calls: files.length, credits: 'unknown' },
    },
  } satisfies Partial<TrainingMemo>;
  const progress: TrainingProgress = {
    version: 1,
    workflowId: 'train-x',
    runId: 'r',
    files,
    timeline: [],
    ...shared,
    ...more,
  };
  const memo: TrainingMemo = { ...shared, fileCounts: { processing: files.length }, fileTotal: files.length };
  return { workflowId: 'train-x', runId: 'r', status: 'running', memo, progress };
}

const canvas = (width: number): { width: number; isColored: boolean; program: string } => ({
  width,
  isColored: false,
  program: 'tunesmith',
});

const attention = {
  id: 'a1',
  kind: 'bad-files',
  message: 'File 5 has no clip: not music. The other clips are kept; create was not sent.',
  since: START,
  evidence: ['5 https://cdn.example/track-5.mp3: not music'],
  options: ['retry', 'giveUp'],
} as const;

describe('the picture of a training', () => {
  it.each([60, 80, 160])('fits into %i columns', (width) => {
    const files = [1, 2, 3].map((n) =>
      file(n, { label: `https://cdn.example/${'long-'.repeat(30)}${n}.mp3` }),
    );
    const parked = { ...attention, options: [...attention.options], evidence: ['word '.repeat(40).trim()] };
    const snapshot = snapshotOf(files, { attention: parked });
    snapshot.memo = {
      ...snapshot.memo,
      name: 'Night '.repeat(40),
      fileCounts: { waiting: 1e40, ready: 1e40 },
    };
    const drawn = picture(snapshot, NOW, canvas(width));
    delete snapshot.progress;
    drawn.push(...picture(snapshot, NOW, canvas(width)));
    for (const line of drawn) expect(line.length, line).toBeLessThanOrEqual(width);
  });

  it('shows each file with number, state, time, and the try where it is not the first', () => {
    const [, line] = picture(snapshotOf([file(3, { tries: 2 })]), NOW, canvas(100));
    expect(line).toMatch(/… +3 +track-3\.mp3 +processing \(try 2\) +1:00/);
  });

  it('folds what is ready and what waits when there are many files', () => {
    const files = Array.from({ length: 100 }, (_, index) =>
      file(index + 1, { state: index < 40 ? 'ready' : index < 44 ? 'processing' : 'waiting' }),
    );
    const lines = picture(snapshotOf(files), NOW, canvas(80));
    expect(lines.length).toBeLessThan(12);
    expect(lines.join('\n')).toMatch(/40 ready[^]*56 waiting/);
  });

  it('gives the exact commands that answer an attention', () => {
    const parked = { ...attention, options: [...attention.options], evidence: [...attention.evidence] };
    const text = picture(snapshotOf([file(5)], { attention: parked }), NOW, canvas(80)).join('\n');
    expect(text).toContain('tunesmith fix train-x --retry');
    expect(text).toContain('tunesmith fix train-x --give-up');
  });

  it('lets no name or answer from outside move the cursor', () => {
    const evil = '\u001b[2Jgone\u202e';
    const snapshot = snapshotOf([file(1, { label: `https://x/${evil}`, reason: evil })], { name: evil });
    snapshot.memo = { ...snapshot.memo, name: evil };
    expect(picture(snapshot, NOW, canvas(80)).join('')).not.toMatch(/[\u001b\u202e]/);
  });

  it('has no colours unless it may', () => {
    const snapshot = snapshotOf([file(1)]);
    expect(picture(snapshot, NOW, canvas(80)).join('')).not.toContain('\u001b');
    expect(picture(snapshot, NOW, { ...canvas(80), isColored: true }).join('')).toContain('\u001b');
  });
});

describe('what is new', () => {
  it('is told once, a line each', () => {
    const one = snapshotOf([], { timeline: [{ at: START, text: 'Opens a session.' }] });
    const two = snapshotOf([], {
      timeline: [
        { at: START, text: 'Opens a session.' },
        { at: START, text: 'Uploads 8 files.' },
      ],
    });
    expect(news(undefined, one, canvas(80))).toHaveLength(1);
    expect(news(one, one, canvas(80))).toEqual([]);
    expect(news(one, two, canvas(80))).toEqual([expect.stringContaining('Uploads 8 files.')]);
  });

  it('comes from the memo where no worker answers', () => {
    const memoOnly = snapshotOf([file(1)]);
    delete memoOnly.progress;
    expect(news(undefined, memoOnly, canvas(80))).toEqual(['uploading: 1 files: 1 processing']);
    expect(news(memoOnly, memoOnly, canvas(80))).toEqual([]);
  });
});

describe('one look and the list', () => {
  it('say what was spent and why that is believed', () => {
    const text = statusLines(snapshotOf([file(1)]), undefined, NOW, canvas(80)).join('\n');
    expect(text).toContain('create: not charged · 1 upload');
    expect(text).toContain('because create was not sent');
  });

  it('never cut an id, which is there to be copied', () => {
    const snapshot = { ...snapshotOf([]), workflowId: `train-${'x'.repeat(120)}` };
    expect(listLines([snapshot])[0]).toContain(snapshot.workflowId);
  });
});

it('a clock counts hours only when there are any', () => {
  expect([clock(0), clock(61_000), clock(3_661_000), clock(-5)]).toEqual(['0:00', '1:01', '1:01:01', '0:00']);
});
