/**
 * `setup` on a real Temporal server.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, inject, it } from 'vitest';
import { main } from '../../src/cli/program.js';
import { parseRecord } from '../../src/cli/schema.js';

async function setup(argv: string[], env: NodeJS.ProcessEnv): Promise<{ code: number; stdout: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const own = { TEMPORAL_CONFIG_FILE: join(tmpdir(), 'tunesmith-none.toml'), ...env };
  const io = { env: own, stdout, stderr, cwd: '/' } as unknown as Parameters<typeof main>[1];
  const code = await main(['setup', '--json', ...argv], io);
  return { code, stdout: String(stdout.read()) };
}

it('creates a namespace that workers can use at once, raises how long it keeps histories, and never shortens it', async () => {
  const namespace = `setup-${process.pid}`;
  const env = { TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: namespace };
  const outcomes = [];
  for (const days of ['2', '90', '30']) {
    const { code, stdout } = await setup(['--retention', days], env);
    const record = parseRecord(JSON.parse(stdout));
    if (record.type !== 'setup') throw new Error(stdout);
    outcomes.push([code, record.outcome, record.retentionDays]);
  }
  expect(outcomes).toEqual([
    [0, 'created', 2],
    [0, 'raised', 90],
    [0, 'as-it-was', 90],
  ]);
});

it('has nothing to do for our own server, and says where another one cannot be reached', async () => {
  expect((await setup([], {})).code).toBe(2);
});
