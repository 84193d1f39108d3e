/**
 * Client side: the command line as it is typed. Commands are defined in `commands/`; nothing here ends the process.
 */
import { CommanderError } from 'commander';
import { TunesmithError } from '../library/errors.js';
import { SettingsError } from '../temporal/settings.js';
import type { CommandDefinition } from './command.js';
import { COMMAND_GROUPS } from './commands/index.js';
import { asCalled, type JsonFlag } from './commands/common.js';
import { Exit, InterruptedError, UsageError } from './exit.js';
import { endJson, type Io, programIn } from './output.js';
import { createParser } from './parser.js';

/** Runs one command line. @returns the exit code (design, section 7). */
export async function main(argv: string[], io: Io): Promise<number> {
  const typed = withoutLabelFromUrl(argv);
  // Its own, since what a call has written is known by it.
  const own = { ...io };
  const called: { command?: CommandDefinition; isJson: boolean } = { isJson: typed.includes('--json') };
  let exit: number = Exit.done;
  let message: string | undefined;
  const parser = createParser(COMMAND_GROUPS, own, async (command, { args, flags }) => {
    called.command = command;
    called.isJson = (flags as JsonFlag).json === true;
    exit =
      (await command.run({ args, flags, argv: typed, io: own, main, groups: COMMAND_GROUPS })) ?? Exit.done;
  });
  try {
    await parser.parseAsync(typed, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return Exit.done;
    ({ exit, message } = explain(error, own));
  }
  if (called.isJson) endJson(own, called.command?.isStream === true, exit, message);
  return exit;
}

/** `--again URL…`: the URL is the first file and no label. */
function withoutLabelFromUrl(argv: string[]): string[] {
  const at = argv.indexOf('--again');
  const next = argv[at + 1];
  if (at === -1 || next === undefined || !URL.canParse(next)) return argv;
  return [...argv.slice(0, at), ...argv.slice(at + 1), '--again'];
}

/** What went wrong, in a sentence; never a stack trace. */
function explain(error: unknown, io: Io): { exit: Exit; message: string } {
  if (error instanceof InterruptedError) return { exit: Exit.interrupted, message: 'interrupted' };
  // Said already, by the parser.
  if (error instanceof CommanderError) return { exit: Exit.usage, message: error.message };
  const message = asCalled(error instanceof Error ? error.message : String(error), io);
  if (error instanceof UsageError || error instanceof SettingsError) {
    io.stderr.write(`${message}\n`);
    return { exit: Exit.usage, message };
  }
  const hint =
    error instanceof TunesmithError
      ? ''
      : ` (unexpected; a training that was started goes on: ${programIn(io.env)} list)`;
  io.stderr.write(`${message}${hint}\n`);
  return { exit: Exit.unexpected, message };
}
