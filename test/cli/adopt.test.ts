import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clipSources, filesOfClips, namedClips, requireOneWay, savedSources } from '../../src/cli/adopt.js';
import { knownSession, matchClips, openingOf } from '../../src/library/sessions.js';
import { sourcesFrom } from '../../src/library/sources.js';
import { savedClips, snapshotOfRecord } from '../../src/library/snapshot.js';
import type { TrainingRecord } from '../../src/contract/record.js';
import type { Clip, Source } from '../../src/contract/training.js';
import { emptyReceipt } from '../../src/money/receipt.js';

const source = (name: string): Source => ({
  url: `https://x.example/${name}?sig=1`,
  label: `https://x.example/${name}`,
});
const clip = (file: number, name: string): Clip => ({
  clipId: `c${file}`,
  file,
  source: `https://x.example/${name}`,
});

function recordOf(more: Partial<TrainingRecord>): TrainingRecord {
  return {
    version: 1,
    workflowId: 'train-x',
    name: 'x',
    origin: 'https://api.mountsea.ai',
    sessionId: 's',
    end: 'cancelled',
    sources: [],
    clips: [],
    receipt: emptyReceipt(),
    startedAt: '2026-01-02T00:00:00.000Z',
    updatedAt: '2026-01-02T01:00:00.000Z',
    ...more,
  };
}

describe('flags that contradict each other', () => {
  it.each([
    ['a clip without its session', { clip: ['a=b'] }, /--clip needs --session/],
    ['two sessions', { session: 's', adopt: 'f' }, /--session or --adopt/],
    ['clips beside a file that names them', { adopt: 'f', clip: ['a=b'] }, /--clip or --adopt/],
  ])('are refused: %s', (_, flags, sentence) => {
    expect(() => {
      requireOneWay(flags);
    }).toThrow(sentence);
  });

  it.each(['nothing', '=b', 'a='])('are clips that are none: %s', (value) => {
    expect(() => namedClips([value])).toThrow(/ID=SOURCE/);
  });

  it('are one clip for two files, and two clips for one', () => {
    expect(() => namedClips(['a=x', 'a=y'])).toThrow(/twice/);
    expect(() =>
      filesOfClips(
        [source('1')],
        [
          { clipId: 'a', source: source('1') },
          { clipId: 'b', source: source('1') },
        ],
      ),
    ).toThrow(/Two --clip/);
  });
});

describe('clips that are named', () => {
  const rules = { folder: '/nowhere', allowPrivateUrls: true, warn: (): void => undefined };

  it('find their files whatever the signature of today, and bring those that are missing', async () => {
    const signed = (name: string, signature: string): string =>
      `https://x.example/${name}?Expires=${signature}&Signature=${signature}`;
    const clips = await clipSources(namedClips([`a=${signed('2', 'b')}`, `b=${signed('7', 'b')}`]), rules);
    const args = ['1', '2', '3', '4', '5', '6'].map((name) => signed(name, 'a'));
    const also = clips.map((one) => one.source);
    const sources = await sourcesFrom(args, { ...rules, minClips: 6, also });
    expect(sources.map((one) => ('url' in one ? one.url : ''))).toEqual([...args, signed('7', 'b')]);
    expect(filesOfClips(sources, clips)).toEqual([
      { file: 2, clipId: 'a' },
      { file: 7, clipId: 'b' },
    ]);
  });
});

describe('clips that are remembered', () => {
  it('go to the sources with their labels, in whatever order these are given now', () => {
    expect(matchClips([source('b'), source('a'), source('new')], [clip(1, 'a'), clip(2, 'b')])).toEqual([
      { file: 1, clipId: 'c2' },
      { file: 2, clipId: 'c1' },
    ]);
  });

  it('are told apart by number where labels are the same, and else not guessed', () => {
    const twins = [source('get'), source('get')];
    expect(matchClips(twins, [clip(1, 'get'), clip(2, 'get')])).toEqual([
      { file: 1, clipId: 'c1' },
      { file: 2, clipId: 'c2' },
    ]);
    expect(matchClips(twins, [clip(7, 'get')])).toEqual([]);
  });

  it('are found by labels that were cut', () => {
    const long = 'a'.repeat(300);
    const kept = [{ clipId: 'c', file: 4, source: `${source(long).label.slice(0, 199)}…` }];
    expect(matchClips([source(long)], kept)).toEqual([{ file: 1, clipId: 'c' }]);
  });
});

describe('a session that this server knows', () => {
  it('has the clips of all who had it, since the first of them', () => {
    const first = recordOf({ clips: [clip(1, 'a')] });
    const second = recordOf({
      workflowId: 'train-y',
      startedAt: '2026-01-03T00:00:00.000Z',
      clips: [clip(1, 'a'), clip(2, 'b')],
    });
    const { origin } = first;
    const others = [
      recordOf({ sessionId: 'other' }),
      recordOf({ origin: 'http://127.0.0.1:1', clips: [clip(3, 'c')] }),
    ];
    const known = knownSession({ sessionId: 's', origin }, [snapshotOfRecord(second)], [first, ...others]);
    expect(known).toEqual({ clips: [clip(1, 'a'), clip(2, 'b')], tasks: [], openedAt: first.startedAt });
    expect(knownSession({ sessionId: 'nobody', origin }, [], [first])).toBeUndefined();
    // Two sandboxes may give the same ids.
    expect(knownSession({ sessionId: 's', origin: 'http://127.0.0.1:2' }, [], [first])).toBeUndefined();
  });

  it('is as old as its first attempt, since it may have been adopted by the oldest of them', () => {
    const attempt = {
      decision: 'adopted',
      sessionId: 's',
      sentAt: '2025-12-01T00:00:00.000Z',
      verdict: 'unknown',
      evidence: [],
    } as const;
    expect(openingOf('2026-01-02T00:00:00.000Z', [{ ...attempt, evidence: [] }])).toBe(attempt.sentAt);
  });
});

it('a saved source that was cut is no URL to upload from, unless it has its clip', async () => {
  const long = { file: 2, source: `https://x.example/${'a'.repeat(182)}` };
  const saved = recordOf({ sources: [long, { file: 1, source: 'https://x.example/1' }] });
  await expect(savedSources(saved, '/nowhere')).rejects.toThrow(/File 2 has no clip yet/);
  expect(await savedSources({ ...saved, clips: [clip(2, 'x')] }, '/nowhere')).toEqual([
    'https://x.example/1',
    long.source,
  ]);
});

it('a saved local file that has its clip need not be here; one that has none must be, with the same bytes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-adopt-'));
  try {
    const [here, gone] = ['aa', 'bb'].map((text) => createHash('sha256').update(text).digest('hex'));
    writeFileSync(join(folder, 'here.wav'), 'aa');
    const sources = [
      { file: 1, source: 'gone.wav', sha256: gone ?? '' },
      { file: 2, source: 'here.wav', sha256: here ?? '' },
    ];
    const saved = recordOf({ sources, clips: [clip(1, 'gone.wav')] });
    const found = await savedSources(saved, folder);
    expect(found).toMatchObject([
      { label: 'gone.wav', sha256: gone },
      { label: 'here.wav', sha256: here, bytes: 2 },
    ]);
    expect(matchClips(found as Source[], savedClips(saved))).toEqual([{ file: 1, clipId: 'c1' }]);
    await expect(savedSources({ ...saved, clips: [] }, folder)).rejects.toThrow(
      /File 1, gone.wav, .* is not in/,
    );
    writeFileSync(join(folder, 'here.wav'), 'other');
    await expect(savedSources(saved, folder)).rejects.toThrow(/File 2, here.wav, .* has other bytes/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a clip of a local file goes to the same bytes whatever they are called, and never to other bytes of that name', () => {
  const file = (label: string, sha256: string): Source => ({
    label,
    sha256,
    bytes: 1,
    at: { kind: 'path', path: `/${label}` },
  });
  const kept: Clip[] = [
    { clipId: 'c1', file: 1, source: 'a.wav', sha256: 'aa' },
    { clipId: 'c2', file: 2, source: 'b.wav', sha256: 'bb' },
  ];
  expect(matchClips([file('a.wav', 'changed'), file('renamed.wav', 'bb')], kept)).toEqual([
    { file: 2, clipId: 'c2' },
  ]);
});
