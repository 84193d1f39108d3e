/**
 * Client side: follows one training until a command has a reason to stop, and says by which exit code. Every way out of
 * here leaves the training running.
 */
import { looks, type LooksOptions } from '../library/follow.js';
import type { Snapshot } from '../library/snapshot.js';
import { Exit, exitOfEnd, exitOfPark } from './exit.js';

/** Where the follower shows what it sees. */
export interface Show {
  snapshot(snapshot: Snapshot): void;
  /** A sentence beside the picture. */
  note(text: string): void;
}

export interface FollowOptions extends Omit<LooksOptions, 'note' | 'signal'> {
  show: Show;
  /** Aborted by Ctrl-C. */
  interrupted: AbortSignal;
}

export interface Followed {
  exit: Exit;
  /** Absent where nothing could be seen before it was interrupted. */
  last?: Snapshot;
}

/** @throws what `look` throws, where that is no lost connection. */
export async function follow({ show, interrupted, ...options }: FollowOptions): Promise<Followed> {
  let last: Snapshot | undefined;
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
export function exitOf({ status, memo, progress }: Snapshot): Exit | undefined {
  if (status === 'completed') return Exit.done;
  const receipt = progress?.receipt ?? memo.receipt;
  if (status !== 'running') return exitOfEnd(receipt.create.verdict);
  const attention = progress === undefined ? memo.attention : progress.attention;
  // One that tries again by itself is worth following.
  if (attention === undefined || attention.nextTryAt !== undefined) return undefined;
  return exitOfPark(receipt.create.verdict);
}

/** The wait ran out, perhaps in a park that mends itself. */
function exitOfWait(last: Snapshot | undefined): Exit {
  const shown = last?.progress ?? last?.memo;
  return shown?.attention === undefined ? Exit.stillRunning : exitOfPark(shown.receipt.create.verdict);
}
