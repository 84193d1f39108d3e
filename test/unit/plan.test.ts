/**
 * A plan as data: price, what is doubtful, what its hash holds and what it says of a change.
 */
import { describe, expect, it } from 'vitest';
import type { TrainCustomModelInput } from '../../src/contract/training.js';
import {
  changesSince,
  filesToUpload,
  isPlanHash,
  obstaclesOf,
  type Plan,
  planOf,
} from '../../src/library/plan.js';
import type { Finding, Look } from '../../src/preflight/findings.js';
import { sourceIdentity, trainingWorkflowId } from '../../src/temporal/identity.js';

const url = (number: number): string => `https://cdn.example/${number}.mp3`;
const input = (files = 8, more: Partial<TrainCustomModelInput> = {}): TrainCustomModelInput => ({
  name: 'Night Drive',
  origin: 'https://api.mountsea.ai',
  sources: Array.from({ length: files }, (_, index) => ({ url: url(index + 1), label: url(index + 1) })),
  ...more,
});
const look = (number: number, more: Partial<Look> = {}): Look => ({
  number,
  label: url(number),
  kind: 'mp3',
  size: 1_000,
  durationMs: 60_000,
  content: `content ${number}`,
  findings: [],
  ...more,
});
const looksAt = (wanted: TrainCustomModelInput, more: Record<number, Partial<Look>> = {}): Look[] =>
  filesToUpload(wanted).map((number) => look(number, more[number]));

function plan(
  wanted = input(),
  more: Record<number, Partial<Look>> = {},
  account: Parameters<typeof planOf>[2] = { unknown: 'no worker' },
  others: Parameters<typeof planOf>[3] = [],
): Plan {
  return planOf(wanted, looksAt(wanted, more), account, others);
}

const codes = ({ findings }: Plan): string[] => findings.map(({ level, code }) => `${level} ${code}`);

describe('the price of a plan', () => {
  it('is an assumption until the ledger has shown what an upload costs', () => {
    expect(plan().price).toMatchObject({ uploads: 8, uploadCredits: 5, basis: 'assumption', total: 140 });
    expect(plan(input(8, { uploadCredits: 2 })).price.total).toBe(116);
    const seen = plan(input(8, { uploadCredits: 2 }), {}, { balance: 1_000, uploadCredits: 7 });
    expect(seen.price).toMatchObject({ uploadCredits: 7, basis: 'ledger', total: 156 });
    expect(seen.balance).toEqual({ before: 1_000, after: 844 });
  });

  it('has no upload for a clip that is there already, nor for one on its way', () => {
    const clips = [1, 2, 3].map((file) => ({ file, clipId: `c${file}` }));
    const session = { sessionId: 's', clips, tasks: [{ file: 4, taskId: 't' }] };
    const adopted = plan(input(8, { session }));
    expect(adopted.price).toMatchObject({ uploads: 4, total: 120 });
    expect(adopted.files.map(({ isUploaded }) => isUploaded)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    expect(adopted.findings).toEqual([]);
  });

  it('is unknown in its effect where the balance is, never 0', () => {
    expect(plan().balance).toEqual({ unknown: 'no worker' });
  });

  it('is doubtful where the balance or the budget does not pay for it', () => {
    expect(codes(plan(input(), {}, { balance: 139 }))).toEqual(['warning balance']);
    expect(codes(plan(input(), {}, { balance: 140 }))).toEqual([]);
    const dear = plan(input(8, { maxCredits: 150 }), {}, { balance: 1_000, uploadCredits: 7 });
    expect(codes(dear)).toEqual(['warning budget']);
  });
});

describe('the limits of Suno', () => {
  it.each([
    ['a name of 16 characters is fine', input(8, { name: 'abcdefghijklmnop' }), {}, []],
    ['a name of 17 is not', input(8, { name: 'abcdefghijklmnopq' }), {}, ['warning name-length']],
    // Two code units each.
    ['characters are counted as people do', input(8, { name: '🎵'.repeat(16) }), {}, []],
    ['8 minutes are fine', input(), { 3: { durationMs: 480_000 } }, []],
    ['more is not', input(), { 3: { durationMs: 480_001 } }, ['warning too-long']],
    ['100 files are fine', input(100), {}, []],
    ['101 are not', input(101), {}, ['warning file-count']],
    ['with six files none may be dropped', input(6, { onBadFile: 'drop' }), {}, ['warning drop-count']],
    ['with seven one may', input(7, { onBadFile: 'drop' }), {}, []],
    [
      'the same bytes behind two URLs count once',
      input(8),
      { 2: { content: 'content 1' } },
      ['warning same-content'],
    ],
    [
      'so that six may be too few',
      input(6),
      { 2: { content: 'content 1' } },
      ['warning same-content', 'warning file-count'],
    ],
    [
      'the same local file twice is wrong for certain',
      input(),
      { 1: { content: 'sha256 a' }, 2: { content: 'sha256 a' } },
      ['error same-content'],
    ],
  ])('%s', (_, wanted, more, expected) => {
    expect(codes(plan(wanted, more))).toEqual(expected);
  });

  it('stop unless they are accepted; what is wrong for certain stops always', () => {
    const doubtful = plan(input(8, { name: 'A name that is far too long' }));
    expect(obstaclesOf(doubtful, false)).toHaveLength(1);
    expect(obstaclesOf(doubtful, true)).toEqual([]);
    const error: Finding = { level: 'error', code: 'empty', files: [3], short: 'empty', message: 'x' };
    expect(obstaclesOf(plan(input(), { 3: { findings: [error] } }), true)).toEqual([error]);
  });
});

describe('the hash of a plan', () => {
  const before = plan();

  it('is the same for the same files under another signature, another balance, other notes', () => {
    const signed = input();
    for (const source of signed.sources) {
      if ('url' in source) source.url += '?X-Amz-Date=1&X-Amz-Signature=abc';
    }
    const note: Finding = { level: 'note', code: 'content-type', files: [1], short: 'x', message: 'x' };
    const after = plan(
      signed,
      { 1: { findings: [note], expiresAt: '2026-11-25T00:00:00.000Z' } },
      { balance: 7_000 },
    );
    expect(after.hash).toBe(before.hash);
    expect(isPlanHash(after.hash)).toBe(true);
    expect(changesSince(before.hash, after)).toEqual([]);
  });

  it.each([
    ['the name', plan(input(8, { name: 'Day Drive' })), ['the name']],
    ['the API', plan(input(8, { origin: 'http://127.0.0.1:1' })), ['the API']],
    ['an option', plan(input(8, { minClips: 7 })), ['the options']],
    ['the price', plan(input(), {}, { balance: 1, uploadCredits: 6 }), ['the price']],
    ['a file', plan(input(), { 3: { content: 'other' } }), ['file 3']],
    ['two files', plan(input(), { 3: { content: 'other' }, 8: { content: 'other 8' } }), ['file 3, 8']],
    ['the number of files', plan(input(7)), ['the price', 'the files (8 then, 7 now)']],
  ])('is another one for %s, and says so', (_, after, changes) => {
    expect(after.hash).not.toBe(before.hash);
    expect(changesSince(before.hash, after)).toEqual(changes);
  });

  it('does not depend on options that cost nothing', () => {
    expect(plan(input(8, { concurrency: 2, parkForMs: 5, onBadFile: 'ask', minClips: 6 })).hash).toBe(
      before.hash,
    );
  });
});

describe('the same files under another name', () => {
  const idOf = (name: string, files = 8): string => {
    const { origin, sources } = input(files);
    return trainingWorkflowId({ origin, name, sources: sources.map(sourceIdentity) });
  };

  it('are pointed out, once each, with their model', () => {
    const { origin } = input();
    const others = [
      { workflowId: idOf('Old'), name: 'Old', origin, modelId: 'chirp-custom:1' },
      { workflowId: idOf('Old'), name: 'Old', origin },
      { workflowId: `${idOf('Older')}-again-2`, name: 'Older', origin },
      { workflowId: idOf('Others', 7), name: 'Others', origin },
      { workflowId: idOf('Night Drive'), name: 'Night Drive', origin },
    ];
    expect(plan(input(), {}, { unknown: 'x' }, others).sameFiles).toEqual([
      { workflowId: idOf('Old'), name: 'Old', modelId: 'chirp-custom:1' },
      { workflowId: `${idOf('Older')}-again-2`, name: 'Older' },
    ]);
  });
});

describe('a key that Mountsea refuses', () => {
  const refused = plan(
    input(),
    {},
    { unknown: 'Mountsea refuses the API key abcd1234', refusedKey: 'abcd1234' },
  );

  it('stops a training, also where doubts are accepted, and is no part of the hash', () => {
    expect(obstaclesOf(refused, true)).toMatchObject([{ level: 'error', code: 'key-refused', files: [] }]);
    expect(refused.balance).toEqual({ unknown: 'Mountsea refuses the API key abcd1234' });
    expect(refused.hash).toBe(plan().hash);
  });

  it('is none where only the balance is unknown', () => {
    expect(obstaclesOf(plan(input(), {}, { unknown: 'billing answered 401' }), false)).toEqual([]);
  });
});
