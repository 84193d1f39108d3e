/**
 * Client side: `completion` prints the script of a shell, and the hidden `__complete` is what that script asks. Nothing is
 * started, and whatever goes wrong gives no candidates: somebody is typing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument } from 'commander';
import { glimpse } from '../../library/connect.js';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { type CommandDefinition, defineCommand } from '../command.js';
import { type Asked, type Candidate, complete } from '../completion.js';
import { answerOf, COMPLETION_SCRIPTS, type Shell, SHELLS, typedWords } from '../completionScripts.js';
import { stateWords } from '../draw.js';
import { type Followable, isSong, titleOf } from '../follow.js';
import { printable } from '../text.js';

/** Longer than a server of ours takes, and as long as somebody waits for a key. */
const PATIENCE_MS = 1_500;

const shell = (): Argument => new Argument('<shell>').choices(SHELLS);

export const completionCommand = defineCommand<object, [Shell]>({
  name: 'completion',
  summary: 'print a script that completes commands, flags, trainings and songs in your shell',
  description: [
    'bash: put `source <(tunesmith completion bash)` into ~/.bashrc. zsh: the same with zsh, behind compinit in ~/.zshrc. fish: `tunesmith completion fish > ~/.config/fish/completions/tunesmith.fish`.',
    'The script asks tunesmith itself, so it stays right after an upgrade. Trainings, songs and models come from the Temporal server where it runs; none is started for it.',
  ].join('\n\n'),
  arguments: [shell()],
  examples: [
    { line: 'completion bash >> ~/.bashrc', does: 'bash, for good' },
    { line: 'completion fish > ~/.config/fish/completions/tunesmith.fish', does: 'fish, for good' },
  ],
  run: ({ args: [shell], io }) => {
    io.stdout.write(COMPLETION_SCRIPTS[shell]);
    return Promise.resolve(undefined);
  },
});

export const completeCommand = defineCommand<object, [Shell, string[]]>({
  name: '__complete',
  summary: 'what the script of a shell asks',
  isHidden: true,
  arguments: [shell(), new Argument('[words...]')],
  examples: [],
  run: async ({ args: [shell, args], io, groups }) => {
    const words = typedWords(shell, args);
    const found = await complete(words, groups, async (what, definition) => {
      try {
        return await candidatesOf(what, readSettings(io.env), words.at(-1) ?? '', definition);
      } catch {
        return [];
      }
    });
    for (const line of answerOf(shell, args, found)) io.stdout.write(`${line}\n`);
    return undefined;
  },
});

async function candidatesOf(
  what: Asked,
  settings: Settings,
  typed: string,
  { isFor, takesSongs }: CommandDefinition,
): Promise<Candidate[]> {
  const there = await glimpse(settings, PATIENCE_MS);
  if (there === undefined) return [];
  const { trainings, songs } = there;
  const tooLate = sleep(PATIENCE_MS, [], { ref: false });
  try {
    if (what === 'models') {
      const records = await Promise.race([trainings.records.list(), tooLate]);
      return records.flatMap(({ name, modelId }) =>
        modelId === undefined
          ? []
          : [
              { value: printable(name), description: modelId },
              { value: modelId, description: printable(name) },
            ],
      );
    }
    if (what === 'sessions') {
      const all = await Promise.race([trainings.list(), tooLate]);
      return all.flatMap((training) =>
        training.memo.sessionId === undefined
          ? []
          : [{ value: training.memo.sessionId, description: describe(training) }],
      );
    }
    const lists = Promise.all([trainings.list(), takesSongs === true ? songs.list() : []]);
    const all = await Promise.race([lists, tooLate]);
    return idCandidates(all.flat(), isFor, typed);
  } finally {
    await there.close();
  }
}

/** By name or title where only one has it; by id where not, and where an id is being typed. */
export function idCandidates(
  all: readonly Followable[],
  isFor: (one: Followable) => boolean = () => true,
  typed: string,
): Candidate[] {
  return all.filter(isFor).flatMap((one) => {
    const { workflowId } = one;
    const title = titleOf(one);
    const name = printable(title);
    const isOnly =
      name !== '' && name === title && all.filter((other) => titleOf(other) === title).length === 1;
    const byId = { value: workflowId, description: describe(one) };
    const byName = { value: name, description: `${stateOf(one)} · ${workflowId}` };
    if (!isOnly) return [byId];
    return typed === '' ? [byName] : [byName, byId];
  });
}

function describe(one: Followable): string {
  return `${printable(titleOf(one))} · ${stateOf(one)}`;
}

function stateOf(one: Followable): string {
  return `${isSong(one) ? 'song · ' : ''}${stateWords(one)}`;
}
