/**
 * The key that `login` keeps for the workers of this home: a file for its owner alone. A key is kept for one API origin and
 * given to no other, so that a sandbox or a mistyped address never gets the real one. Runs in the CLI and in workers.
 */
import { rmSync } from 'node:fs';
import { z } from 'zod';
import { homePaths, readIfThere, writeWhole } from './files.js';

const fileSchema = z.object({ format: z.literal(1), keys: z.record(z.string(), z.string()) });

/** @throws Error with a sentence that holds no key where the file is there and cannot be used. */
export function keptKey(home: string, origin: string): string | undefined {
  return readKeys(home)[origin];
}

/** Replaces the key of this origin; the others stay. */
export function keepKey(home: string, origin: string, key: string): void {
  let others: Record<string, string> = {};
  try {
    others = readKeys(home);
  } catch {
    // One that cannot be read is of no use to anybody.
  }
  write(home, { ...others, [origin]: key });
}

/** @returns whether there was one. */
export function forgetKey(home: string, origin: string): boolean {
  const { [origin]: key, ...others } = readKeys(home);
  if (key === undefined) return false;
  if (Object.keys(others).length > 0) write(home, others);
  else rmSync(homePaths(home).keys, { force: true });
  return true;
}

function readKeys(home: string): Record<string, string> {
  const { keys: path } = homePaths(home);
  let text: string | undefined;
  try {
    text = readIfThere(path);
  } catch (error) {
    throw new Error(`The key that login kept cannot be read: ${(error as Error).message}`);
  }
  if (text === undefined) return {};
  try {
    return fileSchema.parse(JSON.parse(text)).keys;
  } catch {
    // What the parser says might repeat the text.
    throw new Error(`The file of the key is damaged: ${path}. \`tunesmith login\` writes it again.`);
  }
}

function write(home: string, keys: Record<string, string>): void {
  writeWhole(homePaths(home).keys, `${JSON.stringify({ format: 1, keys })}\n`);
}
