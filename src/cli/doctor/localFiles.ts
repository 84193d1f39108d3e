/**
 * Client side: whether local files can get a URL: the bucket is put to the proof by one small object, the program of a
 * tunnel is looked for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '../../contract/training.js';
import { type StagingWay, stagingWay } from '../../staging/config.js';
import { whichIn } from '../../temporal/serverBinary.js';
import { type Finding, note, ok, problem } from './finding.js';

const PROOF_MS = 20_000;
const CHECK = 'local files';

/** @param prove puts, gets and deletes one object; throws what went wrong. Default: by the AWS SDK. */
export async function localFilesFindings(
  env: NodeJS.ProcessEnv,
  home: string,
  prove: (bucket: Bucket) => Promise<void> = proveBySdk,
): Promise<Finding[]> {
  let way: StagingWay | undefined;
  try {
    way = stagingWay(env, home);
  } catch (error) {
    return [problem(CHECK, messageOf(error), 'Put the variable or the file right; docs/local-files.md.')];
  }
  if (way === undefined) {
    return [
      note(
        CHECK,
        'Neither a bucket nor a tunnel is set up: sources must be URLs.',
        '`tunesmith train` with files asks for a bucket on a terminal; or set TUNESMITH_S3_BUCKET or TUNESMITH_TUNNEL.',
      ),
    ];
  }
  return [way.kind === 's3' ? await bucketFinding(way.bucket, prove) : tunnelFinding(way.command, env)];
}

async function bucketFinding(bucket: Bucket, prove: (bucket: Bucket) => Promise<void>): Promise<Finding> {
  const where = `bucket ${bucket.bucket}${bucket.endpoint === undefined ? '' : ` at ${new URL(bucket.endpoint).host}`}`;
  const timer = new AbortController();
  try {
    const tooLong = sleep(PROOF_MS, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`no answer within ${PROOF_MS / 1_000} s`);
    });
    await Promise.race([prove(bucket), tooLong]);
    return ok(CHECK, `${where}: an object was put, got and deleted.`);
  } catch (error) {
    return problem(
      CHECK,
      `${where} cannot be used: ${messageOf(error)}`,
      'Check its name, AWS_ENDPOINT_URL_S3, AWS_REGION and the credentials; they must allow to put, get and delete.',
    );
  } finally {
    timer.abort();
  }
}

function tunnelFinding(command: string, env: NodeJS.ProcessEnv): Finding {
  const [program = ''] = command.trim().split(/\s+/);
  const isThere = program.includes('/') || whichIn(env, program) !== undefined;
  if (isThere) return ok(CHECK, `by a tunnel: ${program}`);
  return problem(
    CHECK,
    `${program}, the program of TUNESMITH_TUNNEL, is not on the PATH.`,
    'Install it, or give its whole path.',
  );
}

async function proveBySdk(bucket: Bucket): Promise<void> {
  // Large, and only needed here.
  const { proveBucket } = await import('../../staging/s3.js');
  await proveBucket(bucket);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
