/**
 * Client side: the commands. Each one reads its flags, asks `trainings`, and lets `output` say it; nothing here ends the
 * process. No command but `worker`, `up` and `demo` loads the worker's native module.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CorrectionAction } from '../contract/correction.js';
import { type BadFilePolicy, type TrainCustomModelInput, TRAINING_DEFAULTS } from '../contract/training.js';
import { attachFollower, stopBackground } from '../temporal/background.js';
import { cacheFolder, readSettings, type Settings, SettingsError } from '../temporal/settings.js';
import { connect, type Connected, type ConnectOptions } from './connect.js';
import { FLAGS, listLines, receiptWords, resultLines, statusLines } from './draw.js';
import { CommandError, Exit, exitOfEnd, UsageError } from './exit.js';
import { exitOf, follow } from './follow.js';
import { type Io, JSON_VERSION, Output, programIn, recordOf } from './output.js';
import { sourcesFrom } from './sources.js';
import type { Snapshot } from './trainings.js';

interface TrainFlags {
  name: string;
  detach?: boolean;
  wait?: number;
  yes?: boolean;
  onBadFile?: BadFilePolicy;
  minClips?: number;
  concurrency?: number;
  again?: string | true;
  parkFor?: number;
  record?: string;
  json?: boolean;
}

interface FollowFlags {
  json?: boolean;
  detach?: boolean;
  wait?: number;
}

/** Runs one command line. @returns the exit code (design, section 7). */
export async function main(argv: string[], io: Io): Promise<number> {
  let exit: number = Exit.done;
  const program = createProgram(io, (code) => (exit = code));
  try {
    await program.parseAsync(withoutLabelFromUrl(argv), { from: 'user' });
    return exit;
  } catch (error) {
    return explain(error, io);
  }
}

/** `--again URL…`: the URL is the first file and no label. */
function withoutLabelFromUrl(argv: string[]): string[] {
  const at = argv.indexOf('--again');
  const next = argv[at + 1];
  if (at === -1 || next === undefined || !URL.canParse(next)) return argv;
  return [...argv.slice(0, at), ...argv.slice(at + 1), '--again'];
}

/** What went wrong, in a sentence; never a stack trace. */
function explain(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.done : Exit.usage;
  const message = asCalled(error instanceof Error ? error.message : String(error), io);
  if (error instanceof UsageError || error instanceof SettingsError) {
    io.stderr.write(`${message}\n`);
    return Exit.usage;
  }
  const hint =
    error instanceof CommandError
      ? ''
      : ` (unexpected; a training that was started goes on: ${programIn(io.env)} list)`;
  io.stderr.write(`${message}${hint}\n`);
  return Exit.unexpected;
}

function createProgram(io: Io, end: (code: number) => void): Command {
  const program = new Command('tunesmith')
    .description(
      'Trains a Suno custom model through the Mountsea API: durable, unattended, never paid twice.',
    )
    .version(versionOf(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getErrHelpWidth: () => io.stderr.columns || 80,
      getOutHelpWidth: () => io.stdout.columns || 80,
    })
    .enablePositionalOptions()
    .showSuggestionAfterError();
  const json = (): Option => new Option('--json', 'data for programs on stdout');
  const wait = (): Option => new Option('--wait <seconds>', 'follow no longer than this').argParser(seconds);
  const detach = (): Option => new Option('--detach', 'do not follow');
  const id = (): Argument =>
    new Argument('<id>', 'workflow id, a unique prefix of it, session id, or model name').argParser(notEmpty);

  program
    .command('train')
    .description('train a model from audio URLs, and follow it until it is done')
    .argument('<url...>', 'at least six URLs that Mountsea can fetch')
    .requiredOption('--name <name>', 'name of the model')
    .addOption(detach())
    .addOption(wait())
    .option('--yes', 'spend without a question')
    .addOption(
      new Option('--on-bad-file <policy>', 'what becomes of a file that stays bad').choices([
        'ask',
        'drop',
        'fail',
      ]),
    )
    .option(
      '--min-clips <n>',
      `fewest clips to train with (default: ${TRAINING_DEFAULTS.minClips})`,
      wholeNumber,
    )
    .option(
      '--concurrency <n>',
      `upload tasks in flight at a time (default: ${TRAINING_DEFAULTS.concurrency})`,
      wholeNumber,
    )
    .option('--again [label]', 'train the same content a second time, on purpose')
    .option(
      '--park-for <duration>',
      'how long to wait for a person, e.g. 90s, 30m, 2h, 7d (default: without limit)',
      duration,
    )
    .option('--record <dir>', 'keep redacted exchanges with the API')
    .addOption(json())
    .action(async (urls: string[], flags: TrainFlags) => {
      end(await train(urls, flags, io));
    });

  program
    .command('status')
    .description('one look at a training')
    .addArgument(id())
    .option('--exit-status', 'exit by the training, not by the look')
    .addOption(json())
    .action(async (id: string, flags: { json?: boolean; exitStatus?: boolean }) => {
      end(await status(id, flags, io));
    });

  program
    .command('watch')
    .description('follow a training')
    .addArgument(id())
    .addOption(wait())
    .addOption(json())
    .action(async (id: string, flags: FollowFlags) => {
      end(
        await withTraining(id, flags, io, (connected, workflowId, output) =>
          followTo(workflowId, connected, output, flags, io),
        ),
      );
    });

  program
    .command('result')
    .description('the result of a training')
    .addArgument(id())
    .addOption(json())
    .action(async (id: string, flags: { json?: boolean }) => {
      end(await withTraining(id, flags, io, tellResult));
    });

  program
    .command('list')
    .description('all trainings, newest first')
    .option('--exit-status', 'exit by the newest training')
    .addOption(json())
    .action(async (flags: { json?: boolean; exitStatus?: boolean }) => {
      end(await list(flags, io));
    });

  program
    .command('fix')
    .description('answer a training that waits for you, then follow it')
    .addArgument(id())
    .option(FLAGS.retry, 'upload the bad files again, or try again now')
    .option(FLAGS.keepWaiting, 'wait for another while')
    .option(FLAGS.giveUp, 'end the training; what is paid for stays at Mountsea')
    .addOption(detach())
    .addOption(wait())
    .addOption(json())
    .action(async (id: string, flags: FollowFlags & Partial<Record<CorrectionAction, boolean>>) => {
      end(await fix(id, flags, io));
    });

  program
    .command('cancel')
    .description('cancel a training, and say what is spent')
    .addArgument(id())
    .addOption(json())
    .action(async (id: string, flags: { json?: boolean }) => {
      end(await withTraining(id, flags, io, cancel));
    });

  program
    .command('up')
    .description('Temporal server, Web UI and worker in the foreground')
    .option('--record <dir>', 'keep redacted exchanges with the API')
    .addOption(new Option('--background', 'what other commands start').hideHelp())
    .action(async (flags: { record?: string; background?: boolean }) => {
      await up(flags, io);
    });

  program
    .command('down')
    .description('stop the background server and its worker; trainings go on when it is back')
    .addOption(json())
    .action(async (flags: { json?: boolean }) => {
      const output = new Output(io, flags.json === true);
      const outcome = await stopBackground(readSettings(io.env));
      output.json({ type: 'down', version: JSON_VERSION, outcome });
      output.say(
        outcome === 'stopped' ? 'Stopped. Trainings go on when it is back.' : 'Nothing was running.',
      );
    });

  program
    .command('worker')
    .description('a worker for the configured Temporal server, or for our own')
    .option('--record <dir>', 'keep redacted exchanges with the API')
    .action(async (flags: { record?: string }) => {
      await worker(flags, io);
    });

  program
    .command('sandbox')
    .description('the simulated Mountsea; `sandbox --help` shows its options')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]')
    .action(async (options: string[]) => {
      end(await sandbox(options));
    });

  program
    .command('demo')
    .description('the whole story on this machine, with no key')
    .option('--keep', 'leave the Web UI open until Ctrl-C')
    .option('--real-time', 'true durations')
    .action(async (flags: { keep?: boolean; realTime?: boolean }) => {
      end(await demo(flags, io));
    });

  return program;
}

async function train(urls: string[], flags: TrainFlags, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const { minClips = TRAINING_DEFAULTS.minClips, onBadFile, concurrency, parkFor } = flags;
  if (flags.name.trim() === '') throw new UsageError('--name must not be empty.');
  const { allowPrivateUrls } = settings;
  const sources = await sourcesFrom(urls, { minClips, allowPrivateUrls, warn: output.say });
  const input: TrainCustomModelInput = {
    name: flags.name,
    origin: settings.origin,
    sources,
    ...(flags.minClips === undefined ? {} : { minClips }),
    ...(onBadFile === undefined ? {} : { onBadFile }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(parkFor === undefined ? {} : { parkForMs: parkFor }),
    ...(settings.timeScale === 1 ? {} : { timeScale: settings.timeScale }),
  };
  const recordDir = flags.record === undefined ? undefined : pathFrom(flags.record, io);
  const connected = await connectOrSay(settings, output, io, {
    purpose: 'train',
    ...(recordDir === undefined ? {} : { recordDir }),
  });
  try {
    const { trainings } = connected;
    const { workflowId, how, ignored } = await trainings.start(input, flags.again);
    if (how === 'found') return await tellFound(workflowId, connected, output, io);
    output.say(
      how === 'started'
        ? `Started ${workflowId}.`
        : `It runs already: attached to ${workflowId}. Nothing more is spent.`,
    );
    if (ignored.length > 0) {
      output.say(`It was started with other options; ignored here: ${ignored.map(flagOf).join(', ')}.`);
    }
    return await followTo(workflowId, connected, output, flags, io);
  } finally {
    await connected.close();
  }
}

/** The same content was trained before, and that training has ended. */
async function tellFound(workflowId: string, connected: Connected, output: Output, io: Io): Promise<number> {
  const snapshot = await connected.trainings.look(workflowId);
  if (snapshot.status === 'completed') {
    output.say(`${workflowId} has trained this already; nothing is spent.`);
    return tellResult(connected, workflowId, output, { onlyModelId: true });
  }
  output.json(recordOf(snapshot));
  output.say(`${workflowId} ended before: ${snapshot.status}. ${receiptWords(snapshot.memo.receipt)}.`);
  output.say(
    `To train the same content once more: the same command with --again. (${programIn(io.env)} status ${workflowId})`,
  );
  return exitOfEnd(snapshot.memo.receipt.create.verdict);
}

async function status(id: string, flags: { json?: boolean; exitStatus?: boolean }, io: Io): Promise<number> {
  return withTraining(id, flags, io, async (connected, workflowId, output) => {
    const snapshot = await connected.trainings.look(workflowId);
    output.json(recordOf(snapshot));
    const ui = connected.uiOf(workflowId, snapshot.runId);
    for (const line of statusLines(snapshot, ui, Date.now(), { ...output.canvas, isColored: false }))
      output.data(line);
    sayIfNoWorker(snapshot, output);
    return flags.exitStatus === true ? (exitOf(snapshot) ?? Exit.stillRunning) : Exit.done;
  });
}

async function list(flags: { json?: boolean; exitStatus?: boolean }, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const say = (line: string): void => {
    output.say(asCalled(line, io));
  };
  const connected = await connect(settings, { purpose: 'if-state', env: io.env, say });
  try {
    const trainings = (await connected?.trainings.list()) ?? [];
    output.json(trainings.map(recordOf));
    for (const line of listLines(trainings)) output.data(line);
    const running = trainings.find(({ status: word }) => word === 'running');
    if (running !== undefined && connected !== undefined) {
      sayIfNoWorker(await connected.trainings.look(running.workflowId), output);
    }
    const [newest] = trainings;
    if (flags.exitStatus !== true || newest === undefined) return Exit.done;
    return exitOf(newest) ?? Exit.stillRunning;
  } finally {
    await connected?.close();
  }
}

async function fix(
  id: string,
  flags: FollowFlags & Partial<Record<CorrectionAction, boolean>>,
  io: Io,
): Promise<number> {
  const actions = (Object.keys(FLAGS) as CorrectionAction[]).filter((action) => flags[action] === true);
  const [action, ...others] = actions;
  if (action === undefined || others.length > 0) {
    throw new UsageError(`Say one of ${Object.values(FLAGS).join(', ')}.`);
  }
  return withTraining(id, flags, io, async (connected, workflowId, output) => {
    const { memo, progress, status: word } = await connected.trainings.look(workflowId);
    const attention = progress === undefined ? memo.attention : progress.attention;
    if (word !== 'running' || attention === undefined) {
      throw new UsageError(`${workflowId} does not wait for anybody: nothing to fix.`);
    }
    await connected.trainings.correct(workflowId, { attentionId: attention.id, action });
    output.say(`Taken: ${action} for ${attention.kind}.`);
    return followTo(workflowId, connected, output, flags, io);
  });
}

async function cancel(connected: Connected, workflowId: string, output: Output): Promise<number> {
  const { trainings } = connected;
  const before = await trainings.look(workflowId);
  if (before.status !== 'running') {
    output.json(recordOf(before));
    output.say(`${workflowId} has ended already: ${before.status}. ${receiptWords(before.memo.receipt)}.`);
    return Exit.done;
  }
  await trainings.cancel(workflowId);
  output.say('Asked it to stop; if create is out, it first waits for the truth about the charge.');
  let unanswered = 0;
  for (;;) {
    const now = await trainings.look(workflowId);
    if (now.status !== 'running') {
      const { receipt, sessionId } = now.memo;
      output.json(recordOf(now));
      output.say(`Ended: ${now.status}. ${receiptWords(receipt)}.`);
      if (receipt.create.verdict !== 'not-charged') {
        output.say(`Mountsea cannot cancel: it may go on training in session ${sessionId ?? ''}.`);
      }
      return now.status === 'completed' ? Exit.done : exitOfEnd(receipt.create.verdict);
    }
    unanswered = now.progress === undefined ? unanswered + 1 : 0;
    if (unanswered > 2) {
      throw new CommandError(
        'No worker answers. The training is cancelled as soon as one runs: `tunesmith worker`.',
      );
    }
    await new Promise((done) => setTimeout(done, 250));
  }
}

async function tellResult(
  { trainings }: Connected,
  workflowId: string,
  output: Output,
  { onlyModelId = false } = {},
): Promise<number> {
  const snapshot = await trainings.look(workflowId);
  if (snapshot.status === 'completed') {
    const result = await trainings.result(workflowId);
    output.json({ type: 'result', version: JSON_VERSION, workflowId, ...result });
    for (const line of onlyModelId ? [result.modelId] : resultLines(result)) output.data(line);
    return Exit.done;
  }
  output.json(recordOf(snapshot));
  output.say(
    `${workflowId} has no result: ${snapshot.status}, ${snapshot.memo.phase}. ${receiptWords(snapshot.memo.receipt)}.`,
  );
  sayIfNoWorker(snapshot, output);
  return exitOf(snapshot) ?? Exit.stillRunning;
}

/** Follows until there is a reason to stop, and says what the reason was. */
async function followTo(
  workflowId: string,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
): Promise<number> {
  const program = programIn(io.env);
  const comeBack = `${program} watch ${workflowId}`;
  if (flags.detach === true) {
    const snapshot = await connected.trainings.look(workflowId);
    output.json(recordOf(snapshot));
    sayIfNoWorker(snapshot, output);
    output.say(`It goes on by itself. To come back: ${comeBack}`);
    return Exit.stillRunning;
  }
  const settings = readSettings(io.env);
  const release = connected.isOwn ? attachFollower(settings) : (): void => undefined;
  const interrupted = untilInterrupted();
  let current = connected;
  const view = output.follower(({ runId }) => current.uiOf(workflowId, runId));
  try {
    const { exit, last } = await follow({
      look: () => current.trainings.look(workflowId),
      reconnect: async () => {
        // Through the view: a line written past it would break the picture in two.
        const say = (line: string): void => {
          view.note(asCalled(line, io));
        };
        const next = await connect(settings, { purpose: 'if-state', env: io.env, say });
        if (next === undefined) throw new CommandError('The state of the background server is gone.');
        if (current !== connected) await current.close();
        current = next;
      },
      isOwn: connected.isOwn,
      show: view,
      interrupted: interrupted.signal,
      waitMs: flags.wait,
      workerCommand: `${program} worker`,
    });
    view.end();
    if (exit === Exit.done) return await tellResult(current, workflowId, output, { onlyModelId: true });
    sayWhy(exit, last, comeBack, output);
    return exit;
  } finally {
    view.end();
    interrupted.dispose();
    release();
    if (current !== connected) await current.close();
  }
}

function sayWhy(exit: Exit, last: Snapshot | undefined, comeBack: string, output: Output): void {
  const receipt = last?.progress?.receipt ?? last?.memo.receipt;
  const spent = receipt === undefined ? '' : ` So far: ${receiptWords(receipt)}.`;
  if (exit === Exit.interrupted || exit === Exit.stillRunning) {
    output.say(`The training goes on.${spent} To come back: ${comeBack}`);
  } else if (last?.status === 'running') {
    output.say(`It waits for you.${spent} Answer with one of the commands above; then: ${comeBack}`);
  } else if (last !== undefined) {
    output.say(`Ended: ${last.status}.${spent}`);
  }
}

/** The first Ctrl-C (or SIGTERM) ends the following; a second one ends the process at once, as usual. */
function untilInterrupted(signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM']): {
  signal: AbortSignal;
  dispose: () => void;
} {
  const controller = new AbortController();
  const stop = (): void => {
    controller.abort();
    // Not at once: what restores the cursor ends the process when it finds itself the only listener.
    setImmediate(dispose);
  };
  const dispose = (): void => {
    for (const signal of signals) process.off(signal, stop);
  };
  for (const signal of signals) process.on(signal, stop);
  return { signal: controller.signal, dispose };
}

async function withTraining(
  id: string,
  flags: { json?: boolean },
  io: Io,
  act: (connected: Connected, workflowId: string, output: Output) => Promise<number>,
): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const connected = await connectOrSay(settings, output, io, { purpose: 'if-state' });
  try {
    return await act(connected, await connected.trainings.resolve(id), output);
  } finally {
    await connected.close();
  }
}

async function connectOrSay(
  settings: Settings,
  output: Output,
  io: Io,
  options: Pick<ConnectOptions, 'purpose' | 'recordDir'>,
): Promise<Connected> {
  const say = (line: string): void => {
    output.say(asCalled(line, io));
  };
  const connected = await connect(settings, { ...options, env: io.env, say });
  if (connected !== undefined) return connected;
  throw new UsageError(`There is no training in ${settings.home} yet. Start one with \`tunesmith train\`.`);
}

function sayIfNoWorker({ status: word, progress }: Snapshot, output: Output): void {
  if (word !== 'running' || progress !== undefined) return;
  output.say(
    `No worker answers: this is what the training last wrote down. It goes on when a worker runs: ${output.canvas.program} worker`,
  );
}

async function up(flags: { record?: string; background?: boolean }, io: Io): Promise<void> {
  const [{ runHost }, { installQuietLogger, startWorker }] = await Promise.all([
    import('../temporal/host.js'),
    import('../worker.js'),
  ]);
  installQuietLogger();
  await runHost(readSettings(io.env), {
    mode: flags.background === true ? 'background' : 'foreground',
    startWorker,
    say: (line) => io.stderr.write(`${line}\n`),
    env: io.env,
    ...(flags.record === undefined ? {} : { recordDir: pathFrom(flags.record, io) }),
  });
}

async function worker(flags: { record?: string }, io: Io): Promise<void> {
  const settings = readSettings(io.env);
  if (settings.apiKey() === undefined) {
    throw new UsageError(
      'The worker needs the Mountsea API key: set MOUNTSEA_API_KEY or MOUNTSEA_API_KEY_FILE.',
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
    const { installQuietLogger, startWorker } = await import('../worker.js');
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
  const path = fileURLToPath(new URL('../sandbox/main.js', import.meta.url));
  const child = spawn(process.execPath, [path, ...options], { stdio: 'inherit' });
  // Ctrl-C reaches the child as well, which ends in its own way; this process waits for it.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const [code] = (await once(child, 'exit')) as [number | null];
  process.off('SIGINT', pass).off('SIGTERM', pass);
  return code ?? Exit.interrupted;
}

async function demo(flags: { keep?: boolean; realTime?: boolean }, io: Io): Promise<number> {
  const { runDemo } = await import('./demo/demo.js');
  // Also when its terminal closes: it stops everything that it started.
  const interrupted = untilInterrupted(['SIGINT', 'SIGTERM', 'SIGHUP']);
  try {
    return await runDemo({
      keep: flags.keep === true,
      realTime: flags.realTime === true,
      cache: cacheFolder(),
      run: (argv, env) => main(argv, { ...io, env }),
      say: (line) => io.stderr.write(`${line}\n`),
      signal: interrupted.signal,
    });
  } finally {
    interrupted.dispose();
  }
}

/** Of the package that this file was installed with. */
function versionOf(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Sentences from below name commands as `tunesmith …`; the user may have to type them otherwise. */
function asCalled(text: string, { env }: Io): string {
  return text.replaceAll('`tunesmith ', `\`${programIn(env)} `);
}

/** Relative paths count from where the user stands; npm changes the working directory and says so. */
function pathFrom(path: string, { env, cwd }: Io): string {
  return isAbsolute(path) ? path : resolve(env['INIT_CWD'] ?? cwd, path);
}

function flagOf(option: string): string {
  return `--${option.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function notEmpty(text: string): string {
  // It would be a prefix of every training, and so the only one's.
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}

/** @returns ms. */
function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number of seconds.');
  return value * 1_000;
}

/** @returns ms. */
function duration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text) ?? [];
  const factor = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''];
  const ms = Number(amount) * (factor ?? Number.NaN);
  if (!(ms > 0)) throw new InvalidArgumentError('It must be a duration such as 90s, 30m, 2h or 7d.');
  return ms;
}
