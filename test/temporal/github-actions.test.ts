/**
 * The workflow file for GitHub Actions on runners that bring their own Temporal server and are gone after the job.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveTracks, type TrackServer } from '../../src/cli/demo/tracks.js';
import type { TrainingRecord } from '../../src/contract/record.js';
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js';
import { removeMachines, runJob } from '../support/actions.js';
import { prepare } from '../support/prepare.js';

const SPEED = 100;

let sandbox: Sandbox;
let tracks: TrackServer;

beforeAll(async () => {
  await prepare();
  sandbox = await startSandbox({ speed: SPEED });
  tracks = await serveTracks();
}, 600_000);

afterAll(async () => {
  removeMachines();
  await tracks.close();
  await sandbox.close();
});

it('goes on, on another machine, from what a run that needed a person has paid for: one create', async () => {
  const machine = {
    name: 'Night Drive',
    apiKey: sandbox.apiKey,
    sources: tracks.urls,
    env: {
      HOME: process.env['HOME'],
      MOUNTSEA_BASE_URL: sandbox.url,
      MOUNTSEA_BILLING_URL: sandbox.billingUrl,
      TUNESMITH_ALLOW_PRIVATE_URLS: '1',
      TUNESMITH_TIME_SCALE: String(1 / SPEED),
    },
  };
  const fault = { kind: 'failTask', reason: 'not music' } as const;
  sandbox.addFaults([{ on: 'upload', match: { audioUrl: 'track-05' }, times: 3, fault }]);
  const first = await runJob(machine);
  expect(first.codes, first.log).toEqual({ Train: 5, 'Stop the server': 0 });
  expect(first.log).toContain('::error::The training waits for a person');
  expect(first.log).toContain('This looks like CI');
  const file = join(first.workspace, 'training.json');
  const saved = JSON.parse(readFileSync(file, 'utf8')) as TrainingRecord;
  expect(saved.clips).toHaveLength(7);
  expect(sandbox.report().requests.counts.create ?? 0).toBe(0);

  // A fresh machine cannot know that create was never sent: a person says so.
  const answer = '--resend-create --accept-second-charge';
  const second = await runJob({ ...machine, saved: file, answer });
  expect(second.codes, second.log).toEqual({ Train: 0, 'Stop the server': 0, 'Use the model': 0 });
  const { requests, sessions } = sandbox.report();
  expect(sessions).toHaveLength(1);
  // Three that failed, and those of the eight files: none of them twice.
  expect(requests.counts).toMatchObject({ prepare: 1, upload: 11, create: 1 });
  const after = JSON.parse(readFileSync(join(second.workspace, 'training.json'), 'utf8')) as TrainingRecord;
  expect(after.modelId).toBe(second.outputs['model-id']);
});
