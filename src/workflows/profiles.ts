/**
 * Workflow sandbox: how each activity may be repeated and how long it may take. Whole profiles, never partial: a retry
 * policy with a field left out silently repeats without limit. docs/architecture.md explains each number.
 */
import {
  ActivityCancellationType,
  ActivityFailure,
  type ActivityOptions,
  isCancellation,
  proxyActivities,
  sleep,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { Outage } from '../contract/progress.js';
import { provenFailure } from './failures.js';

/**
 * A worker that died in the middle of a request proves nothing, so its time-out must not make Temporal send the
 * request again. The server matches these names in `nonRetryableErrorTypes` (server: service/history/workflow/retry).
 */
const LOST_WORKER = ['TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat'];

/** Times of a request that must not be lost with its worker, ms. */
export interface RequestTimes {
  /** From connect to last byte. */
  timeoutMs: number;
  /** A worker that is silent for longer is taken for lost. */
  heartbeatMs: number;
}

/** Room for a busy machine beside the HTTP time-out. */
const SLACK_MS = 15_000;

/** What may be repeated at will may also be given up early: a worker that died with it is noticed sooner. */
const SHORTEST_READ_MS = 15_000;

/**
 * @param scale factor on the back-off. Time-outs get shorter with it only as far as requests and processes allow, which do
 *   not get faster.
 */
// The literal type is the point: it is checked by `satisfies` below.
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types
export function activityProfiles(scale: number, { timeoutMs, heartbeatMs }: RequestTimes) {
  const ms = (value: number): number => Math.max(1, Math.round(value * scale));
  const read = (value: number): number => Math.min(value, Math.max(ms(value), SHORTEST_READ_MS));
  const profiles = {
    /** May be repeated: it costs nothing, and a lost answer only leaves an unused session behind. */
    prepare: {
      startToCloseTimeout: 45_000,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
      },
    },
    /** Repeated only where it provably had no effect: the activity marks everything else as not retryable. */
    upload: {
      startToCloseTimeout: timeoutMs + SLACK_MS,
      heartbeatTimeout: heartbeatMs,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
        nonRetryableErrorTypes: LOST_WORKER,
      },
    },
    /** A local file goes to a bucket: minutes for a big one on a slow line. A worker that is lost begins it again. */
    stage: {
      startToCloseTimeout: 30 * 60_000,
      heartbeatTimeout: heartbeatMs,
      // What it has put somewhere is known, or taken back, only when it has ended.
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: 20,
      },
    },
    /** Removes what was staged. Given up after some tries: nothing depends on it, and `unstage` does it as well. */
    unstage: {
      startToCloseTimeout: read(30_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(30_000),
        maximumAttempts: 6,
      },
    },
    /** Reads. An outage of hours is carried here, once a minute, without growing the history. */
    check: {
      startToCloseTimeout: read(45_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(5_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
      },
    },
    /** Reads of status, then of billing, each with 30 s. */
    witnesses: {
      startToCloseTimeout: read(90_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(5_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
      },
    },
    /** Asks and tells the account workflow, the registry, the save file. All of it may be repeated. */
    bookkeeping: {
      startToCloseTimeout: read(30_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: 500,
        backoffCoefficient: 2,
        maximumInterval: 30_000,
        maximumAttempts: Infinity,
      },
    },
    /** Tells a receiver of `--notify`; a receiver knows by the id what it has seen. Four tries in about a minute. */
    notify: {
      startToCloseTimeout: read(30_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(5_000),
        backoffCoefficient: 3,
        maximumInterval: ms(60_000),
        maximumAttempts: 4,
      },
    },
    /** The same, where it was not taken at first: ten tries in about a day. */
    notifyLate: {
      startToCloseTimeout: read(30_000),
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2 * 60_000),
        backoffCoefficient: 3,
        maximumInterval: ms(6 * 3_600_000),
        maximumAttempts: 10,
      },
    },
    /** A create or a song: at most once. Whether to send again is never Temporal's decision. */
    submit: {
      startToCloseTimeout: timeoutMs + SLACK_MS,
      heartbeatTimeout: heartbeatMs,
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 1,
        maximumInterval: ms(2_000),
        maximumAttempts: 1,
      },
    },
  } satisfies Record<string, ActivityOptions>;
  return Object.freeze(profiles);
}

/** Which profile each activity has. */
const PROFILE_OF = {
  prepareSession: 'prepare',
  stageFile: 'stage',
  unstageFile: 'unstage',
  uploadClip: 'upload',
  checkTasks: 'check',
  readWitnesses: 'witnesses',
  readLedger: 'witnesses',
  requestSend: 'bookkeeping',
  submitTraining: 'submit',
  reportSend: 'bookkeeping',
  closeTraining: 'bookkeeping',
  recordTraining: 'bookkeeping',
  saveTraining: 'bookkeeping',
  lookBeforeSong: 'check',
  submitSong: 'submit',
  readSongLedger: 'witnesses',
} as const satisfies Partial<Record<keyof Activities, keyof ReturnType<typeof activityProfiles>>>;

type Called = keyof typeof PROFILE_OF;

/** The activities as the workflow calls them: each with its profile and a summary for the Web UI. */
export type CallableActivities = {
  [K in Called]: (summary: string, input: Parameters<Activities[K]>[0]) => ReturnType<Activities[K]>;
};

const SUMMARY_LENGTH = 180;
/** Tries before an outage is told of. */
const QUIET_TRIES = 3;

/**
 * Gets to know of a request that is not answered.
 *
 * @returns what is called when it has ended.
 */
export type NoteOutage = (outage: Outage) => (isAnswered: boolean) => void;

export function activitiesFor(
  scale: number,
  times: RequestTimes,
  noteOutage: NoteOutage,
): CallableActivities {
  const profiles = activityProfiles(scale, times);
  const call = (name: Called) => {
    const profile = profiles[PROFILE_OF[name]];
    const activity = proxyActivities<Activities>(profile)[name];
    const send = (summary: string, input: unknown, retry: Backoff): Promise<unknown> =>
      activity.executeWithOptions({ ...profile, retry, summary: summary.slice(0, SUMMARY_LENGTH) }, [
        input as never,
      ]);
    return ASKS_MOUNTSEA.has(PROFILE_OF[name])
      ? (summary: string, input: unknown) =>
          carried((retry) => send(summary, input, retry), summary, profile.retry, noteOutage)
      : (summary: string, input: unknown) => send(summary, input, profile.retry);
  };
  const names = Object.keys(PROFILE_OF) as Called[];
  return Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as CallableActivities;
}

/** A retry policy with its durations in ms. */
interface Backoff {
  initialInterval: number;
  backoffCoefficient: number;
  maximumInterval: number;
  maximumAttempts: number;
}

/** Profiles of requests that Temporal repeats without limit, for as long as Mountsea gives no usable answer. */
const ASKS_MOUNTSEA = new Set<string>(['prepare', 'upload', 'check', 'witnesses']);

/**
 * Temporal's retry policy carries an outage, and the workflow sees none of its tries. So the first few are made under a
 * policy of their own: when they have failed it is told, once, and the policy without limit takes over.
 */
async function carried<T>(
  send: (retry: Backoff) => Promise<T>,
  request: string,
  retry: Backoff,
  noteOutage: NoteOutage,
): Promise<T> {
  const since = new Date().toISOString();
  try {
    return await send({ ...retry, maximumAttempts: QUIET_TRIES });
  } catch (error) {
    if (!(error instanceof ActivityFailure) || error.retryState !== 'MAXIMUM_ATTEMPTS_REACHED') throw error;
    const failure = provenFailure(error);
    const why = failure?.message ?? error.cause?.message ?? error.message;
    const interval = retry.initialInterval * retry.backoffCoefficient ** (QUIET_TRIES - 1);
    const wait = Math.max(Math.min(interval, retry.maximumInterval), failure?.details.retryAfterMs ?? 0);
    const nextTryAt = new Date(Date.now() + wait).toISOString();
    const end = noteOutage({ since, request, why, tries: QUIET_TRIES, nextTryAt });
    let isAnswered = true;
    try {
      await sleep(wait, { summary: `no usable answer from Mountsea: ${request}`.slice(0, SUMMARY_LENGTH) });
      return await send({ ...retry, initialInterval: wait });
    } catch (late) {
      isAnswered = !isCancellation(late);
      throw late;
    } finally {
      end(isAnswered);
    }
  }
}
