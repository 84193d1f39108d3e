/**
 * Client side: the command line as it is typed. Commands are defined in `commands/`; nothing here ends the process.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { SettingsError } from '../temporal/settings.js';
import type { CommandDefinition } from './command.js';
import { auditCommand } from './commands/audit.js';
import { cancelCommand } from './commands/cancel.js';
import { asCalled } from './commands/common.js';
import { fixCommand } from './commands/fix.js';
import { resultCommand, watchCommand } from './commands/following.js';
import { listCommand, modelsCommand, statusCommand } from './commands/looks.js';
import { demoCommand, downCommand, sandboxCommand, upCommand, workerCommand } from './commands/processes.js';
import { trainCommand } from './commands/train.js';
import { CommandError, Exit, UsageError } from './exit.js';
import { type Io, programIn } from './output.js';

/** All commands, in the order in which help and documents list them. */
export const COMMANDS: readonly CommandDefinition[] = [
  trainCommand,
  statusCommand,
  watchCommand,
  resultCommand,
  listCommand,
  modelsCommand,
  auditCommand,
  fixCommand,
  cancelCommand,
  upCommand,
  downCommand,
  workerCommand,
  sandboxCommand,
  demoCommand,
];

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
  for (const definition of COMMANDS) add(program, definition, argv, io, end);
  return program;
}

function add(
  program: Command,
  definition: CommandDefinition,
  argv: readonly string[],
  io: Io,
  end: (code: number) => void,
): void {
  const { name, summary, options = [], configure } = definition;
  const command = program.command(name).description(summary);
  for (const argument of definition.arguments ?? []) command.addArgument(argument);
  for (const option of options) command.addOption(option);
  configure?.(command);
  command.action(async () => {
    const { processedArgs: args } = command;
    end((await definition.run({ args, flags: command.opts(), argv, io, main })) ?? Exit.done);
  });
}

/** Of the package that this file was installed with. */
function versionOf(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
