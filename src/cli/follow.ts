/**
 * Client side: follows one training until there is a reason to stop. The training never depends on being followed, so
 * every way out of here leaves it running.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, exitOfEnd, exitOfPark } from './exit.js';
import type { Snapshot } from '../library/snapshot.js';
import { isConnectionLost } from '../library/trainings.js';

/** Where the follower shows what it sees. */
export interface Show {
  snapshot(snapshot: Snapshot): void;
  /** A sentence beside the picture. */
  note(text: string): void;
}

export interface FollowOptions {
  /** One look. May throw when the connection is gone. */
  look: () => Promise<Snapshot>;
  /** Makes a new connection, and brings our own server back; throws where that fails. */
  reconnect: () => Promise<void>;
  /** The server is our own: a worker that does not answer may be gone while its server lives on. */
  isOwn: boolean;
  show: Show;
  /** Aborted by Ctrl-C. */
  interrupted: AbortSignal;
  /** Stop following after this time, ms; absent: never. */
  waitMs?: number | undefined;
  /** The command that starts a worker. */
  workerCommand: string;
  /** From the beginning of a look to that of the next, ms. Default 1 000. */
  lookEveryMs?: number;
  /** The clock, ms. Default `Date.now`. */
  now?: () => number;
}

export interface Followed {
  exit: Exit;
  /** Absent where nothing could be seen before it was interrupted. */
  last?: Snapshot;
}

/** Misses in a row that are forgiven before it is said that no worker answers. */
const PATIENT_LOOKS = 2;
/** A server that is being restarted is back within this; trying goes on for as long as the caller waits. */
const RECONNECT_EVERY_MS = 2_000;

/** @throws what `look` throws, where that is no lost connection. */
export async function follow(options: FollowOptions): Promise<Followed> {
  const { show, interrupted, waitMs, lookEveryMs = 1_000, now = Date.now } = options;
  const until = waitMs === undefined ? Infinity : now() + waitMs;
  let last: Snapshot | undefined;
  let unanswered = 0;
  for (;;) {
    if (interrupted.aborted) return { exit: Exit.interrupted, ...(last === undefined ? {} : { last }) };
    const began = now();
    const seen = await lookOrReconnect(options);
    if (seen !== undefined) {
      last = seen;
      show.snapshot(seen);
      const exit = exitOf(seen);
      if (exit !== undefined) return { exit, last };
      unanswered = seen.progress === undefined ? unanswered + 1 : 0;
      // Said once by `note`; looked after again and again.
      if (unanswered > 0 && unanswered % PATIENT_LOOKS === 0) {
        show.note(`No worker answers. The training waits for one: ${options.workerCommand}`);
        if (options.isOwn) await tryToReconnect(options);
      }
    }
    if (now() >= until) {
      return { exit: exitOfWait(last), ...(last === undefined ? {} : { last }) };
    }
    // A look that no worker answers has waited already; waiting on top would say so too late (within 3 s).
    await pause(Math.max(0, Math.min(began + lookEveryMs, until) - now()), interrupted);
  }
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

async function lookOrReconnect(options: FollowOptions): Promise<Snapshot | undefined> {
  const { look, show } = options;
  try {
    return await look();
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
    show.note('The Temporal server does not answer; the training is safe. Trying to reach it again…');
  }
  await tryToReconnect(options);
  return undefined;
}

/** Whatever it fails of may pass: the training is safe, and the follower tries for as long as the user lets it. */
async function tryToReconnect({ reconnect, show, interrupted }: FollowOptions): Promise<void> {
  try {
    await reconnect();
  } catch (error) {
    show.note(error instanceof Error ? error.message : String(error));
    await pause(RECONNECT_EVERY_MS, interrupted);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // Interrupted: the caller looks at the signal.
  }
}
