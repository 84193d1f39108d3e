/**
 * Client side: what `watch`, `status`, `result`, `fix` and `cancel` do where the id is that of a song, and how `generate`
 * follows one.
 */
import type { TrainedModel } from '../../contract/training.js';
import type { Connected } from '../../library/connect.js';
import type { SongSnapshot } from '../../library/songs.js';
import { remoteWords } from '../../money/receipt.js';
import { readSettings } from '../../temporal/settings.js';
import { downloadClips, type Downloaded } from '../download.js';
import {
  downloadLine,
  downloadLines,
  songAnswerLines,
  songCostOf,
  songLine,
  songNews,
  songReceiptWords,
  songResultLines,
  songStatusLines,
} from '../drawSong.js';
import { stateWords } from '../draw.js';
import { CommandError, Exit, exitOfEnd } from '../exit.js';
import { exitOf, type Show } from '../follow.js';
import { type Io, JSON_VERSION, type Output, programIn } from '../output.js';
import { Screen } from '../screen.js';
import type { JsonRecord } from '../schema.js';
import { commandOf } from '../commandLine.js';
import { pathFrom, sayIfNoWorker } from './common.js';
import { type FollowFlags, followSubject, type Subject } from './follower.js';
import { untilStopped } from './stopping.js';

/** A song as JSON shows it, in every command. */
export function songRecord({ workflowId, runId, status, memo, progress }: SongSnapshot): JsonRecord {
  const about = { type: 'song', version: JSON_VERSION, workflowId, runId, status } as const;
  return progress === undefined ? { ...memo, ...about, live: false } : { ...progress, ...about, live: true };
}

interface FollowSongMore extends Pick<TellSongOptions, 'folder' | 'paths'> {
  told?: SongSnapshot;
}

/**
 * Follows a song until there is a reason to stop, and says what the reason was.
 *
 * @param folder where the clips go when it is done; absent: they are only named.
 * @param paths whether stdout gets the paths of the files.
 * @param told what was told of it already: only what came after it is told.
 */
export function followSong(
  workflowId: string,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
  { folder, paths = true, told }: FollowSongMore = {},
): Promise<number> {
  const song: Subject<SongSnapshot> = {
    noun: 'song',
    workflowId,
    look: ({ songs }) => songs.look(workflowId),
    view: (uiOf) => viewOf(output, io, uiOf, told),
    leave: async ({ songs }) => {
      output.json(songRecord(await songs.look(workflowId)));
      output.data(workflowId);
    },
    finish: (now, signal) => tellSong(now, workflowId, output, io, { folder, paths, signal }),
    spentIn: ({ progress, memo }) => songReceiptWords((progress ?? memo).receipt),
    costOf: songCostOf,
    answerLines: (attention, snapshot) => songAnswerLines(attention, snapshot, output.canvas),
  };
  return followSubject(song, connected, output, flags, io);
}

/** A line for each change, with the time below it on a terminal; or a record. */
function viewOf(
  output: Output,
  io: Io,
  uiOf: (snapshot: SongSnapshot) => string | undefined,
  told: SongSnapshot | undefined,
): Show<SongSnapshot> & { end(): void } {
  const screen = new Screen(io.stderr);
  const say = (line: string): void => {
    screen.clear();
    output.say(line);
  };
  let before = told;
  let isFirst = true;
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
        if (isFirst && ui !== undefined) say(ui);
        isFirst = false;
        for (const line of songNews(before, seen, output.canvas, output.isDrawn)) say(line);
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
    const { program } = output.canvas;
    const what =
      snapshot.status === 'running'
        ? `is not ready: ${stateWords(snapshot)}`
        : `has ended without a song: ${snapshot.status}`;
    const next = snapshot.status === 'running' ? ` To follow it: ${program} watch ${workflowId}` : '';
    output.say(`${workflowId} ${what}. ${songReceiptWords(snapshot.memo.receipt)}.${next}`);
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
  sayIfNoWorker(snapshot, connected, output, 'song');
  return exitStatus ? (exitOf(snapshot) ?? Exit.stillRunning) : Exit.done;
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
  const end = await untilStopped('song', () => songs.look(workflowId), output);
  const { receipt } = end.memo;
  output.json(songRecord(end));
  output.say(`Ended: ${end.status}. ${songReceiptWords(receipt)}.`);
  if (end.status === 'completed') {
    output.say('It was ready before it could stop.');
    return Exit.done;
  }
  for (const words of remoteWords(receipt.generate.attempts, 'song')) output.say(words);
  return exitOfEnd(receipt.generate.verdict);
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
