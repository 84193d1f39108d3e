/**
 * Once for all tests: builds dist/ (tests of processes run what users install) and starts a Temporal server in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startServer } from '../../src/temporal/server.js';
import { prepare } from './prepare.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** gRPC address of the shared Temporal server. */
    temporalAddress: string;
    /** The server binary, for tests that start one of their own. */
    serverBinary: { path: string; version: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binary = await prepare();
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-server-'));
  const server = await startServer({ binary, logFile: join(folder, 'server.log') });
  project.provide('temporalAddress', server.address);
  project.provide('serverBinary', binary);
  return async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
