/**
 * Preflight: looks at each source really, before a credit is spent: fetches the beginning of a URL as Mountsea's side would,
 * reads a local file, and says what is wrong with it. Starts nothing, sends nothing to Mountsea.
 */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import type {
  Finding,
  FindingCode,
  Level,
  LocalSubject,
  Look,
  RemoteSubject,
  Sound,
  Subject,
} from './findings.js';
import { type Answer, type Fetched, Fetcher, type FetchRules } from './http.js';
import { sharePageOf } from './pages.js';
import { isSigned, signatureOf } from './signatures.js';
import { type Bytes, recognise, soundOf } from './sound.js';
import { fileWords, sizeWords, spanOf } from './words.js';

const TIMEOUT_MS = 20_000;
/** Few: the server of somebody's files is not to be pressed. */
const AT_ONCE = 8;
const LOCAL_HEAD_BYTES = 256 * 1024;

export interface LookOptions extends Partial<FetchRules> {
  /** How long a signed URL must stay good for the uploads, ms. */
  needsMs: number;
  /** ms since 1970. Default: now. */
  now?: number;
  /** Gets how many are done. */
  onLooked?: (done: number) => void;
}

/** @returns a look at each source, in their order. Never rejects for what is wrong with a source. */
export async function lookAt(subjects: readonly Subject[], options: LookOptions): Promise<Look[]> {
  const fetcher = new Fetcher({ timeoutMs: TIMEOUT_MS, ...options });
  const looks: Look[] = [];
  const queue = [...subjects.entries()];
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, subject] = next;
      looks[index] =
        'url' in subject ? await lookAtUrl(subject, fetcher, options) : await lookAtFile(subject);
      options.onLooked?.(++done);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await fetcher.close();
  }
  return looks;
}

async function lookAtUrl(
  { number, label, url, what }: RemoteSubject,
  fetcher: Fetcher,
  { needsMs, now = Date.now() }: LookOptions,
): Promise<Look> {
  const signature = signatureOf(url);
  const named = {
    number,
    label,
    ...(signature === undefined ? {} : { expiresAt: new Date(signature.expiresAt).toISOString() }),
  };
  const found = findingsFor(named, what);
  if (signature !== undefined && signature.expiresAt <= now) {
    const ago = spanOf(now - signature.expiresAt);
    found.add('error', 'signature-expired', 'expired', `its signed URL expired ${ago} ago. Sign it again.`);
    return { ...named, findings: found.list };
  }
  const fetched = await fetcher.fetch(url);
  if (signature !== undefined && signature.expiresAt - now < needsMs) {
    found.add(
      'warning',
      'signature-expires',
      `expires in ${spanOf(signature.expiresAt - now)}`,
      `its signed URL is good for ${spanOf(signature.expiresAt - now)} only, and the uploads may need ${spanOf(needsMs)}. Sign it for longer.`,
    );
  }
  if (fetched.kind !== 'answered') {
    refuse(fetched, isSigned(url), found);
    return { ...named, findings: found.list };
  }
  const { size, contentType, isSlow, head } = fetched;
  if (isSlow) {
    const got = sizeWords(head.length);
    found.add(
      'warning',
      'slow',
      'very slow',
      `its server sent only ${got} in the time for a look. Mountsea may give up on it.`,
    );
  }
  const sound = await soundIn(fetched, fetched.hops, found);
  if (sound !== undefined) sayContentType(contentType, sound.kind, found);
  return {
    ...named,
    ...sound,
    ...(size === undefined ? {} : { size }),
    ...(contentType === undefined ? {} : { contentType: contentType.slice(0, 100) }),
    ...(isSlow ? {} : { content: contentOf(fetched) }),
    findings: found.list,
  };
}

/** Tells content from other content without reading all of it: size, ETag and the first bytes. */
function contentOf({ size, etag, head }: Answer): string {
  const first = createHash('sha256').update(head).digest('hex');
  return `size ${size ?? 'unknown'}, etag ${etag ?? 'none'}, first ${head.length} bytes ${first}`;
}

function refuse(fetched: Exclude<Fetched, { kind: 'answered' }>, signed: boolean, found: Findings): void {
  const { hops } = fetched;
  const page = sharePageOf(hops);
  const form = page === undefined ? '' : ` For ${page.name}: ${page.advice}.`;
  const at = hops.length > 1 ? `it leads to ${hostOf(hops)}, and that ` : 'its server ';
  switch (fetched.kind) {
    case 'private': {
      const where = hops.length > 1 ? `redirects to ${fetched.host}` : `is on ${fetched.host}`;
      found.add(
        'error',
        'private-address',
        'private address',
        `it ${where}, a private or loopback address that Mountsea cannot reach. For a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1.`,
      );
      return;
    }
    case 'redirects':
      found.add(
        'error',
        'redirects',
        'redirects',
        `it redirects ${fetched.why}. Give the address of the file itself.${form}`,
      );
      return;
    case 'unknown-host':
      found.add(
        'warning',
        'unknown-host',
        'host unknown',
        `${fetched.host} cannot be looked up from here, so whether Mountsea can fetch it is not known.`,
      );
      return;
    case 'unreachable':
      found.add(
        'warning',
        'unreachable',
        'not reachable',
        `${fetched.host} cannot be reached from here (${fetched.why}), so whether Mountsea can fetch it is not known.`,
      );
      return;
    case 'refused': {
      const { status, code } = fetched;
      // A refusal of the address that asks (403, 451), or for now, says nothing about Mountsea.
      const mayPass =
        status >= 500 || status < 400 || [408, 425, 429, 451].includes(status) || (status === 403 && !signed);
      const what = code === undefined ? String(status) : `${status} ${code}`;
      const why =
        status === 401 || status === 403
          ? ' It must be readable by anybody, without a login.'
          : status === 404 || status === 410
            ? ' There is no such file.'
            : '';
      const again = signed && status === 403 ? ' Sign the URL again.' : '';
      found.add(
        mayPass ? 'warning' : 'error',
        'http-status',
        what,
        `${at}answers ${what}.${again === '' ? why : again}${form}`,
      );
    }
  }
}

async function lookAtFile({ number, label, path, sha256, what }: LocalSubject): Promise<Look> {
  const named = { number, label };
  const found = findingsFor(named, what);
  const why = await whyUnreadable(path);
  if (why !== undefined) {
    found.add('error', 'no-file', why.short, why.message);
    return { ...named, findings: found.list };
  }
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const part = async (from: number, to: number): Promise<Buffer> => {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from);
        return buffer.subarray(0, bytesRead);
      };
      const head = await part(0, Math.min(size, LOCAL_HEAD_BYTES));
      const bytes = { head, isWhole: head.length === size, size, more: part, isLocal: true };
      const sound = await soundIn(bytes, [], found);
      return {
        ...named,
        ...sound,
        size,
        content: `sha256 ${sha256 ?? (await sha256Of(path))}`,
        findings: found.list,
      };
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code = 'it went wrong' } = error as NodeJS.ErrnoException;
    found.add('error', 'no-file', 'not readable', `it cannot be read (${code}).`);
    return { ...named, findings: found.list };
  }
}

async function whyUnreadable(path: string): Promise<{ short: string; message: string } | undefined> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) return { short: 'a folder', message: 'it is a folder.' };
    if (!stats.isFile()) return { short: 'no file', message: 'it is no ordinary file.' };
    await access(path, constants.R_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return { short: 'not there', message: 'there is no such file.' };
    return { short: 'not readable', message: `it cannot be read (${code ?? 'it went wrong'}).` };
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** @param hops addresses that led to the bytes; none for a file. @returns undefined for what is no audio. */
async function soundIn(bytes: Bytes, hops: readonly string[], found: Findings): Promise<Sound | undefined> {
  if (bytes.head.length === 0) {
    if (bytes.isWhole || bytes.size === 0) found.add('error', 'empty', 'empty', 'it is empty.');
    return undefined;
  }
  const is = await recognise(bytes.head);
  switch (is.as) {
    case 'audio': {
      const sound = await soundOf(bytes, is.kind);
      if (!is.isUsual && sound.kind !== 'm4a') {
        found.add(
          'warning',
          'unusual-format',
          `unusual: ${sound.kind}`,
          `it is ${sound.kind}, and whether Mountsea takes that is not known. MP3, WAV, FLAC, M4A and OGG are safe.`,
        );
      }
      return sound;
    }
    case 'web-page': {
      if (hops.length === 0) {
        found.add('error', 'web-page', 'a web page', 'it is no audio but a web page.');
        return undefined;
      }
      const page = sharePageOf(hops);
      const from = hops.length > 1 ? ` (it leads to ${hostOf(hops)})` : '';
      found.add(
        'error',
        'web-page',
        page === undefined ? 'a web page' : `${page.name} page`,
        page === undefined
          ? `it gives a web page, not the file${from}. Give an address that gives the file itself, without a login.`
          : `it gives a page of ${page.name}, not the file: ${page.advice}.`,
      );
      return undefined;
    }
    case 'json':
    case 'other': {
      const page = sharePageOf(hops);
      const form = page === undefined ? '' : ` For ${page.name}: ${page.advice}.`;
      found.add('error', 'not-audio', `is ${is.kind}`, `it is no audio but ${is.kind}.${form}`);
      return undefined;
    }
    case 'unknown':
      found.add(
        'warning',
        'unusual-format',
        'not recognised',
        'its first bytes are of no audio format that is known here. Mountsea may not take it.',
      );
      return undefined;
  }
}

/** What says nothing of its own, and what says audio. */
const HARMLESS_TYPES =
  /^(audio\/|video\/(mp4|webm|ogg)|application\/(octet-stream|ogg|mp4|x-flac|force-download|x-download|download)|binary\/octet-stream)/i;

function sayContentType(contentType: string | undefined, kind: string, found: Findings): void {
  if (contentType === undefined || contentType === '' || HARMLESS_TYPES.test(contentType)) return;
  const called = (contentType.split(';')[0] ?? '').replace(/[^\w/+.-]/g, '').slice(0, 40);
  found.add('note', 'content-type', `called ${called}`, `its server calls it ${called}, but it is ${kind}.`);
}

interface Findings {
  list: Finding[];
  add: (level: Level, code: FindingCode, short: string, message: string) => void;
}

/** @param what its sentences begin with. */
function findingsFor(file: Pick<Look, 'number' | 'label'>, what = fileWords(file)): Findings {
  const { number } = file;
  const list: Finding[] = [];
  return {
    list,
    add: (level, code, short, message) => {
      list.push({ level, code, files: [number], short, message: `${what}: ${message}` });
    },
  };
}

function hostOf(hops: readonly string[]): string {
  const last = hops.at(-1);
  return last === undefined ? 'another host' : new URL(last).hostname;
}
