/**
 * Staging: an S3-compatible bucket by the AWS SDK. Credentials come from the SDK's own chain (environment, profile, SSO,
 * role) at each use, so that one put right is seen without a restart. Loaded only where something is staged.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { PassThrough } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Bucket, StagedObject } from '../contract/training.js';
import { StagingError } from './errors.js';
import { type Bytes, changed, contentTypeOf, extensionOf, requireSame } from './localFile.js';

/** S3 takes no smaller parts, save the last. */
const PART_BYTES = 8 * 1024 * 1024;
/** The longest that a signature may be good for. */
const LONGEST_SECONDS = 7 * 24 * 3_600;

/** A file of this machine that is to be staged. */
export interface LocalFile extends Bytes {
  /** Absolute. */
  path: string;
}

/**
 * Where a file of a training lies. The training is a part of the key: what one training removes, no other one needs
 * (docs/decisions).
 */
export function objectFor(bucket: Bucket, workflowId: string, { path, sha256 }: LocalFile): StagedObject {
  return { ...bucket, key: `${folderOf(bucket, workflowId)}${sha256}${extensionOf(path)}` };
}

/** Key prefix of everything that a training has staged. */
export function folderOf({ prefix }: Bucket, workflowId: string): string {
  return `${prefix}${workflowId}/`;
}

/**
 * Puts a file there, unless it is there: then nothing is sent.
 *
 * @param onSent gets how many bytes have arrived so far.
 * @returns whether anything was sent.
 * @throws StagingError where it cannot be put there, or the file is not what it was.
 */
export function putFile(
  object: StagedObject,
  file: LocalFile,
  { signal, onSent = () => undefined }: { signal?: AbortSignal; onSent?: (bytes: number) => void } = {},
): Promise<boolean> {
  return using(object, async (client) => {
    if (await isThere(client, object, file)) return false;
    await requireSame(file.path, file, signal);
    const hash = createHash('sha256');
    const body = new PassThrough();
    const reader = createReadStream(file.path);
    reader.on('data', (chunk) => hash.update(chunk));
    reader.on('error', (error) => body.destroy(error));
    reader.pipe(body);
    const upload = new Upload({
      client,
      partSize: PART_BYTES,
      queueSize: 2,
      params: {
        Bucket: object.bucket,
        Key: object.key,
        Body: body,
        ContentType: contentTypeOf(file.path),
        Metadata: { sha256: file.sha256 },
      },
    });
    upload.on('httpUploadProgress', ({ loaded = 0 }) => {
      onSent(loaded);
    });
    const abort = (): void => {
      void upload.abort();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await upload.done();
    } finally {
      signal?.removeEventListener('abort', abort);
      reader.destroy();
    }
    if (hash.digest('hex') !== file.sha256) {
      await client.send(new DeleteObjectCommand({ Bucket: object.bucket, Key: object.key }));
      throw changed(file.path);
    }
    return true;
  });
}

/** Whether it is there, whole. @throws StagingError where that cannot be told. */
export function hasObject(object: StagedObject, bytes: Bytes): Promise<boolean> {
  return using(object, (client) => isThere(client, object, bytes));
}

/** A URL that anybody can fetch the object by, until it ends. */
export interface SignedUrl {
  url: string;
  /** The shorter of the URL's life and that of the credentials; ISO 8601. */
  expiresAt: string;
}

/** @param seconds how long it is to live; at most 7 days. */
export function signUrl(object: StagedObject, seconds = LONGEST_SECONDS): Promise<SignedUrl> {
  return using(object, async (client) => {
    const { expiration } = await client.config.credentials();
    const end = Date.now() + seconds * 1_000;
    const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: object.bucket, Key: object.key }), {
      expiresIn: seconds,
    });
    return { url, expiresAt: new Date(Math.min(end, expiration?.getTime() ?? Infinity)).toISOString() };
  });
}

/** One that is not there is no error. */
export function removeObject(object: StagedObject): Promise<void> {
  return using(object, async (client) => {
    await client.send(new DeleteObjectCommand({ Bucket: object.bucket, Key: object.key }));
  });
}

/** What lies in the bucket, by the training that staged it. */
export function stagedTrainings(bucket: Bucket): Promise<Map<string, StagedObject[]>> {
  return using(bucket, async (client) => {
    const found = new Map<string, StagedObject[]>();
    let token: string | undefined;
    do {
      const page = await client.send(
        new ListObjectsV2Command({
          Bucket: bucket.bucket,
          Prefix: bucket.prefix,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      for (const { Key: key = '' } of page.Contents ?? []) {
        const [workflowId, name] = key.slice(bucket.prefix.length).split('/');
        if (workflowId === undefined || name === undefined || !/^[0-9a-f]{64}(\.\w+)?$/.test(name)) continue;
        found.set(workflowId, [...(found.get(workflowId) ?? []), { ...bucket, key }]);
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return found;
  });
}

/** Parts of uploads that a killed process left behind cost storage, and no list of objects shows them. */
export function abortUploads(bucket: Bucket, workflowId: string): Promise<number> {
  return using(bucket, async (client) => {
    const prefix = folderOf(bucket, workflowId);
    const { Uploads = [] } = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket.bucket, Prefix: prefix }),
    );
    const own = Uploads.filter(({ Key }) => Key?.startsWith(prefix));
    for (const { Key, UploadId } of own) {
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket.bucket, Key, UploadId }));
    }
    return own.length;
  });
}

/** Puts, gets and deletes one small object. @throws StagingError with what went wrong. */
export function proveBucket(bucket: Bucket): Promise<void> {
  return using(bucket, async (client) => {
    const key = `${bucket.prefix}tunesmith-was-here`;
    const about = { Bucket: bucket.bucket, Key: key };
    await client.send(new PutObjectCommand({ ...about, Body: 'tunesmith', ContentType: 'text/plain' }));
    const { Body } = await client.send(new GetObjectCommand(about));
    const text = await Body?.transformToString();
    await client.send(new DeleteObjectCommand(about));
    if (text !== 'tunesmith')
      throw new StagingError('the bucket gave back something else than was put there');
  });
}

/** Whether the SDK's chain has credentials now. */
export async function hasCredentials(): Promise<boolean> {
  try {
    await using({ bucket: 'any', prefix: '', region: 'us-east-1' }, (client) => client.config.credentials());
    return true;
  } catch {
    return false;
  }
}

async function isThere(client: S3Client, object: StagedObject, { sha256, bytes }: Bytes): Promise<boolean> {
  try {
    const head = await client.send(new HeadObjectCommand({ Bucket: object.bucket, Key: object.key }));
    return head.ContentLength === bytes && head.Metadata?.['sha256'] === sha256;
  } catch (error) {
    // Without the right to list, a bucket answers 403 for what is not there.
    const status = statusOf(error);
    if (status === 404 || status === 403) return false;
    throw error;
  }
}

// A notice for those who choose the SDK's version, which is not whoever runs this program.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

async function using<T>(bucket: Bucket, act: (client: S3Client) => Promise<T>): Promise<T> {
  const { endpoint, region } = bucket;
  const client = new S3Client({
    // An endpoint of one's own has one region, whatever it is called.
    ...(region === undefined && endpoint === undefined ? {} : { region: region ?? 'us-east-1' }),
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    // Other stores than AWS do not all know the newer checksums; the bytes are compared by their SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  try {
    return await act(client);
  } catch (error) {
    throw stagingError(error, bucket);
  } finally {
    client.destroy();
  }
}

/** What an error of the SDK means to a person. Its own words may hold what is signed, so only known ones are passed on. */
function stagingError(error: unknown, { bucket, endpoint }: Bucket): unknown {
  if (error instanceof StagingError || !(error instanceof Error) || error.name === 'AbortError') return error;
  const where = `the bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
  const status = statusOf(error);
  if (error.name === 'CredentialsProviderError') {
    return new StagingError(
      'there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
    );
  }
  if (/region is missing/i.test(error.message)) {
    return new StagingError('there is no AWS region: set AWS_REGION');
  }
  if (/region not accepted/i.test(error.message)) {
    return new StagingError('that is no name of an AWS region: set AWS_REGION');
  }
  if (status === undefined) {
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    return new StagingError(`${where} cannot be reached (${code})`, { mayPass: true });
  }
  const said = /^\w+$/.test(error.name) ? error.name : 'unknown';
  const mayPass = status >= 500 || status === 429 || status === 408;
  return new StagingError(`${where} refuses (${status}, ${said})`, { mayPass });
}

function statusOf(error: unknown): number | undefined {
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode;
}
