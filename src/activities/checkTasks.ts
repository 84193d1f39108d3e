/**
 * Activity side: one look at all pending tasks of a training. Gives an outcome for each of them and throws only when
 * every request failed; then Temporal's retry policy carries the outage. Trouble with reading never changes what is
 * known of a task.
 */
import { cancellationSignal } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { SongClip } from '../contract/song.js';
import type { Mountsea, TaskStatus } from '../mountsea/types.js';
import { requireOrigin } from './affinity.js';
import { failureFrom, type Proof, whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';

const TIMEOUT_MS = 30_000;

/** Every failed read may be repeated but one: a bad key needs somebody, so the workflow shows it. */
const REPEATABLE = Object.values(ActivityFailureType).filter(
  (type) => type !== ActivityFailureType.Credentials,
);

export interface CheckTasksInput {
  affinity: Affinity;
  taskIds: string[];
  /** The outcomes tell what there is of songs. */
  withSongs?: boolean;
}

export type TaskOutcome =
  /** Not at an end. `status` is the word as it was sent, `not found` for a 404 (mountsea-api, quirk 16). */
  | { taskId: string; kind: 'pending'; status: string; expected: boolean; songs?: SongClip[] }
  | {
      taskId: string;
      kind: 'succeeded';
      clipIds: string[];
      models: { modelId: string; name?: string }[];
      songs?: SongClip[];
      /** The payload, redacted and cut: it may have cost money. */
      raw: string;
    }
  | {
      taskId: string;
      kind: 'failed';
      reason: string;
      code?: string;
      createdAt?: string;
      finishedAt?: string;
      raw: string;
    }
  /** This look told nothing. */
  | { taskId: string; kind: 'unseen'; why: string; retryAfterMs?: number };

export function createCheckTasks({ mountsea, affinity }: ActivityDependencies) {
  return async function checkTasks(input: CheckTasksInput): Promise<TaskOutcome[]> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const signal = cancellationSignal();
    const looks = await Promise.all(input.taskIds.map((taskId) => look(mountsea, taskId, signal)));
    const failed = looks.flatMap(({ outcome, proof }) => (outcome.kind === 'unseen' && proof ? [proof] : []));
    const first = failed[0];
    if (first !== undefined && failed.length === looks.length)
      throw failureFrom(worst(failed, first), REPEATABLE);
    return looks.map(({ outcome, songs }) => {
      const isTold = input.withSongs === true && songs !== undefined && songs.length > 0;
      return isTold && (outcome.kind === 'pending' || outcome.kind === 'succeeded')
        ? { ...outcome, songs }
        : outcome;
    });
  };
}

interface Look {
  outcome: TaskOutcome;
  /** What the payload had of songs. */
  songs?: SongClip[];
  /** Where the look failed. */
  proof?: Proof;
}

async function look(mountsea: Mountsea, taskId: string, signal: AbortSignal): Promise<Look> {
  try {
    const task = await mountsea.status(taskId, { signal, timeoutMs: TIMEOUT_MS });
    return { outcome: outcomeOf(taskId, task), songs: task.songs };
  } catch (error) {
    const proof = whatItProves(error);

    if (proof.details.status === 404) {
      return { outcome: { taskId, kind: 'pending', status: 'not found', expected: false } };
    }
    const { retryAfterMs } = proof.details;
    return {
      outcome: {
        taskId,
        kind: 'unseen',
        why: proof.message,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
      proof,
    };
  }
}

function outcomeOf(taskId: string, task: TaskStatus): TaskOutcome {
  const { status, statusText, raw } = task;
  switch (status) {
    case 'success':
      return { taskId, kind: 'succeeded', clipIds: task.clipIds, models: task.models, raw };
    case 'failed':
    case 'timeout':
      return {
        taskId,
        kind: 'failed',
        reason: task.failReason ?? (status === 'timeout' ? 'timed out at Mountsea' : 'no reason given'),
        ...(task.failCode === undefined ? {} : { code: task.failCode }),
        ...(task.createdAt === undefined ? {} : { createdAt: task.createdAt }),
        ...(task.finishedAt === undefined ? {} : { finishedAt: task.finishedAt }),
        raw,
      };
    case 'queued':
    case 'ready':
    case 'running':
    case 'stream':
      return { taskId, kind: 'pending', status: statusText, expected: true };
    case 'awaiting':
    case 'unknown':
      return { taskId, kind: 'pending', status: statusText, expected: false };
  }
}

/** A bad key explains the others; the longest wait asked for is kept. */
function worst(failed: Proof[], first: Proof): Proof {
  const credentials = failed.find(({ type }) => type === ActivityFailureType.Credentials);
  const longest = Math.max(0, ...failed.map(({ details }) => details.retryAfterMs ?? 0));
  const chosen = credentials ?? first;
  return { ...chosen, details: { ...chosen.details, ...(longest > 0 ? { retryAfterMs: longest } : {}) } };
}
