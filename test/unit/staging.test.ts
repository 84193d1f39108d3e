import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/library/errors.js';
import { type Snapshot, withStaging } from '../../src/library/snapshot.js';
import { stageSources, wayOf } from '../../src/library/stage.js';
import type { FileSource } from '../../src/contract/training.js';
import { keepBucket, stagingWay } from '../../src/staging/config.js';

const home = mkdtempSync(join(tmpdir(), 'tunesmith-staging-'));
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

describe('how local files get URLs', () => {
  const s3 = { TUNESMITH_S3_BUCKET: 'music' };
  const tunnel = { TUNESMITH_TUNNEL: 'cloudflared tunnel --url http://127.0.0.1:{port}' };

  it('is a bucket before a tunnel, the environment before what was kept, and nothing by default', () => {
    expect(stagingWay({}, home)).toBeUndefined();
    expect(stagingWay(tunnel, home)).toMatchObject({ kind: 'tunnel' });
    expect(stagingWay({ ...s3, ...tunnel }, home)).toMatchObject({ kind: 's3' });
    const path = keepBucket(home, { bucket: 'kept', prefix: 'p/', endpoint: 'https://s3.example.com' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(stagingWay({}, home)).toEqual({
      kind: 's3',
      bucket: { bucket: 'kept', prefix: 'p/', endpoint: 'https://s3.example.com' },
    });
    expect(stagingWay(tunnel, home)).toMatchObject({ kind: 'tunnel' });
    expect(readFileSync(path, 'utf8')).not.toMatch(/secret|AWS/i);
    writeFileSync(path, '{"version":2}');
    expect(() => stagingWay({}, home)).toThrow(/staging\.json cannot be read: remove it/);
  });

  it.each([
    [{}, { prefix: 'tunesmith/' }],
    [{ TUNESMITH_S3_PREFIX: '/a/b' }, { prefix: 'a/b/' }],
    [{ TUNESMITH_S3_PREFIX: '/' }, { prefix: '' }],
    [{ AWS_REGION: 'eu-central-1', AWS_DEFAULT_REGION: 'x' }, { region: 'eu-central-1' }],
    [{ AWS_DEFAULT_REGION: 'eu-west-1' }, { region: 'eu-west-1' }],
    [
      { AWS_ENDPOINT_URL: 'https://all.example', AWS_ENDPOINT_URL_S3: 'https://s3.example' },
      { endpoint: 'https://s3.example' },
    ],
  ])('has the bucket as AWS users say it: %j', (env, bucket) => {
    expect(stagingWay({ ...s3, ...env }, home)).toMatchObject({ bucket });
  });

  it('is refused where it cannot work', () => {
    const rules = { env: tunnel, home, allowPrivateUrls: false };
    expect(() => wayOf(rules, false)).toThrow(/needs the background server of this machine/);
    expect(() => wayOf({ ...rules, env: { TUNESMITH_TUNNEL: 'ngrok http 80' } }, true)).toThrow(
      /has no \{port\}/,
    );
    const near = { ...s3, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9000' };
    expect(() => wayOf({ ...rules, env: near }, true)).toThrow(/private or loopback address/);
    expect(wayOf({ ...rules, env: near, allowPrivateUrls: true }, true)).toBeDefined();
  });
});

describe('local files of a training that is to start', () => {
  const file: FileSource = { label: 'a.wav', sha256: 'aa', bytes: 1, at: { kind: 'path', path: '/a.wav' } };
  const stage = (
    env: Record<string, string>,
    abilities: object | undefined,
    isNeeded?: (index: number) => boolean,
  ): ReturnType<typeof stageSources> =>
    stageSources(
      [file],
      'train-x',
      {
        account: { stagingAbilities: () => Promise.resolve(abilities as never) },
        isOwn: true,
        origin: 'https://api.example',
        rules: { env, home, allowPrivateUrls: false },
        say: () => undefined,
      },
      isNeeded,
    );
  const s3 = { TUNESMITH_S3_BUCKET: 'music', AWS_REGION: 'eu-west-1' };
  const own = { readsFiles: true, hasTunnel: false, hasCredentials: true };

  it('are left to the worker that reads them, with the way that it takes', async () => {
    const bucket = { bucket: 'music', prefix: 'tunesmith/', region: 'eu-west-1' };
    expect(await stage(s3, own)).toEqual([{ ...file, at: { ...file.at, via: { kind: 's3', bucket } } }]);
    const tunnel = { TUNESMITH_TUNNEL: 'x {port}' };
    expect(await stage(tunnel, { ...own, hasTunnel: true })).toEqual([
      { ...file, at: { ...file.at, via: { kind: 'tunnel' } } },
    ]);
  });

  it('that have their clips need no way at all', async () => {
    expect(await stage({}, undefined, () => false)).toEqual([file]);
  });

  it('are refused with what to set where there is no way, and where the worker knows of no tunnel', async () => {
    await expect(stage({}, own)).rejects.toThrow(
      /^a\.wav is a local file.*\n.*TUNESMITH_S3_BUCKET=[^]*Nothing was started/,
    );
    const refused = stage({ TUNESMITH_TUNNEL: 'x {port}' }, own);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(/started without TUNESMITH_TUNNEL: run `tunesmith down`/);
  });
});

describe('a file that is being staged', () => {
  const snapshot = {
    progress: {
      files: [
        { number: 1, label: 'a', state: 'ready', tries: 1, since: '' },
        { number: 2, label: 'b', state: 'staging', tries: 1, since: '' },
      ],
    },
  } as unknown as Snapshot;
  const pending = (lastFailure?: { message: string }): Parameters<typeof withStaging>[1] => [
    {
      activityType: { name: 'stageFile' },
      heartbeatDetails: {
        payloads: [defaultPayloadConverter.toPayload({ file: 2, sent: 425, total: 1_000 })],
      },
      ...(lastFailure === undefined ? {} : { lastFailure }),
    },
  ];
  const reasons = (shown: Snapshot): unknown[] => (shown.progress?.files ?? []).map(({ reason }) => reason);

  it('shows how far it is, or why it is tried again', () => {
    expect(reasons(withStaging(snapshot, pending()))).toEqual([undefined, '42 %']);
    const failing = withStaging(
      snapshot,
      pending({ message: 'the bucket x cannot be reached (ECONNREFUSED)' }),
    );
    expect(reasons(failing)).toEqual([undefined, 'again: the bucket x cannot be reached (ECONNREFUSED)']);
    expect(withStaging(snapshot, [])).toBe(snapshot);
  });
});
