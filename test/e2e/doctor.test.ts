/**
 * `doctor` with a real Temporal server and real workers, whose key is right, wrong, or poor.
 */
import { PassThrough } from 'node:stream';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { main } from '../../src/cli/program.js';
import { parseRecord } from '../../src/cli/schema.js';
import { createRig, type Rig } from '../support/rig.js';

let home: string;
let rig: Rig;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
});

afterEach(async () => {
  await rig.close();
  rmSync(home, { recursive: true, force: true });
});

/** `check: verdict, found` of each finding of the server, the worker and the account. */
async function doctor(env: NodeJS.ProcessEnv = {}): Promise<Record<string, string>> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const own = { ...rig.env, TUNESMITH_HOME: home, TEMPORAL_CONFIG_FILE: join(home, 'none.toml'), ...env };
  const io = { env: own, stdout, stderr, cwd: home };
  await main(['doctor', '--json'], io as unknown as Parameters<typeof main>[1]);
  const record = parseRecord(JSON.parse(String(stdout.read())));
  if (record.type !== 'doctor') throw new Error(record.type);
  return Object.fromEntries(
    record.findings.map(({ check, verdict, found }) => [check, `${verdict}: ${found}`] as const),
  );
}

it('finds a missing namespace, a task queue without a worker, and with one that the key and the balance are good', async () => {
  rig = await createRig();
  expect((await doctor({ TEMPORAL_NAMESPACE: 'nowhere' }))['temporal']).toMatch(
    /^problem: .*no namespace nowhere/,
  );
  const without = await doctor();
  expect(without['temporal']).toMatch(/^ok/);
  expect(without['worker']).toMatch(/^problem: No worker polls/);
  expect(without['balance']).toBe('unknown: unknown (no worker)');
  await rig.startWorker();
  const withOne = await doctor();
  expect(withOne['worker']).toMatch(/^ok: one polls/);
  expect(withOne['account']).toMatch(/^ok: Mountsea takes the key/);
  expect(withOne['balance']).toMatch(/^ok: \d+ credits/);
  expect(withOne['clock']).toMatch(/^ok/);
  expect(rig.sandbox.report().requests.counts).not.toMatchObject({ prepare: expect.anything() as unknown });
});

it('finds a key that is refused', async () => {
  rig = await createRig();
  await rig.startWorker({ MOUNTSEA_API_KEY: 'sk-wrong' });
  const found = await doctor({ MOUNTSEA_API_KEY: 'sk-wrong' });
  expect(found['account']).toMatch(/^problem: Mountsea refuses the worker's key .*401/);
  expect(found['balance']).toMatch(/^unknown/);
});

it('finds a balance that create cannot be paid of', async () => {
  rig = await createRig({ profile: { balance: 99 } });
  await rig.startWorker();
  expect((await doctor())['balance']).toMatch(/^problem: 99 credits/);
});
