/**
 * Client side: local files of a training that is about to start, or of a correction, are brought to where its worker can
 * make URLs of them (docs/local-files.md). The worker of our own background server reads them itself; for any other worker
 * the client puts them into the bucket.
 */
import type { StagingAbilities } from '../contract/staging.js';
import type { Bucket, FileSource, Source } from '../contract/training.js';
import { type StagingWay, stagingWay } from '../staging/config.js';
import { StagingError } from '../staging/errors.js';
import { isPrivateHost } from '../temporal/settings.js';
import type { Account } from './account.js';
import { UsageError } from './errors.js';

/** What staging must know of the server and its worker. */
export interface StagingContext {
  account: Pick<Account, 'stagingAbilities'>;
  /** The server is our own in the background. */
  isOwn: boolean;
  /** API origin of the training. */
  origin: string;
  rules: StagingRules;
  /** Gets what happens, a sentence each. */
  say: (line: string) => void;
}

/** What staging must know of this machine. */
export interface StagingRules {
  env: Record<string, string | undefined>;
  /** `TUNESMITH_HOME`. */
  home: string;
  allowPrivateUrls: boolean;
}

const AT_ONCE = 4;
/** A training whose URLs end sooner would hardly have uploaded everything. */
const SHORTEST_URL_MS = 3_600_000;

/** Variables that make local files possible, for people. */
export const HOW_TO_STAGE = [
  '  TUNESMITH_S3_BUCKET=NAME    an S3-compatible bucket; AWS_REGION, AWS_ENDPOINT_URL_S3 and credentials as for the AWS command line',
  "  TUNESMITH_TUNNEL='cloudflared tunnel --url http://127.0.0.1:{port}'    or any other tunnel to this machine",
].join('\n');

/**
 * How local files get their URLs here.
 *
 * @param isOwn the server is our own in the background.
 * @returns undefined where nothing is set up.
 * @throws UsageError where what is set up cannot be used.
 */
export function wayOf({ env, home, allowPrivateUrls }: StagingRules, isOwn: boolean): StagingWay | undefined {
  let way: StagingWay | undefined;
  try {
    way = stagingWay(env, home);
  } catch (error) {
    throw asUsage(error);
  }
  if (way?.kind === 'tunnel' && !isOwn) {
    throw new UsageError(
      'A tunnel to this machine needs the background server of this machine, whose worker holds it open. With a configured Temporal address local files need a bucket: set TUNESMITH_S3_BUCKET. Nothing was started.',
    );
  }
  const endpoint = way?.kind === 's3' ? way.bucket.endpoint : undefined;
  if (endpoint !== undefined && !allowPrivateUrls && isPrivateHost(new URL(endpoint).hostname)) {
    throw new UsageError(
      `The bucket is at ${endpoint}, a private or loopback address that Mountsea cannot reach. For a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1.`,
    );
  }
  return way;
}

/**
 * @param sources a file that needs no upload is left as it is: see `isNeeded`.
 * @param workflowId of the training.
 * @param isNeeded whether the file of this index is to be uploaded. Default: all are.
 * @returns the sources as the workflow takes them.
 * @throws UsageError where a local file cannot be staged. Nothing was started, and what was staged for it is removed.
 */
export async function stageSources(
  sources: readonly Source[],
  workflowId: string,
  context: StagingContext,
  isNeeded: (index: number) => boolean = () => true,
): Promise<Source[]> {
  const files = sources.filter(
    (source, index): source is FileSource => !('url' in source) && isNeeded(index),
  );
  const [first] = files;
  if (first === undefined) return [...sources];
  const way = wayOf(context.rules, context.isOwn);
  if (way === undefined) {
    throw new UsageError(
      `${first.label} is a local file, and Mountsea takes URLs only. Set one of these, then run this command again:\n${HOW_TO_STAGE}\nNothing was started.`,
    );
  }
  const staged = await stagedBy(way, files, workflowId, context);
  return sources.map((source) => ('url' in source ? source : (staged.get(source) ?? source)));
}

/** Whether the client signed: then no worker can remove what is staged, and the client does when the training has ended. */
export function isSignedByClient(sources: readonly Source[]): boolean {
  return sources.some(isSigned);
}

/** Removes what only this client can remove. What cannot be removed is said. */
export async function removeSigned(sources: readonly Source[], say: (line: string) => void): Promise<void> {
  const { removeObject } = await import('../staging/s3.js');
  for (const source of sources) {
    if (!isSigned(source)) continue;
    await removeObject(source.at.object).catch((error: unknown) => {
      say(`The staged copy of ${source.label} could not be removed (${(error as Error).message}).`);
    });
  }
}

type SignedSource = FileSource & { at: { kind: 'object' } };

function isSigned(source: Source): source is SignedSource {
  return !('url' in source) && source.at.kind === 'object' && source.at.signed !== undefined;
}

async function stagedBy(
  way: StagingWay,
  files: FileSource[],
  workflowId: string,
  context: StagingContext,
): Promise<Map<FileSource, FileSource>> {
  const { isOwn, origin, account, say } = context;
  const own: StagingAbilities | undefined = isOwn
    ? await account.stagingAbilities({ origin, wantsFiles: true, wantsCredentials: way.kind === 's3' })
    : undefined;
  if (way.kind === 'tunnel') {
    if (own?.hasTunnel !== true) {
      throw new UsageError(
        'The background worker was started without TUNESMITH_TUNNEL: run `tunesmith down`, then this command again. Nothing was started.',
      );
    }
    say('This machine must stay awake until the uploads end, about 2 minutes; training goes on without it.');
    return left(files, { kind: 'tunnel' });
  }
  const { bucket } = way;
  if (own?.readsFiles === true && own.hasCredentials) return left(files, { kind: 's3', bucket });
  try {
    return await stagedHere(bucket, files, workflowId, context);
  } catch (error) {
    throw asUsage(error);
  }
}

/** The worker reads them when their turn comes. */
function left(
  files: FileSource[],
  via: Extract<FileSource['at'], { kind: 'path' }>['via'] & object,
): Map<FileSource, FileSource> {
  return new Map(
    files.map((file) => [file, file.at.kind === 'path' ? { ...file, at: { ...file.at, via } } : file]),
  );
}

async function stagedHere(
  bucket: Bucket,
  files: FileSource[],
  workflowId: string,
  { account, origin, say }: StagingContext,
): Promise<Map<FileSource, FileSource>> {
  const { objectFor, putFile, removeObject } = await import('../staging/s3.js');
  const staged = new Map<FileSource, FileSource & { at: { kind: 'object' } }>();
  const waiting = [...files];
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  say(
    `Puts ${files.length} local ${files.length === 1 ? 'file' : 'files'} (${megabytes(total)}) into the bucket ${bucket.bucket}.`,
  );
  const put = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if (file.at.kind !== 'path') continue;
      const local = { path: file.at.path, sha256: file.sha256, bytes: file.bytes };
      const object = objectFor(bucket, workflowId, local);
      const isSent = await putFile(object, local);
      staged.set(file, { ...file, at: { kind: 'object', object } });
      say(`${staged.size} of ${files.length}: ${file.label}${isSent ? '' : ' is there already'}`);
    }
  };
  try {
    await allSettled(Array.from({ length: AT_ONCE }, put));
    const [sample] = staged.values();
    if (sample === undefined) return staged;
    const abilities = await account.stagingAbilities({
      origin,
      staged: { object: sample.at.object, sha256: sample.sha256, bytes: sample.bytes },
    });
    return abilities?.canRead === true ? staged : await signed(staged, say);
  } catch (error) {
    await Promise.allSettled([...staged.values()].map(({ at }) => removeObject(at.object)));
    throw error;
  }
}

/** No worker can sign, so the URLs go with the training, like those that a user typed. */
async function signed(
  staged: ReadonlyMap<FileSource, SignedSource>,
  say: (line: string) => void,
): Promise<Map<FileSource, FileSource>> {
  const { signUrl } = await import('../staging/s3.js');
  const found = new Map<FileSource, FileSource>();
  let end = '9';
  for (const [file, source] of staged) {
    const url = await signUrl(source.at.object);
    if (url.expiresAt < end) end = url.expiresAt;
    found.set(file, { ...source, at: { ...source.at, signed: url } });
  }
  const leftMs = Date.parse(end) - Date.now();
  if (leftMs < SHORTEST_URL_MS) {
    throw new UsageError(
      `The worker has no credentials for this bucket, and those here end at ${end}, in less than an hour. Renew them (e.g. aws sso login), then run this command again. Nothing was started.`,
    );
  }
  say(
    `The worker has no credentials for this bucket, so this command has signed the URLs. They end at ${end}: a file that is not uploaded by then has to be replaced.`,
  );
  return found;
}

/** Waits for all, so that nothing goes on behind an error; then throws the first. */
async function allSettled(all: Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(all)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function asUsage(error: unknown): unknown {
  if (!(error instanceof StagingError)) return error;
  const { message } = error;
  return new UsageError(
    `The local files cannot be staged: ${message}${message.endsWith('.') ? '' : '.'} Nothing was started.`,
  );
}
