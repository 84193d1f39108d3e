import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSaveFile, requireOwnSaveFile, SaveFile } from '../../src/cli/saveFile.js';
import { type Snapshot, snapshotOfRecord } from '../../src/library/snapshot.js';
import type { TrainingProgress } from '../../src/contract/progress.js';
import type { TrainingRecord } from '../../src/contract/record.js';
import { emptyReceipt } from '../../src/money/receipt.js';

const record: TrainingRecord = {
  version: 1,
  workflowId: 'train-x',
  name: 'Night Drive',
  origin: 'https://api.mountsea.ai',
  sessionId: 's',
  end: 'open',
  sources: [{ file: 1, source: 'https://x.example/1' }],
  clips: [{ clipId: 'c1', file: 1, source: 'https://x.example/1' }],
  receipt: emptyReceipt(),
  startedAt: '2026-01-02T00:00:00.000Z',
  updatedAt: '2026-01-02T00:01:00.000Z',
};

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-save-'));
  path = join(folder, 'save.json');
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function running(more: Partial<TrainingProgress> = {}): Snapshot {
  const { memo, workflowId } = snapshotOfRecord(record);
  const { name, origin, startedAt } = memo;
  const { receipt } = record;
  delete memo.finishedAt;
  return {
    workflowId,
    runId: 'r',
    status: 'running',
    memo: { ...memo, receipt, phase: 'uploading' },
    progress: {
      version: 1,
      workflowId,
      runId: 'r',
      name,
      origin,
      phase: 'uploading',
      startedAt,
      phaseSince: startedAt,
      receipt,
      sessionId: 's',
      timeline: [],
      files: [
        { number: 1, label: 'https://x.example/1', state: 'ready', tries: 1, clipId: 'c1', since: startedAt },
        { number: 2, label: 'https://x.example/2', state: 'dropped', tries: 3, since: startedAt },
        { number: 3, label: 'https://x.example/3', state: 'processing', tries: 1, since: startedAt },
      ],
      ...more,
    },
  };
}

describe('a file of --save', () => {
  it('is read as it was written', () => {
    writeFileSync(path, JSON.stringify(record));
    expect(readSaveFile(path)).toEqual(record);
  });

  it.each([
    ['is missing', undefined, /There is no file/],
    ['is empty', '', /no JSON, or its end is missing/],
    ['is half of one', JSON.stringify(record).slice(0, -20), /its end is missing/],
    ['is another kind of file', '[]', /holds no training/],
    ['is of a later version', JSON.stringify({ ...record, version: 2 }), /its field version/],
    ['has no name', JSON.stringify({ ...record, name: ' ' }), /its field name/],
    [
      'has a clip without an id',
      JSON.stringify({ ...record, clips: [{ file: 1, source: 'x' }] }),
      /clips\.0\.clipId/,
    ],
  ])('is refused with a sentence where it %s', (_, content, sentence) => {
    if (content !== undefined) writeFileSync(path, content);
    expect(() => readSaveFile(path)).toThrow(sentence);
  });

  it('is written over only for the same name or the same session', () => {
    writeFileSync(path, JSON.stringify(record));
    expect(() => {
      requireOwnSaveFile(path, { name: 'Night Drive', sessionId: undefined });
      requireOwnSaveFile(path, { name: 'Other', sessionId: 's' });
      requireOwnSaveFile(join(folder, 'new.json'), { name: 'Other', sessionId: undefined });
    }).not.toThrow();
    expect(() => {
      requireOwnSaveFile(path, { name: 'Other', sessionId: 't' });
    }).toThrow(/keeps the training "Night Drive"/);
  });
});

it.runIf(existsSync('/proc'))('is refused where it cannot be written, before anything is started', () => {
  // A folder that takes no other; as root, too.
  expect(() => {
    requireOwnSaveFile('/proc/none/save.json', { name: 'x', sessionId: undefined });
  }).toThrow(/--save \/proc\/none\/save\.json cannot be written: .*Nothing was started/);
});

describe('a follower', () => {
  it('writes what it sees, for its owner alone', () => {
    new SaveFile(path, 'abcd1234', () => undefined).take(running(), '2026-01-02T00:02:00.000Z');
    expect(readSaveFile(path)).toEqual({
      ...record,
      keyFingerprint: 'abcd1234',
      sources: [
        { file: 1, source: 'https://x.example/1' },
        { file: 3, source: 'https://x.example/3' },
      ],
      updatedAt: '2026-01-02T00:02:00.000Z',
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('leaves alone what the worker wrote after the look', () => {
    const newer = JSON.stringify({ ...record, updatedAt: '2026-01-02T00:03:00.000Z' });
    writeFileSync(path, newer);
    new SaveFile(path, undefined, () => undefined).take(running(), '2026-01-02T00:02:00.000Z');
    expect(readFileSync(path, 'utf8')).toBe(newer);
  });

  it('ends with what the registry keeps', () => {
    const done = { ...record, end: 'done' as const, modelId: 'chirp-custom:x' };
    const save = new SaveFile(path, undefined, () => undefined);
    save.take(running(), '2026-01-02T00:00:30.000Z');
    save.take(snapshotOfRecord(done), '2026-01-02T00:02:00.000Z');
    expect(readSaveFile(path)).toEqual(done);
  });

  it('ends with it also where it looked once more after that was written, and before it had ended', () => {
    const done = { ...record, end: 'done' as const, modelId: 'chirp-custom:x' };
    const save = new SaveFile(path, undefined, () => undefined);
    save.take(running(), '2026-01-02T00:02:00.000Z');
    save.take(snapshotOfRecord(done), '2026-01-02T00:02:01.000Z');
    expect(readSaveFile(path)).toEqual(done);
  });

  it('says where it cannot write, and goes on', () => {
    writeFileSync(path, '');
    const said: string[] = [];
    new SaveFile(join(path, 'below'), undefined, (line) => said.push(line)).take(running(), record.updatedAt);
    expect(said).toEqual([expect.stringContaining('cannot be written')]);
  });
});
