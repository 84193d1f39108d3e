/**
 * Client side: a look at a training as the library shows it.
 */
import type { FileProgress, FileState, TrainingFacts } from '../contract/progress.js';
import type { TimelineEntry } from '../contract/training.js';
import type { Connection } from './connect.js';
import type { Snapshot, TrainingStatus } from './snapshot.js';

/** A training at one moment. */
export interface TrainingState extends TrainingFacts {
  workflowId: string;
  /** Empty where the server has forgotten the training and only its record is left. */
  runId: string;
  status: TrainingStatus;
  /** False: no worker answered, or the training has ended, and this is what it last wrote down. */
  isLive: boolean;
  /** How many files are in which state. */
  fileCounts: Partial<Record<FileState, number>>;
  fileTotal: number;
  /** Each file; absent unless `isLive`. */
  files?: FileProgress[];
  /** When Mountsea is asked next, ISO 8601; absent unless `isLive`. */
  nextCheckAt?: string;
  /** The story so far; absent unless `isLive`. */
  timeline?: TimelineEntry[];
  /** ISO 8601; absent while it runs. */
  finishedAt?: string;
  /** Its page in Temporal's Web UI, where the address of that is known. */
  webUi?: string;
}

/** @param connection that it was seen through. */
export function shown(snapshot: Snapshot, { uiOf }: Pick<Connection, 'uiOf'>): TrainingState {
  const { workflowId, runId, status, memo, progress } = snapshot;
  const webUi = runId === '' ? undefined : uiOf(workflowId, runId);
  const { fileCounts, fileTotal, finishedAt } = memo;
  const { name, origin, phase, startedAt, phaseSince, sessionId, receipt, attention, modelId } =
    progress ?? memo;
  return {
    workflowId,
    runId,
    status,
    isLive: progress !== undefined,
    name,
    origin,
    phase,
    startedAt,
    phaseSince,
    receipt,
    fileCounts,
    fileTotal,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(attention === undefined ? {} : { attention }),
    ...(modelId === undefined ? {} : { modelId }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(webUi === undefined ? {} : { webUi }),
    ...(progress === undefined ? {} : { files: progress.files, timeline: progress.timeline }),
    ...(progress?.nextCheckAt === undefined ? {} : { nextCheckAt: progress.nextCheckAt }),
  };
}
