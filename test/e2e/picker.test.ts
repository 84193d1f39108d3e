/**
 * An id left out at a real terminal: the picker is answered, and the process ends, since it lets go of stdin.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRig, type Rig, type Training } from '../support/rig.js';
import { startSong } from '../support/songs.js';
import { onTerminal, type Terminal } from '../support/terminal.js';
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

const QUESTION = 'Which training or song?';

const terminal = (...args: string[]): Terminal =>
  onTerminal(args, { ...rig.env, TUNESMITH_HOME: home }, { cols: 120 });

it('is asked for, and the one that is picked is shown', async () => {
  const { output, type, code } = terminal('status');
  await waitUntil('it asks', () => output().includes(QUESTION));
  const { workflowId } = training.handle;
  type(workflowId);
  // In the last picture: what was typed, and the choice, whose name is its id here.
  await waitUntil('it is the choice', () => {
    const [typed = '', choices = ''] = output().slice(output().lastIndexOf(QUESTION)).split('\n');
    return typed.includes(workflowId) && choices.includes(`❯ ${workflowId}`);
  });
  type('\r');
  expect(await code).toBe(0);
  expect(output()).toContain('No worker answers');
});

it('may be that of a song', async () => {
  const { handle } = await startSong(rig);
  const { output, type, code } = terminal('status');
  await waitUntil('it asks', () => output().includes(QUESTION));
  type(handle.workflowId);
  await waitUntil('it is the choice', () => output().includes(`❯ song · sending · ${handle.workflowId}`));
  type('\r');
  expect(await code).toBe(0);
  expect(output()).toContain('this is what the song last wrote down');
  await handle.terminate();
});

it('is one that the command is for', async () => {
  const ended = await rig.train();
  await ended.handle.terminate();
  const { output, type, code } = terminal('forget');
  await waitUntil('it asks', () => output().includes('Which training?'));
  // Where both ids begin alike.
  type(`test-${process.pid}-`);
  await waitUntil('it offers what has ended', () => output().includes(ended.handle.workflowId));
  type('\x03');
  expect(await code).toBe(130);
  expect(output()).not.toContain(training.handle.workflowId);
});

it('is asked for in vain', async () => {
  const { output, type, code } = terminal('cancel');
  await waitUntil('it asks', () => output().includes(QUESTION));
  type('\x03');
  expect(await code).toBe(130);
  expect((await training.handle.describe()).status.name).toBe('RUNNING');
});
