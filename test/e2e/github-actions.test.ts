/**
 * The workflow file for GitHub Actions with a Temporal server of the user's.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { JOB, removeMachines, runJob } from '../support/actions.js';
import { createRig, type Rig } from '../support/rig.js';

let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

afterAll(async () => {
  removeMachines();
  await rig.close();
});

it('trains, gives the model id as an output, and uses it', async () => {
  const { env, sandbox, tracks } = rig;
  const name = `Actions ${process.pid}`;
  const { codes, outputs, log } = await runJob({ name, env, apiKey: sandbox.apiKey, sources: tracks.urls });
  expect(codes, log).toEqual({ Train: 0, 'Stop the server': 0, 'Use the model': 0 });
  expect(outputs).toMatchObject({ exit: '0', 'model-id': expect.stringMatching(/^chirp-custom:/) as string });
  expect(log).toContain(`Trained ${outputs['model-id'] ?? ''}`);
  expect(JOB.outputs['model-id']).toContain('steps.train.outputs.model-id');
});
