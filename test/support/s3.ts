/**
 * A real S3 server of the test's own: versitygw on a folder, built once with Go and kept in the user's cache.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bucket } from '../../src/contract/training.js';
import { cacheFolder } from '../../src/temporal/settings.js';
import { freePort } from './http.js';
import { waitUntil } from './waitUntil.js';

const VERSION = 'v1.8.0';
export const S3_SECRET = 'secret-of-the-test-bucket';

export interface S3Server {
  url: string;
  /** What a process needs to use it. */
  env: Record<string, string>;
  /** An empty bucket. */
  bucket(name: string): Bucket;
  /** Keys in a bucket, with their prefix. */
  keys(name: string): string[];
  close(): Promise<void>;
}

export async function startS3(): Promise<S3Server> {
  const binary = await findBinary();
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-s3-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(binary, ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', folder], {
    env: { ROOT_ACCESS_KEY: 'tester', ROOT_SECRET_KEY: S3_SECRET },
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  await waitUntil('the S3 server answers', async () => {
    if (child.exitCode !== null) throw new Error('The S3 server ended.');
    return (await fetch(url)).status > 0;
  });
  return {
    url,
    env: {
      AWS_ENDPOINT_URL_S3: url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'tester',
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
    },
    bucket: (name) => {
      mkdirSync(join(folder, name));
      return { bucket: name, prefix: 'tunesmith/', region: 'us-east-1', endpoint: url };
    },
    keys: (name) =>
      readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes('.sgwtmp'))
        .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, name).length + 1)),
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function findBinary(): Promise<string> {
  const folder = join(cacheFolder(), `versitygw-${VERSION}`);
  const binary = join(folder, 'versitygw');
  if (existsSync(binary)) return binary;
  process.stderr.write(`Builds the S3 server versitygw ${VERSION} with Go, once: about two minutes.\n`);
  mkdirSync(folder, { recursive: true });
  const draft = mkdtempSync(join(folder, 'build-'));
  await promisify(execFile)('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
    env: { ...process.env, GOBIN: draft },
  });
  renameSync(join(draft, 'versitygw'), binary);
  rmSync(draft, { recursive: true });
  return binary;
}
