/**
 * `login` and `logout` with the real background server and worker: a key put right is in use without a restart.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CLIENT_PATH, pidOfBackground, runCli } from '../support/cli.js';
import { createRig, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  rig = await createRig();
  home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
  env = {
    ...rig.env,
    TUNESMITH_HOME: home,
    TEMPORAL_CONFIG_FILE: join(home, 'none.toml'),
    TEMPORAL_ADDRESS: '',
    MOUNTSEA_API_KEY: '',
  };
});

afterEach(async () => {
  await runCli(['down'], env);
  await rig.close();
  rmSync(home, { recursive: true, force: true });
});

async function login(key: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [CLIENT_PATH, 'login'], { env, stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(`${key}\n`);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

it('lets a training go on that waits for a key, in the same process, and forgets the key again', async () => {
  const wrong = await login('sk-wrong');
  expect(wrong).toMatchObject({ code: 0 });
  expect(wrong.stderr).toContain('Not checked: no worker runs now');
  const argv = ['train', '--yes', '--name', 'Keyed', '--detach', ...rig.tracks.urls];
  const unfit = await runCli(argv, env);
  expect(unfit.code, unfit.stderr).toBe(2);
  expect(unfit.stderr).toMatch(/Nothing was started: Mountsea refuses the API key [0-9a-f]{8} .* login`/);
  expect((await login(rig.sandbox.apiKey)).code).toBe(0);
  // The key goes wrong under way: it is held until the worker has the wrong one.
  const release = rig.hold({ name: 'Keyed' });
  const started = await runCli(argv, env);
  expect(started.code, started.stderr).toBe(7);
  const refused = await login('sk-wrong-too');
  expect(refused.code, refused.stderr).toBe(1);
  expect(refused.stderr).toMatch(/Mountsea refuses this key .*401/);
  release();
  await waitUntil('it waits for a key', async () =>
    (await runCli(['status', 'Keyed'], env)).stdout.includes('credentials'),
  );
  const pid = pidOfBackground(home);
  const right = await login(rig.sandbox.apiKey);
  expect(right.code, right.stderr).toBe(0);
  expect(right.stderr).toMatch(/Mountsea takes the key. Balance: \d+ credits/);
  expect(right.stderr).toContain('another key than before');
  const watched = await runCli(['watch', 'Keyed'], env);
  expect(watched.code, watched.stderr).toBe(0);
  expect(watched.stdout).toMatch(/^chirp-custom:/);
  expect(pidOfBackground(home)).toBe(pid);

  const out = await runCli(['logout'], env);
  expect(out.stderr).toContain('The background worker has none any more.');
  const keyless = await runCli(['train', '--yes', '--name', 'Other', ...rig.tracks.urls], env);
  expect(keyless.code, keyless.stderr).toBe(2);
  expect(keyless.stderr).toContain('tunesmith login');
  const all = [wrong, unfit, refused, right, watched, out, keyless].map(({ stderr }) => stderr).join('');
  expect(all + readFileSync(join(home, 'lock.json'), 'utf8')).not.toContain('sk-wrong');
});
