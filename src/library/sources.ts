/**
 * Client side: what the user typed becomes the sources of a training: URLs, files, folders, globs. Everything that can be
 * seen without spending is seen here; a mistake ends the command before anything starts.
 */
import { lookup } from 'node:dns/promises';
import { type Dirent, type Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, normalize, resolve, sep } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { type FileSource, type Source, TRAINING_DEFAULTS } from '../contract/training.js';
import { StagingError } from '../staging/errors.js';
import { AUDIO_EXTENSIONS, bytesOf, extensionOf } from '../staging/localFile.js';
import { sourceIdentity } from '../temporal/identity.js';
import { isPrivateHost } from '../temporal/settings.js';
import { UsageError } from './errors.js';

/** How one source is looked at. */
export interface SourceRules {
  /** Folder that relative paths count from; absolute. Default: the working directory. */
  folder?: string;
  allowPrivateUrls: boolean;
  /** Gets a sentence about what is left out, or may go wrong at Mountsea, but stops nothing here. */
  warn: (line: string) => void;
}

/** How the sources of a training are looked at. */
export interface SourcesRules extends SourceRules {
  /** Fewest clips the user wants; default 6. */
  minClips: number;
  /** Sources that are put behind the others, unless they are among them. */
  also?: readonly Source[];
}

/**
 * @param args URLs, paths of files and folders, globs, or sources that are known already.
 * @returns the sources in the order of the arguments; files of a folder or glob in natural order.
 * @throws UsageError with a sentence about the first thing that is wrong.
 */
export async function sourcesFrom(
  args: readonly (string | Source)[],
  rules: SourcesRules,
): Promise<Source[]> {
  const sources = await expanded(args, rules);
  for (const source of rules.also ?? []) {
    const identity = sourceIdentity(source);
    if (!sources.some((other) => sourceIdentity(other) === identity)) sources.push(source);
  }
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
 * What the arguments mean, whether or not a model can be trained from it.
 *
 * @throws UsageError where one of them is no source.
 */
export async function expanded(args: readonly (string | Source)[], rules: SourceRules): Promise<Source[]> {
  const sources: Source[] = [];
  for (const argument of args) {
    if (typeof argument !== 'string') sources.push(argument);
    else sources.push(...(await sourcesOf(argument, sources.length + 1, rules)));
  }
  return sources;
}

/**
 * One source that takes the place of another, looked at like those of a new training.
 *
 * @param what it is, at the beginning of a sentence.
 * @throws UsageError with a sentence where it cannot be used.
 */
export async function sourceFrom(argument: string, what: string, rules: SourceRules): Promise<Source> {
  const source = urlSourceOf(argument, what) ?? (await fileOf(argument, what, folderOf(rules)));
  if (!rules.allowPrivateUrls) await refusePrivate([{ ...source, what }], rules.warn);
  return source;
}

function folderOf({ folder = process.cwd() }: SourceRules): string {
  return folder;
}

/** @param number of the first file that comes of it. */
async function sourcesOf(argument: string, number: number, rules: SourceRules): Promise<Source[]> {
  const what = `File ${number}`;
  const url = urlSourceOf(argument, what);
  if (url !== undefined) return [url];
  const folder = folderOf(rules);
  const found = await statOf(resolve(folder, argument));
  if (found?.isDirectory() === true) {
    const entries = await readdir(resolve(folder, argument), { withFileTypes: true });
    return audioAmong(argument, await namesIn(argument, entries, folder), rules);
  }
  if (found === undefined && isDynamicPattern(argument)) {
    const matches = await glob(argument.replaceAll(sep, '/'), {
      cwd: folder,
      expandDirectories: false,
      onlyFiles: true,
    });
    if (matches.length === 0) throw new UsageError(`${shown(argument)} matches no file in ${folder}.`);
    return audioAmong(argument, { files: matches, skipped: [] }, rules);
  }
  return [await fileOf(argument, what, folder)];
}

interface Found {
  /** Paths as the user would type them. */
  files: string[];
  /** What is left out whatever it is, for people. */
  skipped: string[];
}

/** A folder is not searched: what lies deeper was hardly meant. */
async function namesIn(argument: string, entries: Dirent[], folder: string): Promise<Found> {
  const found: Found = { files: [], skipped: [] };
  let hidden = 0;
  for (const { name } of entries) {
    const path = join(argument, name);
    if (name.startsWith('.')) hidden += 1;
    // Followed where it is a link.
    else if ((await statOf(resolve(folder, path)))?.isFile() === true) found.files.push(path);
    else found.skipped.push(`${name}/`);
  }
  if (hidden > 0) found.skipped.push(`${hidden} hidden`);
  return found;
}

/** @throws UsageError where there is no audio among them. */
async function audioAmong(
  argument: string,
  { files, skipped }: Found,
  rules: SourceRules,
): Promise<FileSource[]> {
  const isAudio = (path: string): boolean => AUDIO_EXTENSIONS.includes(extensionOf(path));
  const audio = files.filter(isAudio).sort(naturally);
  if (audio.length === 0) {
    throw new UsageError(
      `There is no audio in ${shown(argument)} (${AUDIO_EXTENSIONS.map((one) => one.slice(1)).join(', ')}).`,
    );
  }
  const others = files.filter((path) => !isAudio(path)).sort(naturally);
  const left = [...others.map((path) => path.split(/[\\/]/).at(-1) ?? path), ...skipped].map(shown);
  if (left.length > 0) {
    const more = left.length > 10 ? ` and ${left.length - 10} more` : '';
    rules.warn(
      `${shown(argument)}: ${audio.length} audio files; left out: ${left.slice(0, 10).join(', ')}${more}.`,
    );
  }
  const sources: FileSource[] = [];
  for (const path of audio) sources.push(await fileOf(path, shown(path), folderOf(rules)));
  return sources;
}

const collator = new Intl.Collator('en', { numeric: true });

/** `2.mp3` comes before `10.mp3`. */
function naturally(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : 1);
}

/** @throws UsageError where there is no such file. */
async function fileOf(argument: string, what: string, folder: string): Promise<FileSource> {
  const path = resolve(folder, argument);
  const named = what === shown(argument) ? what : `${what}, ${shown(argument)},`;
  if ((await statOf(path)) === undefined) {
    throw new UsageError(`${named} is no http or https URL, and there is no such file in ${folder}.`);
  }
  try {
    const { sha256, bytes } = await bytesOf(path);
    return { label: labelOfPath(argument), sha256, bytes, at: { kind: 'path', path } };
  } catch (error) {
    if (error instanceof StagingError) throw new UsageError(`${named} ${error.message}.`);
    throw error;
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}

/** What people see of a path: as it was typed, with `/` on every system. */
export function labelOfPath(path: string): string {
  return normalize(path).replaceAll(sep, '/');
}

/** @returns undefined where it is a path. */
function urlSourceOf(argument: string, what: string): Source | undefined {
  const url = URL.canParse(argument) ? new URL(argument) : undefined;
  // A drive of Windows is no protocol.
  if (url === undefined || /^[a-z]:$/.test(url.protocol)) return undefined;
  if (!/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `${what}, ${shown(argument)}, is no http or https URL. Give a URL that Mountsea can fetch, or a local file.`,
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
      const [one, other] =
        'url' in source ? ['', ''] : [` (${sources[first - 1]?.label ?? ''})`, ` (${source.label})`];
      throw new UsageError(
        `Files ${first}${one} and ${index + 1}${other} are the same ${'url' in source ? 'URL' : 'bytes'}. A clip counts once however often it is uploaded: leave one out.`,
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
