/**
 * Contract: the registry. Mountsea cannot list models, and closed histories vanish with the server's retention, so each
 * training has a small record workflow that stays open, with the record as its memo: readable without a worker.
 */
import type { Clip, Receipt } from './training.js';

export const RECORD_WORKFLOW = 'trainingRecord';
/** Signal with a `TrainingRecord`, whole: the newest one counts. */
export const RECORD_SIGNAL = 'record';
/** Key of the memo field that holds the `TrainingRecord`. */
export const RECORD_MEMO = 'record';
/** Key of the memo field of an alias: the workflow id of the training that its identity was corrected to. */
export const ALIAS_MEMO = 'aliasOf';

/** Workflow id of the record of a training, and of the alias of an identity. */
export function recordIdFor(trainingWorkflowId: string): string {
  return `record-of-${trainingWorkflowId}`;
}

/**
 * What is kept of a training for ever, and what `--save` writes. No URL has its query. Under 64 kB, and so are 100 files
 * with long names.
 */
export interface TrainingRecord {
  version: 1;
  workflowId: string;
  name: string;
  origin: string;
  keyFingerprint?: string;
  sessionId?: string;
  modelId?: string;
  /** Where the training stands; `open` until it ended. */
  end: 'open' | 'done' | 'failed' | 'cancelled';
  /** Label of each file that is not dropped, by its number; of a local one what its bytes are. */
  sources: { file: number; source: string; sha256?: string }[];
  clips: Clip[];
  receipt: Receipt;
  /** ISO 8601. */
  startedAt: string;
  updatedAt: string;
}

/** Input of the record workflow. */
export interface RecordInput {
  record?: TrainingRecord;
  /** An alias has this instead of a record. */
  aliasOf?: string;
  /** For tests: records taken before it continues as new. Default 500. */
  recordsEachRun?: number;
  /** Factor on the times at which a provisional receipt is looked after. Default 1. */
  timeScale?: number;
}
