/**
 * Client side: what may come next on a command line, from the definitions. Knows no shell (completionScripts.ts) and asks
 * no server itself.
 */
import type { Argument, Option } from 'commander';
import { collected } from './arguments.js';
import type { CommandDefinition, CommandGroup } from './command.js';

export interface Candidate {
  value: string;
  description: string;
}

export interface Completions {
  candidates: Candidate[];
  /** Whether paths of files may stand there as well. */
  files: boolean;
}

/** A value that only the server knows. */
export type Asked = 'trainings' | 'models' | 'sessions';

/** @param definition whose command line is completed. */
export type Ask = (what: Asked, definition: CommandDefinition) => Promise<Candidate[]>;

const NOTHING: Completions = { candidates: [], files: false };

/**
 * @param words of the command line without the program; the last one is being typed and may be empty.
 * @param ask for what only the server knows; an empty list where it does not answer at once.
 */
export async function complete(
  words: readonly string[],
  groups: readonly CommandGroup[],
  ask: Ask,
): Promise<Completions> {
  const commands = groups.flatMap((group) => group.commands).filter(({ isHidden }) => isHidden !== true);
  const [name = '', ...rest] = words;
  const current = words.at(-1) ?? '';
  if (rest.length === 0 || (name === 'help' && rest.length === 1)) {
    const flags =
      rest.length === 0 ? ['--help', '--version'].map((value) => ({ value, description: '' })) : [];
    const named = commands.map(({ name: value, summary }) => ({ value, description: summary }));
    const help = rest.length === 0 ? [{ value: 'help', description: 'help for a command' }] : [];
    return fitting(current, {
      candidates: current.startsWith('-') ? flags : [...named, ...help],
      files: false,
    });
  }
  const definition = commands.find((one) => one.name === name);
  if (definition === undefined) return NOTHING;
  return fitting(current, await completeIn(definition, rest, ask));
}

async function completeIn(
  definition: CommandDefinition,
  words: readonly string[],
  ask: Ask,
): Promise<Completions> {
  const options = (definition.options ?? []).filter(({ hidden }) => !hidden);
  const current = words.at(-1) ?? '';
  const seen = read(words.slice(0, -1), options);
  if (seen.open !== undefined) return valuesOf(seen.open, definition, ask);
  if (!seen.isPlain && current.startsWith('-')) {
    const [flag, value] = splitFlag(current);
    const option = value === undefined ? undefined : options.find(({ long }) => long === flag);
    if (option === undefined) return flagsOf(options, seen.given);
    const { candidates, files } = await valuesOf(option, definition, ask);
    return { candidates: candidates.map((one) => ({ ...one, value: `${flag}=${one.value}` })), files };
  }
  const args = definition.arguments ?? [];
  const last = args.at(-1);
  const argument = args[seen.positionals] ?? (last?.variadic === true ? last : undefined);
  return argument === undefined ? NOTHING : valuesOf(argument, definition, ask);
}

/** What the words before the current one say. */
function read(
  words: readonly string[],
  options: readonly Option[],
): { open?: Option; given: Set<string>; positionals: number; isPlain: boolean } {
  const given = new Set<string>();
  let open: Option | undefined;
  let positionals = 0;
  let isPlain = false;
  for (const word of words) {
    if (open !== undefined) {
      open = undefined;
    } else if (word === '--') {
      isPlain = true;
    } else if (!isPlain && word.startsWith('-')) {
      const [flag, value] = splitFlag(word);
      given.add(flag);
      if (value === undefined) open = options.find(({ long, required }) => required && long === flag);
    } else {
      positionals += 1;
    }
  }
  return { ...(open === undefined ? {} : { open }), given, positionals, isPlain };
}

function splitFlag(word: string): [string, string?] {
  const at = word.indexOf('=');
  return at === -1 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

/** A flag that may be given again is offered again. */
function flagsOf(options: readonly Option[], given: ReadonlySet<string>): Completions {
  const candidates = options
    .filter(({ long, parseArg }) => long !== undefined && (!given.has(long) || parseArg === collected))
    .map(({ long, description }) => ({ value: long ?? '', description }));
  return { candidates: [...candidates, { value: '--help', description: 'this help' }], files: false };
}

/** By the choices, or by what the placeholder says: `<file>`, `<id>`. */
async function valuesOf(
  of: Argument | Option,
  definition: CommandDefinition,
  ask: Ask,
): Promise<Completions> {
  const { argChoices } = of;
  if (argChoices !== undefined) {
    return { candidates: argChoices.map((value) => ({ value, description: '' })), files: false };
  }
  const asked = 'long' in of ? ASKED_BY_FLAG[of.long ?? ''] : ASKED_BY_ARGUMENT[of.name()];
  if (asked !== undefined) return { candidates: await ask(asked, definition), files: false };
  const isFile =
    'long' in of ? /<.*(file|dir|folder|path).*>/.test(of.flags) : /file|folder|url|path/.test(of.name());
  return { candidates: [], files: isFile };
}

const ASKED_BY_ARGUMENT: Partial<Record<string, Asked>> = { id: 'trainings' };
const ASKED_BY_FLAG: Partial<Record<string, Asked>> = {
  '--session': 'sessions',
  '--like': 'trainings',
  '--model': 'models',
};

function fitting(current: string, { candidates, files }: Completions): Completions {
  return { candidates: candidates.filter(({ value }) => value.startsWith(current)), files };
}
