/**
 * What tests of processes need first: dist/ as users install it, and the server binary.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';
import { findServerBinary } from '../../src/temporal/serverBinary.js';

export async function prepare(): Promise<{ path: string; version: string }> {
  const build = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));
  execFileSync(process.execPath, [build, '--if-stale'], { stdio: 'inherit' });
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const { cache } = envPaths('tunesmith', { suffix: '' });
  const { path, version } = await findServerBinary({ cache, env: process.env, say });
  return { path, version };
}
