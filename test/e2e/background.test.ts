/**
 * The command line with the server that it brings along: started by the first command, shared by the others, killed and
 * brought back.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { pidOfBackground, runCli, startCli } from '../support/cli.js';
import { createRig, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  rig = await createRig();
  home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
  env = { ...rig.env, TUNESMITH_HOME: home, TEMPORAL_CONFIG_FILE: join(home, 'none.toml') };
  delete env['TEMPORAL_ADDRESS'];
});

afterEach(async () => {
  await runCli(['down'], env);
  await rig.close();
  rmSync(home, { recursive: true, force: true });
});

const train = (name: string, ...more: string[]): string[] => [
  'train',
  '--yes',
  '--name',
  name,
  ...more,
  ...rig.tracks.urls,
];
const creates = (): number => rig.sandbox.report().requests.counts.create ?? 0;

it('starts a server and a worker for the first train, and a second train uses the same', async () => {
  const [first, second] = await Promise.all([runCli(train('One'), env), runCli(train('Two'), env)]);
  expect([first.code, second.code], first.stderr + second.stderr).toEqual([0, 0]);
  expect(first.stderr + second.stderr).toMatch(
    /http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/train-one/,
  );
  expect(creates()).toBe(2);
  const list = await runCli(['list'], env);
  expect(list.stdout).toMatch(/train-one-.*\n?.*train-two-|train-two-.*\n?.*train-one-/);
});

it('goes on after kill -9 of the background process while a follower watches, paid once', async () => {
  const release = rig.hold({ name: 'Phoenix' });
  const follower = startCli(train('Phoenix'), env);
  await waitUntil('it trains', async () =>
    (await runCli(['status', 'Phoenix'], env)).stdout.includes('100 credits'),
  );
  process.kill(pidOfBackground(home), 'SIGKILL');
  release();
  const { code, stdout, stderr } = await follower.finished;
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^chirp-custom:/);
  const { counts } = rig.sandbox.report().requests;
  expect(counts).toMatchObject({ prepare: 1, upload: 8, create: 1 });
});

it('is brought back by the next command, and the training that it had goes on', async () => {
  rig.sandbox.addFaults([
    { on: 'upload', match: { audioUrl: 'track-05' }, times: 3, fault: { kind: 'failTask' } },
  ]);
  expect((await runCli(train('Comeback'), env)).code).toBe(5);
  expect((await runCli(['down'], env)).code).toBe(0);
  const status = await runCli(['status', 'Comeback'], env);
  expect(status.stdout, status.stderr).toContain('bad-files');
  const fixed = await runCli(['fix', 'Comeback', '--retry'], env);
  expect(fixed.code, fixed.stderr).toBe(0);
  expect(rig.sandbox.report().requests.counts.prepare).toBe(1);
});

it('says at once when the running worker has another key or another API, and starts nothing', async () => {
  expect((await runCli(train('Mine', '--detach'), env)).code).toBe(7);
  const otherKey = await runCli(train('Other'), { ...env, MOUNTSEA_API_KEY: 'another-key' });
  expect(otherKey.code).toBe(2);
  expect(otherKey.stderr).toContain('another API key');
  expect(otherKey.stderr).toContain('tunesmith down');
  expect(otherKey.stderr).not.toContain('another-key');
});

it('starts nothing without a key, and looks at nothing where there is nothing', async () => {
  const keyless = { ...env, MOUNTSEA_API_KEY: '' };
  const { code, stderr } = await runCli(train('Keyless'), keyless);
  expect(code).toBe(2);
  expect(stderr).toContain('MOUNTSEA_API_KEY');
  expect(existsSync(join(home, 'temporal.db'))).toBe(false);
  expect(await runCli(['list'], keyless)).toMatchObject({ code: 0, stdout: 'No trainings yet.\n' });
  expect((await runCli(['status', 'x'], keyless)).code).toBe(2);
});

it('records exchanges with train --record, and refuses to record where the worker runs already', async () => {
  const folder = join(home, 'recorded');
  const plain = await runCli(train('Plain', '--detach'), env);
  expect(plain.code).toBe(7);
  const refused = await runCli(train('Recorded', '--record', folder), env);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('tunesmith down');
  await waitUntil('the first is done', async () => (await runCli(['result', 'Plain'], env)).code === 0);
  await runCli(['down'], env);
  const recorded = await runCli(train('Recorded', '--record', folder), env);
  expect(recorded.code, recorded.stderr).toBe(0);
  expect(existsSync(folder)).toBe(true);
});
