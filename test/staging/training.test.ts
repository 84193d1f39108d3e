/**
 * Trainings of local files: a worker that shares the user's disk, or one that does not; a real bucket, a real reverse proxy
 * in the tunnel's place, and a sandbox that fetches each file when its upload task ends.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { renderTrack } from '../../src/cli/demo/tracks.js';
import type { Bucket, FileSource, Source } from '../../src/contract/training.js';
import { Account } from '../../src/library/account.js';
import { stageSources } from '../../src/library/stage.js';
import { hasObject, objectFor, putFile } from '../../src/staging/s3.js';
import { localAddress } from '../../src/temporal/connection.js';
import type { RunningWorker } from '../../src/temporal/host.js';
import { readSettings } from '../../src/temporal/settings.js';
import type { startWorker as StartWorker } from '../../src/worker.js';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { runCli } from '../support/cli.js';
import '../support/quietLogger.js';
import { S3_SECRET, type S3Server, startS3 } from '../support/s3.js';

const PROXY = fileURLToPath(new URL('../support/reverseProxy.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tunesmith-local-'));
const before = { ...process.env };
let s3: S3Server;
let rig: Rig;
let worker: RunningWorker;

beforeAll(async () => {
  [s3, rig] = await Promise.all([startS3(), createRig()]);
  Object.assign(process.env, s3.env, {
    TUNESMITH_TUNNEL: `node ${PROXY} {port} tunnel-of-trainings`,
  });
  // As the host of the background server starts it: it reads the user's files.
  const built = new URL('../../dist/worker.js', import.meta.url).href;
  const { startWorker } = (await import(built)) as { startWorker: typeof StartWorker };
  worker = await startWorker({
    address: localAddress(inject('temporalAddress')),
    settings: { ...readSettings({ ...rig.env, TUNESMITH_HOME: join(folder, 'home') }) },
    writesFiles: true,
  });
}, 240_000);

afterAll(async () => {
  worker.shutdown();
  await worker.done;
  await rig.close();
  await s3.close();
  process.env = before;
  rmSync(folder, { recursive: true });
});

/** @returns eight real audio files of a training of their own. */
function songs(name: string): (FileSource & { at: { kind: 'path'; path: string } })[] {
  return Array.from({ length: 8 }, (_, index) => {
    const label = `${name}-${index + 1}.wav`;
    const path = join(folder, label);
    const bytes = Buffer.concat([renderTrack(index + 1), Buffer.from(name)]);
    writeFileSync(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { label, sha256, bytes: bytes.length, at: { kind: 'path', path } };
  });
}

function via(source: ReturnType<typeof songs>[number], how: Bucket | 'tunnel'): FileSource {
  const way = how === 'tunnel' ? { kind: 'tunnel' as const } : { kind: 's3' as const, bucket: how };
  return { ...source, at: { ...source.at, via: way } };
}

/** What the sandbox was told to fetch, in the order of the sources. */
function fetchedFor({ input }: Training): string[] {
  const { sessions } = rig.sandbox.report();
  const session = sessions.find(({ trainings }) => trainings.some(({ name }) => name === input.name));
  return session?.uploads.map(({ audioUrl }) => audioUrl) ?? [];
}

/** All that the server keeps of it, with payloads as they are read. */
async function historyOf({ handle }: Training): Promise<string> {
  const { events } = await handle.fetchHistory();
  return JSON.stringify(events).replace(/"data":"([\w+/=]+)"/g, (_, data: string) =>
    Buffer.from(data, 'base64').toString('utf8'),
  );
}

describe.concurrent('a training of local files', () => {
  it('stages each just before its upload and removes it after; no signed URL and no secret is in its history', async () => {
    const bucket = s3.bucket('staged');
    const sources = songs('staged').map((source) => via(source, bucket));
    const training = await rig.train({ sources });
    const result = await training.handle.result();
    expect(result.clips.map(({ source, sha256 }) => [source, sha256])).toEqual(
      sources.map(({ label, sha256 }) => [label, sha256]),
    );
    expect(result.receipt.uploads.calls).toBe(8);
    const fetched = fetchedFor(training);
    expect(fetched).toHaveLength(8);
    for (const url of fetched) {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/staged\/tunesmith\/test-[\w-]+\/[0-9a-f]{64}\.wav\?/);
      expect(url).toContain('X-Amz-Signature=');
    }
    const history = await historyOf(training);
    for (const known of ['stageFile', sources[0]?.sha256, 'tunesmith/test-'])
      expect(history).toContain(known);
    for (const secret of ['X-Amz', S3_SECRET, 'tester']) expect(history).not.toContain(secret);
    expect(s3.keys('staged')).toEqual([]);
    expect((await training.record())?.sources[0]).toEqual({
      file: 1,
      source: 'staged-1.wav',
      sha256: sources[0]?.sha256,
    });
  });

  it('by a tunnel has its files fetched through it, and shows no path of it', async () => {
    const training = await rig.train({ sources: songs('tunnelled').map((source) => via(source, 'tunnel')) });
    await training.handle.result();
    const fetched = fetchedFor(training);
    expect(fetched.every((url) => /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\.wav$/.test(url))).toBe(true);
    const history = await historyOf(training);
    for (const url of fetched) expect(history).not.toContain(new URL(url).pathname);
  });

  it('parks where a file has changed since or is gone, and goes on with the new one', async () => {
    const bucket = s3.bucket('changed');
    const given = songs('changed');
    const [first, second] = given;
    if (first === undefined || second === undefined) throw new Error('no songs');
    writeFileSync(first.at.path, 'not what it was');
    rmSync(second.at.path);
    const training = await rig.train({ sources: given.map((source) => via(source, bucket)) });
    const { attention } = await training.parked();
    expect(attention).toMatchObject({ kind: 'bad-files' });
    expect(attention.options).toContain('replaceFiles');
    expect(attention.evidence).toEqual([
      expect.stringMatching(/^changed-1\.wav: .*changed-1\.wav has changed since the training was started/),
      expect.stringMatching(/^changed-2\.wav: .*cannot be read \(there is no such file\)/),
    ]);
    const [one, two] = songs('replaced');
    if (one === undefined || two === undefined) throw new Error('no songs');
    await training.correct({
      attentionId: attention.id,
      action: 'replaceFiles',
      replacements: [
        { file: 1, source: via(one, bucket) },
        { file: 2, source: via(two, bucket) },
      ],
    });
    const result = await training.handle.result();
    expect(result.clips.slice(0, 2).map(({ source }) => source)).toEqual([
      'replaced-1.wav',
      'replaced-2.wav',
    ]);
    // What could not be staged cost nothing.
    expect(result.receipt.uploads.calls).toBe(8);
    expect(s3.keys('changed')).toEqual([]);
    expect(await rig.aliasOf(training.input.name, [one, two, ...given.slice(2)])).toBe(
      training.handle.workflowId,
    );
  });

  it('takes one in the place of a bad file by fix --replace, staged like others and removed', async () => {
    const name = 'fixed by a local file';
    const bad = { kind: 'failTask', reason: 'not music' } as const;
    const match = { audioUrl: `track-05.wav?of=${encodeURIComponent(name)}` };
    rig.sandbox.addFaults([{ on: 'upload', match, times: 3, fault: bad }]);
    s3.bucket('fixing');
    const training = await rig.train({ name, sources: rig.sourcesOf(name) });
    const { workflowId } = training.handle;
    await training.parked('bad-files');
    const [song] = songs('fixing');
    if (song === undefined) throw new Error('no songs');
    const env = { ...rig.env, ...s3.env, TUNESMITH_S3_BUCKET: 'fixing' };
    const nothing = ['--replace', `5=${join(folder, 'nothing.wav')}`, '--replace', `6=${folder}`];
    const refused = await runCli(['fix', workflowId, ...nothing], env);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /source of file 5 .* there is no such file[^]*source of file 6 .* is a folder/,
    );
    const fixed = await runCli(['fix', workflowId, '--replace', `5=${song.at.path}`], env);
    expect(fixed.code, fixed.stderr).toBe(0);
    expect(fixed.stderr).toContain('Puts 1 local file (0.1 MB) into the bucket fixing.');
    const { clips } = await training.handle.result();
    expect(clips[4]).toMatchObject({ file: 5, source: song.at.path, sha256: song.sha256 });
    expect(fetchedFor(training).at(-1)).toContain(`/fixing/tunesmith/${workflowId}/${song.sha256}.wav?`);
    expect(s3.keys('fixing')).toEqual([]);
  });

  it('parks where the bucket refuses, with its reason', async () => {
    const bucket = { ...s3.bucket('refusing'), bucket: 'not-there' };
    const training = await rig.train({ sources: songs('refusing').map((source) => via(source, bucket)) });
    const { attention } = await training.parked();
    expect(attention.evidence[0]).toMatch(/the bucket not-there at http.* refuses \(404, NoSuchBucket\)/);
    await training.handle.cancel();
    await expect(training.handle.result()).rejects.toThrow();
  });

  it('staged by the client is signed by a worker that can read the bucket, and removed when it has ended', async () => {
    const bucket = s3.bucket('by-client');
    const given = songs('by-client');
    const said: string[] = [];
    const staged = await stage(given, 'train-by-client', bucket, said);
    expect(staged.every((source) => !('url' in source) && source.at.kind === 'object')).toBe(true);
    expect(JSON.stringify(staged)).not.toContain('X-Amz');
    expect(s3.keys('by-client')).toHaveLength(8);
    const training = await rig.train({ sources: staged });
    await training.handle.result();
    expect(fetchedFor(training).every((url) => url.includes('X-Amz-Signature='))).toBe(true);
    expect(await historyOf(training)).not.toContain('X-Amz');
    expect(s3.keys('by-client')).toEqual([]);
    // Again: what is there is not sent again.
    await stage(given, 'train-again', bucket, said);
    said.length = 0;
    await stage(given, 'train-again', bucket, said);
    expect(said.filter((line) => line.endsWith('is there already'))).toHaveLength(8);
  });

  it('whose worker cannot read the bucket is signed by the client, which says until when', async () => {
    const bucket = s3.bucket('signed');
    const said: string[] = [];
    const blind = { stagingAbilities: () => Promise.resolve(undefined) };
    const staged = await stage(songs('signed'), 'train-signed', bucket, said, blind);
    expect(said.at(-1)).toMatch(/this command has signed the URLs\. They end at \d{4}-/);
    const training = await rig.train({ sources: staged });
    await training.handle.result();
    expect(fetchedFor(training).every((url) => url.includes('X-Amz-Signature='))).toBe(true);
    // Only who signed removes it.
    expect(s3.keys('signed')).toHaveLength(8);
  });

  it('that is cancelled leaves nothing in the bucket', async () => {
    const bucket = s3.bucket('cancelled');
    const sources = songs('cancelled').map((source) => via(source, bucket));
    // Its uploads do not end before it is cancelled.
    const release = rig.hold({ audioUrl: '/cancelled/' });
    const training = await rig.train({ sources });
    await training.until('something is staged', () => s3.keys('cancelled').length > 0);
    await training.handle.cancel();
    await expect(training.handle.result()).rejects.toThrow();
    release();
    expect(s3.keys('cancelled')).toEqual([]);
  });
});

describe('files that the client would sign', () => {
  it('are refused where its credentials end within the hour, and nothing stays in the bucket', async () => {
    const bucket = s3.bucket('ending');
    const blind = { stagingAbilities: () => Promise.resolve(undefined) };
    process.env['AWS_CREDENTIAL_EXPIRATION'] = new Date(Date.now() + 1_800_000).toISOString();
    try {
      await expect(stage(songs('ending'), 'train-ending', bucket, [], blind)).rejects.toThrow(
        /in less than an hour/,
      );
    } finally {
      delete process.env['AWS_CREDENTIAL_EXPIRATION'];
    }
    expect(s3.keys('ending')).toEqual([]);
  });
});

describe('unstage', () => {
  it('removes what an ended training left, and keeps what an open one may need and what nobody here knows', async () => {
    const bucket = s3.bucket('left');
    const [file] = songs('left');
    if (file === undefined) throw new Error('no songs');
    const release = rig.hold({ name: 'Open with files' });
    const [ended, open] = await Promise.all([rig.train(), rig.train({ name: 'Open with files' })]);
    await ended.handle.result();
    const ids = [ended.handle.workflowId, open.handle.workflowId, 'train-of-somebody'];
    const local = { path: file.at.path, sha256: file.sha256, bytes: file.bytes };
    for (const id of ids) await putFile(objectFor(bucket, id, local), local);
    const env = { ...rig.env, ...s3.env, TUNESMITH_S3_BUCKET: 'left' };
    const { code, stdout } = await runCli(['unstage', '--json'], env);
    expect(code).toBe(0);
    const { trainings } = JSON.parse(stdout) as { trainings: { workflowId: string; outcome: string }[] };
    expect(Object.fromEntries(trainings.map((one) => [one.workflowId, one.outcome]))).toEqual({
      [ids[0] ?? '']: 'removed',
      [ids[1] ?? '']: 'open',
      'train-of-somebody': 'unknown',
    });
    const refused = await runCli(['unstage', ids[1] ?? ''], env);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('still runs and may need')]);
    expect((await runCli(['unstage', 'train-of-somebody'], env)).code).toBe(0);
    expect(s3.keys('left')).toEqual([`tunesmith/${ids[1] ?? ''}/${file.sha256}.wav`]);
    release();
    await open.handle.result();
  });
});

describe('what one training has staged', () => {
  it('is not taken from another one with the same bytes', async () => {
    const bucket = s3.bucket('twins');
    const sources = songs('twins').map((source) => via(source, bucket));
    const [first] = songs('twins');
    if (first === undefined) throw new Error('no songs');
    const other = objectFor(bucket, 'train-other', { path: first.at.path, ...first });
    await putFile(other, { path: first.at.path, ...first });
    await (await rig.train({ sources })).handle.result();
    expect(await hasObject(other, first)).toBe(true);
  });
});

function stage(
  sources: Source[],
  workflowId: string,
  { bucket }: Bucket,
  said: string[],
  account: Parameters<typeof stageSources>[2]['account'] = new Account(rig.client),
): Promise<Source[]> {
  return stageSources(sources, workflowId, {
    account,
    isOwn: false,
    origin: rig.sandbox.url,
    rules: {
      env: { ...s3.env, TUNESMITH_S3_BUCKET: bucket },
      home: join(folder, 'home'),
      allowPrivateUrls: true,
    },
    say: (line) => said.push(line),
  });
}
