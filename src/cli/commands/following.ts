/**
 * Client side: following as `train`, `watch` and `fix` do it, and the result that a training ends with.
 */
import { readSettings } from '../../temporal/settings.js';
import { attachFollower } from '../../temporal/background.js';
import { Option } from 'commander';
import { notEmpty } from '../arguments.js';
import { defineCommand, id, json, wait } from '../command.js';
import { connect, type Connected } from '../../library/connect.js';
import { canAsk } from '../ask.js';
import { attend } from '../attention.js';
import { attentionOf } from '../correcting.js';
import { answerLines, receiptWords, resultLines, waitWords } from '../draw.js';
import { CommandError, Exit, UsageError } from '../exit.js';
import { exitOf, follow } from '../follow.js';
import { looks, type LooksOptions } from '../../library/follow.js';
import { endJson, type Io, JSON_VERSION, type Output, programIn, recordOf } from '../output.js';
import { SaveFile } from '../saveFile.js';
import type { Snapshot } from '../../library/snapshot.js';
import { untilInterrupted } from '../interrupted.js';
import {
  asCalled,
  folderOf,
  isRunning,
  type JsonFlag,
  pathFrom,
  sayIfNoWorker,
  withTraining,
} from './common.js';
import { followSong, tellSong } from './songs.js';

export interface FollowFlags extends JsonFlag {
  detach?: boolean;
  wait?: number;
}

export const watchCommand = defineCommand<FollowFlags, [string?]>({
  name: 'watch',
  summary: 'follow a training',
  arguments: [id()],
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
  run: ({ args: [id], flags, io }) =>
    withTraining(
      id,
      flags,
      io,
      (connected, workflowId, output) => followTo(workflowId, connected, output, flags, io),
      isRunning,
      (connected, workflowId, output) => followSong(workflowId, connected, output, flags, io),
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
  arguments: [id()],
  options: [
    new Option('--out <dir>', 'of a song: fetch its clips into this folder').argParser(notEmpty),
    json(),
  ],
  examples: [
    { line: 'result "Night Drive"', does: 'model id, session, clips, receipt' },
    { line: 'result "Night Drive" --json | jq -r .modelId', does: 'the model id alone' },
    { line: 'result song-neon --out songs', does: 'the clips of a song, once more' },
  ],
  run: ({ args: [id], flags, io }) =>
    withTraining(id, flags, io, tellTraining(flags), undefined, (connected, workflowId, output) =>
      tellSong(connected, workflowId, output, io, {
        folder: flags.out === undefined ? undefined : pathFrom(flags.out, io),
      }),
    ),
});

/** @throws UsageError where something is wanted that only songs have. */
function tellTraining({ out }: ResultFlags): typeof tellResult {
  if (out === undefined) return tellResult;
  return (_, workflowId) => {
    throw new UsageError(`--out is for the clips of a song, and ${workflowId} is a training.`);
  };
}

/**
 * Follows until there is a reason to stop, and says what the reason was.
 *
 * @param savePath file of `--save`; absolute.
 * @param afterDone what comes after the model id.
 */
export async function followTo(
  workflowId: string,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
  savePath?: string,
  afterDone?: (connected: Connected) => Promise<void>,
): Promise<number> {
  const program = programIn(io.env);
  const comeBack = `${program} watch ${workflowId}`;
  const saveFile = (say: (line: string) => void): SaveFile | undefined =>
    savePath === undefined ? undefined : new SaveFile(savePath, connected.worker?.keyFingerprint, say);
  if (flags.detach === true) {
    const seenAt = new Date().toISOString();
    const snapshot = await connected.trainings.look(workflowId);
    output.json(recordOf(snapshot));
    saveFile(output.say)?.take(snapshot, seenAt);
    sayIfNoWorker(snapshot, output);
    output.say(`It goes on by itself. To come back: ${comeBack}`);
    return Exit.stillRunning;
  }
  const settings = readSettings(io.env);
  const release = connected.isOwn ? attachFollower(settings) : (): void => undefined;
  const interrupted = untilInterrupted(['SIGINT', 'SIGTERM'], () => {
    if (output.isJson) endJson(io, true, Exit.interrupted);
  });
  let current = connected;
  const view = output.follower(({ runId }) => current.uiOf(workflowId, runId));
  // Through the view: a line written past it would break the picture in two.
  const note = (line: string): void => {
    view.note(asCalled(line, io));
  };
  const save = saveFile(note);
  let seenAt = '';
  const until = Date.now() + (flags.wait ?? Infinity);
  const looking = (): Omit<LooksOptions, 'note' | 'signal'> => ({
    look: () => {
      seenAt = new Date().toISOString();
      return current.trainings.look(workflowId);
    },
    reconnect: async () => {
      const next = await connect(settings, { purpose: 'if-state', env: io.env, say: note });
      if (next === undefined) throw new CommandError('The state of the background server is gone.');
      if (current !== connected) await current.close();
      current = next;
    },
    isOwn: connected.isOwn,
    isCurrent: () => current.isCurrent(),
    waitMs: flags.wait === undefined ? undefined : Math.max(0, until - Date.now()),
    workerCommand: `${program} worker`,
  });
  try {
    for (;;) {
      const { exit, last } = await follow({
        ...looking(),
        show: {
          snapshot: (snapshot) => {
            view.snapshot(snapshot);
            save?.take(snapshot, seenAt);
          },
          note,
        },
        interrupted: interrupted.signal,
      });
      view.end();
      if (exit === Exit.done) {
        const told = await tellResult(current, workflowId, output, { onlyModelId: true });
        await afterDone?.(current);
        return told;
      }
      let end = exit;
      if (last !== undefined && isPark(exit, last) && output.isDrawn && canAsk(io)) {
        const attended = await attend({
          io,
          output,
          snapshot: last,
          connected: () => current,
          // What is wrong with the connection is said when it matters: after an answer.
          looks: (signal) => looks({ ...looking(), note: () => undefined, signal }),
          interrupted: interrupted.signal,
          rules: { folder: folderOf(io), allowPrivateUrls: settings.allowPrivateUrls, warn: output.say },
        });
        if (attended === 'answered' || attended === 'withdrawn') continue;
        if (attended === 'interrupted') end = Exit.interrupted;
      }
      sayWhy(end, last, comeBack, output);
      return end;
    }
  } finally {
    view.end();
    interrupted.dispose();
    release();
    if (current !== connected) await current.close();
  }
}

/** It waits, and only for a person. */
function isPark(exit: Exit, last: Snapshot): boolean {
  return (exit === Exit.parked || exit === Exit.chargeUnknown) && attentionOf(last)?.nextTryAt === undefined;
}

function sayWhy(exit: Exit, last: Snapshot | undefined, comeBack: string, output: Output): void {
  const receipt = last?.progress?.receipt ?? last?.memo.receipt;
  const spent = receipt === undefined ? '' : ` So far: ${receiptWords(receipt)}.`;
  const attention = last === undefined ? undefined : attentionOf(last);
  if (exit === Exit.stillRunning || (exit === Exit.interrupted && attention === undefined)) {
    output.say(`The training goes on.${spent} To come back: ${comeBack}`);
  } else if (last !== undefined && attention !== undefined) {
    // A picture that must fit has no room for them.
    if (output.isDrawn || output.isJson)
      for (const line of answerLines(attention, last, output.canvas)) output.say(line);
    // Lines have them where it waits for a person only.
    const isAnswered = output.isDrawn || output.isJson || attention.nextTryAt === undefined;
    const next = isAnswered ? 'Answer with one of the commands above; then:' : 'To come back:';
    output.say(`${waitWords(attention, output.canvas)}${spent} ${next} ${comeBack}`);
  } else if (last !== undefined) {
    output.say(`Ended: ${last.status}.${spent}`);
  }
}

export async function tellResult(
  { trainings }: Connected,
  workflowId: string,
  output: Output,
  { onlyModelId = false } = {},
): Promise<number> {
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
  output.say(
    `${workflowId} has no result: ${snapshot.status}, ${snapshot.memo.phase}. ${receiptWords(snapshot.memo.receipt)}.`,
  );
  sayIfNoWorker(snapshot, output);
  return exitOf(snapshot) ?? Exit.stillRunning;
}
