/**
 * Client side: one look at a training after the other. The training never depends on being followed, so every way out of
 * here leaves it running.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from './snapshot.js';
import { isConnectionLost } from './trainings.js';

/** What a look gives. */
export interface Looked {
  /** Absent where no worker answered. */
  progress?: unknown;
}

export interface LooksOptions<S extends Looked = Snapshot> {
  /** One look. May throw when the connection is gone. */
  look: () => Promise<S>;
  /** False: what answers is no longer the server of the training. Default: always true. */
  isCurrent?: () => boolean;
  /**
   * Makes a new connection, and brings our own server back with its worker; throws where that fails.
   *
   * @returns whether that server has a worker now: one that does not answer at once may still be starting.
   */
  reconnect: () => Promise<boolean>;
  /** The server is our own: a worker that does not answer may be gone while its server lives on. */
  isOwn: boolean;
  /** Gets a sentence about trouble with looking; the same one again while the trouble lasts. */
  note: (text: string) => void;
  /** Ends the looks when it is aborted. */
  signal: AbortSignal;
  /** No look begins later than this after the first, ms; absent: no limit. */
  waitMs?: number | undefined;
  /** What is looked at, in a sentence. Default `training`. */
  noun?: string;
  /** The command that starts a worker. */
  workerCommand: string;
  /** From the beginning of a look to that of the next, ms. Default 1 000. */
  lookEveryMs?: number;
  /** The clock, ms. Default `Date.now`. */
  now?: () => number;
}

/** Misses in a row that are forgiven before it is said that no worker answers. */
const PATIENT_LOOKS = 2;
/** The same where a worker was started again: it has its code to load. */
const PATIENT_LOOKS_AT_START = 10;
/** A server that is being restarted is back within this; trying goes on for as long as the caller waits. */
const RECONNECT_EVERY_MS = 2_000;

/**
 * Each look that succeeds, until the signal is aborted or the wait is over. A lost connection is made again; whoever
 * iterates decides what is reason enough to stop.
 *
 * @throws what `look` throws, where that is no lost connection.
 */
export async function* looks<S extends Looked>(options: LooksOptions<S>): AsyncGenerator<S, void, undefined> {
  const { noun = 'training', note, signal, waitMs, lookEveryMs = 1_000, now = Date.now } = options;
  const until = waitMs === undefined ? Infinity : now() + waitMs;
  let unanswered = 0;
  while (!signal.aborted) {
    const began = now();
    // A look may hang for as long as the network does; whoever wants to go must not wait for it.
    const seen = await unlessAborted(lookOrReconnect(options), signal);
    if (seen !== undefined) {
      yield seen;
      unanswered = seen.progress === undefined ? unanswered + 1 : 0;
      // Looked after again and again; said once by `note`, and only where nobody mends it.
      if (unanswered > 0 && unanswered % PATIENT_LOOKS === 0) {
        // Whoever goes meanwhile is told nothing.
        const isMended = options.isOwn && (await unlessAborted(tryToReconnect(options), signal)) !== false;
        if (!isMended || unanswered >= PATIENT_LOOKS_AT_START)
          note(`No worker answers. The ${noun} waits for one: ${options.workerCommand}`);
      }
    }
    if (now() >= until) return;
    // A look that no worker answers has waited already; waiting on top would say so too late (within 3 s).
    await pause(Math.max(0, Math.min(began + lookEveryMs, until) - now()), signal);
  }
}

async function lookOrReconnect<S extends Looked>(options: LooksOptions<S>): Promise<S | undefined> {
  const { noun = 'training', look, note, isCurrent = (): boolean => true } = options;
  try {
    if (isCurrent()) return await look();
    note(`The Temporal server has ended; the ${noun} is safe. Trying to reach it again…`);
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
    note(`The Temporal server does not answer; the ${noun} is safe. Trying to reach it again…`);
  }
  await tryToReconnect(options);
  return undefined;
}

/** Whatever it fails of may pass: the training is safe, and the follower tries for as long as the user lets it. */
async function tryToReconnect({
  reconnect,
  note,
  signal,
}: Pick<LooksOptions, 'reconnect' | 'note' | 'signal'>): Promise<boolean> {
  try {
    return await reconnect();
  } catch (error) {
    note(error instanceof Error ? error.message : String(error));
    await pause(RECONNECT_EVERY_MS, signal);
    return false;
  }
}

/** @returns undefined once the signal is aborted; what comes of it later is nobody's business. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let end = (): void => undefined;
  const aborted = new Promise<undefined>((resolve) => {
    end = () => {
      resolve(undefined);
    };
  });
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // Interrupted: the caller looks at the signal.
  }
}
