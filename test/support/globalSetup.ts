/**
 * Once for all tests: builds dist/ (tests of processes run what users install) and starts a Temporal server in memory.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';
import type { TestProject } from 'vitest/node';
import { startServer } from '../../src/temporal/server.js';
import { findServerBinary } from '../../src/temporal/serverBinary.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** gRPC address of the shared Temporal server. */
    temporalAddress: string;
    /** The server binary, for tests that start one of their own. */
    serverBinary: { path: string; version: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const build = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));
  execFileSync(process.execPath, [build, '--if-stale'], { stdio: 'inherit' });
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const { cache } = envPaths('tunesmith', { suffix: '' });
  const binary = await findServerBinary({ cache, env: process.env, say });
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-server-'));
  const server = await startServer({ binary, logFile: join(folder, 'server.log') });
  project.provide('temporalAddress', server.address);
  project.provide('serverBinary', { path: binary.path, version: binary.version });
  return async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
