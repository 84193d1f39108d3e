/**
 * Files of the background server's home: written whole or not at all, logs that do not grow for ever. Used by the CLI
 * and by the background process.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Where everything is below `TUNESMITH_HOME`. */
export function homePaths(home: string): {
  stateFile: string;
  lock: string;
  claims: string;
  starting: string;
  followers: string;
  lastUse: string;
  /** What `login` keeps. */
  keys: string;
  backgroundLog: string;
  serverLog: string;
} {
  return {
    stateFile: join(home, 'temporal.db'),
    lock: join(home, 'lock.json'),
    claims: join(home, 'claims'),
    starting: join(home, 'starting'),
    followers: join(home, 'followers'),
    lastUse: join(home, 'last-use'),
    keys: join(home, 'keys.json'),
    backgroundLog: join(home, 'logs', 'background.log'),
    serverLog: join(home, 'logs', 'server.log'),
  };
}

/** Folders are for their owner alone: the state holds source URLs, which may be signed. */
export function makePrivateFolder(path: string): void {
  if (existsSync(path)) return;
  // One by one: `recursive` goes round for ever where a folder takes no other, as in /proc.
  makePrivateFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** A name beside `path` that no other process uses. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomUUID().slice(0, 8)}`);
}

/** The file has the old text or the new one, whatever happens in between. */
export function writeWhole(path: string, text: string): void {
  makePrivateFolder(dirname(path));
  const temporary = temporaryBeside(path);
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Undefined where there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const LOG_LIMIT_BYTES = 5_000_000;

/** Opens a log for appending; one over 5 MB becomes `<path>.1` first. The caller closes it. */
export function openLog(path: string): { file: number; size: number } {
  makePrivateFolder(dirname(path));
  if (existsSync(path) && statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  const file = openSync(path, 'a', 0o600);
  return { file, size: statSync(path).size };
}

/** What was written to a file from this offset in bytes on; empty where it is gone. */
export function textSince(path: string, offset: number): string {
  try {
    return readFileSync(path).subarray(offset).toString('utf8');
  } catch {
    return '';
  }
}

/** The last lines with something in them. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}
