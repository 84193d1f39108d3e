/**
 * Client side: what the user typed becomes the sources of a training. Everything that can be seen without spending is
 * seen here; a mistake ends the command before anything starts.
 */
import { lookup } from 'node:dns/promises';
import { type Source, TRAINING_DEFAULTS } from '../contract/training.js';
import { sourceIdentity } from '../temporal/identity.js';
import { isPrivateHost } from '../temporal/settings.js';
import { UsageError } from './errors.js';

export interface SourceRules {
  allowPrivateUrls: boolean;
  /** Fewest clips the user wants; default 6. */
  minClips: number;
  /** Gets a sentence about what may go wrong at Mountsea but stops nothing here. */
  warn: (line: string) => void;
}

/**
 * @returns the sources in the order of the arguments.
 * @throws UsageError with a sentence about the first thing that is wrong.
 */
export async function sourcesFrom(args: string[], rules: SourceRules): Promise<Source[]> {
  const sources = args.map((argument, index) => sourceOf(argument, `File ${index + 1}`));
  refuseDuplicates(sources);
  const { minClips } = rules;
  if (minClips < TRAINING_DEFAULTS.minClips) {
    throw new UsageError(
      `--min-clips must be ${TRAINING_DEFAULTS.minClips} or more: Mountsea trains with no fewer.`,
    );
  }
  if (sources.length < TRAINING_DEFAULTS.minClips) {
    throw new UsageError(
      `A custom model needs at least ${TRAINING_DEFAULTS.minClips} audio files; ${sources.length} ${sources.length === 1 ? 'was' : 'were'} given.`,
    );
  }
  if (sources.length < minClips) {
    throw new UsageError(`--min-clips ${minClips} is more than the ${sources.length} files given.`);
  }
  if (!rules.allowPrivateUrls) {
    const named = sources.map((source, index) => ({ ...source, what: `File ${index + 1}` }));
    await refusePrivate(named, rules.warn);
  }
  return sources;
}

/**
 * One source that takes the place of another, looked at like those of a new training.
 *
 * @param what it is, at the beginning of a sentence.
 * @throws UsageError with a sentence where it cannot be used.
 */
export async function sourceFrom(
  argument: string,
  what: string,
  { allowPrivateUrls, warn }: Pick<SourceRules, 'allowPrivateUrls' | 'warn'>,
): Promise<Source> {
  const source = sourceOf(argument, what);
  if (!allowPrivateUrls) await refusePrivate([{ ...source, what }], warn);
  return source;
}

function sourceOf(argument: string, what: string): Source {
  const url = URL.canParse(argument) ? new URL(argument) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `${what}, ${shown(argument)}, is no http or https URL. This release takes URLs only: put the file where Mountsea can fetch it.`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(
      `${what} has a user name or password in its URL, which would be stored. Use a signed URL instead.`,
    );
  }
  return { url: argument, label: labelOf(url) };
}

/** What people see of a URL: no query, no fragment, readable where that is safe. */
export function labelOf(url: URL): string {
  const bare = `${url.origin}${url.pathname}`;
  try {
    const readable = decodeURI(bare);
    return /[\p{Cc}\p{Cf}]/u.test(readable) ? bare : readable;
  } catch {
    return bare;
  }
}

function refuseDuplicates(sources: Source[]): void {
  const seen = new Map<string, number>();
  for (const [index, source] of sources.entries()) {
    const identity = sourceIdentity(source);
    const first = seen.get(identity);
    if (first !== undefined) {
      throw new UsageError(
        `Files ${first} and ${index + 1} are the same ${'url' in source ? 'URL' : 'bytes'}. A clip counts once however often it is uploaded: leave one out.`,
      );
    }
    seen.set(identity, index + 1);
  }
}

/** @param sources each with what it is called in a sentence. */
async function refusePrivate(
  sources: (Source & { what: string })[],
  warn: SourceRules['warn'],
): Promise<void> {
  const hosts = new Map<string, string>();
  for (const { what, ...source } of sources) {
    if (!('url' in source)) continue;
    const { url } = source;
    // `localhost.` is `localhost`.
    const hostname = new URL(url).hostname.replace(/\.$/, '');
    if (!hosts.has(hostname)) hosts.set(hostname, what);
  }
  await Promise.all(
    [...hosts].map(async ([host, what]) => {
      const addresses = isPrivateHost(host) ? [host] : await addressesOf(host);
      // Mountsea may know a name that this machine does not, so that alone is no reason to refuse.
      if (addresses === undefined) {
        warn(
          `${what}: ${host} cannot be looked up from here, so whether Mountsea can fetch it is not known.`,
        );
      } else if (addresses.some(isPrivateHost)) {
        throw new UsageError(
          `${what} is on ${host}, a private or loopback address that Mountsea cannot reach. For a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1.`,
        );
      }
    }),
  );
}

/** @returns undefined where the name does not resolve. */
export async function addressesOf(host: string): Promise<string[] | undefined> {
  try {
    const found = await lookup(host.replace(/^\[|\]$/g, ''), { all: true });
    return found.map(({ address }) => address);
  } catch {
    return undefined;
  }
}

/** A path or a mistyped URL, without what might be secret. */
function shown(argument: string): string {
  const bare = argument.split(/[?#]/)[0] ?? '';
  return bare
    .replace(/\/\/[^/]*@/, '//')
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .slice(0, 200);
}
