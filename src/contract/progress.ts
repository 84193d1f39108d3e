/**
 * Contract: what a training shows of itself, by the query `progress` and in its memo.
 */
import type { CorrectionAction } from './correction.js';
import type { Receipt, TimelineEntry, UploadPrice } from './training.js';

export type Phase = 'preparing' | 'uploading' | 'creating' | 'training' | 'done' | 'failed' | 'cancelled';

/**
 * `waiting` for a free place · `staging` a local file is brought to where it has a URL · `uploading` the request is out · `processing` Mountsea works on the task ·
 * `overdue` still pending after its deadline · `ready` has a clip · `failed` used up its tries · `dropped` left out
 */
export type FileState =
  'waiting' | 'staging' | 'uploading' | 'processing' | 'overdue' | 'ready' | 'failed' | 'dropped';

export interface FileProgress {
  /** From 1, in the order of the sources. */
  number: number;
  /** `Source.label`. */
  label: string;
  /** Of a local file: `FileSource.sha256`. */
  sha256?: string;
  state: FileState;
  /** Uploads begun for this file. */
  tries: number;
  taskId?: string;
  clipId?: string;
  /** When the state began; ISO 8601. */
  since: string;
  /** When its newest upload began here; ISO 8601. For a ready file, how long that took lies between the two. */
  begunAt?: string;
  /** Why the last try failed, or the status Mountsea last gave where it is an unusual one. */
  reason?: string;
}

/** Why a training or a song waits. Kinds of a training are fixed by the design, section 4. */
export type AttentionKind =
  | 'bad-files'
  | 'create-rejected'
  | 'charge-unknown'
  | 'training-failed'
  | 'training-overdue'
  | 'credentials'
  | 'credits'
  | 'account-limit'
  | 'answer-unclear'
  // Of a song.
  | 'song-rejected'
  | 'song-failed'
  | 'song-overdue';

/** What a parked training needs. Answered by the update `correct` with this `id`. */
export interface Attention {
  id: string;
  kind: AttentionKind;
  /** What happened and what it cost, in a sentence or two. */
  message: string;
  /** ISO 8601. */
  since: string;
  evidence: string[];
  /** The corrections that apply now. */
  options: CorrectionAction[];
  /** Corrections that need `acceptSecondCharge`, since create may be charged twice. */
  riskOfSecondCharge?: CorrectionAction[];
  /** Files that it is about, by number. */
  files?: number[];
  /** When it tries again without a person; ISO 8601. Absent where only a person can help. */
  nextTryAt?: string;
}

/**
 * A request that Mountsea has not answered for several tries. It is made again at most a minute apart, without limit and
 * without growing the history; nothing is lost meanwhile.
 */
export interface Outage {
  /** When it was made first; ISO 8601. */
  since: string;
  /** What it is for, in a few words. */
  request: string;
  /** What came of the last try that is known here. */
  why: string;
  /** Tries that failed, as far as is known here: the training itself counts the first ones, a client sees them all. */
  tries: number;
  /** ISO 8601; absent where that is not known here, or a try is under way. */
  nextTryAt?: string;
}

/** What the query and the memo both say. */
export interface TrainingFacts {
  name: string;
  origin: string;
  phase: Phase;
  /** ISO 8601. */
  startedAt: string;
  phaseSince: string;
  sessionId?: string;
  receipt: Receipt;
  /** What its uploads count as while the receipt does not know; absent where only its record is left. */
  uploadPrice?: UploadPrice;
  attention?: Attention;
  /** The oldest one; absent while Mountsea answers. */
  outage?: Outage;
  modelId?: string;
}

/** How long something took before, ms, at the pace of this training. */
export interface SeenDurations {
  /** How many were seen. */
  count: number;
  shortestMs: number;
  longestMs: number;
}

/** Answer of the query `progress`. */
export interface TrainingProgress extends TrainingFacts {
  version: 1;
  workflowId: string;
  runId: string;
  files: FileProgress[];
  /** Task of create; Mountsea documents it as equal to the session id. */
  createTaskId?: string;
  /** When the pending tasks are asked next; ISO 8601. */
  nextCheckAt?: string;
  /** What earlier trainings of this API took, as known at the start; absent where none is known. */
  expected?: {
    /** From the accepted create to the model. */
    trainingMs?: SeenDurations;
    /** Of one file, from the request to its clip. */
    uploadMs?: SeenDurations;
  };
  timeline: TimelineEntry[];
}

/** A file that is at Mountsea. */
export interface UploadedFile {
  file: number;
  /** `Source.label`, at most 200 characters. */
  label: string;
  /** Of a local file: `FileSource.sha256`. */
  sha256?: string;
  /** Task of the upload, while it runs. */
  taskId?: string;
  clipId?: string;
}

/**
 * Memo of a training, kept current so that `status`, `list` and `result` need no worker. Always under 64 kB: an
 * attention's evidence is cut, and files, timeline and task ids stay in the history.
 */
export interface TrainingMemo extends TrainingFacts {
  /** What is paid for: files that have a clip, or a task under way. A reset or a new training goes on from here. */
  uploads: UploadedFile[];
  /** Files by state. */
  fileCounts: Partial<Record<FileState, number>>;
  fileTotal: number;
  finishedAt?: string;
}
