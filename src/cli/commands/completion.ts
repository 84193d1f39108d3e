/**
 * Client side: `completion` prints the script of a shell, and the hidden `__complete` is what that script asks. Nothing is
 * started, and whatever goes wrong gives no candidates: somebody is typing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument } from 'commander';
import { glimpse } from '../../library/connect.js';
import type { Snapshot } from '../../library/snapshot.js';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { defineCommand } from '../command.js';
import { type Asked, type Candidate, complete } from '../completion.js';
import { answerOf, COMPLETION_SCRIPTS, type Shell, SHELLS, typedWords } from '../completionScripts.js';
import { stateWords } from '../draw.js';
import { printable } from '../text.js';

/** Longer than a server of ours takes, and as long as somebody waits for a key. */
const PATIENCE_MS = 1_500;

const shell = (): Argument => new Argument('<shell>').choices(SHELLS);

export const completionCommand = defineCommand<object, [Shell]>({
  name: 'completion',
  summary: 'print a script that completes commands, flags and trainings in your shell',
  description: [
    'bash: put `source <(tunesmith completion bash)` into ~/.bashrc. zsh: the same with zsh, behind compinit in ~/.zshrc. fish: `tunesmith completion fish > ~/.config/fish/completions/tunesmith.fish`.',
    'The script asks tunesmith itself, so it stays right after an upgrade. Trainings and models come from the Temporal server where it runs; none is started for it.',
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
    const found = await complete(words, groups, async (what, { isFor }) => {
      try {
        return await candidatesOf(what, readSettings(io.env), words.at(-1) ?? '', isFor);
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
  isFor: ((training: Snapshot) => boolean) | undefined,
): Promise<Candidate[]> {
  const there = await glimpse(settings, PATIENCE_MS);
  if (there === undefined) return [];
  const { trainings } = there;
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
    const all = await Promise.race([trainings.list(), tooLate]);
    return what === 'sessions'
      ? all.flatMap((training) =>
          training.memo.sessionId === undefined
            ? []
            : [{ value: training.memo.sessionId, description: describe(training) }],
        )
      : trainingCandidates(all, isFor, typed);
  } finally {
    await there.close();
  }
}

/** By name where only one has it; by id where not, and where an id is being typed. */
function trainingCandidates(
  all: Snapshot[],
  isFor: (training: Snapshot) => boolean = () => true,
  typed: string,
): Candidate[] {
  return all.filter(isFor).flatMap((training) => {
    const { workflowId, memo } = training;
    const name = printable(memo.name);
    const isOnly = name === memo.name && all.filter((other) => other.memo.name === name).length === 1;
    const byId = { value: workflowId, description: describe(training) };
    const byName = { value: name, description: `${stateWords(training)} · ${workflowId}` };
    if (!isOnly) return [byId];
    return typed === '' ? [byName] : [byName, byId];
  });
}

function describe(training: Snapshot): string {
  return `${printable(training.memo.name)} · ${stateWords(training)}`;
}
