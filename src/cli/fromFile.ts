/**
 * Client side: `--from`: a list of sources, one a line. Empty lines and those that begin with `#` are left out, so a
 * playlist (m3u) is one too.
 */
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { UsageError } from './exit.js';

/**
 * @param file as the user typed it; `-` is stdin.
 * @param folder that the user stands in; absolute.
 * @returns what stands there, as if it had been typed: paths count from the folder of the file.
 * @throws UsageError where it cannot be read, or nothing is in it.
 */
export function sourcesIn(file: string, folder: string): string[] {
  const path = resolve(folder, file);
  const name = file === '-' ? 'stdin' : file;
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(`--from ${name} cannot be read: ${(error as Error).message}`);
  }
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw new UsageError(`--from ${name} holds no source: it is one a line.`);
  const base = file === '-' ? folder : dirname(path);
  return lines.map((line) =>
    URL.canParse(line) || isAbsolute(line) || base === folder ? line : relative(folder, resolve(base, line)),
  );
}
