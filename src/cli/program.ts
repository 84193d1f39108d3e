/**
 * Client side: the command line as it is typed. Commands are defined in `commands/`; nothing here ends the process.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommanderError } from 'commander';
import { TunesmithError } from '../library/errors.js';
import { SettingsError } from '../temporal/settings.js';
import type { CommandDefinition } from './command.js';
import { COMMAND_GROUPS } from './commands/index.js';
import { asCalled, folderOf, type JsonFlag } from './commands/common.js';
import { Exit, InterruptedError, UsageError } from './exit.js';
import { endJson, type Io, Output, programIn } from './output.js';
import { createParser } from './parser.js';

/** Runs one command line. @returns the exit code (design, section 7). */
export async function main(argv: string[], io: Io): Promise<number> {
  const typed = withFileAfterAgain(argv, folderOf(io));
  // Its own, since what a call has written is known by it.
  const own = { ...io };
  const called: { command?: CommandDefinition; isJson: boolean } = { isJson: typed.includes('--json') };
  let exit: number = Exit.done;
  let message: string | undefined;
  const parser = createParser(COMMAND_GROUPS, own, async (command, { args, flags }) => {
    called.command = command;
    called.isJson = (flags as JsonFlag).json === true;
    exit =
      (await command.run({ args, flags, command, argv: typed, io: own, main, groups: COMMAND_GROUPS })) ??
      Exit.done;
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

/** `--again FILE…`: what can be a file is the first one and no label. (`--again=LABEL` is a label, whatever it looks like.) */
function withFileAfterAgain(argv: string[], folder: string): string[] {
  const at = argv.indexOf('--again');
  const next = argv[at + 1];
  if (at === -1 || next === undefined || next.startsWith('-')) return argv;
  const isFile = /[/\\*?]/.test(next) || existsSync(resolve(folder, next));
  return isFile ? [...argv.slice(0, at), ...argv.slice(at + 1), '--again'] : argv;
}

/** What went wrong, in a sentence; never a stack trace. */
function explain(error: unknown, io: Io): { exit: Exit; message: string } {
  if (error instanceof InterruptedError) return { exit: Exit.interrupted, message: 'interrupted' };
  // Said already, by the parser.
  if (error instanceof CommanderError) return { exit: Exit.usage, message: error.message };
  const { say } = new Output(io, false);
  const message = asCalled(error instanceof Error ? error.message : String(error), io);
  if (error instanceof UsageError || error instanceof SettingsError) {
    say(message);
    return { exit: Exit.usage, message };
  }
  const hint =
    error instanceof TunesmithError
      ? ''
      : ` (unexpected; a training that was started goes on: ${programIn(io.env)} list)`;
  say(`${message}${hint}`);
  return { exit: Exit.unexpected, message };
}
