/**
 * The bucket, against a real S3 server.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  hasCredentials,
  hasObject,
  objectFor,
  proveBucket,
  putFile,
  removeObject,
  signUrl,
  stagedTrainings,
} from '../../src/staging/s3.js';
import { S3_SECRET, type S3Server, startS3 } from '../support/s3.js';
import { writeLocalFile } from './localFile.js';

let s3: S3Server;
const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bucket-'));
const before = { ...process.env };

beforeAll(async () => {
  s3 = await startS3();
  Object.assign(process.env, s3.env);
}, 240_000);

afterAll(async () => {
  process.env = before;
  await s3.close();
  rmSync(folder, { recursive: true });
});

describe('a file in a bucket', () => {
  it('is put once, fetched by its signed URL alone, and gone when it is removed', async () => {
    const bucket = s3.bucket('once');
    const file = writeLocalFile(folder, 'one.MP3', 'sound of one');
    const object = objectFor(bucket, 'train-x-1', file);
    expect(object.key).toBe(`tunesmith/train-x-1/${file.sha256}.mp3`);
    expect(await putFile(object, file)).toBe(true);
    expect(await putFile(object, file)).toBe(false);
    const { url, expiresAt } = await signUrl(object, 3_600);
    expect(url).not.toContain(S3_SECRET);
    expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(3_500_000);
    const fetched = await fetch(url);
    expect(await fetched.text()).toBe('sound of one');
    expect(fetched.headers.get('content-type')).toBe('audio/mpeg');
    expect((await fetch(url.replace(/\?.*/, ''))).status).toBe(403);
    await removeObject(object);
    await removeObject(object);
    expect(await hasObject(object, file)).toBe(false);
    expect((await fetch(url)).status).toBe(404);
  });

  it('that is large goes in parts, and says how far it is', async () => {
    const bucket = s3.bucket('parts');
    const file = writeLocalFile(folder, 'large.wav', Buffer.alloc(18 * 1024 * 1024, 7));
    const object = objectFor(bucket, 'train-x-1', file);
    const sent: number[] = [];
    await putFile(object, file, { onSent: (bytes) => sent.push(bytes) });
    expect(sent.length).toBeGreaterThan(2);
    expect(sent.at(-1)).toBe(file.bytes);
    expect(await hasObject(object, file)).toBe(true);
    const { url } = await signUrl(object, 60);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(Buffer.alloc(file.bytes, 7))).toBe(
      true,
    );
  });

  it('that has changed since is not put there', async () => {
    const bucket = s3.bucket('changed');
    const file = writeLocalFile(folder, 'two.wav', 'sound of two');
    const object = objectFor(bucket, 'train-x-1', file);
    writeFileSync(file.path, 'sound of 2!!');
    await expect(putFile(object, file)).rejects.toThrow(/has changed since the training was started/);
    expect(s3.keys('changed')).toEqual([]);
  });

  it('with other bytes in its place is put again', async () => {
    const bucket = s3.bucket('again');
    const [file, other] = [
      writeLocalFile(folder, 'three.wav', 'sound of three'),
      writeLocalFile(folder, 'other.wav', 'something else'),
    ];
    const object = objectFor(bucket, 'train-x-1', file);
    await putFile(object, other);
    expect(await putFile(object, file)).toBe(true);
    expect(await hasObject(object, file)).toBe(true);
  });

  it('belongs to its training: another one has its own copy, and a list tells them apart', async () => {
    const bucket = s3.bucket('shared');
    const file = writeLocalFile(folder, 'four.wav', 'sound of four');
    const [mine, theirs] = [objectFor(bucket, 'train-a', file), objectFor(bucket, 'train-b', file)];
    await putFile(mine, file);
    await putFile(theirs, file);
    expect([...(await stagedTrainings(bucket)).keys()].sort()).toEqual(['train-a', 'train-b']);
    await removeObject(mine);
    expect(await hasObject(theirs, file)).toBe(true);
    expect(await stagedTrainings(bucket)).toEqual(new Map([['train-b', [theirs]]]));
  });
});

describe('a bucket', () => {
  it('is proved by an object that is put, fetched and deleted', async () => {
    const bucket = s3.bucket('proved');
    await proveBucket(bucket);
    expect(s3.keys('proved')).toEqual([]);
  });

  it.each([
    [
      'that is not there',
      { bucket: 'nowhere' },
      /the bucket nowhere at http.* refuses \(404, NoSuchBucket\)/,
    ],
    ['that cannot be reached', { endpoint: 'http://127.0.0.1:9' }, /cannot be reached \(ECONNREFUSED\)/],
  ])('%s is said in words, without a secret', async (_, change, sentence) => {
    const failed = proveBucket({
      bucket: 'any',
      prefix: '',
      region: 'us-east-1',
      endpoint: s3.url,
      ...change,
    });
    await expect(failed).rejects.toThrow(sentence);
    await expect(failed).rejects.not.toThrow(new RegExp(S3_SECRET));
  });

  it('that refuses these credentials says so, and without any it says what to set', async () => {
    const bucket = s3.bucket('closed');
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong';
    await expect(proveBucket(bucket)).rejects.toThrow(/refuses \(403, SignatureDoesNotMatch\)/);
    const { env } = s3;
    const none = { AWS_EC2_METADATA_DISABLED: 'true', HOME: folder };
    for (const name of Object.keys(env)) process.env[name] = '';
    Object.assign(process.env, none);
    await expect(proveBucket(bucket)).rejects.toThrow(/there are no AWS credentials: set AWS_ACCESS_KEY_ID/);
    expect(await hasCredentials()).toBe(false);
    Object.assign(process.env, env);
    expect(await hasCredentials()).toBe(true);
  });
});
