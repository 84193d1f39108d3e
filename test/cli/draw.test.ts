import { describe, expect, it } from 'vitest';
import {
  auditLines,
  clock,
  listLines,
  modelLines,
  news,
  picture,
  receiptWords,
  statusLine,
  statusLines,
  waitWords,
} from '../../src/cli/draw.js';
import { widthOf } from '../../src/cli/text.js';
import { emptyReceipt } from '../../src/money/receipt.js';
import { type Snapshot, withPending } from '../../src/library/snapshot.js';
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
      create: { verdict: 'not-charged', sends: 0, evidence: ['create was not sent'], attempts: [] },
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
  const memo: TrainingMemo = {
    ...shared,
    fileCounts: { processing: files.length },
    fileTotal: files.length,
    uploads: [],
  };
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
  message:
    'No clip of track-5.mp3: not music. 8 uploads were sent. Create was not charged; the clips are kept.',
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
    const text = picture(snapshotOf([file(3, { tries: 2 })]), NOW, canvas(100)).join('\n');
    expect(text).toMatch(/… +3 +track-3\.mp3 +processing +1:00 +try 2/);
  });

  it('folds what is ready and what waits when there are many files', () => {
    const files = Array.from({ length: 100 }, (_, index) =>
      file(index + 1, { state: index < 40 ? 'ready' : index < 44 ? 'processing' : 'waiting' }),
    );
    const lines = picture(snapshotOf(files), NOW, canvas(80));
    expect(lines.length).toBeLessThan(13);
    expect(lines.join('\n')).toMatch(/40 ready[^]*56 waiting/);
  });

  it.each([
    [100, 24, 80],
    [100, 12, 80],
    [100, 5, 40],
    [30, 24, 160],
    [8, 24, 80],
  ])('never outgrows its height: %i files on %i rows', (count, rows, width) => {
    const states = ['failed', 'processing', 'overdue', 'uploading', 'ready', 'waiting', 'dropped'] as const;
    const files = Array.from({ length: count }, (_, index) =>
      file(index + 1, { state: states[index % states.length] ?? 'ready', reason: 'word '.repeat(60) }),
    );
    const parked = {
      ...attention,
      options: [...attention.options],
      evidence: [],
      message: 'word '.repeat(200),
    };
    for (const snapshot of [snapshotOf(files), snapshotOf(files, { attention: parked })]) {
      const lines = picture(snapshot, NOW, { ...canvas(width), height: rows - 1 });
      expect(lines.length).toBeLessThanOrEqual(rows - 1);
      for (const line of lines) expect(widthOf(line), line).toBeLessThanOrEqual(width);
      expect(lines[0]).toContain('Night Drive');
    }
  });

  it('says why files are bad once: with the file, or below where that has no room', () => {
    const pictureOf = (reason: string): string => {
      const files = [4, 5].map((number) => file(number, { state: 'failed', reason }));
      const evidence = files.map(({ number }) => `track-${number}.mp3: ${reason}`);
      const parked = { ...attention, options: [], message: '2 of 2 files have no clip.', evidence };
      const shown = picture(snapshotOf(files, { attention: parked }), NOW, { ...canvas(80), height: 39 });
      return shown.join('\n').replace(/\s+/g, ' ');
    };
    expect(pictureOf('not music').split('not music')).toHaveLength(3);
    const long = 'POST /suno/v2/customModel/upload was answered 400: the file is no music at all';
    expect(pictureOf(long)).toContain(`- track-5.mp3: ${long}`);
  });

  it('says what was spent once: with what it waits for, else at its foot, as soon as more is known', () => {
    const sent = (credits: number | 'unknown', message: string): string[] => {
      const receipt = { ...emptyReceipt(), uploads: { calls: 8, credits } };
      const parked = { ...attention, options: [], evidence: [], message };
      const price = { credits: 5, basis: 'assumption' as const };
      const snapshot = snapshotOf([file(1)], { attention: parked, receipt, uploadPrice: price });
      const text = picture(snapshot, NOW, { ...canvas(80), height: 23 }).join('\n');
      return text.match(/8 uploads/g) ?? [];
    };
    const message =
      'No clip of x: y. 8 uploads were sent (about 40 credits, assumed price). Create was not charged; the clips are kept.';
    expect(sent('unknown', message)).toHaveLength(1);
    expect(sent('unknown', 'No clip of x: y.')).toHaveLength(1);
    expect(sent(32, message)).toHaveLength(2);
    // What is cut says nothing for certain.
    expect(sent('unknown', `${'word '.repeat(200)}${message}`)).toHaveLength(1);
  });

  it('shows every file where there is room for all', () => {
    const files = Array.from({ length: 30 }, (_, index) => file(index + 1, { state: 'ready' }));
    const text = picture(snapshotOf(files), NOW, { ...canvas(160), height: 49 }).join('\n');
    for (const { number } of files) expect(text).toContain(`track-${number}.mp3`);
  });

  it('keeps its columns where names take two columns a character, or are emoji', () => {
    const labels = ['夜のドライブ.mp3', '🎸🎸 solo.mp3', 'plain.mp3', `${'長い名前'.repeat(20)}.mp3`];
    const lines = picture(
      snapshotOf(labels.map((label, index) => file(index + 1, { label: `https://x/${label}` }))),
      NOW,
      canvas(80),
    ).filter((line) => line.includes('processing'));
    const starts = lines.map((line) => widthOf(line.slice(0, line.indexOf('processing'))));
    expect(new Set(starts)).toEqual(new Set([starts[0]]));
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(80);
  });

  it('says in one line which stages are done, where it is, and where it waits or ended', () => {
    const stages = (snapshot: Snapshot): string => picture(snapshot, NOW, canvas(100))[1] ?? '';
    const ready = [file(1, { state: 'ready' }), file(2, { state: 'dropped' })];
    const session = { sessionId: 's' };
    expect(stages(snapshotOf([file(1), ...ready], session))).toBe(
      '✓ prepare   › upload 1/2   · create   · train',
    );
    expect(stages(snapshotOf(ready, { ...session, phase: 'training' }))).toBe(
      '✓ prepare   ✓ upload 1/1   ✓ create   › train 1:00',
    );
    const parked = { ...attention, options: [], evidence: [] };
    expect(stages(snapshotOf([file(1)], { ...session, attention: parked }))).toContain('! upload');
    const mending = { ...parked, nextTryAt: START };
    expect(stages(snapshotOf([file(1)], { ...session, attention: mending }))).toContain('› upload');
    const ended = { ...snapshotOf(ready, { ...session, phase: 'failed' }), status: 'failed' as const };
    expect(stages(ended)).toBe('✓ prepare   ✓ upload 1/1   ✗ create   · train');
  });

  it('says how long each upload took, and what is left as far as that was ever seen', () => {
    const took = file(1, { state: 'ready', begunAt: START, since: '2026-01-01T00:00:12Z' });
    const text = (more: Partial<TrainingProgress>): string =>
      picture(snapshotOf([took], more), NOW, canvas(100)).join('\n');
    expect(text({})).toMatch(/track-1\.mp3 +ready +0:12/);
    expect(text({})).toContain('time left unknown');
    const trainingMs = { count: 12, shortestMs: 150_000, longestMs: 185_000 };
    expect(text({ phase: 'training', expected: { trainingMs } })).toContain(
      '1 to 3 min left, going by 12 trainings',
    );
    const late = { ...trainingMs, longestMs: 50_000 };
    expect(text({ phase: 'training', expected: { trainingMs: late } })).toContain(
      'trains longer than each of the last 12 trainings (0:50 at most)',
    );
  });

  it('gives the exact commands that answer an attention', () => {
    const parked = { ...attention, options: [...attention.options], evidence: [...attention.evidence] };
    const text = picture(snapshotOf([file(5)], { attention: parked }), NOW, canvas(80)).join('\n');
    expect(text).toContain('tunesmith fix train-x --retry');
    expect(text).toContain('tunesmith fix train-x --give-up');
  });

  it('says what each answer costs, and asks for what a second charge needs', () => {
    const doubt = {
      ...attention,
      kind: 'charge-unknown' as const,
      options: ['keepWaiting' as const, 'resendCreate' as const, 'newSession' as const],
      riskOfSecondCharge: ['resendCreate' as const, 'newSession' as const],
      evidence: [],
    };
    const text = picture(snapshotOf([file(5)], { attention: doubt }), NOW, canvas(200)).join('\n');
    expect(text).toMatch(/--keep-waiting\n +waits for another while, costs nothing/);
    expect(text).toMatch(
      /--resend-create --accept-second-charge\n.*100 credits, perhaps for the second time/,
    );
    expect(text).toMatch(/--new-session --accept-second-charge\n +uploads all files again/);
    const known = { ...doubt, kind: 'training-failed' as const, riskOfSecondCharge: [] };
    const plain = picture(snapshotOf([file(5)], { attention: known }), NOW, canvas(200)).join('\n');
    expect(plain).not.toContain('--accept-second-charge');
  });

  it('names the bad files in the commands, and the budget that a training needs', () => {
    const bad = [file(5, { state: 'failed' }), file(6), file(7, { state: 'overdue' })];
    const parked = { ...attention, options: ['replaceFiles' as const, 'dropFiles' as const], evidence: [] };
    const text = picture(snapshotOf(bad, { attention: parked }), NOW, canvas(80)).join('\n');
    expect(text).toContain('fix train-x --replace 5=NEW --replace 7=NEW');
    expect(text).toContain('fix train-x --drop 5 --drop 7');
    const budget = { ...parked, kind: 'credits' as const, options: ['retry' as const] };
    const spent = picture(snapshotOf([file(1)], { attention: budget }), NOW, canvas(80)).join('\n');
    expect(spent).toContain('--retry --max-credits N');
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

  it('tells what it waits for once, with the commands, and not in the story as well', () => {
    const parked = { ...attention, options: [...attention.options], evidence: [] };
    const snapshot = snapshotOf([file(5, { state: 'failed' })], {
      attention: parked,
      uploadPrice: { credits: 7, basis: 'assumption' },
      timeline: [
        { at: START, text: 'track-5.mp3, try 1: not music' },
        // What it says may have changed since.
        { at: START, text: 'Waits (bad-files): as it was first put.' },
      ],
    });
    expect(news(undefined, snapshot, canvas(80))).toEqual([
      expect.stringMatching(/ {2}track-5\.mp3, try 1: not music$/),
      'Needs attention: bad-files',
      `  ${parked.message}`,
      '  tunesmith fix train-x --retry',
      '    uploads the bad files again, each upload is paid (about 7 credits, assumed price)',
      '  tunesmith fix train-x --give-up',
      expect.stringContaining('ends the training'),
    ]);
  });

  it('is also that nobody but a person helps any more', () => {
    const open = { ...attention, options: [...attention.options], evidence: [] };
    const mending = snapshotOf([], { attention: { ...open, nextTryAt: START } });
    const parked = snapshotOf([], { attention: open });
    // It helps itself: nobody is told a command.
    expect(news(undefined, mending, canvas(80)).join('\n')).not.toContain('fix train-x');
    expect(news(mending, mending, canvas(80))).toEqual([]);
    expect(news(mending, parked, canvas(80)).join('\n')).toContain('fix train-x --retry');
  });

  it('is an end once, whoever tells it: the story, or the memo where nobody answers any more', () => {
    const finishedAt = new Date(NOW).toISOString();
    const told = snapshotOf([], { timeline: [{ at: finishedAt, text: 'Model chirp-custom:x is ready.' }] });
    told.memo = { ...told.memo, finishedAt, modelId: 'chirp-custom:x' };
    const ended = { ...told, status: 'completed' as const };
    delete ended.progress;
    expect(news(told, ended, canvas(80))).toEqual([]);
    expect(news(snapshotOf([]), ended, canvas(80))).toEqual([
      expect.stringContaining('Model chirp-custom:x is ready.'),
    ]);
  });

  it('comes from the memo where no worker answers', () => {
    const memoOnly = snapshotOf([file(1)]);
    delete memoOnly.progress;
    expect(news(undefined, memoOnly, canvas(80))).toEqual(['uploading: 1 file: 1 processing']);
    expect(news(memoOnly, memoOnly, canvas(80))).toEqual([]);
  });
});

describe('what it waits for', () => {
  it.each([
    ['credentials', START, /by itself when the key is right: `tunesmith login`, or MOUNTSEA_API_KEY/],
    ['credits', START, /by itself when the balance is topped up/],
    ['charge-unknown', START, /by itself, or by you/],
  ] as const)('says what puts it right: %s', (kind, nextTryAt, words) => {
    const parked = { ...attention, kind, options: [], evidence: [], nextTryAt };
    expect(waitWords(parked, canvas(80))).toMatch(words);
  });
});

describe('one look and the list', () => {
  it('names the session that was given up, and the model that was paid for there', () => {
    const evidence = ['its outcome is not known yet'];
    const sent = { sentAt: START, verdict: 'charged', credits: 100, evidence } as const;
    const attempts = [
      { ...sent, decision: 'first', sessionId: 'old', modelId: 'chirp-custom:lost' },
      { ...sent, decision: 'a2', sessionId: 'new' },
    ];
    const create = { verdict: 'charged', credits: 200, sends: 2, evidence, attempts } as const;
    const receipt = { create: { ...create, evidence, attempts }, uploads: emptyReceipt().uploads };
    const snapshot = snapshotOf([], { sessionId: 'new', receipt });
    const text = statusLines(snapshot, undefined, NOW, canvas(80)).join('\n');
    expect(text).toMatch(
      /create 1 .*\n +in session old, which was given up\n +it made the model chirp-custom:lost/,
    );
    expect(text).not.toContain('in session new');
  });

  it('say what was spent and why that is believed', () => {
    const text = statusLines(snapshotOf([file(1)]), undefined, NOW, canvas(80)).join('\n');
    expect(text).toContain('create: not charged · 1 upload');
    expect(text).toContain('because create was not sent');
  });

  it('never cut an id, which is there to be copied', () => {
    const snapshot = { ...snapshotOf([]), workflowId: `train-${'x'.repeat(120)}` };
    expect(listLines([snapshot], 80)[1]?.startsWith(`${snapshot.workflowId} `)).toBe(true);
  });
});

describe('the list', () => {
  it('has a heading, and the name, the state and the day of each training', () => {
    const [heading, line] = listLines([snapshotOf([])], Infinity);
    expect(heading).toMatch(/^ID +NAME +STATE +STARTED +MODEL$/);
    expect(line).toMatch(/^train-x\S* +\S.* +uploading +202[56]-\d\d-\d\d \d\d:\d\d$/);
  });

  it('has each model below its training where the terminal is too narrow for a table', () => {
    const modelId = 'chirp-custom:28f4b6af-4cd6-44c8-aadd-2516df6d1814';
    const [plain, trained] = [snapshotOf([]), snapshotOf([])];
    trained.memo = { ...trained.memo, modelId };
    const lines = listLines([plain, trained], 80);
    expect(lines[0]).toMatch(/STARTED$/);
    expect(lines.slice(2)).toEqual([lines[1], `  ${modelId}`]);
    expect(listLines([plain, trained], 200)[2]?.endsWith(`  ${modelId}`)).toBe(true);
  });

  it('leaves out when a training was started before it breaks a line', () => {
    const lines = listLines([{ ...snapshotOf([]), workflowId: `train-${'x'.repeat(40)}` }], 80);
    expect(lines[0]).toMatch(/^ID +NAME +STATE$/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('is empty without a heading', () => {
    expect(listLines([], 80)).toEqual(['No trainings yet.']);
  });
});

describe('what was spent', () => {
  const attempt = { decision: 'first', sessionId: 's', sentAt: START, evidence: ['a task id'] };
  const uploads = { calls: 8, credits: 40 };

  it('is unknown where one of several sends is, beside what is known', () => {
    const attempts = [
      { ...attempt, verdict: 'unknown' as const },
      { ...attempt, verdict: 'charged' as const, credits: 100, provisional: true },
    ];
    const create = {
      verdict: 'unknown' as const,
      credits: 100,
      sends: 2,
      evidence: [],
      attempts,
      provisional: true,
    };
    expect(receiptWords({ create, uploads })).toBe(
      'create: 100 credits, charge unknown of 1 more (provisional) · 8 uploads: 40 credits',
    );
    const snapshot = snapshotOf([file(1)], { sessionId: 's', receipt: { create, uploads } });
    const text = statusLines(snapshot, undefined, NOW, canvas(80)).join('\n');
    expect(text).toMatch(
      /create 1 .*charge unknown\n +because a task id\ncreate 2 .*charged: 100 credits \(provisional\)/,
    );
  });

  it('has an estimate of uploads that the ledger has not shown, which is called one', () => {
    const receipt = { ...emptyReceipt(), uploads: { calls: 8, credits: 'unknown' as const } };
    const price = (basis: 'ledger' | 'said' | 'assumption'): string =>
      receiptWords(receipt, { credits: 5, basis });
    expect(price('assumption')).toBe('create: not charged · 8 uploads (about 40 credits, assumed price)');
    expect(price('said')).toMatch(/\(about 40 credits, at the price of --upload-credits\)$/);
    expect(price('ledger')).toMatch(/\(about 40 credits, at the dearest price seen\)$/);
    // Never silent, which would read as nothing.
    expect(receiptWords(receipt)).toMatch(/8 uploads \(credits unknown\)$/);
    // Known is known, and of nothing nothing is said.
    expect(receiptWords({ ...receipt, uploads }, { credits: 9, basis: 'assumption' })).toMatch(
      /8 uploads: 40 credits$/,
    );
    expect(receiptWords(emptyReceipt(), { credits: 5, basis: 'assumption' })).toMatch(/0 uploads$/);
    const shown = snapshotOf([file(1)], { receipt, uploadPrice: { credits: 5, basis: 'assumption' } });
    expect(picture(shown, NOW, canvas(80)).join('\n')).toContain('(about 40 credits, assumed price)');
    expect(statusLine(shown, NOW)).toContain('(about 40 credits, assumed price)');
  });

  it('is in the list of models, and unknown there too', () => {
    const create = {
      verdict: 'unknown' as const,
      sends: 1,
      evidence: [],
      attempts: [{ ...attempt, verdict: 'unknown' as const }],
    };
    const record = {
      version: 1 as const,
      workflowId: 'train-x',
      name: 'Night Drive',
      origin: '',
      modelId: 'chirp-custom:x',
      end: 'done' as const,
      sources: [],
      clips: [],
      receipt: { create, uploads },
      startedAt: START,
      updatedAt: '2026-01-01T12:00:00Z',
    };
    expect(modelLines([record], 160)).toEqual([
      'Night Drive  chirp-custom:x  2026-01-01  0 files  create: charge unknown · 8 uploads: 40 credits',
    ]);
    // The id is never cut: it is there to be copied.
    const narrow = { ...record, name: 'N'.repeat(90), modelId: `chirp-custom:${'0'.repeat(36)}` };
    expect(modelLines([narrow], 80)).toEqual([
      `chirp-custom:${'0'.repeat(36)}  ${'N'.repeat(28)}…`,
      '  2026-01-01  0 files  create: charge unknown · 8 uploads: 40 credits',
    ]);
  });

  it('is laid beside the ledger, with what cannot be told apart', () => {
    const row = (id: string): { id: string; at: number; amount: number } => ({ id, at: NOW, amount: 100 });
    const sent = {
      workflowId: 'train-x',
      name: 'Night Drive',
      decision: 'first',
      sessionId: 's',
      sentAt: START,
      verdict: 'charged' as const,
      from: 0,
      to: NOW,
    };
    const none = {
      matched: [],
      shared: [],
      orphanRows: [],
      orphanAttempts: [],
      unknown: [],
      waiting: [],
      refunds: [],
    };
    const ledger = {
      at: NOW,
      balance: 900,
      creates: [row('a'), row('b')],
      uploads: { count: 1, total: 5 },
      unidentified: 1,
    };
    const text = auditLines(
      { ...none, shared: [{ rows: [row('a'), row('b')], attempts: [sent] }] },
      ledger,
      30,
    ).join('\n');
    expect(text).toContain('2 creates booked, 200 credits · 1 upload, 5 credits · balance 900');
    expect(text).toContain('at least 1 of these rows have no training');
    expect(text).toContain('1 rows do not say what they were for');
  });
});

it('a clock counts hours only when there are any', () => {
  expect([clock(0), clock(61_000), clock(3_661_000), clock(-5)]).toEqual(['0:00', '1:01', '1:01:01', '0:00']);
});

describe('an outage', () => {
  it('says that Mountsea gives no usable answer, which try it is, when the next one is, and why, instead of the next check', () => {
    const outage = { since: START, request: 'look at 1 task', why: 'the connection was refused', tries: 6 };
    const shown = (more: object): string =>
      picture(snapshotOf([], { nextCheckAt: START, outage: { ...outage, ...more } }), NOW, canvas(100)).join(
        '\n',
      );
    expect(shown({ nextTryAt: START })).toMatch(
      /No usable answer from Mountsea\. Try 7 is at \d\d:\d\d:\d\d\.\n {2}the connection was refused/,
    );
    expect(shown({})).toContain('Try 7 is under way');
    expect(shown({})).not.toContain('next check');
  });

  it('is what the server knows of the tries, which the training itself does not see', () => {
    const known = snapshotOf([], {
      outage: { since: START, request: 'look at 1 task', why: 'first', tries: 3, nextTryAt: START },
    });
    const failure = (type: string): object => ({ message: type, applicationFailureInfo: { type } });
    const pending = [
      { attempt: 9, lastFailure: failure('AccountBusy'), activityType: { name: 'requestSend' } },
      {
        attempt: 5,
        lastFailure: failure('NotSent'),
        activityType: { name: 'checkTasks' },
        nextAttemptScheduleTime: { seconds: NOW / 1_000, nanos: 0 },
      },
    ] as unknown as Parameters<typeof withPending>[1];
    const { memo, progress } = withPending(known, pending);
    const expected = {
      since: START,
      request: 'look at 1 task',
      why: 'NotSent',
      tries: 7,
      nextTryAt: new Date(NOW).toISOString(),
    };
    expect([memo.outage, progress?.outage]).toEqual([expected, expected]);
    expect(withPending(known, [])).toBe(known);
    // The first tries are counted once, also where the training has told of them just now.
    const first = pending.map((activity) => ({ ...activity, maximumAttempts: 3 }));
    expect(withPending(known, first).memo.outage?.tries).toBe(4);
  });
});
