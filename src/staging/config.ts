/**
 * Staging: how local files get a URL, as the environment or the kept settings say it: an S3-compatible bucket, a tunnel, or
 * not at all (docs/local-files.md). No credential is read or kept here.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bucket } from '../contract/training.js';
import { StagingError } from './errors.js';

export type StagingWay = { kind: 's3'; bucket: Bucket } | { kind: 'tunnel'; command: string };

type Environment = Record<string, string | undefined>;

/** Everything that is staged lies below this, where nothing else is said. */
export const DEFAULT_PREFIX = 'tunesmith/';

const kept = z.strictObject({
  version: z.literal(1),
  s3: z.strictObject({
    bucket: z.string().min(1),
    prefix: z.string(),
    region: z.string().exactOptional(),
    endpoint: z.url().exactOptional(),
  }),
});

/**
 * The environment comes before what the guided set-up kept, and a bucket before a tunnel.
 *
 * @param home `TUNESMITH_HOME`.
 * @returns undefined where nothing is set up.
 * @throws StagingError where something is, and cannot be used.
 */
export function stagingWay(env: Environment, home: string): StagingWay | undefined {
  const bucket = present(env, 'TUNESMITH_S3_BUCKET');
  if (bucket !== undefined) return { kind: 's3', bucket: bucketFrom(env, bucket) };
  const command = present(env, 'TUNESMITH_TUNNEL');
  if (command !== undefined) {
    if (!command.includes('{port}')) {
      throw new StagingError(
        'TUNESMITH_TUNNEL has no {port}, where the port of the file server belongs: e.g. cloudflared tunnel --url http://127.0.0.1:{port}',
      );
    }
    return { kind: 'tunnel', command };
  }
  const found = keptBucket(home);
  return found === undefined ? undefined : { kind: 's3', bucket: found };
}

/** Keeps what the guided set-up found: names and addresses, no credentials. */
export function keepBucket(home: string, { bucket, prefix, region, endpoint }: Bucket): string {
  const path = pathIn(home);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const s3 = {
    bucket,
    prefix,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify({ version: 1, s3 }, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
  return path;
}

function keptBucket(home: string): Bucket | undefined {
  let text: string;
  try {
    text = readFileSync(pathIn(home), 'utf8');
  } catch {
    return undefined;
  }
  try {
    return kept.parse(JSON.parse(text)).s3;
  } catch {
    throw new StagingError(
      `${pathIn(home)} cannot be read: remove it, or set TUNESMITH_S3_BUCKET, which comes first.`,
    );
  }
}

function pathIn(home: string): string {
  return join(home, 'staging.json');
}

/** The bucket's address by the variables that the AWS command line knows; a profile's are left to the SDK. */
function bucketFrom(env: Environment, bucket: string): Bucket {
  const endpoint = present(env, 'AWS_ENDPOINT_URL_S3') ?? present(env, 'AWS_ENDPOINT_URL');
  const region = present(env, 'AWS_REGION') ?? present(env, 'AWS_DEFAULT_REGION');
  if (endpoint !== undefined) requireHttp(endpoint);
  return {
    bucket,
    prefix: asPrefix(present(env, 'TUNESMITH_S3_PREFIX') ?? DEFAULT_PREFIX),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

function requireHttp(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain =
    url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isPlain)
    throw new StagingError('AWS_ENDPOINT_URL must be an http or https URL without a user or a query.');
}

/** Begins with no `/`, and ends with one unless it is empty. */
export function asPrefix(text: string): string {
  const bare = text.replace(/^\/+|\/+$/g, '');
  return bare === '' ? '' : `${bare}/`;
}

function present(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}
