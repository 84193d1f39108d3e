/**
 * A folder of songs, an API key, and nothing set up: what somebody meets who has never heard of Temporal or of buckets. A
 * real terminal, the server that is brought along, a real bucket.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { renderTrack } from '../../src/cli/demo/tracks.js';
import { runCli, startCli } from '../support/cli.js';
import { createRig, type Rig } from '../support/rig.js';
import { S3_SECRET, type S3Server, startS3 } from '../support/s3.js';
import { onTerminal } from '../support/terminal.js';
import { waitUntil } from '../support/waitUntil.js';

let s3: S3Server;
let rig: Rig;
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [s3, rig] = await Promise.all([startS3(), createRig()]);
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-guided-'));
  mkdirSync(join(folder, 'songs'));
  for (let song = 1; song <= 8; song += 1) {
    writeFileSync(join(folder, 'songs', `0${song} Song.wav`), renderTrack(song));
  }
  env = { ...rig.env, TUNESMITH_HOME: join(folder, 'home'), TEMPORAL_CONFIG_FILE: join(folder, 'none.toml') };
  delete env['TEMPORAL_ADDRESS'];
}, 240_000);

afterAll(async () => {
  await runCli(['down'], env);
  await rig.close();
  await s3.close();
  rmSync(folder, { recursive: true, force: true });
});

const TRAIN = ['train', '--name', 'Guided', 'songs'];

it('a bucket needs credentials, which are asked for nowhere: so nothing else is asked without them', async () => {
  const none = { ...env, HOME: folder, AWS_EC2_METADATA_DISABLED: 'true' };
  const { output, type, code } = onTerminal(TRAIN, none, { cwd: folder });
  await waitUntil('it asks', () => output().includes('Where shall local files be put?'));
  type('\r');
  expect(await code).toBe(2);
  expect(stripVTControlCharacters(output())).toMatch(/there are none: set AWS_ACCESS_KEY_ID/);
  expect(output()).not.toContain('Name of the bucket');
});

it('is asked for a bucket, which is proved and kept, and trains by way of it', async () => {
  const bucket = `guided-${process.pid}`;
  s3.bucket(bucket);
  const { output, type, code } = onTerminal(TRAIN, { ...env, ...s3.env }, { cwd: folder });
  const answers: [asked: string, answer: string][] = [
    ['Where shall local files be put?', ''],
    ['Name of the bucket', bucket],
    // As the environment says; the region is corrected.
    ['Endpoint', ''],
    ['Region', '/'],
    ['A region is a name', '\u007f'],
    ['Prefix of the keys', ''],
    ['y/N', 'y'],
  ];
  let from = 0;
  for (const [asked, answer] of answers) {
    await waitUntil(`it says ${asked}`, () => output().includes(asked, from));
    from = output().length;
    type(`${answer}\r`);
  }
  const exit = await code;
  const text = stripVTControlCharacters(output());
  expect(exit, text).toBe(0);
  expect(text).toContain('It works. Kept in');
  expect(text).toMatch(/chirp-custom:[0-9a-f-]{36}/);
  expect(s3.keys(bucket)).toEqual([]);
  const kept = readFileSync(join(folder, 'home', 'staging.json'), 'utf8');
  expect(JSON.parse(kept)).toMatchObject({ s3: { bucket } });
  expect(kept).not.toContain(S3_SECRET);
  const { requests, ledger } = rig.sandbox.report();
  expect(requests.counts).toMatchObject({ prepare: 1, upload: 8, create: 1 });
  expect(ledger.filter(({ kind }) => kind === 'create')).toHaveLength(1);
});

it('goes on where the background process is killed while it brings a file to the bucket', async () => {
  const bucket = `killed-${process.pid}`;
  s3.bucket(bucket);
  const stalled = await StalledS3.before(s3.url);
  try {
    const own = {
      ...env,
      ...s3.env,
      AWS_ENDPOINT_URL_S3: stalled.url,
      TUNESMITH_S3_BUCKET: bucket,
      TUNESMITH_HOME: join(folder, 'other-home'),
    };
    try {
      const before = rig.sandbox.report().requests.counts;
      const args = ['train', '--yes', '--name', 'Killed', join(folder, 'songs')];
      const follower = startCli(args, own);
      await waitUntil('a file is on its way', () => stalled.holds > 0);
      const lock = readFileSync(join(folder, 'other-home', 'lock.json'), 'utf8');
      process.kill((JSON.parse(lock) as { node: { pid: number } }).node.pid, 'SIGKILL');
      stalled.release();
      const { code, stdout, stderr } = await follower.finished;
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/^chirp-custom:/);
      expect(s3.keys(bucket)).toEqual([]);
      const { upload = 0, create = 0 } = rig.sandbox.report().requests.counts;
      expect([upload - (before.upload ?? 0), create - (before.create ?? 0)]).toEqual([8, 1]);
    } finally {
      await runCli(['down'], own);
    }
  } finally {
    stalled.close();
  }
});

/** Stands before an S3 server and passes on everything, but holds what puts an object until it is let go. */
class StalledS3 {
  readonly #server: Server;
  readonly #held: (() => void)[] = [];
  #isStalled = true;

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((incoming, outgoing) => {
      const { url, method, headers } = incoming;
      const pass = (): void => {
        // With the host that was signed.
        const passed = request({ hostname, port, path: url, method, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
        passed.on('error', () => outgoing.destroy());
        incoming.pipe(passed);
      };
      if (method === 'PUT' && this.#isStalled) this.#held.push(pass);
      else pass();
    });
  }

  static async before(target: string): Promise<StalledS3> {
    const stalled = new StalledS3(target);
    await new Promise<void>((resolve) => stalled.#server.listen(0, '127.0.0.1', resolve));
    return stalled;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests that wait. */
  get holds(): number {
    return this.#held.length;
  }

  release(): void {
    this.#isStalled = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
