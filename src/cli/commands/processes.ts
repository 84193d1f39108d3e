/**
 * Client side: commands that are processes, or start some: `up`, `down`, `worker`, `sandbox`, `demo`. No other command
 * loads the worker's native module.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Argument, Option } from 'commander';
import { attachFollower, isFollowed, stopBackground } from '../../temporal/background.js';
import { HomeInUseError } from '../../temporal/lock.js';
import { cacheFolder, readSettings } from '../../temporal/settings.js';
import { defineCommand, json, record } from '../command.js';
import { CommandError, Exit, UsageError } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { connectOrSay, type JsonFlag, pathFrom } from './common.js';
import { untilInterrupted } from '../interrupted.js';

interface WorkerFlags {
  record?: string;
}

interface UpFlags extends WorkerFlags {
  background?: boolean;
}

interface DemoFlags {
  keep?: boolean;
  realTime?: boolean;
}

export const upCommand = defineCommand<UpFlags>({
  name: 'up',
  summary: 'Temporal server, Web UI and worker in the foreground',
  description: ['The same as runs in the background, and only one of both runs for a TUNESMITH_HOME.'].join(
    '\n\n',
  ),
  options: [record(), new Option('--background', 'what other commands start').hideHelp()],
  examples: [
    { line: 'up', does: 'see the server and the Web UI at work; Ctrl-C ends both' },
    {
      line: 'up --record exchanges',
      does: 'and keep what is said to the API, without keys, to look at or to send to us',
    },
  ],
  run: ({ flags, io }) => up(flags, io).then(() => undefined),
});

export const downCommand = defineCommand<JsonFlag>({
  name: 'down',
  summary: 'stop the background server and its worker; trainings go on when it is back',
  description: [
    'The worker first finishes its requests. Nothing is lost: the next command that needs the server brings it back.',
  ].join('\n\n'),
  options: [json()],
  examples: [{ line: 'down', does: 'before an upgrade, or to change key or API' }],
  run: ({ flags, io }) => down(flags, io).then(() => undefined),
});

export const workerCommand = defineCommand<WorkerFlags>({
  name: 'worker',
  summary: 'a worker for the configured Temporal server, or for our own',
  description: [
    'As many as you like; kill any of them at any time. SIGTERM lets it finish its requests first (up to 75 s).',
  ].join('\n\n'),
  options: [record()],
  examples: [
    { line: 'worker', does: 'on any machine that reaches the Temporal server and has the key' },
    { line: 'worker --record exchanges', does: 'and keep what is said to the API, without keys' },
  ],
  run: ({ flags, io }) => worker(flags, io).then(() => undefined),
});

export const sandboxCommand = defineCommand<object, [string[]]>({
  name: 'sandbox',
  summary: 'the simulated Mountsea; `sandbox --help` shows its options',
  description: [
    'A Mountsea with accounts, sessions, tasks, a credit ledger and faults on demand: docs/sandbox.md.',
  ].join('\n\n'),
  arguments: [new Argument('[options...]')],
  examples: [
    { line: 'sandbox --port 4000 --speed 20', does: '20 times faster than life, on a port of your choice' },
    { line: 'sandbox --help', does: 'all its options' },
  ],
  configure: (command) => command.helpOption(false).allowUnknownOption().passThroughOptions(),
  run: ({ args: [options] }) => sandbox(options),
});

export const demoCommand = defineCommand<DemoFlags>({
  name: 'demo',
  summary: 'the whole story on this machine, with no key',
  description: [
    'A real Temporal server, the sandbox, a worker and eight audio files; nothing of yours is used or touched.',
  ].join('\n\n'),
  options: [
    new Option('--keep', 'leave the Web UI open until Ctrl-C'),
    new Option('--real-time', 'true durations'),
  ],
  examples: [
    { line: 'demo', does: 'a training that recovers from a failed upload, in under a minute' },
    { line: 'demo --keep', does: 'and leave the Web UI open' },
  ],
  run: ({ flags, io, main }) => demo(flags, io, main),
});

async function up(flags: UpFlags, io: Io): Promise<void> {
  const [{ runHost }, { installQuietLogger, startWorker }] = await Promise.all([
    import('../../temporal/host.js'),
    import('../../worker.js'),
  ]);
  installQuietLogger();
  await runHost(readSettings(io.env), {
    mode: flags.background === true ? 'background' : 'foreground',
    startWorker,
    say: (line) => io.stderr.write(`${line}\n`),
    env: io.env,
    ...(flags.record === undefined ? {} : { recordDir: pathFrom(flags.record, io) }),
  }).catch((error: unknown) => {
    throw error instanceof HomeInUseError ? new CommandError(error.message) : error;
  });
}

async function down(flags: JsonFlag, io: Io): Promise<void> {
  const output = new Output(io, flags.json === true);
  const settings = readSettings(io.env);
  const outcome = await stopBackground(settings);
  output.json({ type: 'down', version: JSON_VERSION, outcome });
  output.say(outcome === 'stopped' ? 'Stopped. Trainings go on when it is back.' : 'Nothing was running.');
  if (outcome === 'stopped' && isFollowed(settings)) {
    output.say(
      'A command in another terminal follows a training and brings it back at once, with its own environment. For another key or API end that one first: Ctrl-C there leaves its training alone.',
    );
  }
}

async function worker(flags: WorkerFlags, io: Io): Promise<void> {
  const settings = readSettings(io.env);
  if (settings.apiKey() === undefined) {
    throw new UsageError(
      'The worker needs the Mountsea API key: `tunesmith login`, or set MOUNTSEA_API_KEY or MOUNTSEA_API_KEY_FILE.',
    );
  }
  const output = new Output(io, false);
  const connected = await connectOrSay(settings, output, io, {
    purpose: settings.temporal === undefined ? 'train' : 'if-state',
  });
  const { address, isOwn } = connected;
  await connected.close();
  const release = isOwn ? attachFollower(settings) : (): void => undefined;
  try {
    const { installQuietLogger, startWorker } = await import('../../worker.js');
    installQuietLogger();
    const running = await startWorker({
      address,
      settings,
      ...(flags.record === undefined ? {} : { recordDir: pathFrom(flags.record, io) }),
    });
    output.say(
      `Worker for ${running.affinity.origin} (key ${running.affinity.keyFingerprint}) is running. Ctrl-C ends it.`,
    );
    await running.done;
  } finally {
    release();
  }
}

async function sandbox(options: string[]): Promise<number> {
  const path = fileURLToPath(new URL('../../sandbox/main.js', import.meta.url));
  const child = spawn(process.execPath, [path, ...options], { stdio: 'inherit' });
  // Ctrl-C reaches the child as well, which ends in its own way; this process waits for it.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const [code] = (await once(child, 'exit')) as [number | null];
  process.off('SIGINT', pass).off('SIGTERM', pass);
  return code ?? Exit.interrupted;
}

/** @param run runs a command line of ours. */
async function demo(
  flags: DemoFlags,
  io: Io,
  run: (argv: string[], io: Io) => Promise<number>,
): Promise<number> {
  const { runDemo } = await import('../demo/demo.js');
  // Also when its terminal closes: it stops everything that it started.
  const interrupted = untilInterrupted(['SIGINT', 'SIGTERM', 'SIGHUP']);
  try {
    return await runDemo({
      keep: flags.keep === true,
      realTime: flags.realTime === true,
      cache: cacheFolder(),
      run: (argv, env) => run(argv, { ...io, env }),
      say: (line) => io.stderr.write(`${line}\n`),
      signal: interrupted.signal,
    });
  } finally {
    interrupted.dispose();
  }
}
