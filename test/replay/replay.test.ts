import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeterminismViolationError } from '@temporalio/workflow';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import {
  bundleWorkflowCode,
  NativeConnection,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createActivities } from '../../src/activities/index.js';
import { createMountsea } from '../../src/mountsea/client.js';
import { accountWorkflowIdFor } from '../../src/temporal/identity.js';
import { createRig } from '../support/rig.js';
import { SCENARIOS } from './scenarios.js';

const folder = new URL('histories/', import.meta.url);

let bundle: WorkflowBundleWithSourceMap;

beforeAll(async () => {
  bundle = await bundleOf('../../src/workflows/index.ts');
});

function bundleOf(path: string): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL(path, import.meta.url)) });
}

async function replay(name: string, workflowBundle: WorkflowBundleWithSourceMap): Promise<void> {
  const json: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8'));
  await Worker.runReplayHistory({ workflowBundle }, historyFromJSON(json), name);
}

describe('the bundle of workflow code', () => {
  it('holds nothing of Node, of the activities or of the schemas', () => {
    expect(bundle.code).not.toMatch(/require\(["']node:/);
    expect(bundle.code).not.toContain('createActivities');
    expect(bundle.code).not.toContain('ZodError');
  });

  it('exports the workflow types and nothing else', async () => {
    const workflows: object = await import('../../src/workflows/index.js');
    expect(Object.keys(workflows)).toEqual([
      'account',
      'generateSong',
      'notification',
      'readAccount',
      'readSongTerms',
      'readStaging',
      'trainCustomModel',
      'trainingRecord',
    ]);
  });
});

describe('replay of committed histories', () => {
  it('has a history for each scenario and a scenario for each history', () => {
    const files = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));
    expect(files.sort()).toEqual(SCENARIOS.map(({ name }) => name).sort());
  });

  it.each(SCENARIOS.map(({ name }) => name))('still leads %s along the same path', async (name) => {
    await replay(name, bundle);
  });

  it('rejects a workflow that takes another path', async () => {
    const mutant = await bundleOf('mutant.ts');
    await expect(replay('smooth', mutant)).rejects.toThrow(DeterminismViolationError);
  });
});

describe('a worker that forgets every workflow at once', () => {
  it('leads a training with a failing upload to its end by replay alone', async () => {
    const rig = await createRig();
    const { origin } = new URL(rig.sandbox.url);
    const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
    const mountsea = createMountsea({ baseUrl: rig.sandbox.url, apiKey: () => rig.sandbox.apiKey });
    try {
      const worker = await Worker.create({
        connection,
        taskQueue: rig.taskQueue,
        workflowBundle: bundle,
        maxCachedWorkflows: 0,
        activities: createActivities({
          mountsea,
          affinity: () => ({ origin, keyFingerprint: '00000000' }),
          accountWorkflowId: accountWorkflowIdFor(origin),
          identify: ({ name }) => name,
          writesFiles: false,
          webhook: { secret: () => undefined, isRefused: () => false },
        }),
      });
      rig.sandbox.addFaults([
        { on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'decoder crashed' } },
      ]);
      await worker.runUntil(async () => {
        const result = await (await rig.train()).handle.result();
        expect(result.receipt.uploads.calls).toBe(9);
      });
      expect(rig.sandbox.report().requests.counts).toMatchObject({ prepare: 1, upload: 9, create: 1 });
    } finally {
      await mountsea.close();
      await connection.close();
      await rig.close();
    }
  });
});
