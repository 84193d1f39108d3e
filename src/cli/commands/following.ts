/**
 * Client side: following a training as `train`, `watch` and `fix` do it, and the result that it ends with.
 */
import { Option } from 'commander';
import type { Connected } from '../../library/connect.js';
import type { Snapshot } from '../../library/snapshot.js';
import { notEmpty } from '../arguments.js';
import { defineCommand, idOrSong, json, wait } from '../command.js';
import { attentionOf } from '../correcting.js';
import {
  answerLines,
  costOf,
  endedWords,
  receiptWords,
  resultLines,
  spentWords,
  stateWords,
} from '../draw.js';
import { Exit, UsageError } from '../exit.js';
import { exitOf } from '../follow.js';
import { howToGoOn } from '../goOn.js';
import { type Io, JSON_VERSION, type Output, recordOf } from '../output.js';
import { SaveFile } from '../saveFile.js';
import {
  asCalled,
  folderOf,
  isRunning,
  type JsonFlag,
  pathFrom,
  sayIfNoWorker,
  withTraining,
} from './common.js';
import { type FollowFlags, followSubject, type Subject } from './follower.js';
import { followSong, tellSong } from './songs.js';

export const watchCommand = defineCommand<FollowFlags, [string?]>({
  name: 'watch',
  summary: 'follow a training or a song',
  arguments: [idOrSong()],
  options: [wait(), json()],
  isStream: true,
  examples: [
    { line: 'watch "Night Drive"', does: 'come back to a training' },
    {
      line: 'watch train-night --wait 600 --json',
      does: 'ten minutes at most, a JSON record for each change',
    },
  ],
  isFor: isRunning,
  takesSongs: true,
  run: (call) =>
    withTraining(
      call,
      (connected, workflowId, output) => followTo(workflowId, connected, output, call.flags, call.io),
      (connected, workflowId, output) => followSong(workflowId, connected, output, call.flags, call.io),
    ),
});

interface ResultFlags extends JsonFlag {
  out?: string;
}

export const resultCommand = defineCommand<ResultFlags, [string?]>({
  name: 'result',
  summary: 'the result of a training, or of a song',
  description: [
    'Exits by the training: 7 while it runs. The clips of a song can be fetched as often as wanted.',
  ].join('\n\n'),
  arguments: [idOrSong()],
  options: [
    new Option('--out <dir>', 'of a song: fetch its clips into this folder').argParser(notEmpty),
    json(),
  ],
  examples: [
    { line: 'result "Night Drive"', does: 'model id, session, clips, receipt' },
    { line: 'result "Night Drive" --json | jq -r .modelId', does: 'the model id alone' },
    { line: 'result song-neon --out songs', does: 'the clips of a song, once more' },
  ],
  takesSongs: true,
  run: (call) =>
    withTraining(call, tellTraining(call.flags, call.io), (connected, workflowId, output) =>
      tellSong(connected, workflowId, output, call.io, {
        folder: call.flags.out === undefined ? undefined : pathFrom(call.flags.out, call.io),
      }),
    ),
});

/** @throws UsageError where something is wanted that only songs have. */
function tellTraining(
  { out }: ResultFlags,
  io: Io,
): (connected: Connected, workflowId: string, output: Output) => Promise<number> {
  return (connected, workflowId, output) => {
    if (out === undefined) return tellResult(connected, workflowId, output, io);
    throw new UsageError(`--out is for the clips of a song, and ${workflowId} is a training.`);
  };
}

/** What goes with following a training, where there is more to do than to look. */
export interface FollowMore {
  /** File of `--save`; absolute. */
  savePath?: string | undefined;
  /** What comes after the model id. */
  afterDone?: (connected: Connected) => Promise<void>;
  /** What was told of it already: lines tell only what came after it. */
  told?: Snapshot;
}

/** Follows a training until there is a reason to stop, and says what the reason was. */
export function followTo(
  workflowId: string,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
  { savePath, afterDone, told }: FollowMore = {},
): Promise<number> {
  const saveFile = (say: (line: string) => void): SaveFile | undefined =>
    savePath === undefined ? undefined : new SaveFile(savePath, connected.worker?.keyFingerprint, say);
  let seenAt = '';
  const look = ({ trainings }: Connected): Promise<Snapshot> => {
    seenAt = new Date().toISOString();
    return trainings.look(workflowId);
  };
  const training: Subject<Snapshot> = {
    noun: 'training',
    workflowId,
    look,
    view: (uiOf) => {
      const view = output.follower(uiOf, told);
      const save = saveFile((line) => {
        view.note(asCalled(line, io));
      });
      return {
        ...view,
        snapshot: (seen) => {
          view.snapshot(seen);
          save?.take(seen, seenAt);
        },
      };
    },
    leave: async (now) => {
      const snapshot = await look(now);
      output.json(recordOf(snapshot));
      saveFile(output.say)?.take(snapshot, seenAt);
      sayIfNoWorker(snapshot, now, output);
    },
    finish: async (now) => {
      const exit = await tellResult(now, workflowId, output, io, { onlyModelId: true });
      await afterDone?.(now);
      return exit;
    },
    ended: (now, last) => sayHowToGoOn(now, last, output, io),
    spentIn: ({ progress, memo }) => spentWords(progress ?? memo),
    costOf,
    answerLines: (attention, snapshot) => answerLines(attention, snapshot, output.canvas),
  };
  return followSubject(training, connected, output, flags, io);
}

export async function tellResult(
  connected: Connected,
  workflowId: string,
  output: Output,
  io: Io,
  { onlyModelId = false } = {},
): Promise<number> {
  const { trainings } = connected;
  const snapshot = await trainings.look(workflowId);
  if (snapshot.status === 'completed') {
    const result = await trainings.result(workflowId);
    output.json({ type: 'result', version: JSON_VERSION, workflowId, ...result });
    for (const line of onlyModelId ? [result.modelId] : resultLines(result)) output.data(line);
    // A picture that is left on the screen has it already, and so has the record.
    if (onlyModelId && !output.isDrawn && !output.isJson) {
      output.say(`Done. Spent on this training: ${receiptWords(result.receipt)}.`);
    }
    return Exit.done;
  }
  output.json(recordOf(snapshot));
  const { program } = output.canvas;
  const attention = attentionOf(snapshot);
  const spent = spentWords(snapshot.progress ?? snapshot.memo);
  if (snapshot.status !== 'running') {
    output.say(`${workflowId} has ended without a model: ${endedWords(snapshot)} ${spent}.`);
    await sayHowToGoOn(connected, snapshot, output, io);
  } else if (attention === undefined) {
    output.say(
      `${workflowId} has no model yet: ${stateWords(snapshot)}. ${spent}. To follow it: ${program} watch ${workflowId}`,
    );
  } else {
    const answer = attention.nextTryAt === undefined ? 'To see the answers that apply' : 'To follow it';
    output.say(
      `${workflowId} has no model yet: ${attention.message} ${answer}: ${program} watch ${workflowId}`,
    );
  }
  sayIfNoWorker(snapshot, connected, output);
  return exitOf(snapshot) ?? Exit.stillRunning;
}

async function sayHowToGoOn(
  { trainings }: Connected,
  ended: Snapshot,
  output: Output,
  io: Io,
): Promise<void> {
  const goOn = await howToGoOn(ended, trainings, output.canvas.program, folderOf(io));
  if (goOn !== undefined) output.say(goOn);
}
