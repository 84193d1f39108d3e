/**
 * Records the histories that replay.test.ts replays. Record a scenario again only for a change that no training in flight
 * can meet, and say so in the changelog: a released history is a promise.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { it } from 'vitest';
import { createRig } from '../support/rig.js';
import { SCENARIOS } from './scenarios.js';

const folder = new URL('histories/', import.meta.url);

it.each(SCENARIOS)('records $name', async ({ name, faults, input, drive }) => {
  const rig = await createRig();
  try {
    await rig.startWorker();
    rig.sandbox.addFaults(faults);
    const training = await rig.train({ name: 'Night Drive', ...input });
    await drive(training);
    mkdirSync(folder, { recursive: true });
    const history = await training.handle.fetchHistory();
    writeFileSync(
      new URL(`${name}.json`, folder),
      `${JSON.stringify(JSON.parse(historyToJSON(history)), null, 1)}\n`,
    );
  } finally {
    await rig.close();
  }
});
