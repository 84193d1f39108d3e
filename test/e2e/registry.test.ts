/**
 * What is kept of trainings: written out, deleted, and taken into a registry again.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingRecord } from '../../src/contract/record.js';
import { parseRecord } from '../../src/cli/schema.js';
import { runCli } from '../support/cli.js';
import { waitUntil } from '../support/waitUntil.js';
import { createRig, type Rig } from '../support/rig.js';

let rig: Rig;
let folder: string;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-registry-'));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await rig.close();
});

const name = `R${process.pid} registry`;
const train = (...more: string[]): string[] => [
  'train',
  '--yes',
  '--name',
  name,
  ...more,
  ...rig.tracks.urls.map((url) => `${url}?token=sesame`),
];
const run = (...args: string[]): ReturnType<typeof runCli> => runCli(args, rig.env);
const requests = (): object => rig.sandbox.report().requests.counts;

describe('a model', () => {
  it('outlives its training, and is known again in a registry that takes its record', async () => {
    rig.sandbox.addFaults([{ on: 'status', times: 1e9, fault: { kind: 'unknownStatus' } }]);
    await run(...train('--detach'));
    const running = await run('forget', name, '--yes');
    expect(running.code).toBe(2);
    expect(running.stderr).toMatch(/runs; nothing was deleted/);
    rig.sandbox.clearFaults();
    const trained = await run('watch', name);
    expect(trained.code).toBe(0);
    const modelId = trained.stdout.trim();
    const file = join(folder, 'models.json');
    expect((await run('models', '--export', file)).code).toBe(0);
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('sesame');
    // The server is shared: other tests have models of other APIs.
    const all = JSON.parse(text) as TrainingRecord[];
    const records = all.filter(({ origin }) => origin === rig.sandbox.url);
    writeFileSync(file, JSON.stringify(records));
    expect(records.map((record) => record.modelId)).toEqual([modelId]);
    expect(records[0]?.sources[0]).toEqual({ file: 1, source: rig.tracks.urls[0], hasQuery: true });

    const asked = await run('forget', name);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('Say --yes; nothing was deleted.');
    const forgotten = await run('forget', name, '--yes');
    expect(forgotten).toMatchObject({ code: 0 });
    const handle = rig.client.workflow.getHandle(records[0]?.workflowId ?? '');
    await waitUntil('the server has deleted it', () =>
      handle.describe().then(
        () => false,
        (error: unknown) => error instanceof WorkflowNotFoundError,
      ),
    );
    expect((await run('result', name)).stdout).toContain(modelId);

    const rest = await run('forget', name, '--model', '--yes', '--json');
    expect(parseRecord(JSON.parse(rest.stdout))).toMatchObject({ type: 'forgotten', keepsRecord: false });
    expect(rest.stderr).toContain(modelId);
    expect((await run('models')).stdout).toBe('No models yet.\n');

    const taken = await run('models', '--import', file, '--json');
    expect(parseRecord(JSON.parse(taken.stdout))).toMatchObject({ added: 1, updated: 0, known: 0 });
    const before = requests();
    expect(await run(...train())).toMatchObject({ code: 0, stdout: `${modelId}\n` });
    const like = await run('train', '--yes', '--like', name, '--again');
    expect(like.code).toBe(2);
    expect(like.stderr).toContain('the query of its URL is not kept');
    expect(requests()).toEqual(before);
    // The second time on purpose: with the URLs whole it is rebuilt.
    const signed = rig.tracks.urls.map((url) => `${url}?token=again`).reverse();
    const rebuilt = await run('train', '--yes', '--like', name, ...signed, '--again');
    expect(rebuilt.code, rebuilt.stderr).toBe(0);
    expect(rebuilt.stdout).toMatch(/^chirp-custom:/);
    expect(rebuilt.stdout).not.toBe(`${modelId}\n`);
    const [, second] = rig.sandbox.report().sessions;
    // Uploads go out in parallel: they reach the API in any order.
    expect(second?.uploads.map(({ audioUrl }) => audioUrl).sort()).toEqual(signed.sort());
  });

  it('is taken from nothing but such a file', async () => {
    const file = join(folder, 'other.json');
    const { code, stderr } = await run('models', '--import', file);
    expect(code).toBe(2);
    expect(stderr).toContain('cannot be read');
  });
});
