/**
 * Staging: a file on this machine's disk, which is known by its bytes. Used by the client, and by the worker that shares
 * its disk.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { StagingError } from './errors.js';

/** What a file's bytes are. */
export interface Bytes {
  /** SHA-256, 64 lower-case hex digits. */
  sha256: string;
  bytes: number;
}

/** Extensions that are taken from a folder, with the type that is sent with the bytes. */
const AUDIO_TYPES: Readonly<Record<string, string>> = {
  '.aac': 'audio/aac',
  '.aif': 'audio/aiff',
  '.aiff': 'audio/aiff',
  '.flac': 'audio/flac',
  '.m4a': 'audio/mp4',
  '.mp3': 'audio/mpeg',
  '.oga': 'audio/ogg',
  '.ogg': 'audio/ogg',
  '.opus': 'audio/ogg',
  '.wav': 'audio/wav',
};

export const AUDIO_EXTENSIONS: readonly string[] = Object.keys(AUDIO_TYPES);

/** Lower case, with its dot; empty for one that is no plain word, since it becomes a part of keys and URLs. */
export function extensionOf(path: string): string {
  const extension = extname(path).toLowerCase();
  return /^\.[a-z0-9]{1,8}$/.test(extension) ? extension : '';
}

export function contentTypeOf(path: string): string {
  return AUDIO_TYPES[extensionOf(path)] ?? 'application/octet-stream';
}

/** @throws StagingError where it cannot be read or is empty. */
export async function bytesOf(path: string, signal?: AbortSignal): Promise<Bytes> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const stream = createReadStream(path);
    stream.on('data', (chunk) => (bytes += chunk.length));
    await pipeline(stream, hash, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new StagingError(`cannot be read (${whyUnreadable(error)})`);
  }
  if (bytes === 0) throw new StagingError('is empty');
  return { sha256: hash.digest('hex'), bytes };
}

/**
 * The file still has the bytes that the training was started with.
 *
 * @throws StagingError where it has not, or is gone.
 */
export async function requireSame(path: string, wanted: Bytes, signal?: AbortSignal): Promise<void> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw new StagingError(`${path} cannot be read (${whyUnreadable(error)})`);
  });
  const isSame = size === wanted.bytes && (await bytesOf(path, signal)).sha256 === wanted.sha256;
  if (!isSame) throw changed(path);
}

export function changed(path: string): StagingError {
  return new StagingError(
    `${path} has changed since the training was started. Put the old file back and try again, or replace it`,
  );
}

/** An error of the file system in a few words. */
export function whyUnreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'permission is denied',
    EISDIR: 'it is a folder',
  };
  return words[code ?? ''] ?? code ?? 'unknown error';
}
