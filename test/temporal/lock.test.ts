import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { homePaths } from '../../src/temporal/files.js';
import { HomeInUseError, claimOnce, lockHolder, readLock, takeLock } from '../../src/temporal/lock.js';
import { type ProcessId, endProcess, identify, isRunning } from '../../src/temporal/processes.js';
import { waitUntil } from '../support/waitUntil.js';
import { type Program, buildProgram, runProgram } from './support/program.js';

let program: Program;
let home: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  program = buildProgram();
});
afterAll(() => {
  program.remove();
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tunesmith-lock-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** A process that stands for an old server, or for somebody else's. */
function bystander(args: string[] = []): ProcessId {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', ...args]);
  children.push(child);
  const id = identify(child.pid ?? 0);
  if (id === undefined) throw new Error('The process did not start.');
  return id;
}

function writeRecord(record: object): void {
  writeFileSync(homePaths(home).lock, JSON.stringify(record));
}

const oldRecord = {
  format: 1,
  phase: 'ready',
  mode: 'background',
  node: { pid: 4_194_304, startedAt: 'long ago' },
  tunesmithVersion: '0.0.1',
  ports: { port: 7301, uiPort: 8301 },
  progress: [],
};

describe('claimOnce', () => {
  it('lets in one process at a time, however many ask', async () => {
    const args = ['contend', join(home, 'claims'), join(home, 'inside'), '40'];
    const all = Array.from({ length: 8 }, () => runProgram(program, args, process.env));
    const ends = await Promise.all(all.map(({ ended }) => ended));
    expect(ends).toEqual(ends.map(() => ({ code: 0, stdout: '', stderr: '' })));
  });

  it('gives the folder of a dead process to one of 20 that ask', async () => {
    const folder = join(home, 'claims');
    mkdirSync(folder);
    writeFileSync(join(folder, '7'), JSON.stringify(oldRecord.node));
    const all = Array.from({ length: 20 }, () => runProgram(program, ['claim', folder], process.env));
    children.push(...all.map(({ child }) => child));
    await waitUntil('all have asked', () => all.every(({ stdout }) => stdout().includes('\n')));
    expect(all.filter(({ stdout }) => stdout() === 'claimed\n')).toHaveLength(1);
  });

  it('frees the folder with the death of the process that has it', async () => {
    const folder = join(home, 'claims');
    const holder = runProgram(program, ['claim', folder], process.env);
    children.push(holder.child);
    await waitUntil('it is claimed', () => holder.stdout() === 'claimed\n');
    expect(claimOnce(folder)).toBeUndefined();
    holder.child.kill('SIGKILL');
    await holder.ended;
    expect(claimOnce(folder)).toBeDefined();
  });

  it('takes a half-written claim, and one of a pid that now belongs to another process, for dead', () => {
    const folder = join(home, 'claims');
    mkdirSync(folder);
    writeFileSync(join(folder, '1'), '{"pid": 1, "start');
    const claim = claimOnce(folder);
    expect(claim).toBeDefined();
    claim?.release();
    writeFileSync(join(folder, '3'), JSON.stringify({ pid: process.pid, startedAt: 'long ago' }));
    expect(claimOnce(folder)).toBeDefined();
  });

  it('keeps the folder small, however often it changes hands', () => {
    const folder = join(home, 'claims');
    for (let turn = 0; turn < 60; turn += 1) claimOnce(folder)?.release();
    expect(readdirSync(folder).length).toBeLessThan(20);
    expect(claimOnce(folder)).toBeDefined();
  });
});

describe('takeLock', () => {
  it('refuses a home that is in use, and gives it after the release', async () => {
    const lock = await takeLock(home, 'background');
    await expect(takeLock(home, 'foreground')).rejects.toThrow(HomeInUseError);
    lock.release('because');
    expect(readLock(home)).toMatchObject({ phase: 'ended', failure: 'because' });
    expect(lockHolder(home)).toBeUndefined();
    (await takeLock(home, 'background')).release();
  });

  it('ends the server that a killed holder has left, and hands its ports on', async () => {
    const server = bystander();
    writeRecord({ ...oldRecord, server });
    const lock = await takeLock(home, 'background');
    expect(isRunning(server)).toBe(false);
    expect(lock.record.ports).toEqual(oldRecord.ports);
    expect(lock.record.server).toBeUndefined();
    lock.release();
  });

  it('leaves a process alone that has only the pid of the old server', async () => {
    const other = bystander();
    writeRecord({ ...oldRecord, server: { pid: other.pid, startedAt: 'long ago' } });
    (await takeLock(home, 'background')).release();
    expect(isRunning(other)).toBe(true);
  });

  it.each(['', '{"format":1,"pha', '[]', '{"format":99}', '\0\0\0\0'])(
    'takes the home in spite of a lock file with garbage (%j), and still finds the old server on its state',
    async (garbage) => {
      const state = homePaths(home).stateFile;
      const server = bystander([
        'start-dev',
        '--',
        '--db-filename',
        state,
        'history.timerProcessorMaxTimeShift="100ms"',
      ]);
      writeFileSync(homePaths(home).lock, garbage);
      const lock = await takeLock(home, 'background');
      expect(isRunning(server)).toBe(false);
      lock.release();
    },
  );
});

describe('endProcess', () => {
  it('kills a process that does not listen to SIGTERM', async () => {
    const code =
      "process.on('SIGTERM', () => undefined); console.log('up'); setInterval(() => undefined, 1000)";
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const id = identify(child.pid ?? 0);
    if (id === undefined) throw new Error('The process did not start.');
    await endProcess(id, 200);
    expect(isRunning(id)).toBe(false);
  });
});
