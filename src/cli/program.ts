/**
 * Client side: the command line as it is typed: commands, flags, help. What a command does is in `commands/`; nothing here
 * ends the process.
 */
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, Option } from 'commander';
import { TRAINING_DEFAULTS } from '../contract/training.js';
import { SettingsError } from '../temporal/settings.js';
import { collected, credits, days, duration, notEmpty, seconds, wholeNumber } from './arguments.js';
import { audit, type AuditFlags } from './commands/audit.js';
import { cancel } from './commands/cancel.js';
import { asCalled, type JsonFlag, withTraining } from './commands/common.js';
import { fix, type FixFlags } from './commands/fix.js';
import { type FollowFlags, followTo, tellResult } from './commands/following.js';
import { list, type LookFlags, models, status } from './commands/looks.js';
import { demo, down, sandbox, up, worker } from './commands/processes.js';
import { train, type TrainFlags } from './commands/train.js';
import { FLAGS } from './draw.js';
import { CommandError, Exit, UsageError } from './exit.js';
import { type Io, programIn } from './output.js';

/** Runs one command line. @returns the exit code (design, section 7). */
export async function main(argv: string[], io: Io): Promise<number> {
  let exit: number = Exit.done;
  const typed = withoutLabelFromUrl(argv);
  const program = createProgram(typed, io, (code) => (exit = code));
  try {
    await program.parseAsync(typed, { from: 'user' });
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

/** Flags that several commands share. */
const json = (): Option => new Option('--json', 'data for programs on stdout');
const wait = (): Option => new Option('--wait <seconds>', 'follow no longer than this').argParser(seconds);
const detach = (): Option => new Option('--detach', 'do not follow');
const id = (): Argument =>
  new Argument('<id>', 'workflow id, a unique prefix of it, session id, or model name').argParser(notEmpty);

/** @param end gets the exit code of the command. */
function createProgram(argv: string[], io: Io, end: (code: number) => void): Command {
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
  addTrain(program, argv, io, end);
  addLooks(program, io, end);
  addAnswers(program, io, end);
  addProcesses(program, io, end);
  return program;
}

function addTrain(program: Command, argv: string[], io: Io, end: (code: number) => void): void {
  program
    .command('train')
    .description('train a model from audio URLs, and follow it until it is done')
    .argument('[url...]', 'at least six URLs that Mountsea can fetch')
    .option('--name <name>', 'name of the model')
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
    .option(
      '--max-credits <n>',
      'most credits that may be spent, unknown counted as spent (default: no limit)',
      credits,
    )
    .option(
      '--upload-credits <n>',
      `what an upload counts as, until the ledger shows its price (default: ${TRAINING_DEFAULTS.uploadCredits}, an assumption)`,
      credits,
    )
    .option('--retry-refunded', 'send create once more after a failed training that the ledger gives back')
    .option('--again [label]', 'train the same content a second time, on purpose')
    .option(
      '--session <id>',
      'go on with a session that was begun elsewhere, or by a training that ended',
      notEmpty,
    )
    .option('--clip <id=source>', 'a clip that the session has; may be given again', collected)
    .option('--save <file>', 'keep session, clips, receipt and model id there', notEmpty)
    .option('--adopt <file>', 'go on from a file of --save, on any machine', notEmpty)
    .option(
      '--park-for <duration>',
      'how long to wait for a person, e.g. 90s, 30m, 2h, 7d (default: without limit)',
      duration,
    )
    .option('--record <dir>', 'keep redacted exchanges with the API')
    .addOption(json())
    .action(async (urls: string[], flags: TrainFlags) => {
      end(await train(urls, flags, argv, io));
    });
}

function addLooks(program: Command, io: Io, end: (code: number) => void): void {
  program
    .command('status')
    .description('one look at a training')
    .addArgument(id())
    .option('--exit-status', 'exit by the training, not by the look')
    .addOption(json())
    .action(async (id: string, flags: LookFlags) => {
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
    .action(async (id: string, flags: JsonFlag) => {
      end(await withTraining(id, flags, io, tellResult));
    });

  program
    .command('list')
    .description('all trainings, newest first')
    .option('--exit-status', 'exit by the newest training')
    .addOption(json())
    .action(async (flags: LookFlags) => {
      end(await list(flags, io));
    });

  program
    .command('models')
    .description('trained models, newest first: name, model id, date, cost')
    .addOption(json())
    .action(async (flags: JsonFlag) => {
      end(await models(flags, io));
    });

  program
    .command('audit')
    .description('the credit ledger beside the trainings')
    .option('--days <n>', 'how far back, at most 90 (default: 30)', days)
    .addOption(json())
    .action(async (flags: AuditFlags) => {
      end(await audit(flags, io));
    });
}

function addAnswers(program: Command, io: Io, end: (code: number) => void): void {
  program
    .command('fix')
    .description('answer a training that waits for you, then follow it')
    .addArgument(id())
    .option('--rename <name>', 'another name for the model')
    .option(
      '--replace <file=new>',
      'another source for a file, which is a number or a source; may be given again',
      collected,
    )
    .option('--drop <file>', 'leave a file out; may be given again', collected)
    .option(FLAGS.retry, 'upload the bad files again, or try again now')
    .option('--max-credits <n>', 'with --retry: the new budget', credits)
    .option(FLAGS.resendCreate, 'send create again: 100 credits')
    .option(FLAGS.keepWaiting, 'wait for another while')
    .option(FLAGS.newSession, 'begin again in a new session: all uploads are paid again')
    .option(FLAGS.giveUp, 'end the training; what is paid for stays at Mountsea')
    .option(
      '--accept-second-charge',
      'with --resend-create or --new-session while the charge is unknown: it may be paid twice',
    )
    .addOption(detach())
    .addOption(wait())
    .addOption(json())
    .action(async (id: string, flags: FixFlags) => {
      end(await fix(id, flags, io));
    });

  program
    .command('cancel')
    .description('cancel a training, and say what is spent')
    .addArgument(id())
    .addOption(json())
    .action(async (id: string, flags: JsonFlag) => {
      end(await withTraining(id, flags, io, cancel));
    });
}

function addProcesses(program: Command, io: Io, end: (code: number) => void): void {
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
    .action(async (flags: JsonFlag) => {
      await down(flags, io);
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
      end(await demo(flags, io, main));
    });
}

/** Of the package that this file was installed with. */
function versionOf(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
