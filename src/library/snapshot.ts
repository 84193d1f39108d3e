/**
 * Client side: one look at a training, whatever it comes from: its memo, its query, or, when the training itself is gone,
 * its record.
 */
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { ActivityFailureType } from '../contract/failures.js';
import { defaultPayloadConverter } from '@temporalio/common';
import { TRAINING_MEMO } from '../contract/messages.js';
import type { Outage, TrainingMemo, TrainingProgress } from '../contract/progress.js';
import type { StagingProgress } from '../contract/staging.js';
import { closedRecord, type TrainingRecord } from '../contract/record.js';
import type { Clip, TrainedModel } from '../contract/training.js';

export type TrainingStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed-out';

/** One look at a training. */
export interface Snapshot {
  workflowId: string;
  /** Empty where only the record is left. */
  runId: string;
  status: TrainingStatus;
  /** With the receipt of the record where that one is newer. */
  memo: TrainingMemo;
  /** Absent where no worker answered, or where the training has ended. */
  progress?: TrainingProgress;
  /** Of a training that failed: why, in a sentence; absent where the server does not say. */
  why?: string;
  /** Of a training that has ended, where it was looked up. */
  record?: TrainingRecord;
}

export type Described = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'runId' | 'status' | 'memo' | 'startTime'
>;

const STATUSES: Record<string, TrainingStatus> = {
  RUNNING: 'running',
  CONTINUED_AS_NEW: 'running',
  PAUSED: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed-out',
};

/** @param name as the SDK names it. */
export function statusOf(name: string): TrainingStatus {
  return STATUSES[name] ?? 'running';
}

export function snapshotOf({ workflowId, runId, status, memo, startTime }: Described): Snapshot {
  const at = startTime.toISOString();
  return {
    workflowId,
    runId,
    status: statusOf(status.name),
    // A training that somebody started past us has no memo before its first workflow task.
    memo: (memo?.[TRAINING_MEMO] as TrainingMemo | undefined) ?? {
      name: workflowId,
      origin: '',
      phase: 'preparing',
      startedAt: at,
      phaseSince: at,
      fileCounts: {},
      fileTotal: 0,
      uploads: [],
      receipt: {
        create: {
          verdict: 'unknown',
          sends: 0,
          evidence: ['the training has not said anything yet'],
          attempts: [],
        },
        uploads: { calls: 0, credits: 'unknown' },
      },
    },
  };
}

type Pending = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/** What an activity says of a request that had no answer (contract/failures.ts). */
const UNANSWERED: readonly unknown[] = [
  ActivityFailureType.NotSent,
  ActivityFailureType.RateLimited,
  ActivityFailureType.Ambiguous,
];

/**
 * With the tries of a request that Mountsea gives no usable answer to: Temporal makes them, and the training itself sees none of
 * them. Of several requests the one that was tried most often.
 */
export function withPending(snapshot: Snapshot, pending: readonly Pending[]): Snapshot {
  const [worst] = pending
    .filter(({ lastFailure }) => UNANSWERED.includes(lastFailure?.applicationFailureInfo?.type))
    .sort((a, b) => (b.attempt ?? 0) - (a.attempt ?? 0));
  if (worst === undefined) return snapshot;
  const { memo, progress } = snapshot;
  const known = (progress ?? memo).outage;
  const { attempt = 1, lastFailure, activityType, nextAttemptScheduleTime } = worst;
  const nextTryAt = isoOf(nextAttemptScheduleTime);
  const outage: Outage = {
    since: known?.since ?? isoOf(worst.lastStartedTime) ?? memo.phaseSince,
    request: known?.request ?? activityType?.name ?? '',
    why: lastFailure?.message ?? known?.why ?? '',
    // What the workflow knows is of the tries before the activity without limit.
    tries: (worst.maximumAttempts ? 0 : (known?.tries ?? 0)) + (attempt ?? 1) - 1,
    ...(nextTryAt === undefined ? {} : { nextTryAt }),
  };
  return {
    ...snapshot,
    memo: { ...memo, outage },
    ...(progress === undefined ? {} : { progress: { ...progress, outage } }),
  };
}

/**
 * With how far each file is that a worker brings to a bucket, or why it tries again: Temporal knows it, and the training
 * itself does not.
 */
export function withStaging(snapshot: Snapshot, pending: readonly Pending[]): Snapshot {
  const { progress } = snapshot;
  const stages = pending.filter(({ activityType }) => activityType?.name === 'stageFile');
  if (progress === undefined || stages.length === 0) return snapshot;
  const files = progress.files.map((file) => {
    if (file.state !== 'staging') return file;
    for (const { heartbeatDetails, lastFailure } of stages) {
      const payload = heartbeatDetails?.payloads?.[0];
      if (!payload) continue;
      const { file: number, sent, total } = defaultPayloadConverter.fromPayload<StagingProgress>(payload);
      if (number !== file.number) continue;
      const why = lastFailure?.message;
      return {
        ...file,
        reason: why ? `again: ${why}` : `${Math.floor((100 * sent) / Math.max(total, 1))} %`,
      };
    }
    return file;
  });
  return { ...snapshot, progress: { ...progress, files } };
}

function isoOf(time: Pending['nextAttemptScheduleTime']): string | undefined {
  if (!time) return undefined;
  const ms = Number(time.seconds ?? 0) * 1_000 + (time.nanos ?? 0) / 1e6;
  return ms > 0 ? new Date(ms).toISOString() : undefined;
}

/** What a record tells of a training that the server has forgotten. */
export function snapshotOfRecord(record: TrainingRecord): Snapshot {
  const { workflowId, name, origin, sessionId, modelId, end, sources, clips } = record;
  const { receipt } = end === 'open' ? closedRecord(record, undefined, record.updatedAt) : record;
  // One that was terminated could not write its end down.
  const status = { done: 'completed', failed: 'failed', cancelled: 'cancelled', open: 'terminated' } as const;
  return {
    workflowId,
    runId: '',
    status: status[end],
    memo: {
      name,
      origin,
      phase: end === 'open' ? 'failed' : end,
      startedAt: record.startedAt,
      phaseSince: record.updatedAt,
      finishedAt: record.updatedAt,
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(modelId === undefined ? {} : { modelId }),
      receipt,
      uploads: savedClips(record).map(({ source, ...clip }) => ({ ...clip, label: source })),
      fileCounts: { ready: clips.length },
      fileTotal: sources.length,
    },
    record,
  };
}

/** An ended training with what its record says: receipts that were provisional are settled there. */
export function withRecord(snapshot: Snapshot, record: TrainingRecord | undefined): Snapshot {
  const { memo } = snapshot;
  // The record of a training that was terminated is open until somebody notices.
  const isNewer =
    record !== undefined && record.end !== 'open' && record.updatedAt >= (memo.finishedAt ?? memo.phaseSince);
  return isNewer ? { ...snapshot, memo: { ...memo, receipt: record.receipt }, record } : snapshot;
}

/** The clips of a record, each with what its bytes were, which a record says with its sources. */
export function savedClips({ clips, sources }: Pick<TrainingRecord, 'clips' | 'sources'>): Clip[] {
  return clips.map((clip) => {
    const sha256 = sources.find(({ file }) => file === clip.file)?.sha256;
    return { ...clip, ...(sha256 === undefined ? {} : { sha256 }) };
  });
}

/** The result of a training that only its record remembers. Its story is gone. */
export function modelOfRecord(record: TrainingRecord): TrainedModel | undefined {
  const { modelId, name, sessionId, origin, receipt, startedAt, updatedAt } = record;
  if (modelId === undefined) return undefined;
  return {
    modelId,
    name,
    sessionId: sessionId ?? '',
    origin,
    clips: savedClips(record),
    receipt,
    timeline: [],
    startedAt,
    finishedAt: updatedAt,
  };
}
