/**
 * Client side: what `watch`, `status`, `result`, `fix` and `cancel` do where the id is that of a song, and how `generate`
 * follows one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CorrectionAction } from '../../contract/correction.js';
import type { TrainedModel } from '../../contract/training.js';
import { connect, type Connected } from '../../library/connect.js';
import type { SongSnapshot } from '../../library/songs.js';
import { attachFollower } from '../../temporal/background.js';
import { readSettings } from '../../temporal/settings.js';
import { downloadClips, type Downloaded } from '../download.js';
import {
  downloadLine,
  downloadLines,
  songLine,
  songNews,
  songReceiptWords,
  songResultLines,
  songStatusLines,
} from '../drawSong.js';
import { CommandError, Exit, exitOfEnd, UsageError } from '../exit.js';
import { exitOf, follow, type Show } from '../follow.js';
import { endJson, type Io, JSON_VERSION, type Output, programIn } from '../output.js';
import { Screen } from '../screen.js';
import type { JsonRecord } from '../schema.js';
import { commandOf } from '../commandLine.js';
import { asCalled, pathFrom } from './common.js';
import { untilInterrupted } from '../interrupted.js';
import type { FollowFlags } from './following.js';

const LOOK_EVERY_MS = 250;
/** Looks in a row that no worker answers. */
const PATIENT_LOOKS = 2;

/** A song as JSON shows it, in every command. */
export function songRecord({ workflowId, runId, status, memo, progress }: SongSnapshot): JsonRecord {
  const about = { type: 'song', version: JSON_VERSION, workflowId, runId, status } as const;
  return progress === undefined ? { ...memo, ...about, live: false } : { ...progress, ...about, live: true };
}

/**
 * @param folder where the clips go when it is done; absent: they are only named.
 * @param paths whether stdout gets the paths of the files.
 */
export async function followSong(
  workflowId: string,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
  { folder, paths = true }: Pick<TellSongOptions, 'folder' | 'paths'> = {},
): Promise<number> {
  const program = programIn(io.env);
  const comeBack = `${program} watch ${workflowId}`;
  if (flags.detach === true) {
    output.json(songRecord(await connected.songs.look(workflowId)));
    output.data(workflowId);
    output.say(`It goes on by itself. To come back: ${comeBack}`);
    return Exit.stillRunning;
  }
  const settings = readSettings(io.env);
  const release = connected.isOwn ? attachFollower(settings) : (): void => undefined;
  const interrupted = untilInterrupted(['SIGINT', 'SIGTERM'], () => {
    if (output.isJson) endJson(io, true, Exit.interrupted);
  });
  let current = connected;
  const show = viewOf(output, io, ({ runId }) => current.uiOf(workflowId, runId));
  try {
    const { exit, last } = await follow<SongSnapshot>({
      look: () => current.songs.look(workflowId),
      reconnect: async () => {
        const say = (line: string): void => {
          show.note(asCalled(line, io));
        };
        const next = await connect(settings, { purpose: 'if-state', env: io.env, say });
        if (next === undefined) throw new CommandError('The state of the background server is gone.');
        if (current !== connected) await current.close();
        current = next;
      },
      isOwn: connected.isOwn,
      isCurrent: () => current.isCurrent(),
      show,
      interrupted: interrupted.signal,
      waitMs: flags.wait,
      noun: 'song',
      workerCommand: `${program} worker`,
    });
    show.end();
    if (exit === Exit.done) {
      return await tellSong(current, workflowId, output, io, { folder, paths, signal: interrupted.signal });
    }
    sayWhy(exit, last, comeBack, output);
    return exit;
  } finally {
    show.end();
    interrupted.dispose();
    release();
    if (current !== connected) await current.close();
  }
}

/** A line for each change, with the time below it on a terminal; or a record. */
function viewOf(
  output: Output,
  io: Io,
  uiOf: (snapshot: SongSnapshot) => string | undefined,
): Show<SongSnapshot> & { end(): void } {
  const screen = new Screen(io.stderr);
  const say = (line: string): void => {
    screen.clear();
    output.say(line);
  };
  let before: SongSnapshot | undefined;
  let shown = '';
  const said = new Set<string>();
  return {
    snapshot: (seen) => {
      if (output.isJson) {
        const record = songRecord(seen);
        const text = JSON.stringify(record);
        if (text !== shown) output.json(record);
        shown = text;
      } else {
        const ui = uiOf(seen);
        if (before === undefined && ui !== undefined) say(ui);
        for (const line of songNews(before, seen, output.canvas)) say(line);
        if (output.isDrawn && seen.status === 'running') {
          screen.draw([songLine(seen, Date.now(), output.canvas)]);
        }
      }
      const progress = seen.progress ?? before?.progress;
      before = progress === undefined ? seen : { ...seen, progress };
      if (seen.progress !== undefined) said.clear();
    },
    note: (text) => {
      if (said.has(text)) return;
      said.add(text);
      say(text);
    },
    end: () => {
      screen.clear();
      screen.release();
    },
  };
}

function sayWhy(exit: Exit, last: SongSnapshot | undefined, comeBack: string, output: Output): void {
  const receipt = last?.progress?.receipt ?? last?.memo.receipt;
  const spent = receipt === undefined ? '' : ` So far: ${songReceiptWords(receipt)}.`;
  if (exit === Exit.interrupted || exit === Exit.stillRunning) {
    output.say(`The song goes on.${spent} To come back: ${comeBack}`);
  } else if (last?.status === 'running') {
    output.say(`It waits for you.${spent} Answer with one of the commands above; then: ${comeBack}`);
  } else if (last !== undefined) {
    output.say(`Ended: ${last.status}.${spent}`);
  }
}

export interface TellSongOptions {
  /** Where the clips go; absolute. Absent: their addresses are told. */
  folder?: string | undefined;
  /** Whether stdout gets their paths. Default true. */
  paths?: boolean;
  /** Stops the downloads. */
  signal?: AbortSignal;
}

/** The result of a song, and its files where they are wanted. */
export async function tellSong(
  { songs }: Connected,
  workflowId: string,
  output: Output,
  io: Io,
  { folder, paths = true, signal = new AbortController().signal }: TellSongOptions = {},
): Promise<number> {
  const snapshot = await songs.look(workflowId);
  if (snapshot.status !== 'completed') {
    output.json(songRecord(snapshot));
    output.say(
      `${workflowId} has no result: ${snapshot.status}, ${snapshot.memo.phase}. ${songReceiptWords(snapshot.memo.receipt)}.`,
    );
    return exitOf(snapshot) ?? Exit.stillRunning;
  }
  const result = await songs.result(workflowId);
  const fetchCommand = (to: string): string =>
    commandOf(programIn(io.env), ['result', workflowId, '--out', to]);
  const record = { type: 'generated', version: JSON_VERSION, workflowId, ...result } as const;
  if (folder === undefined) {
    output.json({ ...record, files: [] });
    for (const line of songResultLines(result)) output.data(line);
    output.say(`To fetch the clips, which costs nothing: ${fetchCommand('.')}`);
    return Exit.done;
  }
  const { allowPrivateUrls } = readSettings(io.env);
  const { isDrawn } = output;
  const erase = (): void => {
    if (isDrawn) io.stderr.write('\r\u001b[K');
  };
  let done: Downloaded[];
  try {
    done = await downloadClips(result.clips, result.title, {
      folder,
      allowPrivateUrls,
      signal,
      onProgress: (name, bytes, total) => {
        if (isDrawn) io.stderr.write(`\r\u001b[K${downloadLine(name, bytes, total, output.canvas)}`);
      },
    });
  } catch (error) {
    erase();
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `The song is there and paid for, but ${folder} cannot be written: ${why}. To fetch it, which costs nothing: ${fetchCommand('DIR')}`,
    );
  }
  erase();
  output.json({ ...record, files: done });
  for (const line of downloadLines(done)) output.say(line);
  for (const one of paths ? done : []) if ('path' in one) output.data(one.path);
  output.say(`${songReceiptWords(result.receipt)}.`);
  if (done.every((one) => 'path' in one)) return Exit.done;
  output.say(
    `The song is there and paid for. To fetch it again, which costs nothing: ${fetchCommand(folder)}`,
  );
  return signal.aborted ? Exit.interrupted : Exit.unexpected;
}

export async function songStatus(
  connected: Connected,
  workflowId: string,
  output: Output,
  exitStatus: boolean,
): Promise<number> {
  const snapshot = await connected.songs.look(workflowId);
  output.json(songRecord(snapshot));
  const ui = connected.uiOf(workflowId, snapshot.runId);
  const canvas = { ...output.canvas, isColored: false };
  for (const line of songStatusLines(snapshot, ui, canvas)) output.data(line);
  if (snapshot.status === 'running' && snapshot.progress === undefined) {
    output.say(
      `No worker answers: this is what the song last wrote down. It goes on when a worker runs: ${canvas.program} worker`,
    );
  }
  return exitStatus ? (exitOf(snapshot) ?? Exit.stillRunning) : Exit.done;
}

/** Answers a song that waits, then follows it. */
export async function fixSong(
  connected: Connected,
  workflowId: string,
  output: Output,
  answer: { action: CorrectionAction; maxCredits?: number; acceptSecondCharge?: boolean },
  flags: FollowFlags,
  io: Io,
): Promise<number> {
  const { memo, progress, status } = await connected.songs.look(workflowId);
  const attention = progress === undefined ? memo.attention : progress.attention;
  if (status !== 'running' || attention === undefined) {
    throw new UsageError(`${workflowId} does not wait for anybody: nothing to fix.`);
  }
  await connected.trainings.correct(workflowId, { attentionId: attention.id, ...answer });
  output.say(`Taken: ${answer.action} for ${attention.kind}.`);
  return followSong(workflowId, connected, output, flags, io);
}

export async function cancelSong(
  { songs, trainings }: Connected,
  workflowId: string,
  output: Output,
): Promise<number> {
  const before = await songs.look(workflowId);
  if (before.status !== 'running') {
    output.json(songRecord(before));
    output.say(
      `${workflowId} has ended already: ${before.status}. ${songReceiptWords(before.memo.receipt)}.`,
    );
    return Exit.done;
  }
  await trainings.cancel(workflowId);
  output.say('Asked it to stop.');
  for (let unanswered = 0; unanswered <= PATIENT_LOOKS;) {
    const now = await songs.look(workflowId);
    if (now.status !== 'running') {
      const { receipt, taskId } = now.memo;
      output.json(songRecord(now));
      output.say(`Ended: ${now.status}. ${songReceiptWords(receipt)}.`);
      if (now.status === 'completed') {
        output.say('It was ready before it could stop.');
        return Exit.done;
      }
      if (taskId !== undefined) {
        output.say(`Mountsea cannot cancel: it goes on with task ${taskId}, which is paid for.`);
      }
      return exitOfEnd(receipt.generate.verdict);
    }
    unanswered = now.progress === undefined ? unanswered + 1 : 0;
    await sleep(LOOK_EVERY_MS);
  }
  throw new CommandError('No worker answers. The song is cancelled as soon as one runs: `tunesmith worker`.');
}

/**
 * What comes after a finished training: the song that was ordered with it, else the command that orders one, ready to be
 * copied. The model is there whatever becomes of the song, so the exit code is the training's.
 */
export async function afterModel(
  connected: Connected,
  { modelId, songId }: Pick<TrainedModel, 'modelId' | 'songId'>,
  output: Output,
  flags: FollowFlags & { try?: string },
  io: Io,
): Promise<void> {
  const isWanted = flags.try !== undefined;
  const program = programIn(io.env);
  if (songId !== undefined && !isWanted) {
    output.say(`Its song: ${commandOf(program, ['result', songId, '--out', '.'])}`);
    return;
  }
  if (songId === undefined) {
    const command = commandOf(program, ['generate', '--model', modelId, '--prompt', 'YOUR LYRICS']);
    output.say(`A song with it:\n  ${command}`);
    return;
  }
  output.say(`The song that was ordered with it: ${songId}`);
  const exit = await followSong(songId, connected, output, flags, io, {
    folder: pathFrom('.', io),
    paths: false,
  });
  if (exit !== Exit.done) {
    output.say(`The model is ready all the same. To come back to its song: ${program} watch ${songId}`);
  }
}
