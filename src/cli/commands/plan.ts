/**
 * Client side: `plan`, the checks and the price of a training without the training. Nothing is sent to Mountsea but reads.
 */
import type { Option } from 'commander';
import { connect } from '../../library/connect.js';
import type { StartOutcome } from '../../library/trainings.js';
import { isStartable, obstaclesOf } from '../../library/plan.js';
import { HOW_TO_STAGE, wayOf } from '../../library/stage.js';
import { modelOfRecord } from '../../library/snapshot.js';
import type { Connected } from '../../library/connect.js';
import { readSettings } from '../../temporal/settings.js';
import { requireOneWay } from '../adopt.js';
import { defineCommand, json } from '../command.js';
import { acceptWarnings, makePlan, planRecord } from '../consent.js';
import { planLines } from '../drawPlan.js';
import { Exit } from '../exit.js';
import { type Io, Output } from '../output.js';
import { readSaveFile } from '../saveFile.js';
import { localUpload, wishArgument, type WishFlags, wishOf, wishOptions, withKnownSession } from '../wish.js';
import { type JsonFlag, pathFrom, saying, stagingRules } from './common.js';

interface PlanFlags extends WishFlags, JsonFlag {
  acceptWarnings?: boolean;
}

/** What matters only while a training runs. */
const NOT_OF_PLAN = ['--park-for', '--save'];

export const planCommand = defineCommand<PlanFlags, [string[]]>({
  name: 'plan',
  summary: 'check the files and the price of a training, and start nothing',
  description: [
    'Looks at each file as Mountsea would fetch it: without cookies or a login, a few hundred kB of each. Says what is wrong, what is doubtful, what it would cost and what would be left of the balance, and whether these files were trained before. The worker is asked for balance and prices; without one they are unknown, and the checks work all the same, without a key.',
    'Exit code 0: `train --yes` would start with the same arguments. 2: something is wrong, or is doubtful and not accepted. The hash stands for everything that was looked at but the balance: `train --plan HASH` refuses where anything has changed since.',
  ].join('\n\n'),
  arguments: [wishArgument()],
  options: [
    ...wishOptions().filter((option: Option) => !NOT_OF_PLAN.includes(option.long ?? '')),
    acceptWarnings(),
    json(),
  ],
  examples: [
    {
      line: 'plan --name "Night Drive" https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3',
      does: 'a table of the files, the price, the balance',
    },
    {
      line: 'plan --name "Night Drive" --json https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3 | jq -r .hash',
      does: 'the hash for `train --plan`, in a script',
    },
  ],
  run: ({ args: [urls], flags, io }) => plan(urls, flags, io),
});

async function plan(urls: string[], flags: PlanFlags, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  requireOneWay(flags);
  const saved = flags.adopt === undefined ? undefined : readSaveFile(pathFrom(flags.adopt, io));
  const { planned } = await wishOf(urls, flags, saved, settings, output, io);
  const connected = await connect(settings, { purpose: 'if-state', env: io.env, say: saying(output, io) });
  try {
    const input =
      connected === undefined || flags.session === undefined || !isStartable(planned)
        ? planned
        : await withKnownSession(planned, flags, connected, output);
    const existing = isStartable(input)
      ? await existingOf(await connected?.trainings.find(input, flags.again), connected)
      : undefined;
    const made = await makePlan(input, connected, settings, output);
    output.json(planRecord(made, existing === undefined ? {} : { existing }));
    // A table that goes into a file has no colours, whatever stderr is.
    const canvas = { ...output.canvas, isColored: output.canvas.isColored && io.stdout.isTTY };
    for (const line of planLines(made, canvas)) output.data(line);
    if (saved !== undefined && modelOfRecord(saved) !== undefined) {
      output.say(`"${saved.name}" is trained already: train with this file starts nothing.`);
    }
    if (existing !== undefined) {
      output.say(SENTENCES[existing.outcome](existing.workflowId));
      return existing.outcome === 'ended' ? Exit.usage : Exit.done;
    }
    const local = localUpload(input, flags);
    const hasWay =
      local === undefined || wayOf(stagingRules(io), settings.temporal === undefined) !== undefined;
    if (!hasWay) {
      output.say(
        `${local.label} is a local file, and Mountsea takes URLs only. Set one of these:\n${HOW_TO_STAGE}`,
      );
    }
    const isGood = obstaclesOf(made, flags.acceptWarnings === true).length === 0;
    return isGood && hasWay ? Exit.done : Exit.usage;
  } finally {
    await connected?.close();
  }
}

/** A training that the same command has already. */
interface Existing {
  workflowId: string;
  outcome: 'runs' | 'done' | 'ended';
}

const SENTENCES: Record<Existing['outcome'], (workflowId: string) => string> = {
  runs: (id) => `This is ${id}, which runs already: train attaches to it and spends nothing.`,
  done: (id) => `This is ${id}, which is done already: train gives its model and spends nothing.`,
  ended: (id) => `This is ${id}, which ended without a model: train starts nothing without --again.`,
};

async function existingOf(
  found: StartOutcome | undefined,
  connected: Connected | undefined,
): Promise<Existing | undefined> {
  if (found === undefined || connected === undefined) return undefined;
  const { workflowId } = found;
  if (found.how === 'attached') return { workflowId, outcome: 'runs' };
  const { status } = await connected.trainings.look(workflowId);
  return { workflowId, outcome: status === 'completed' ? 'done' : 'ended' };
}
