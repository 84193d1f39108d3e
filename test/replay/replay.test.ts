import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeterminismViolationError } from '@temporalio/workflow';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import {
  bundleWorkflowCode,
  NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createActivities } from '../../src/activities/index.js';
import { createMountsea } from '../../src/mountsea/client.js';
import { accountWorkflowIdFor } from '../../src/temporal/identity.js';
import { createRig, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';
import '../support/quietLogger.js';
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
    await inWorld(async ({ rig, work }) => {
      rig.sandbox.addFaults([
        { on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'decoder crashed' } },
      ]);
      const worker = await work({ workflowBundle: bundle, maxCachedWorkflows: 0 });
      await worker.runUntil(async () => {
        const result = await (await rig.train()).handle.result();
        expect(result.receipt.uploads.calls).toBe(9);
      });
      expect(rig.sandbox.report().requests.counts).toMatchObject({ prepare: 1, upload: 9, create: 1 });
    });
  });
});

describe('a bug in the workflow', () => {
  it('ends no training: it goes on, paid once, with the first worker that is mended', async () => {
    await inWorld(async ({ rig, work }) => {
      const buggy = await work({ workflowBundle: await bundleOf('buggy.ts') });
      const training = await buggy.runUntil(async () => {
        const begun = await rig.train();
        await waitUntil('its workflow task fails', async () => {
          const { events } = await begun.handle.fetchHistory();
          return events?.some(({ workflowTaskFailedEventAttributes: failed }) => Boolean(failed));
        });
        return begun;
      });
      expect(await training.memo()).toMatchObject({ phase: 'uploading' });
      const mended = await work({ workflowBundle: bundle });
      const { clips } = await mended.runUntil(training.handle.result());
      expect(clips).toHaveLength(8);
      expect(rig.sandbox.report().requests.counts).toMatchObject({ prepare: 1, upload: 8, create: 1 });
    });
  });
});

/** What workers in this process need, with workflows of any kind. */
async function inWorld(
  act: (world: { rig: Rig; work: (options: Partial<WorkerOptions>) => Promise<Worker> }) => Promise<void>,
): Promise<void> {
  const rig = await createRig();
  const { origin } = new URL(rig.sandbox.url);
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const mountsea = createMountsea({ baseUrl: rig.sandbox.url, apiKey: () => rig.sandbox.apiKey });
  const activities = createActivities({
    mountsea,
    affinity: () => ({ origin, keyFingerprint: '00000000' }),
    accountWorkflowId: accountWorkflowIdFor(origin),
    identify: ({ name }) => name,
    writesFiles: false,
    webhook: { secret: () => undefined, isRefused: () => false },
  });
  try {
    await act({
      rig,
      work: (options) => Worker.create({ connection, taskQueue: rig.taskQueue, activities, ...options }),
    });
  } finally {
    await mountsea.close();
    await connection.close();
    await rig.close();
  }
}
