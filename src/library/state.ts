/**
 * Client side: a look at a training as the library shows it.
 */
import type { FileProgress, FileState, TrainingFacts, TrainingProgress } from '../contract/progress.js';
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
  /** What earlier trainings took; absent unless `isLive`, and where none is known. */
  expected?: NonNullable<TrainingProgress['expected']>;
  /** The story so far; absent unless `isLive`. */
  timeline?: TimelineEntry[];
  /** ISO 8601; absent while it runs. */
  finishedAt?: string;
  /** Its page in Temporal's Web UI, where the address of that is known. */
  webUi?: string;
}

/** What query and memo both say; a new one has to be added here. */
const FACTS: Record<keyof TrainingFacts, true> = {
  name: true,
  origin: true,
  phase: true,
  startedAt: true,
  phaseSince: true,
  sessionId: true,
  receipt: true,
  uploadPrice: true,
  attention: true,
  outage: true,
  modelId: true,
};
const FACT_NAMES = Object.keys(FACTS) as (keyof TrainingFacts)[];

/** @param connection that it was seen through. */
export function shown(snapshot: Snapshot, { uiOf }: Pick<Connection, 'uiOf'>): TrainingState {
  const { workflowId, runId, status, memo, progress } = snapshot;
  const { fileCounts, fileTotal, finishedAt } = memo;
  const webUi = runId === '' ? undefined : uiOf(workflowId, runId);
  const { nextCheckAt, expected } = progress ?? {};
  return {
    ...factsOf(progress ?? memo),
    workflowId,
    runId,
    status,
    isLive: progress !== undefined,
    fileCounts,
    fileTotal,
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(webUi === undefined ? {} : { webUi }),
    ...(progress === undefined ? {} : { files: progress.files, timeline: progress.timeline }),
    ...(nextCheckAt === undefined ? {} : { nextCheckAt }),
    ...(expected === undefined ? {} : { expected }),
  };
}

function factsOf(said: TrainingFacts): TrainingFacts {
  const known = FACT_NAMES.filter((name) => said[name] !== undefined).map((name) => [name, said[name]]);
  return Object.fromEntries(known) as TrainingFacts;
}
