/**
 * An id left out at a real terminal: the picker is answered, and the process ends, since it lets go of stdin.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as pty from '@lydell/node-pty';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CLIENT_PATH } from '../support/cli.js';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
let home: string;
let training: Training;

beforeEach(async () => {
  rig = await createRig();
  home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
  // No worker: it stays as it is.
  training = await rig.train();
});

afterEach(async () => {
  await training.handle.terminate();
  await rig.close();
  rmSync(home, { recursive: true, force: true });
});

interface Terminal {
  shown: () => string;
  write: (keys: string) => void;
  ended: Promise<number>;
}

function terminal(argv: string[]): Terminal {
  const env = { ...rig.env, TUNESMITH_HOME: home, TERM: 'xterm-256color' } as Record<string, string>;
  const child = pty.spawn(process.execPath, [CLIENT_PATH, ...argv], { env, cols: 120, rows: 30 });
  let shown = '';
  child.onData((data) => (shown += data));
  return {
    shown: () => shown,
    write: (keys) => {
      child.write(keys);
    },
    ended: new Promise((resolve) => {
      child.onExit(({ exitCode }) => {
        resolve(exitCode);
      });
    }),
  };
}

it('is asked for, and the one that is picked is shown', async () => {
  const { shown, write, ended } = terminal(['status']);
  await waitUntil('it asks', () => shown().includes('Which training?'));
  const { workflowId } = training.handle;
  write(workflowId);
  // In the last picture: what was typed, and the choice, whose name is its id here.
  await waitUntil('it is the choice', () => {
    const [typed = '', choices = ''] = shown().slice(shown().lastIndexOf('Which training?')).split('\n');
    return typed.includes(workflowId) && choices.includes(`❯ ${workflowId}`);
  });
  write('\r');
  expect(await ended).toBe(0);
  expect(shown()).toContain('No worker answers');
});

it('is asked for in vain', async () => {
  const { shown, write, ended } = terminal(['cancel']);
  await waitUntil('it asks', () => shown().includes('Which training?'));
  write('\x03');
  expect(await ended).toBe(130);
  expect((await training.handle.describe()).status.name).toBe('RUNNING');
});
