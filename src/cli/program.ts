/**
 * Client side: the command line as it is typed. Commands are defined in `commands/`; nothing here ends the process.
 */
import { CommanderError } from 'commander';
import { TunesmithError } from '../library/errors.js';
import { SettingsError } from '../temporal/settings.js';
import { COMMAND_GROUPS } from './commands/index.js';
import { asCalled } from './commands/common.js';
import { Exit, UsageError } from './exit.js';
import { type Io, programIn } from './output.js';
import { createParser } from './parser.js';

/** Runs one command line. @returns the exit code (design, section 7). */
export async function main(argv: string[], io: Io): Promise<number> {
  let exit: number = Exit.done;
  const typed = withoutLabelFromUrl(argv);
  const parser = createParser(COMMAND_GROUPS, io, async (definition, { args, flags }) => {
    exit = (await definition.run({ args, flags, argv: typed, io, main })) ?? Exit.done;
  });
  try {
    await parser.parseAsync(typed, { from: 'user' });
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
    error instanceof TunesmithError
      ? ''
      : ` (unexpected; a training that was started goes on: ${programIn(io.env)} list)`;
  io.stderr.write(`${message}${hint}\n`);
  return Exit.unexpected;
}
