/**
 * Client side: what a command is. Parsing, `--help` and the documents all read the same definitions.
 */
import { Argument, type Command, Option } from 'commander';
import { notEmpty, seconds } from './arguments.js';
import type { Followable } from './follow.js';
import type { Io } from './output.js';

/** A call of a command, parsed. */
export interface Call<Flags, Args extends unknown[]> {
  /** In the order of `CommandDefinition.arguments`; a variadic one is an array, an optional one may be undefined. */
  args: Args;
  flags: Flags;
  /** The command itself. */
  command: Pick<CommandDefinition, 'isFor'>;
  /** As it was typed, without the program; to be shown with a flag more. */
  argv: readonly string[];
  io: Io;
  /** Runs another command line, in this process. @returns its exit code. */
  main: (argv: string[], io: Io) => Promise<number>;
  /** All commands. */
  groups: readonly CommandGroup[];
}

export interface Example {
  /**
   * For a POSIX shell, without the program, e.g. `train --name "Night Drive" ./songs`. Tests parse it against the
   * definitions, up to a pipe or redirection.
   */
  line: string;
  /** What it is good for, in a few words. */
  does: string;
}

export interface CommandDefinition<Flags = object, Args extends unknown[] = unknown[]> {
  name: string;
  /** One line, without a capital and a full stop. */
  summary: string;
  /** More, for `--help` and docs/cli.md; paragraphs are parted by an empty line. */
  description?: string;
  arguments?: Argument[];
  options?: Option[];
  examples: Example[];
  /** With `--json` it writes records one by one, with `end` as the last; else one document. */
  isStream?: true;
  /** Neither in help nor in the documents: for programs of ours. */
  isHidden?: boolean;
  /** Of a command with an `id`: which trainings and songs it is for, where none is named. Default: all. */
  isFor?: (one: Followable) => boolean;
  /** Its `id` may be that of a song, too. */
  takesSongs?: true;
  /** What commander needs beside. */
  configure?: (command: Command) => void;
  /** @returns the exit code; undefined is 0. */
  run(call: Call<Flags, Args>): Promise<number | undefined>;
}

/** Commands that belong together in help and documents. */
export interface CommandGroup {
  title: string;
  commands: readonly CommandDefinition[];
}

/** Checks a definition's flags and arguments against its `run`; what is parsed has no type of its own. */
export function defineCommand<Flags, Args extends unknown[] = []>(
  definition: CommandDefinition<Flags, Args>,
): CommandDefinition {
  return definition as unknown as CommandDefinition;
}

/** Flags and arguments that several commands share. */
export const json = (): Option => new Option('--json', 'data for programs on stdout');
export const wait = (): Option =>
  new Option('--wait <seconds>', 'follow no longer than this').argParser(seconds);
export const detach = (): Option => new Option('--detach', 'do not follow');
export const record = (): Option => new Option('--record <dir>', 'keep redacted exchanges with the API');
export const id = (): Argument => named('session id, or model name');
/** Of a command that `takesSongs`. */
export const idOrSong = (): Argument => named('session id, model name, or the title of a song');

function named(names: string): Argument {
  const meaning = `workflow id, a unique prefix of it, ${names} (default: asked for on a terminal)`;
  return new Argument('[id]', meaning).argParser(notEmpty);
}
