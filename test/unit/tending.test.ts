/**
 * The worker of the background process and its key, with a stand-in for the worker and for the server.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TRAINING_MEMO } from '../../src/contract/messages.js';
import { homePaths } from '../../src/temporal/files.js';
import { forgetKey, keepKey, keptKey } from '../../src/temporal/keptKey.js';
import type { HeldLock, LockRecord } from '../../src/temporal/lock.js';
import { keyFingerprint, readSettings, type Settings } from '../../src/temporal/settings.js';
import { TendedWorker } from '../../src/temporal/tending.js';
import { waitUntil } from '../support/waitUntil.js';

const ORIGIN = 'http://127.0.0.1:9';
const ENV = {
  MOUNTSEA_BASE_URL: ORIGIN,
  TEMPORAL_CONFIG_FILE: join(tmpdir(), 'tunesmith-no-such-file.toml'),
};

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tunesmith-key-'));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

interface Bench {
  settings: Settings;
  record: Partial<LockRecord>;
  starts: number;
  said: string[];
  /** What was sent to trainings. */
  updates: unknown[];
  tended: TendedWorker;
  stop: () => Promise<void>;
  fail: (error: Error) => void;
  end: Promise<unknown>;
}

async function bench(env: NodeJS.ProcessEnv = {}): Promise<Bench> {
  const settings = readSettings({ ...ENV, TUNESMITH_HOME: home, ...env });
  const record: Partial<LockRecord> = {};
  const said: string[] = [];
  const updates: unknown[] = [];
  const ending = new AbortController();
  let fail: (error: Error) => void = () => undefined;
  const attention = (kind: string): object => ({ id: `id-${kind}`, kind });
  const open = [
    {
      workflowId: 'waits',
      memo: { [TRAINING_MEMO]: { origin: ORIGIN, attention: attention('credentials') } },
    },
    { workflowId: 'bad', memo: { [TRAINING_MEMO]: { origin: ORIGIN, attention: attention('bad-files') } } },
    {
      workflowId: 'far',
      memo: { [TRAINING_MEMO]: { origin: 'http://x', attention: attention('credentials') } },
    },
    { workflowId: 'new' },
  ];
  const client = {
    withDeadline: (_: number, run: () => Promise<unknown>) => run(),
    workflow: {
      list: async function* () {
        yield* await Promise.resolve(open);
      },
      getHandle: (workflowId: string) => ({
        executeUpdate: (_: string, { args }: { args: unknown[] }) => {
          updates.push([workflowId, ...args]);
          return Promise.resolve({});
        },
      }),
    },
  } as unknown as Client;
  const result = { starts: 0 };
  const tended = new TendedWorker({
    settings,
    client,
    lock: { record, update: (change: object) => Object.assign(record, change) } as unknown as HeldLock,
    say: (line) => said.push(line),
    start: () => {
      result.starts += 1;
      const done = new Promise<void>((_, reject) => (fail = reject));
      return Promise.resolve({
        affinity: { origin: ORIGIN, keyFingerprint: '' },
        done,
        shutdown: () => undefined,
      });
    },
  });
  await tended.begin();
  const end = tended.tend(ending.signal).catch((error: unknown) => error);
  return Object.assign(result, {
    settings,
    record,
    said,
    updates,
    tended,
    end,
    stop: async () => {
      ending.abort();
      await end;
    },
    fail: (error: Error) => {
      fail(error);
    },
  });
}

const print = (key: string): string => keyFingerprint(ORIGIN, key);

describe('the key that login keeps', () => {
  it('is in a file for its owner alone, and for one API', () => {
    keepKey(home, ORIGIN, 'one');
    keepKey(home, 'https://b.example', 'two');
    expect(statSync(homePaths(home).keys).mode & 0o777).toBe(0o600);
    expect([keptKey(home, ORIGIN), keptKey(home, 'https://b.example')]).toEqual(['one', 'two']);
    expect(keptKey(home, 'https://c.example')).toBeUndefined();
    expect([forgetKey(home, ORIGIN), forgetKey(home, ORIGIN)]).toEqual([true, false]);
    expect(keptKey(home, 'https://b.example')).toBe('two');
  });

  it('gives way to a variable and to a file that a variable names', () => {
    keepKey(home, ORIGIN, 'kept');
    const file = join(home, 'file');
    writeFileSync(file, 'filed\n');
    const keyOf = (env: NodeJS.ProcessEnv): unknown[] => {
      const { apiKey, keySource } = readSettings({ ...ENV, TUNESMITH_HOME: home, ...env });
      return [apiKey(), keySource()];
    };
    expect(keyOf({})).toEqual(['kept', 'login']);
    expect(keyOf({ MOUNTSEA_API_KEY_FILE: file })).toEqual(['filed', 'MOUNTSEA_API_KEY_FILE']);
    expect(keyOf({ MOUNTSEA_API_KEY_FILE: file, MOUNTSEA_API_KEY: 'said' })).toEqual([
      'said',
      'MOUNTSEA_API_KEY',
    ]);
    expect(keyOf({ MOUNTSEA_BASE_URL: 'https://b.example' })).toEqual([undefined, undefined]);
  });

  it('in a damaged file is told without the text of the file, and is put right by the next login', () => {
    writeFileSync(homePaths(home).keys, '{"keys": "secret');
    expect(() => keptKey(home, ORIGIN)).toThrow(/damaged.*tunesmith login/);
    expect(() => keptKey(home, ORIGIN)).not.toThrow(/secret/);
    keepKey(home, ORIGIN, 'new');
    expect(keptKey(home, ORIGIN)).toBe('new');
  });
});

describe('the worker of the background process', () => {
  it('comes as soon as login keeps a key, and never a second time', async () => {
    const one = await bench();
    expect([one.starts, one.record.worker]).toEqual([0, undefined]);
    keepKey(home, ORIGIN, 'first');
    await waitUntil('the worker is there', () => one.record.worker?.keyFingerprint === print('first'));
    keepKey(home, ORIGIN, 'second');
    await waitUntil(
      'the record has the other key',
      () => one.record.worker?.keyFingerprint === print('second'),
    );
    expect([one.starts, one.record.keySource]).toEqual([1, 'login']);
    await one.stop();
  });

  it('tells the trainings that wait for a key of its API, and no others', async () => {
    keepKey(home, ORIGIN, 'wrong');
    const one = await bench();
    expect(one.updates).toEqual([]);
    keepKey(home, ORIGIN, 'right');
    await waitUntil('they were told', () => one.updates.length > 0);
    await one.stop();
    expect(one.updates).toEqual([['waits', { attentionId: 'id-credentials', action: 'retry' }]]);
    expect(one.said.join()).not.toMatch(/right|wrong/);
  });

  it('has no key in the record while there is none, and goes on with the next', async () => {
    const file = join(home, 'file');
    writeFileSync(file, 'one');
    const one = await bench({ MOUNTSEA_API_KEY_FILE: file });
    expect(one.record).toMatchObject({ keySource: 'MOUNTSEA_API_KEY_FILE' });
    rmSync(file);
    await waitUntil('the record has none', () => one.record.worker === undefined);
    writeFileSync(file, 'two');
    await waitUntil('the record has the next', () => one.record.worker?.keyFingerprint === print('two'));
    expect(one.starts).toBe(1);
    await one.stop();
  });

  it('that came later and fails ends the process as well', async () => {
    const one = await bench();
    keepKey(home, ORIGIN, 'first');
    await waitUntil('the worker is there', () => one.starts === 1);
    const why = new Error('the worker broke');
    one.fail(why);
    expect(await one.end).toBe(why);
  });
});
