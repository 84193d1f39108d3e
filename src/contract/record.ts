/**
 * Contract: the registry. Mountsea cannot list models, and closed histories vanish with the server's retention, so each
 * training has a small record workflow that stays open, with the record as its memo: readable without a worker.
 */
import { FIRST_DECISION } from './account.js';
import type { TrainingMemo } from './progress.js';
import type { Clip, CreateAttempt, Receipt } from './training.js';

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
  /** What create answered with, where that is not the session. */
  createTaskId?: string;
  modelId?: string;
  /** Where the training stands; `open` until it ended, `failed` also where it was terminated. */
  end: 'open' | 'done' | 'failed' | 'cancelled';
  /** Of each file that is not dropped. */
  sources: RecordedSource[];
  clips: Clip[];
  receipt: Receipt;
  /** ISO 8601. */
  startedAt: string;
  updatedAt: string;
}

/** What is kept of a source. */
export interface RecordedSource {
  file: number;
  /** Its label, at most 200 characters. */
  source: string;
  /** Of a local file: what its bytes are. */
  sha256?: string;
  /** Its URL had a query, which is not kept. */
  hasQuery?: true;
}

/** How a record begins; also one that comes from another registry. It can be read before any worker has seen it. */
export function recordStart(
  record: TrainingRecord,
  timeScale?: number,
): { workflowId: string; args: [RecordInput]; memo: Record<string, unknown>; staticSummary: string } {
  return {
    workflowId: recordIdFor(record.workflowId),
    args: [{ record, ...(timeScale === undefined ? {} : { timeScale }) }],
    memo: { [RECORD_MEMO]: record },
    staticSummary: `Record of ${record.workflowId}`.slice(0, 190),
  };
}

/**
 * The record of a training that was ended from outside, and so could not say that it had: its memo is the last that is
 * known of it. Whoever notices first closes it: the record workflow looks from time to time, a client when it is asked.
 *
 * @param memo absent where the server has forgotten the training.
 * @param at when that was noticed; ISO 8601.
 */
export function closedRecord(
  record: TrainingRecord,
  memo: TrainingMemo | undefined,
  at: string,
): TrainingRecord {
  const closed = { ...record, end: 'failed', updatedAt: at } as const;
  if (memo === undefined) return { ...closed, receipt: receiptWithoutHistory(record) };
  const { sessionId, modelId, receipt, uploads } = memo;
  return {
    ...closed,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(modelId === undefined ? {} : { modelId }),
    receipt,
    clips: uploads.flatMap(({ file, label, sha256, clipId }) =>
      clipId === undefined
        ? []
        : [{ clipId, file, source: label, ...(sha256 === undefined ? {} : { sha256 }) }],
    ),
  };
}

/**
 * What may be said of a training that nobody knows the end of. A record is kept before each create is sent, with it; one
 * that a run wrote which was reset to before its create may have lost it again.
 */
function receiptWithoutHistory({ end, sessionId, receipt, updatedAt }: TrainingRecord): Receipt {
  const { create } = receipt;
  const isTold = create.attempts.some(({ verdict }) => verdict !== 'not-charged');
  if (end !== 'open' || sessionId === undefined || isTold) return receipt;
  const evidence = ['its history is gone: nobody can tell whether create was sent'];
  const decision = create.attempts.length === 0 ? FIRST_DECISION : 'lost';
  const lost: CreateAttempt = { decision, sessionId, sentAt: updatedAt, verdict: 'unknown', evidence };
  return {
    ...receipt,
    create: {
      ...create,
      verdict: 'unknown',
      sends: create.sends + 1,
      evidence,
      attempts: [...create.attempts, lost],
    },
  };
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
