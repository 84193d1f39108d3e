/**
 * Client side: docs/cli.md, made of the same definitions as `--help`. `npm run docs` writes it; a test says when it is old.
 */
import { Help, type Command } from 'commander';
import type { CommandDefinition, CommandGroup } from './command.js';
import { ABOUT, createParser, describe } from './parser.js';
import { ENVIRONMENT, EXIT_CODES, type Entry } from './reference.js';

const HEAD = `<!-- Written by \`npm run docs\` from the definitions in src/cli/commands: change those. -->

# The command line

${ABOUT}

\`tunesmith <command>\`; in the repository \`npm run -s tunesmith -- <command>\`. \`tunesmith <command> --help\` shows the same
as this page.

\`ID\` is the training's workflow id, a unique prefix of it, the session id (of the newest training that has it), or the model's
name where only one fits; of a song its workflow id, a unique prefix of it, or its title. Data goes to stdout, everything for
people to stderr; \`--json\` makes the data [JSON](json.md). [Trainings](trainings.md) tells what lies behind the commands: which
command finds which training, going on with a session, corrections.`;

/** The whole page, in Markdown. */
export function manual(all: readonly CommandGroup[]): string {
  const groups = all.map(({ title, commands: every }) => ({
    title,
    commands: every.filter(({ isHidden }) => isHidden !== true),
  }));
  const parser = createParser(groups, { ...process, env: {} }, () => Promise.resolve());
  const commands = groups.flatMap((group) => group.commands);
  const pages = commands.map((definition) => {
    const command = parser.commands.find((one) => one.name() === definition.name);
    if (command === undefined) throw new Error(`The parser lacks ${definition.name}.`);
    return page(definition, command);
  });
  return [
    HEAD,
    ...groups.map(contents),
    ...pages,
    `## Exit codes\n\n${EXIT_CODES.map(({ term, meaning }) => `- **${term}** ${meaning}`).join('\n')}`,
    `## Environment\n\n${terms(ENVIRONMENT.map(({ term, meaning }) => ({ term: codes(term), meaning })))}`,
  ]
    .join('\n\n')
    .concat('\n');
}

/** One group of the list at the top. */
function contents({ title, commands }: CommandGroup): string {
  const lines = commands.map(({ name, summary }) => `- [\`${name}\`](#${name}) - ${summary}`);
  return `**${title}**\n\n${lines.join('\n')}`;
}

function page(definition: CommandDefinition, command: Command): string {
  const helper = new Help();
  const listed = helper.visibleArguments(command).map((argument) => ({
    term: `\`${helper.argumentTerm(argument)}\``,
    meaning: helper.argumentDescription(argument),
  }));
  const flags = helper
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => ({
      term: `\`${helper.optionTerm(option)}\``,
      meaning: helper.optionDescription(option),
    }));
  const examples = definition.examples.map(({ line, does }) => `# ${does}\ntunesmith ${line}`);
  return [
    `## ${definition.name}`,
    `\`\`\`text\n${helper.commandUsage(command)}\n\`\`\``,
    describe(definition),
    ...(listed.length === 0 ? [] : [terms(listed)]),
    ...(flags.length === 0 ? [] : [`**Options**\n\n${terms(flags)}`]),
    ...(examples.length === 0 ? [] : [`**Examples**\n\n\`\`\`sh\n${examples.join('\n\n')}\n\`\`\``]),
  ].join('\n\n');
}

function terms(list: readonly Entry[]): string {
  return list.map(({ term, meaning }) => `- ${term}: ${meaning}`).join('\n');
}

function codes(term: string): string {
  return term
    .split(', ')
    .map((name) => `\`${name}\``)
    .join(', ');
}
