/**
 * Client side: brings the clips of a song onto this disk. It costs nothing and can be done again, so a download that fails
 * is no failed song. Addresses come from outside: only http and https, and no private network unless that is allowed.
 */
import { constants } from 'node:fs';
import { access, copyFile, link, mkdir, open, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SongClip } from '../contract/song.js';
import type { Fetcher, Opened } from '../preflight/http.js';
import { isPrivateHost } from '../temporal/settings.js';

const TIMEOUT_MS = 5 * 60_000;
const PAUSES_MS = [1_000, 4_000];
const NAME_LENGTH = 80;
const AUDIO = new Set(['.mp3', '.wav', '.m4a', '.flac', '.ogg', '.aac', '.opus', '.mp4', '.webm']);

export interface DownloadRules {
  /** Absolute; made where it is not there. */
  folder: string;
  allowPrivateUrls: boolean;
  /** How far it is; `total` is absent where the server does not say. */
  onProgress?: (name: string, bytes: number, total: number | undefined) => void;
  /** Stops at once; what is not whole is removed. */
  signal: AbortSignal;
  /** Pauses before each further try, ms. */
  pausesMs?: readonly number[];
}

/** What became of one clip. */
export type Downloaded =
  | { clipId: string; path: string; bytes?: number; /** Not fetched again. */ wasThere?: true }
  | { clipId: string; why: string };

/** One after the other, in their order. @throws where the folder cannot be made or written. */
export async function downloadClips(
  clips: readonly SongClip[],
  title: string,
  rules: DownloadRules,
): Promise<Downloaded[]> {
  await mkdir(rules.folder, { recursive: true });
  // Loaded when it is needed: most commands fetch nothing.
  const { Fetcher } = await import('../preflight/http.js');
  const fetcher = new Fetcher({
    timeoutMs: TIMEOUT_MS,
    ...(rules.allowPrivateUrls ? {} : { isPrivateHost }),
  });
  try {
    const done: Downloaded[] = [];
    for (const clip of clips) done.push(await downloadClip(fetcher, clip, title, rules));
    return done;
  } finally {
    await fetcher.close();
  }
}

async function downloadClip(
  fetcher: Fetcher,
  { id: clipId, audioUrl, title: own }: SongClip,
  title: string,
  rules: DownloadRules,
): Promise<Downloaded> {
  if (audioUrl === undefined) return { clipId, why: 'it has no address' };
  const path = join(rules.folder, clipFileName(own ?? title, clipId, audioUrl));
  if (await exists(path)) return { clipId, path, wasThere: true };
  let why = 'interrupted';
  for (const pause of [0, ...(rules.pausesMs ?? PAUSES_MS)]) {
    try {
      await sleep(pause, undefined, { signal: rules.signal });
    } catch {
      return { clipId, why };
    }
    const opened = await fetcher.open(audioUrl);
    if (opened.kind === 'opened') {
      const saved = await save(opened, path, rules);
      if (typeof saved === 'number') return { clipId, path, bytes: saved };
      why = saved;
    } else {
      why = reasonOf(opened);
      if (opened.kind === 'private' || opened.kind === 'redirects') break;
    }
  }
  return { clipId, why };
}

/** @returns its bytes, or why it is not there. Nothing half is left behind, and nothing is written over. */
async function save(
  { body, size, contentType = '' }: Extract<Opened, { kind: 'opened' }>,
  path: string,
  { onProgress, signal }: DownloadRules,
): Promise<number | string> {
  if (/^text\/|json/i.test(contentType)) return `the server gave ${contentType}, which is no audio`;
  const part = `${path}.${process.pid}.part`;
  const name = path.slice(path.lastIndexOf('/') + 1);
  let bytes = 0;
  try {
    const file = await open(part, 'w', 0o644);
    try {
      for await (const chunk of addAbortSignal(signal, body) as AsyncIterable<Buffer>) {
        await file.writeFile(chunk);
        bytes += chunk.length;
        onProgress?.(name, bytes, size);
      }
    } finally {
      await file.close();
    }
    if (bytes === 0) return 'the server gave an empty file';
    if (size !== undefined && bytes < size) return `it broke off after ${bytes} of ${size} bytes`;
    await putInPlace(part, path);
    return bytes;
  } catch (error) {
    if (signal.aborted) return 'interrupted';
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return /^E[A-Z]+$/.test(code) && code !== 'ECONNRESET'
      ? `${name} cannot be written (${code})`
      : `it broke off after ${bytes} bytes`;
  } finally {
    await rm(part, { force: true });
  }
}

/** Fails where something is there by now. */
async function putInPlace(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    // Not every file system has links.
    await copyFile(part, path, constants.COPYFILE_EXCL);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** e.g. `Night Drive 5f0c1a9b.mp3`: one name for one clip, good on every system. */
export function clipFileName(title: string, clipId: string, audioUrl: string): string {
  const safe = (text: string): string =>
    text
      .normalize('NFC')
      .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}/\\:*?"<>|]+/gu, ' ')
      .replace(/\s+/g, ' ')
      .replace(/^[.\s-]+|[.\s]+$/g, '');
  const name = safe(title)
    .slice(0, NAME_LENGTH)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trim();
  const tail = safe(clipId).slice(0, 8);
  const extension = URL.canParse(audioUrl) ? extname(new URL(audioUrl).pathname).toLowerCase() : '';
  return `${name === '' ? 'song' : name} ${tail}${AUDIO.has(extension) ? extension : '.mp3'}`;
}

function reasonOf(failed: Exclude<Opened, { kind: 'opened' }>): string {
  switch (failed.kind) {
    case 'refused':
      return `the server answered ${failed.status}`;
    case 'private':
      return `${failed.host} is a private or loopback address (for a sandbox on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1)`;
    case 'redirects':
      return `it redirects ${failed.why}`;
    case 'unknown-host':
      return `${failed.host} cannot be looked up from here`;
    case 'unreachable':
      return `${failed.host}: ${failed.why}`;
  }
}
