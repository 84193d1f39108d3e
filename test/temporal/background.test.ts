import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as pty from '@lydell/node-pty';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TRAINING_MEMO, TRAIN_CUSTOM_MODEL_WORKFLOW } from '../../src/contract/messages.js';
import {
  type Background,
  attachFollower,
  describeMismatch,
  ensureBackground,
  findBackground,
  stopBackground,
} from '../../src/temporal/background.js';
import { homePaths } from '../../src/temporal/files.js';
import { type ProcessId, findByArguments, isRunning } from '../../src/temporal/processes.js';
import { stateFileArguments } from '../../src/temporal/server.js';
import { findServerBinary } from '../../src/temporal/serverBinary.js';
import { type Settings, keyFingerprint, readSettings } from '../../src/temporal/settings.js';
import { ownPorts } from '../support/ownPorts.js';
import { waitUntil } from '../support/waitUntil.js';
import { statusOf, withClient } from './support/client.js';
import {
  type Program,
  type TestHome,
  buildProgram,
  recordOf,
  runProgram,
  story,
  testHome,
} from './support/program.js';

let program: Program;
const homes: TestHome[] = [];

beforeAll(async () => {
  program = buildProgram();
  // A first build must not fall into the time of a single test.
  await findServerBinary({ cache: readSettings({}).cache, env: process.env, say: () => undefined });
}, 1_200_000);
afterAll(() => {
  program.remove();
});
afterEach(async () => {
  await Promise.all(homes.splice(0).map((home) => home.end()));
});

/** A home that had its server on ports that no other test takes while that is down. */
async function benchOnOwnPorts(extra: NodeJS.ProcessEnv = {}): Promise<Bench> {
  const own = bench(extra);
  const ended = {
    format: 1,
    phase: 'ended',
    mode: 'background',
    node: { pid: 4_194_304, startedAt: 'long ago' },
    ports: await ownPorts(),
    tunesmithVersion: '0.0.1',
    progress: [],
  };
  writeFileSync(homePaths(own.home).lock, JSON.stringify(ended));
  return own;
}

interface Bench extends TestHome {
  settings: Settings;
  said: string[];
  ensure: (more?: { when?: 'if-state'; recordDir?: string }) => Promise<Background>;
}

function bench(extra: NodeJS.ProcessEnv = {}): Bench {
  const home = testHome(extra);
  homes.push(home);
  const settings = readSettings(home.env);
  const said: string[] = [];
  const base = { say: (line: string) => said.push(line), env: home.env, entry: program.entry };
  return {
    ...home,
    settings,
    said,
    ensure: async (more = {}) => {
      const background = await ensureBackground(settings, { ...base, when: 'needed', ...more });
      if (background === undefined) throw new Error('There is no background server.');
      return background;
    },
  };
}

/** Servers that run on the state of this home. */
function serversOf(home: string): ProcessId[] {
  return findByArguments(stateFileArguments(homePaths(home).stateFile));
}

function serverOf(home: string): ProcessId {
  const { server } = recordOf(home);
  if (server === undefined) throw new Error('The record names no server.');
  return server;
}

async function startTraining(address: string, workflowId: string, memo?: object): Promise<void> {
  await withClient(address, (client) =>
    client.workflow.start(TRAIN_CUSTOM_MODEL_WORKFLOW, {
      workflowId,
      taskQueue: 'nobody',
      ...(memo === undefined ? {} : { memo: { [TRAINING_MEMO]: memo } }),
    }),
  );
}

async function killNode({ pid }: Background, home: string): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitUntil('node is gone', () => !isRunning(recordOf(home).node));
}

describe('ensureBackground', () => {
  it('starts server and worker, and a second command attaches beside the first, quickly', async () => {
    const { ensure, settings, said, home } = bench();
    const first = await ensure({ recordDir: '/tmp/kept' });
    expect(first.startedNow).toBe(true);
    expect(first.worker).toEqual({
      origin: settings.origin,
      keyFingerprint: keyFingerprint(settings.origin, 'test-key'),
    });
    expect((await fetch(first.uiUrl)).status).toBe(200);
    expect(said.join('\n')).toContain(first.uiUrl);
    expect(story(home)).toContain('records to /tmp/kept');
    expect(first.recordDir).toBe('/tmp/kept');
    expect(await ensure()).toEqual({ ...first, startedNow: false });
    expect(JSON.stringify(recordOf(home))).not.toContain('test-key');
    const times = [];
    for (let look = 0; look < 5; look += 1) {
      const begun = performance.now();
      expect(await findBackground(settings)).toBeDefined();
      times.push(performance.now() - begun);
    }
    // Usually some 10 ms; a start would take seconds.
    expect(Math.min(...times)).toBeLessThan(1_000);
  });

  it('starts exactly one server for 20 commands at once', async () => {
    const { env, home } = bench();
    const all = Array.from({ length: 20 }, () => runProgram(program, ['ensure'], env));
    const ends = await Promise.all(all.map(({ ended }) => ended));
    expect(ends.filter(({ code }) => code !== 0)).toEqual([]);
    const backgrounds = ends.map(({ stdout }) => JSON.parse(stdout) as Background);
    expect(new Set(backgrounds.map(({ pid }) => pid)).size).toBe(1);
    expect(backgrounds.filter(({ startedNow }) => startedNow)).toHaveLength(1);
    expect(serversOf(home)).toEqual([serverOf(home)]);
  });

  it('ends the old server after kill -9 of its node process; one server has the file and trainings survive', async () => {
    const { ensure, home } = await benchOnOwnPorts();
    const first = await ensure();
    await startTraining(first.address, 'survivor');
    const oldServer = serverOf(home);
    await killNode(first, home);
    const second = await ensure();
    expect(second.startedNow).toBe(true);
    expect(isRunning(oldServer)).toBe(false);
    expect(serversOf(home)).toEqual([serverOf(home)]);
    // Links that people have open go on to work.
    expect(second.uiUrl).toBe(first.uiUrl);
    expect(await statusOf(second.address, 'survivor')).toBe('RUNNING');
  });

  it('comes up again after kill -9 when the lock file is garbage too', async () => {
    const { ensure, home } = bench();
    const first = await ensure();
    await startTraining(first.address, 'survivor');
    await killNode(first, home);
    writeFileSync(homePaths(home).lock, '{"format":1,"phase":"rea');
    const second = await ensure();
    expect(serversOf(home)).toEqual([serverOf(home)]);
    expect(await statusOf(second.address, 'survivor')).toBe('RUNNING');
  });

  it('brings back the server for a command that only looks where there is state, and starts nothing where there is none', async () => {
    const { ensure, settings, home, env } = bench();
    const look = { say: () => undefined, when: 'if-state', env, entry: program.entry } as const;
    expect(await ensureBackground(settings, look)).toBeUndefined();
    expect(existsSync(homePaths(home).lock)).toBe(false);
    await ensure();
    await stopBackground(settings);
    expect(await ensureBackground(settings, look)).toMatchObject({ startedNow: true });
  });

  it('starts the server alone where there is no key', async () => {
    const { ensure, said } = bench({ MOUNTSEA_API_KEY: '' });
    expect((await ensure()).worker).toBeUndefined();
    expect(said.join('\n')).toContain('without a worker');
  });

  it('says why it did not come up, and leaves nothing running', async () => {
    const { ensure, home } = bench({ FAKE_WORKER: 'no-start' });
    const first = expect(ensure()).rejects.toThrow('the worker cannot start');
    await waitUntil('it starts', () => existsSync(homePaths(home).lock));
    // This one comes in the middle of a start that is not its own.
    const starter = recordOf(home).node;
    await expect(ensure()).rejects.toThrow('the worker cannot start');
    await first;
    expect(recordOf(home).node).toEqual(starter);
    expect(serversOf(home)).toEqual([]);
    await expect(ensure()).rejects.toThrow('the worker cannot start');
  });

  it('shows the last lines of the log where the process dies before it can say why', async () => {
    const { settings, env, home } = bench();
    const entry = `${homePaths(home).starting}.mjs`;
    writeFileSync(entry, 'throw new Error("broken installation");');
    const options = { say: () => undefined, when: 'needed', env, entry } as const;
    await expect(ensureBackground(settings, options)).rejects.toThrow(
      /broken installation(.*\n)*.*background\.log/,
    );
  });

  it('comes up beside a stranger on its old port', async () => {
    const { ensure, settings } = await benchOnOwnPorts();
    const first = await ensure();
    await stopBackground(settings);
    const stranger = createServer();
    const port = Number(first.address.split(':')[1]);
    await new Promise<void>((resolve) => stranger.listen(port, '127.0.0.1', resolve));
    const second = await ensure();
    expect(second.address).not.toBe(first.address);
    stranger.close();
  });

  it('survives the end of the terminal that started it', async () => {
    const { env, settings, home } = bench();
    const terminal = pty.spawn(process.execPath, [program.entry, 'ensure', '--hold'], {
      env: env,
    });
    let shown = '';
    terminal.onData((text) => (shown += text));
    await waitUntil('the command is attached', () => shown.includes('startedNow'));
    const server = serverOf(home);
    const hasEnded = new Promise((resolve) => terminal.onExit(resolve));
    terminal.kill('SIGHUP');
    await hasEnded;
    expect(await findBackground(settings)).toBeDefined();
    expect(isRunning(server)).toBe(true);
  });

  it('goes on to start when the command that started it is interrupted by Ctrl-C or killed with its group', async () => {
    for (const interrupt of ['ctrl-c', 'kill'] as const) {
      const { env, settings, home } = bench();
      if (interrupt === 'ctrl-c') {
        const terminal = pty.spawn(process.execPath, [program.entry, 'ensure', '--hold'], {
          env: env,
        });
        await waitUntil('it starts', () => existsSync(homePaths(home).lock));
        const hasEnded = new Promise((resolve) => terminal.onExit(resolve));
        terminal.write('\x03');
        await hasEnded;
      } else {
        const command = spawn(process.execPath, [program.entry, 'ensure', '--hold'], {
          env,
          detached: true,
          stdio: 'ignore',
        });
        await waitUntil('it starts', () => existsSync(homePaths(home).lock));
        process.kill(-(command.pid ?? 0), 'SIGKILL');
      }
      await waitUntil('it is up', async () => (await findBackground(settings)) !== undefined);
    }
  });
});

describe('the background process', () => {
  it('drains its worker before the server stops, and frees the home last', async () => {
    const { ensure, settings, home } = bench();
    const { pid } = await ensure();
    const node = recordOf(home).node;
    expect(node.pid).toBe(pid);
    expect(await stopBackground(settings)).toBe('stopped');
    expect(isRunning(node)).toBe(false);
    expect(story(home)).toBe('drained\n');
    expect(serversOf(home)).toEqual([]);
    expect(recordOf(home)).toMatchObject({ phase: 'ended' });
    expect(recordOf(home).failure).toBeUndefined();
    expect(await findBackground(settings)).toBeUndefined();
    expect(await stopBackground(settings)).toBe('not-running');
  });

  it('does not die of a second signal while the worker drains', async () => {
    const { ensure, home } = bench({ FAKE_WORKER: 'drains-when-told' });
    const { pid } = await ensure();
    process.kill(pid, 'SIGTERM');
    await waitUntil('it stops', () => recordOf(home).phase === 'stopping');
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    writeFileSync(`${home}/may-drain`, '');
    await waitUntil('node is gone', () => !isRunning(recordOf(home).node));
    expect(story(home)).toBe('drained\n');
    expect(recordOf(home).phase).toBe('ended');
    expect(serversOf(home)).toEqual([]);
  });

  it('is stopped by `down` after kill -9 of node too: the server that is left ends', async () => {
    const { ensure, settings, home } = bench();
    await killNode(await ensure(), home);
    expect(serversOf(home)).toHaveLength(1);
    expect(await stopBackground(settings)).toBe('stopped');
    expect(serversOf(home)).toEqual([]);
  });

  it('ends with an error when its server or its worker dies', async () => {
    const { ensure, home } = await benchOnOwnPorts();
    const { pid } = await ensure();
    process.kill(serverOf(home).pid, 'SIGKILL');
    await waitUntil('it ends', () => recordOf(home).phase === 'ended');
    expect(recordOf(home).failure).toContain('server ended by itself');
    expect(story(home)).toBe('drained without its server\n');
    await waitUntil('node is gone', () => !isRunning(recordOf(home).node));
    expect((await ensure()).pid).not.toBe(pid);

    const broken = bench({ FAKE_WORKER: 'dies' });
    await broken.ensure();
    await waitUntil('it ends', () => recordOf(broken.home).phase === 'ended');
    expect(recordOf(broken.home).failure).toBe('the worker broke');
    expect(serversOf(broken.home)).toEqual([]);
  });

  it('refuses a home that another one has, in the foreground as well', async () => {
    const { ensure, env } = bench();
    const { pid } = await ensure();
    const { code, stderr } = await runProgram(program, ['up'], env).ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`process ${pid}`);
    expect(stderr).toContain('tunesmith down');
  });

  it('runs in the foreground till a signal, and lets commands attach', async () => {
    const { ensure, env, home } = bench({ TUNESMITH_IDLE_SECONDS: '0.5' });
    const up = runProgram(program, ['up'], env);
    let why: string | undefined;
    void up.ended.then(({ stdout, stderr }) => (why = stdout + stderr));
    await waitUntil(
      'it is up, or has ended',
      () => why !== undefined || (existsSync(homePaths(home).lock) && recordOf(home).phase === 'ready'),
    );
    expect(why).toBeUndefined();
    expect((await ensure()).pid).toBe(up.child.pid);
    await sleep(2_000);
    expect(recordOf(home).phase).toBe('ready');
    up.child.kill('SIGHUP');
    expect((await up.ended).code).toBe(0);
    expect(story(home)).toBe('drained\n');
    expect(serversOf(home)).toEqual([]);
  });

  it('lets the worker drain before the server goes on a Ctrl-C in its terminal', async () => {
    const { env, home } = bench();
    const terminal = pty.spawn(process.execPath, [program.entry, 'up'], { env });
    const hasEnded = new Promise<{ exitCode: number }>((resolve) => terminal.onExit(resolve));
    await waitUntil('it is up', () => existsSync(homePaths(home).lock) && recordOf(home).phase === 'ready');
    terminal.write('\x03');
    expect((await hasEnded).exitCode).toBe(0);
    expect(story(home)).toBe('drained\n');
    expect(serversOf(home)).toEqual([]);
  });

  it('can be stopped while it is still building its server', async () => {
    const { ensure, settings, home, env } = bench();
    const bin = `${home}-bin`;
    mkdirSync(bin);
    writeFileSync(`${bin}/temporal`, '#!/bin/sh\nexec sleep 120\n');
    chmodSync(`${bin}/temporal`, 0o755);
    env['TUNESMITH_TEMPORAL_CLI'] = `${bin}/temporal`;
    const started = ensure().then(
      () => 'up',
      (error: unknown) => String(error),
    );
    await waitUntil('it starts', () => existsSync(homePaths(home).lock));
    expect(await stopBackground(settings)).toBe('stopped');
    expect(await started).toContain('did not start');
    expect(recordOf(home).phase).toBe('ended');
    rmSync(bin, { recursive: true });
  });
});

describe('the idle end', () => {
  it('comes by itself after the last open training, and the next command brings everything back', async () => {
    const { ensure, settings, home } = bench({ TUNESMITH_IDLE_SECONDS: '2' });
    // It does not end before the training is there.
    const detach = attachFollower(settings);
    const { address } = await ensure();
    await startTraining(address, 'open');
    detach();
    await staysUp(home, 4_000);
    await withClient(address, (client) => client.workflow.getHandle('open').terminate());
    await waitUntil('it ends', () => recordOf(home).phase === 'ended');
    expect(recordOf(home).failure).toBeUndefined();
    expect(story(home)).toBe('drained\n');
    expect(serversOf(home)).toEqual([]);
    const again = await ensure();
    expect(again.startedNow).toBe(true);
    expect(await statusOf(again.address, 'open')).toBe('TERMINATED');
  });

  it('is not held up by a training that waits for a person, but by one that tries again by itself', async () => {
    const parked = bench({ TUNESMITH_IDLE_SECONDS: '2' });
    const mending = bench({ TUNESMITH_IDLE_SECONDS: '2' });
    const detach = [parked, mending].map(({ settings }) => attachFollower(settings));
    await startTraining((await parked.ensure()).address, 'parked', {
      attention: { id: '1', kind: 'bad-files' },
    });
    await startTraining((await mending.ensure()).address, 'mending', {
      attention: { id: '1', kind: 'credits', nextTryAt: '2030-01-01T00:00:00Z' },
    });
    for (const leave of detach) leave();
    await waitUntil('the parked one ends', () => recordOf(parked.home).phase === 'ended');
    await staysUp(mending.home, 4_000);
  });

  it('waits for an attached follower, and not for a dead one', async () => {
    const { ensure, settings, home } = bench({ TUNESMITH_IDLE_SECONDS: '2' });
    const detach = attachFollower(settings);
    const dead = `${homePaths(home).followers}/1-dead.json`;
    writeFileSync(dead, JSON.stringify({ pid: process.pid, startedAt: 'long ago' }));
    await ensure();
    await staysUp(home, 5_000);
    expect(existsSync(dead)).toBe(false);
    detach();
    await waitUntil('it ends', () => recordOf(home).phase === 'ended');
  });
});

/** Nothing to wait for here: that something does not happen only time can show. */
async function staysUp(home: string, ms: number): Promise<void> {
  await sleep(ms);
  expect(recordOf(home).phase).toBe('ready');
}

describe('describeMismatch', () => {
  const mine = readSettings({ MOUNTSEA_API_KEY: 'mine', MOUNTSEA_BASE_URL: 'http://127.0.0.1:9000' });
  const origin = 'http://127.0.0.1:9000';
  const fingerprint = keyFingerprint(origin, 'mine');

  it('is silent where the worker is the one the caller would start', () => {
    expect(describeMismatch({ worker: { origin, keyFingerprint: fingerprint } }, mine)).toBeUndefined();
  });

  it.each([
    [
      'another origin',
      { origin: 'https://api.mountsea.ai', keyFingerprint: fingerprint },
      'https://api.mountsea.ai',
    ],
    ['another key', { origin, keyFingerprint: '00000000' }, 'another API key'],
  ])('names %s, and what to do', (_, worker, words) => {
    const sentence = describeMismatch({ worker }, mine);
    expect(sentence).toContain(words);
    expect(sentence).toContain('tunesmith down');
    expect(sentence).not.toContain('mine');
  });

  it('points out a missing worker to a caller with a key only', () => {
    expect(describeMismatch({}, mine)).toContain('has no worker');
    expect(describeMismatch({}, readSettings({}))).toBeUndefined();
  });
});

it('keeps its log and its state in the home, readable for their owner alone also where others may enter', async () => {
  const { ensure, home } = bench();
  chmodSync(home, 0o755);
  await ensure();
  expect(readFileSync(homePaths(home).backgroundLog, 'utf8')).toContain('Web UI');
  const { stateFile, backgroundLog, serverLog, lock } = homePaths(home);
  for (const path of [stateFile, backgroundLog, serverLog, lock]) {
    expect(statSync(path).mode & 0o077).toBe(0);
  }
});
