/**
 * Says which commands still use the background server, so that it does not end under them. Commands leave marks in the
 * home, the background process reads them.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { homePaths, makePrivateFolder, readIfThere, writeWhole } from './files.js';
import { isRunning, ownIdentity, processIdSchema } from './processes.js';
import type { Settings } from './settings.js';

/**
 * Marks this process as one that follows a training: the background server lives on while it runs.
 * @returns takes the mark away. A process that ends without doing so no longer counts either.
 */
export function attachFollower({ home }: Pick<Settings, 'home'>): () => void {
  const { followers } = homePaths(home);
  makePrivateFolder(followers);
  const mark = join(followers, `${process.pid}-${randomUUID().slice(0, 8)}.json`);
  writeWhole(mark, JSON.stringify(ownIdentity()));
  return () => {
    rmSync(mark, { force: true });
  };
}

/** Whether a running process follows; sweeps the marks of dead ones. */
export function hasFollowers(home: string): boolean {
  const { followers } = homePaths(home);
  makePrivateFolder(followers);
  let alive = false;
  for (const name of readdirSync(followers)) {
    if (!name.endsWith('.json') || name.startsWith('.')) continue;
    const mark = join(followers, name);
    if (isAliveMark(mark)) alive = true;
    else rmSync(mark, { force: true });
  }
  return alive;
}

/** A command is about to use the background server. Called before it looks at the lock's record. */
export function noteUse(home: string): void {
  writeWhole(homePaths(home).lastUse, `${randomUUID()}\n`);
}

/** Changes with each `noteUse`; for comparing only, since clocks jump. */
export function lastUse(home: string): string | undefined {
  return readIfThere(homePaths(home).lastUse);
}

function isAliveMark(path: string): boolean {
  try {
    return isRunning(processIdSchema.parse(JSON.parse(readIfThere(path) ?? '')));
  } catch {
    return false;
  }
}
