/**
 * Client side: the parser and its `--help`, made of the definitions. It runs nothing itself, so that tests and documents
 * can have the very parser that the commands have.
 */
import { Command, Help } from 'commander';
import { OWN_VERSION } from '../temporal/version.js';
import type { CommandDefinition, CommandGroup } from './command.js';
import { type Io, programIn } from './output.js';
import { ENVIRONMENT, EXIT_CODES, type Entry } from './reference.js';

/** One sentence, at the top of help and documents. */
export const ABOUT =
  'Trains a Suno custom model through the Mountsea API: durable, unattended, never paid twice.';

export interface Parsed {
  args: unknown[];
  flags: object;
}

/**
 * @param run gets each command that was parsed.
 * @returns a parser that throws a CommanderError, after it has written its sentence, instead of ending the process.
 */
export function createParser(
  groups: readonly CommandGroup[],
  io: Pick<Io, 'env' | 'stdout' | 'stderr'>,
  run: (definition: CommandDefinition, parsed: Parsed) => Promise<void>,
): Command {
  const program = programIn(io.env);
  const parser = new Command('tunesmith')
    .description(ABOUT)
    .version(OWN_VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'this help; `<command> --help` has more')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getErrHelpWidth: () => io.stderr.columns || 80,
      getOutHelpWidth: () => io.stdout.columns || 80,
    })
    .enablePositionalOptions()
    .showSuggestionAfterError();
  extendHelp(parser, (helper) => [
    ...entries('Exit codes:', EXIT_CODES, helper),
    ...entries('Environment:', ENVIRONMENT, helper),
  ]);
  for (const { title, commands } of groups) {
    for (const definition of commands) add(parser, title, definition, program, run);
  }
  parser.addHelpCommand(
    new Command('help')
      .argument('[command]')
      .helpOption(false)
      .description('help for a command')
      .helpGroup(`${groups.at(-1)?.title ?? 'Help'}:`),
  );
  return parser;
}

function add(
  parser: Command,
  title: string,
  definition: CommandDefinition,
  program: string,
  run: (definition: CommandDefinition, parsed: Parsed) => Promise<void>,
): void {
  const { name, summary, options = [], examples, configure, isHidden = false } = definition;
  const command = parser
    .command(name, { hidden: isHidden })
    .helpGroup(`${title}:`)
    .summary(summary)
    .description(describe(definition))
    .helpOption('-h, --help', 'this help');
  for (const argument of definition.arguments ?? []) command.addArgument(argument);
  for (const option of options) command.addOption(option);
  extendHelp(command, () =>
    examples.length === 0
      ? []
      : ['Examples:', ...examples.flatMap(({ line, does }) => [`  # ${does}`, `  ${program} ${line}`, ''])],
  );
  configure?.(command);
  command.action(() => run(definition, { args: command.processedArgs, flags: command.opts() }));
}

/** The summary as a sentence, and the description. */
export function describe({ summary, description }: CommandDefinition): string {
  const first = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  return description === undefined ? first : `${first}\n\n${description}`;
}

function extendHelp(command: Command, more: (helper: Help) => string[]): void {
  command.configureHelp({
    formatHelp: (of, helper) =>
      [Help.prototype.formatHelp.call(helper, of, helper), ...more(helper)].join('\n'),
  });
}

function entries(title: string, list: readonly Entry[], helper: Help): string[] {
  // A long term would push all meanings to the right.
  const width = Math.max(...list.map(({ term }) => term.length).filter((length) => length <= 32));
  return [
    title,
    ...list.map(({ term, meaning }) =>
      term.length <= width
        ? helper.formatItem(term, width, meaning, helper)
        : `  ${term}\n${helper.formatItem('', width, meaning, helper)}`,
    ),
    '',
  ];
}
