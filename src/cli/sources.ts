/**
 * Client side: what the user typed becomes the sources of a training. Everything that can be seen without spending is
 * seen here; a mistake ends the command before anything starts.
 */
import { lookup } from 'node:dns/promises';
import type { Source } from '../contract/training.js';
import { urlIdentity } from '../temporal/identity.js';
import { isPrivateHost } from '../temporal/settings.js';
import { UsageError } from './exit.js';

/** The API's own minimum (mountsea-api: create). */
export const MINIMUM_FILES = 6;

export interface SourceRules {
  allowPrivateUrls: boolean;
  /** Fewest clips the user wants; default 6. */
  minClips: number;
}

/**
 * @returns the sources in the order of the arguments.
 * @throws UsageError with a sentence about the first thing that is wrong.
 */
export async function sourcesFrom(args: string[], rules: SourceRules): Promise<Source[]> {
  const sources = args.map((argument, index) => sourceOf(argument, index + 1));
  refuseDuplicates(sources);
  const { minClips } = rules;
  if (minClips < MINIMUM_FILES) {
    throw new UsageError(`--min-clips must be ${MINIMUM_FILES} or more: Mountsea trains with no fewer.`);
  }
  if (sources.length < MINIMUM_FILES) {
    throw new UsageError(
      `A custom model needs at least ${MINIMUM_FILES} audio files; ${sources.length} ${sources.length === 1 ? 'was' : 'were'} given.`,
    );
  }
  if (sources.length < minClips) {
    throw new UsageError(`--min-clips ${minClips} is more than the ${sources.length} files given.`);
  }
  if (!rules.allowPrivateUrls) await refusePrivate(sources);
  return sources;
}

function sourceOf(argument: string, number: number): Source {
  const url = URL.canParse(argument) ? new URL(argument) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `File ${number}, ${shown(argument)}, is no http or https URL. This release takes URLs only: put the file where Mountsea can fetch it.`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(
      `File ${number} has a user name or password in its URL, which would be stored. Use a signed URL instead.`,
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
  for (const [index, { url }] of sources.entries()) {
    const identity = urlIdentity(url);
    const first = seen.get(identity);
    if (first !== undefined) {
      throw new UsageError(
        `Files ${first} and ${index + 1} are the same URL. A clip counts once however often it is uploaded: leave one out.`,
      );
    }
    seen.set(identity, index + 1);
  }
}

async function refusePrivate(sources: Source[]): Promise<void> {
  const hosts = new Map<string, number>();
  for (const [index, { url }] of sources.entries()) {
    const { hostname } = new URL(url);
    if (!hosts.has(hostname)) hosts.set(hostname, index + 1);
  }
  await Promise.all(
    [...hosts].map(async ([host, number]) => {
      if (isPrivateHost(host) || (await resolvesToPrivate(host))) {
        throw new UsageError(
          `File ${number} is on ${host}, a private or loopback address that Mountsea cannot reach. For a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1.`,
        );
      }
    }),
  );
}

/** A name that does not resolve here may still resolve for Mountsea, so it is let pass. */
async function resolvesToPrivate(host: string): Promise<boolean> {
  try {
    const addresses = await lookup(host.replace(/^\[|\]$/g, ''), { all: true });
    return addresses.some(({ address }) => isPrivateHost(address));
  } catch {
    return false;
  }
}

/** A path or a mistyped URL, without what might be secret. */
function shown(argument: string): string {
  return (argument.split(/[?#]/)[0] ?? '').slice(0, 200);
}
