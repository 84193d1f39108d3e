/**
 * Real processes that get killed. What was paid for stays paid for: same session, no second prepare, one create.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, inject, it } from 'vitest';
import { startServer } from '../../src/temporal/server.js';
import { ownPorts } from '../support/ownPorts.js';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

/** Uploads at a time, by default. */
const CONCURRENCY = 4;
/** Of the model whose training is held. */
const NAME = 'Crash';

let rig: Rig;

afterEach(async () => {
  await rig.close();
});

/** The session is the first one, create was paid once, and the receipt says what the sandbox's ledger says. */
async function expectPaidOnce(training: Training, uploads: number): Promise<void> {
  const result = await training.handle.result();
  const report = rig.sandbox.report();
  expect(report.requests.counts).toMatchObject({ prepare: 1, upload: uploads, create: 1 });
  expect(report.ledger.filter(({ kind }) => kind === 'create')).toHaveLength(1);
  expect(report.brokenRules).toEqual([]);
  expect(result.sessionId).toBe(report.sessions[0]?.sessionId);
  expect(result.receipt).toMatchObject({
    create: { verdict: 'charged', sends: 1 },
    uploads: { calls: uploads },
  });
}

it('goes on with a second worker when the first is killed while it uploads', async () => {
  rig = await createRig();
  // No task is seen to end, so no request goes out while the worker is killed.
  const release = rig.hold({ audioUrl: 'track-' });
  const first = await rig.startWorker();
  const training = await rig.train();
  await training.until(
    'files are under way',
    ({ files }) => files.filter(({ state }) => state === 'processing').length === CONCURRENCY,
  );
  await first.kill();
  release();
  await rig.startWorker();
  await expectPaidOnce(training, 8);
});

it('goes on with a second worker when the first is killed while Mountsea trains', async () => {
  rig = await createRig();
  const release = rig.hold({ name: NAME });
  const first = await rig.startWorker();
  const training = await rig.train({ name: NAME });
  await training.until('it trains', ({ phase }) => phase === 'training');
  await first.kill();
  release();
  await rig.startWorker();
  await expectPaidOnce(training, 8);
});

it('uploads a file once more, and says so, when the worker was killed with the request out', async () => {
  rig = await createRig();
  rig.sandbox.addFaults([{ on: 'upload', nth: 2, fault: { kind: 'slow', delayMs: 600_000 } }]);
  const release = rig.hold({ audioUrl: 'track-' });
  const first = await rig.startWorker();
  const training = await rig.train();
  await waitUntil(
    'the second upload is at the API',
    () => (rig.sandbox.report().requests.counts.upload ?? 0) >= 2,
  );
  await training.until(
    'others are under way',
    ({ files }) => files.filter(({ state }) => state === 'processing').length >= CONCURRENCY - 1,
  );
  await first.kill();
  release();
  await rig.startWorker();
  await expectPaidOnce(training, 9);
});

it('finds out what became of create, and sends nothing again, when the worker was killed with create out', async () => {
  rig = await createRig();
  rig.sandbox.addFaults([{ on: 'create', nth: 1, fault: { kind: 'slow', delayMs: 600_000 } }]);
  const release = rig.hold({ name: NAME });
  const first = await rig.startWorker();
  const training = await rig.train({ name: NAME });
  await waitUntil('create is at the API', () => (rig.sandbox.report().requests.counts.create ?? 0) >= 1);
  await first.kill();
  await rig.startWorker();
  const { attention, receipt } = await training.until(
    'it asks',
    (progress) => progress.attention !== undefined || progress.phase === 'training',
  );
  if (attention !== undefined) {
    expect(attention.kind).toBe('charge-unknown');
    expect(receipt.create).toMatchObject({ verdict: 'unknown', sends: 1 });
  }
  release();
  await expectPaidOnce(training, 8);
});

it('goes on when server and worker were killed and the server came back on its file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-restart-'));
  const options = {
    binary: inject('serverBinary'),
    stateFile: join(folder, 'temporal.db'),
    logFile: join(folder, 'server.log'),
  };
  const server = await startServer({ ...options, ports: await ownPorts() });
  rig = await createRig({}, server.address);
  try {
    const release = rig.hold({ name: NAME });
    const first = await rig.startWorker();
    const training = await rig.train({ name: NAME });
    await training.until('it trains', ({ phase }) => phase === 'training');
    await first.kill();
    process.kill(server.pid, 'SIGKILL');
    await server.ended;
    const again = await startServer({ ...options, ports: server });
    try {
      expect(again.address).toBe(server.address);
      release();
      await rig.startWorker();
      await expectPaidOnce(training, 8);
    } finally {
      await rig.close();
      await again.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
