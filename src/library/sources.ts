/**
 * Client side: what the user typed becomes the sources of a training: URLs, files, folders, globs. Everything that can be
 * seen without spending is seen here; a mistake ends the command before anything starts.
 */
import { lookup } from 'node:dns/promises';
import { type Dirent, type Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, normalize, resolve, sep } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { type FileSource, type Source, TRAINING_DEFAULTS, type UrlSource } from '../contract/training.js';
import type { Finding, FindingCode } from '../preflight/findings.js';
import { tooFew } from '../preflight/limits.js';
import { StagingError } from '../staging/errors.js';
import { AUDIO_EXTENSIONS, bytesOf, extensionOf, whyUnreadable } from '../staging/localFile.js';
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

/** An argument that no source can be made of, in its place among the others. */
export interface UnusableSource {
  /** What people see of it. */
  label: string;
  /** An error, as preflight would say it. */
  finding: Omit<Finding, 'files'>;
}

/** What became of an argument: a source, or why there is none. */
export type Candidate = Source | UnusableSource;

export function isUsable(candidate: Candidate): candidate is Source {
  return !('finding' in candidate);
}

/**
 * @param args URLs, paths of files and folders, globs, or sources that are known already.
 * @returns the sources in the order of the arguments; files of a folder or glob in natural order.
 * @throws UsageError with a sentence about each one that is wrong.
 */
export async function sourcesFrom(
  args: readonly (string | Source)[],
  rules: SourcesRules,
): Promise<Source[]> {
  const sources = requireUsable(await candidatesFrom(args, rules));
  requireEnough(sources.length, rules.minClips);
  return sources;
}

/** As `sourcesFrom`, but what cannot be used keeps its place, with the reason. */
export async function candidatesFrom(
  args: readonly (string | Source)[],
  rules: Omit<SourcesRules, 'minClips'>,
): Promise<Candidate[]> {
  const found = await allOf(args, rules);
  for (const source of rules.also ?? []) {
    const identity = sourceIdentity(source);
    const isThere = found.some((other) => isUsable(other) && sourceIdentity(other) === identity);
    if (!isThere) found.push(source);
  }
  const distinct = withoutTwins(found);
  return rules.allowPrivateUrls ? distinct : withoutPrivate(distinct, rules.warn);
}

/** @throws UsageError where there are fewer files than Mountsea, or the user, wants. */
export function requireEnough(count: number, minClips: number): void {
  if (minClips < TRAINING_DEFAULTS.minClips) {
    throw new UsageError(
      `--min-clips must be ${TRAINING_DEFAULTS.minClips} or more: Mountsea trains with no fewer.`,
    );
  }
  if (count < TRAINING_DEFAULTS.minClips) throw new UsageError(tooFew(count));
  if (count < minClips) {
    throw new UsageError(`--min-clips ${minClips} is more than the ${count} files given.`);
  }
}

/**
 * What the arguments mean, whether or not a model can be trained from it.
 *
 * @throws UsageError with a sentence about each one that is no source.
 */
export async function expanded(args: readonly (string | Source)[], rules: SourceRules): Promise<Source[]> {
  return requireUsable(await allOf(args, rules));
}

/**
 * One source that takes the place of another, looked at like those of a new training.
 *
 * @param what it is, at the beginning of a sentence.
 * @throws UsageError with a sentence where it cannot be used.
 */
export async function sourceFrom(argument: string, what: string, rules: SourceRules): Promise<Source> {
  const candidate = urlSourceOf(argument, what) ?? (await fileOf(argument, what, folderOf(rules)));
  const [found = candidate] = rules.allowPrivateUrls
    ? []
    : await withoutPrivate([candidate], rules.warn, () => what);
  if (isUsable(found)) return found;
  throw new UsageError(found.finding.message);
}

/** @throws UsageError that says of each one what is wrong, a line each. */
function requireUsable(candidates: readonly Candidate[]): Source[] {
  const wrong = candidates.flatMap((candidate) => (isUsable(candidate) ? [] : [candidate.finding.message]));
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'));
  return candidates.filter(isUsable);
}

async function allOf(args: readonly (string | Source)[], rules: SourceRules): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const argument of args) {
    if (typeof argument !== 'string') found.push(argument);
    else found.push(...(await candidatesOf(argument, found.length + 1, rules)));
  }
  return found;
}

function folderOf({ folder = process.cwd() }: SourceRules): string {
  return folder;
}

function unusable(label: string, code: FindingCode, short: string, message: string): UnusableSource {
  return { label, finding: { level: 'error', code, short, message } };
}

/** @param number of the first file that comes of it. */
async function candidatesOf(argument: string, number: number, rules: SourceRules): Promise<Candidate[]> {
  const what = fileWords(number);
  const url = urlSourceOf(argument, what);
  if (url !== undefined) return [url];
  const folder = folderOf(rules);
  const found = await statOf(resolve(folder, argument));
  if (found?.isDirectory() === true) {
    const entries = await entriesOf(resolve(folder, argument));
    if (typeof entries === 'string') {
      const message = `${shown(argument)} cannot be read (${entries}).`;
      return [unusable(shown(argument), 'no-file', 'not readable', message)];
    }
    return audioAmong(argument, number, await namesIn(argument, entries, folder), rules);
  }
  if (found === undefined && isDynamicPattern(argument)) {
    const matches = await glob(argument.replaceAll(sep, '/'), {
      cwd: folder,
      expandDirectories: false,
      onlyFiles: true,
    });
    if (matches.length === 0) {
      const message = `${shown(argument)} matches no file in ${folder}.`;
      return [unusable(shown(argument), 'no-audio', 'matches nothing', message)];
    }
    return audioAmong(argument, number, { files: matches, skipped: [] }, rules);
  }
  return [await fileOf(argument, what, folder)];
}

function fileWords(number: number): string {
  return `File ${number}`;
}

/** @returns what is in a folder, or why that cannot be seen. */
async function entriesOf(path: string): Promise<Dirent[] | string> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    return whyUnreadable(error);
  }
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

/** @param number of the first of them. */
async function audioAmong(
  argument: string,
  number: number,
  { files, skipped }: Found,
  rules: SourceRules,
): Promise<Candidate[]> {
  const isAudio = (path: string): boolean => AUDIO_EXTENSIONS.includes(extensionOf(path));
  const audio = files.filter(isAudio).sort(naturally);
  if (audio.length === 0) {
    const message = `There is no audio in ${shown(argument)} (${AUDIO_EXTENSIONS.map((one) => one.slice(1)).join(', ')}).`;
    return [unusable(shown(argument), 'no-audio', 'no audio', message)];
  }
  const others = files.filter((path) => !isAudio(path)).sort(naturally);
  const left = [...others.map((path) => path.split(/[\\/]/).at(-1) ?? path), ...skipped].map(shown);
  if (left.length > 0) {
    const more = left.length > 10 ? ` and ${left.length - 10} more` : '';
    rules.warn(
      `${shown(argument)}: ${audio.length} audio files; left out: ${left.slice(0, 10).join(', ')}${more}.`,
    );
  }
  const found: Candidate[] = [];
  for (const path of audio) found.push(await fileOf(path, fileWords(number + found.length), folderOf(rules)));
  return found;
}

const collator = new Intl.Collator('en', { numeric: true });

/** `2.mp3` comes before `10.mp3`. */
function naturally(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : 1);
}

/** A local file with its bytes, or why it cannot be one. */
async function fileOf(argument: string, what: string, folder: string): Promise<FileSource | UnusableSource> {
  const path = resolve(folder, argument);
  const named = `${what} (${shown(argument)}):`;
  const label = labelOfPath(argument);
  const found = await statOf(path);
  if (found === undefined) {
    const message = `${named} there is no such file in ${folder}, and it is no http or https URL.`;
    return unusable(label, 'no-file', 'not there', message);
  }
  // A pipe would be waited for without end, and could not be read a second time.
  if (!found.isFile()) {
    const is = found.isDirectory() ? 'a folder' : 'no ordinary file';
    return unusable(label, 'no-file', is, `${named} it is ${is}.`);
  }
  try {
    const { sha256, bytes } = await bytesOf(path);
    return { label, sha256, bytes, at: { kind: 'path', path } };
  } catch (error) {
    if (!(error instanceof StagingError)) throw error;
    const [code, short] =
      found.size === 0 ? (['empty', 'empty'] as const) : (['no-file', 'not readable'] as const);
    return unusable(label, code, short, `${named} it ${error.message}.`);
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
function urlSourceOf(argument: string, what: string): UrlSource | UnusableSource | undefined {
  const url = URL.canParse(argument) ? new URL(argument) : undefined;
  // A drive of Windows is no protocol.
  if (url === undefined || /^[a-z]:$/.test(url.protocol)) return undefined;
  if (!/^https?:$/.test(url.protocol)) {
    const message = `${what} (${shown(argument)}): it is no http or https URL. Give a URL that Mountsea can fetch, or a local file.`;
    return unusable(shown(argument), 'bad-url', 'no http URL', message);
  }
  if (url.username !== '' || url.password !== '') {
    const message = `${what} has a user name or password in its URL, which would be stored. Use a signed URL instead.`;
    return unusable(shown(argument), 'bad-url', 'password in URL', message);
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

/** Of those that are the same source the first stays. */
function withoutTwins(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Map<string, number>();
  return candidates.map((source, index) => {
    if (!isUsable(source)) return source;
    const identity = sourceIdentity(source);
    const first = seen.get(identity);
    if (first === undefined) {
      seen.set(identity, index + 1);
      return source;
    }
    const { label } = source;
    const [one, other, what] =
      'url' in source
        ? ['', '', 'URL']
        : [` (${candidates[first - 1]?.label ?? ''})`, ` (${label})`, 'bytes'];
    const message = `Files ${first}${one} and ${index + 1}${other} are the same ${what}. A clip counts once however often it is uploaded: leave one out.`;
    return unusable(label, 'same-content', `same as ${first}`, message);
  });
}

/** @param whatOf a source is called at the beginning of a sentence. */
async function withoutPrivate(
  candidates: readonly Candidate[],
  warn: SourceRules['warn'],
  whatOf: (index: number) => string = (index) => fileWords(index + 1),
): Promise<Candidate[]> {
  // `localhost.` is `localhost`.
  const hostOf = (url: string): string => new URL(url).hostname.replace(/\.$/, '');
  const hosts = candidates.flatMap((source) => ('url' in source ? [hostOf(source.url)] : []));
  const isPrivate = new Map(
    await Promise.all(
      [...new Set(hosts)].map(async (host) => {
        const addresses = isPrivateHost(host) ? [host] : await addressesOf(host);
        return [host, addresses?.some(isPrivateHost)] as const;
      }),
    ),
  );
  const said = new Set<string>();
  return candidates.map((source, index) => {
    if (!('url' in source)) return source;
    const host = hostOf(source.url);
    if (isPrivate.get(host) === true) {
      const message = `${whatOf(index)} is on ${host}, a private or loopback address that Mountsea cannot reach. For a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1.`;
      return unusable(source.label, 'private-address', 'private address', message);
    }
    // Mountsea may know a name that this machine does not, so that alone is no reason to refuse.
    if (isPrivate.get(host) === undefined && !said.has(host)) {
      said.add(host);
      warn(
        `${whatOf(index)}: ${host} cannot be looked up from here, so whether Mountsea can fetch it is not known.`,
      );
    }
    return source;
  });
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
