/**
 * Client side: `train`. Everything that can be seen to be wrong is seen before anything is started.
 */
import { Option } from 'commander';
import {
  CREATE_CREDITS,
  type Source,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
} from '../../contract/training.js';
import { type Connected, requireStartable } from '../../library/connect.js';
import { lookAtUploads } from '../../library/plan.js';
import { modelOfRecord } from '../../library/snapshot.js';
import { isSignedByClient, removeSigned, stageSources } from '../../library/stage.js';
import type { Look } from '../../preflight/findings.js';
import { hasBackground } from '../../temporal/background.js';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { requireOneWay } from '../adopt.js';
import { duration, notEmpty } from '../arguments.js';
import { defineCommand, detach, json, record, wait } from '../command.js';
import { againCommand } from '../commandLine.js';
import {
  type ConsentFlags,
  consentOptions,
  requireConsent,
  requireNoErrors,
  requireSomebody,
  requireUsable,
} from '../consent.js';
import { endedWords, spentWords } from '../draw.js';
import { Exit, exitOfEnd } from '../exit.js';
import { type Io, JSON_VERSION, Output, programIn, recordOf } from '../output.js';
import { readSaveFile, SaveFile } from '../saveFile.js';
import { requireStaging } from '../stagingSetup.js';
import {
  localUpload,
  type Wish,
  wishArgument,
  type WishFlags,
  wishOf,
  wishOptions,
  withKnownSession,
} from '../wish.js';
import { connectOrSay, pathFrom, saying, stagingRules } from './common.js';
import type { FollowFlags } from './follower.js';
import { followTo, tellResult } from './following.js';
import { afterModel } from './songs.js';

interface TrainFlags extends FollowFlags, WishFlags, ConsentFlags {
  record?: string;
}

export const trainCommand = defineCommand<TrainFlags, [string[]]>({
  name: 'train',
  summary: 'train a model from audio files or URLs, and follow it until it is done',
  description: [
    'The same command is the same training: its id comes from the API, the name and the files. Still running: the command attaches and spends nothing. Done: it gives the stored result. Ended otherwise: it gives the receipt and the commands that go on.',
    'Ctrl-C leaves the training running and prints the command to come back; a second Ctrl-C leaves at once. Where something needs a person the training waits, and this command ends with exit code 5 or 6 and the corrections that apply.',
  ].join('\n\n'),
  arguments: [wishArgument()],
  options: [
    ...wishOptions(),
    ...consentOptions(),
    detach(),
    wait(),
    new Option('--save <file>', 'keep session, clips, receipt and model id there').argParser(notEmpty),
    new Option(
      '--park-for <duration>',
      'how long to wait for a person, e.g. 90s, 30m, 2h, 7d (default: without limit)',
    ).argParser(duration),
    new Option(
      '--notify <url>',
      'tell this URL, by a signed webhook, when it is done, needs you, or ended otherwise',
    ).argParser(notEmpty),
    record(),
    json(),
  ],
  isStream: true,
  examples: [
    {
      line: 'train --name "Night Drive" ./night-drive',
      does: 'from the audio files of a folder, which need a bucket or a tunnel',
    },
    {
      line: 'train --name "Night Drive" https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3',
      does: 'from six URLs, followed until the model id is there',
    },
    {
      line: 'train --name "Night Drive" --yes --json --save night-drive.json https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3 > progress.ndjson',
      does: 'in a script: no question, records on stdout, and a file to go on from',
    },
    {
      line: 'train --name "Night Drive" --detach --notify https://example.com/hooks/tunesmith https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3',
      does: 'start it, and be told by a signed webhook when it is done or needs you',
    },
    { line: 'train --adopt night-drive.json', does: 'go on from that file, on any machine' },
    { line: 'train --name "Night Drive" --from sources.txt', does: 'a list of URLs and files, one a line' },
    {
      line: 'train --like "Night Drive" --again ./night-drive',
      does: 'rebuild a model; the folder has its local files, which are known by their bytes',
    },
    {
      line: 'train --name "Night Drive" --detach --max-credits 140 https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3',
      does: 'start it, do not follow, and spend no more than 140 credits',
    },
    {
      line: 'train --name "Night Drive" --again https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3',
      does: 'the same content a second time, on purpose',
    },
  ],
  run: ({ args: [urls], flags, argv, io }) => train(urls, flags, argv, io),
});

/** @param argv the whole command, to be shown with a flag more. */
async function train(urls: string[], flags: TrainFlags, argv: readonly string[], io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  requireOneWay(flags);
  const saved = flags.adopt === undefined ? undefined : readSaveFile(pathFrom(flags.adopt, io));
  const done = saved === undefined ? undefined : modelOfRecord(saved);
  if (saved !== undefined && done !== undefined) {
    output.json({ type: 'result', version: JSON_VERSION, workflowId: saved.workflowId, ...done });
    output.say(`"${saved.name}" is trained already; nothing is started.`);
    output.data(done.modelId);
    return Exit.done;
  }
  const wish = await wishOf(urls, flags, saved, settings, output, io);
  const input = await requireUsable(wish.planned, settings, output);
  const needs = {
    ...(flags.record === undefined ? {} : { recordDir: pathFrom(flags.record, io) }),
    ...(flags.notify === undefined ? {} : { notifies: true }),
  };
  const isFirst = settings.temporal === undefined && !hasBackground(settings);
  // Before a bucket is set up with somebody who has no key yet.
  if (isFirst) requireStartable(settings, needs);
  const local = localUpload(input, flags);
  if (local !== undefined) {
    await requireStaging(local.label, stagingRules(io), settings.temporal === undefined, output, io);
  }
  const early = isFirst ? await lookEarly(input, flags, settings, output, io) : undefined;
  const connected = await connectOrSay(settings, output, io, { purpose: 'train', ...needs });
  try {
    return await trainOn(connected, input, wish, early, flags, argv, settings, output, io);
  } finally {
    await connected.close();
  }
}

/**
 * Where nothing was ever started there is nothing to attach to: then the sources are looked at before a server is started
 * for them, which may take minutes the first time.
 */
async function lookEarly(
  input: TrainCustomModelInput,
  flags: TrainFlags,
  settings: Settings,
  output: Output,
  io: Io,
): Promise<Look[]> {
  requireSomebody(flags, io);
  const looks = await lookAtUploads(input, settings);
  requireNoErrors(input, looks, output);
  return looks;
}

/** @param early looks at the sources, where that was done already. */
async function trainOn(
  connected: Connected,
  wished: TrainCustomModelInput,
  { saved, savePath }: Wish,
  early: Look[] | undefined,
  flags: TrainFlags,
  argv: readonly string[],
  settings: Settings,
  output: Output,
  io: Io,
): Promise<number> {
  const { trainings, account, isOwn, worker } = connected;
  let input = wished;
  if (flags.session !== undefined) input = await withKnownSession(input, flags, connected, output);
  const savedKey = saved?.keyFingerprint;
  if (savedKey !== undefined && worker !== undefined && worker.keyFingerprint !== savedKey) {
    output.say(
      `The file of --adopt was written with another API key (${savedKey}, here ${worker.keyFingerprint}): a session belongs to the account of its key.`,
    );
  }
  // Only the worker of our own server shares this disk.
  if (savePath !== undefined && isOwn) input = { ...input, saveFile: savePath };
  // Attaching spends nothing, so nothing is asked.
  if ((await trainings.find(input, flags.again)) === undefined) {
    await requireConsent(input, { connected, early, flags, settings, output, io });
  }
  const { sources } = input;
  const hasClip = new Set(input.session?.clips.map(({ file }) => file));
  let staged: Source[] = [];
  const stage = async (id: string): Promise<Source[]> => {
    const context = {
      account,
      isOwn,
      origin: input.origin,
      rules: stagingRules(io),
      say: saying(output, io),
    };
    return (staged = await stageSources(sources, id, context, (index) => !hasClip.has(index + 1)));
  };
  const { workflowId, how, ignored, savesElsewhere } = await trainings.start(input, flags.again, stage);
  if (how === 'found') return tellFound(workflowId, connected, flags, argv, savePath, output, io);
  if (how === 'started') {
    output.say(`Started ${workflowId}.`);
    sayBudget(input, output);
    if (isOwn && (io.env['CI'] ?? '') !== '') sayMortal(savePath, output);
    if (input.notify !== undefined && !isOwn) {
      output.say(
        `${input.notify.label} is told where the worker has TUNESMITH_WEBHOOK_SECRET, which cannot be seen from here; without it nothing is sent, and the timeline says so.`,
      );
    }
  } else {
    output.say(`It runs already: attached to ${workflowId}. Nothing more is spent.`);
  }
  if (ignored.length > 0) {
    output.say(`It was started with other options; ignored here: ${ignored.map(flagOf).join(', ')}.`);
  }
  if (savePath !== undefined && !isOwn) {
    output.say(
      `The worker may be on another machine, so ${savePath} is kept current only while a command like this one follows.`,
    );
  } else if (savePath !== undefined && how === 'attached' && savesElsewhere) {
    output.say(
      `It was started without this --save file: ${savePath} is kept current only while this command follows.`,
    );
  }
  const afterDone = async (current: Connected): Promise<void> => {
    if (isSignedByClient(staged)) await tidy(staged, workflowId, current, output);
    await afterModel(current, await current.trainings.result(workflowId), output, flags, io);
  };
  const exit = await followTo(workflowId, connected, output, flags, io, { savePath, afterDone });
  if (exit !== Exit.done && isSignedByClient(staged)) await tidy(staged, workflowId, connected, output);
  return exit;
}

/** What this command signed no worker can remove. While the training may need it, it stays. */
async function tidy(
  staged: readonly Source[],
  workflowId: string,
  { trainings }: Connected,
  output: Output,
): Promise<void> {
  const hasEnded = await trainings.look(workflowId).then(
    ({ status }) => status !== 'running',
    () => false,
  );
  if (hasEnded) await removeSigned(staged, output.say);
  else
    output.say(
      `Once it has ended, remove its files from the bucket: ${output.canvas.program} unstage ${workflowId}`,
    );
}

function sayBudget(
  { maxCredits, uploadCredits = TRAINING_DEFAULTS.uploadCredits }: TrainCustomModelInput,
  output: Output,
): void {
  if (maxCredits === undefined) return;
  output.say(
    `At most ${maxCredits} credits: create counts as ${CREATE_CREDITS}, an upload as ${uploadCredits} (an assumption until the ledger shows its price; --upload-credits), and what is unknown as spent.`,
  );
}

/** Who starts our own server in CI has it only as long as the machine. */
function sayMortal(savePath: string | undefined, output: Output): void {
  const kept =
    savePath === undefined
      ? 'Use --save FILE, and keep that file: --adopt goes on from it.'
      : `Keep ${savePath} (--save): --adopt goes on from it.`;
  output.say(
    `This looks like CI (CI is set) and no Temporal server is configured: when this machine goes, the training goes with it, and so does one that waits for a person. ${kept}`,
  );
}

/** The same content was trained before, and that training has ended. */
async function tellFound(
  workflowId: string,
  connected: Connected,
  flags: TrainFlags,
  argv: readonly string[],
  savePath: string | undefined,
  output: Output,
  io: Io,
): Promise<number> {
  const seenAt = new Date().toISOString();
  const snapshot = await connected.trainings.look(workflowId);
  if (savePath !== undefined) new SaveFile(savePath, undefined, output.say).take(snapshot, seenAt);
  if (snapshot.status === 'completed') {
    output.say(`${workflowId} has trained this already; nothing is spent.`);
    if (flags.like !== undefined) {
      output.say(`To train it once more:\n  ${againCommand(programIn(io.env), argv, flags.again)}`);
    }
    const told = await tellResult(connected, workflowId, output, io, { onlyModelId: true });
    await afterModel(connected, await connected.trainings.result(workflowId), output, flags, io);
    return told;
  }
  const program = programIn(io.env);
  const { memo } = snapshot;
  const { sessionId, receipt } = memo;
  output.json(recordOf(snapshot));
  output.say(`${workflowId} ended before: ${endedWords(snapshot)} ${spentWords(memo)}.`);
  const again = againCommand(program, argv, flags.again);
  const isAdopting = flags.session !== undefined || flags.adopt !== undefined;
  if (sessionId === undefined || isAdopting) {
    output.say(`To train the same content once more:\n  ${again}`);
  } else {
    const asked =
      receipt.create.verdict === 'not-charged' ? '' : ' (it is asked first what became of its create)';
    output.say(
      `To go on with session ${sessionId} and the clips that are paid for${asked}:\n  ${againCommand(program, argv, flags.again, sessionId)}`,
    );
    output.say(`To train from the beginning, with all uploads paid again:\n  ${again}`);
  }
  output.say(`(${program} status ${workflowId})`);
  return exitOfEnd(receipt.create.verdict);
}

function flagOf(option: string): string {
  return `--${option.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
