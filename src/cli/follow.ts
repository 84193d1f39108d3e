/**
 * Client side: follows one training, or one song, until a command has a reason to stop, and says by which exit code. Every way out of
 * here leaves the training running.
 */
import type { SongReceipt } from '../contract/song.js';
import type { ChargeVerdict, Receipt } from '../contract/training.js';
import { looks, type LooksOptions } from '../library/follow.js';
import type { Snapshot } from '../library/snapshot.js';
import type { SongSnapshot } from '../library/songs.js';
import { Exit, exitOfEnd, exitOfPark } from './exit.js';

/** Where the follower shows what it sees. */
export interface Show<S = Snapshot> {
  snapshot(snapshot: S): void;
  /** A sentence beside the picture. */
  note(text: string): void;
}

/** One look at what can be followed: a training, or a song. */
export type Followable = Snapshot | SongSnapshot;

export function isSong(one: Followable): one is SongSnapshot {
  return 'title' in one.memo;
}

/** What a person calls it: the name of the model, or the title of the song. */
export function titleOf({ memo }: Followable): string {
  return 'title' in memo ? memo.title : memo.name;
}

export interface FollowOptions<S extends Followable = Snapshot> extends Omit<
  LooksOptions<S>,
  'note' | 'signal'
> {
  show: Show<S>;
  /** Aborted by Ctrl-C. */
  interrupted: AbortSignal;
}

export interface Followed<S extends Followable = Snapshot> {
  exit: Exit;
  /** Absent where nothing could be seen before it was interrupted. */
  last?: S;
}

/** @throws what `look` throws, where that is no lost connection. */
export async function follow<S extends Followable = Snapshot>({
  show,
  interrupted,
  ...options
}: FollowOptions<S>): Promise<Followed<S>> {
  let last: S | undefined;
  const note = (text: string): void => {
    show.note(text);
  };
  for await (const seen of looks({ ...options, note, signal: interrupted })) {
    last = seen;
    show.snapshot(seen);
    const exit = exitOf(seen);
    if (exit !== undefined) return { exit, last };
  }
  const exit = interrupted.aborted ? Exit.interrupted : exitOfWait(last);
  return { exit, ...(last === undefined ? {} : { last }) };
}

/** Why a follower leaves a training as it is now; undefined: it goes on. */
export function exitOf({ status, memo, progress }: Followable): Exit | undefined {
  if (status === 'completed') return Exit.done;
  const receipt = progress?.receipt ?? memo.receipt;
  if (status !== 'running') return exitOfEnd(verdictOf(receipt));
  const attention = progress === undefined ? memo.attention : progress.attention;
  // One that tries again by itself is worth following.
  if (attention === undefined || attention.nextTryAt !== undefined) return undefined;
  return exitOfPark(verdictOf(receipt));
}

/** The wait ran out, perhaps in a park that mends itself. */
function exitOfWait(last: Followable | undefined): Exit {
  const shown = last?.progress ?? last?.memo;
  return shown?.attention === undefined ? Exit.stillRunning : exitOfPark(verdictOf(shown.receipt));
}

function verdictOf(receipt: Receipt | SongReceipt): ChargeVerdict {
  return ('generate' in receipt ? receipt.generate : receipt.create).verdict;
}
