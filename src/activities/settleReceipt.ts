/**
 * Activity side: looks once more at what the ledger shows of a training that has ended. Reads only; what is not proved
 * stays as it was.
 */
import { cancellationSignal } from '@temporalio/activity';
import {
  CLOSE_TRAINING_UPDATE,
  type ClosedTraining,
  type CloseTraining,
  type SeenRow,
} from '../contract/account.js';
import type { LedgerLook } from '../contract/money.js';
import type { TrainingRecord } from '../contract/record.js';
import type { CreateAttempt, Receipt } from '../contract/training.js';
import { applyClosed, createReceipt, settleDoubt } from '../money/receipt.js';
import { type JudgementTimes, ledgerSince } from '../money/verdict.js';
import { askAccount, updateAccount } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import type { ActivityDependencies } from './dependencies.js';
import { lookAtLedger } from './readWitnesses.js';

export interface SettleReceiptInput extends JudgementTimes {
  record: TrainingRecord;
  /** What the last look for it showed; absent where this is the first one. */
  lastLook?: RowsSeen;
}

/** Which create rows one look at the ledger showed. Only those that were booked in the time of the open creates. */
export interface RowsSeen {
  /** ms since 1970. */
  at: number;
  ids: string[];
}

export interface SettledReceipt {
  receipt: Receipt;
  /** Absent where the ledger could not be read. */
  look?: RowsSeen;
}

export function createSettleReceipt({ mountsea, affinity, accountWorkflowId }: ActivityDependencies) {
  return async function settleReceipt({
    record,
    lastLook,
    ...times
  }: SettleReceiptInput): Promise<SettledReceipt> {
    const { origin, keyFingerprint, workflowId, receipt } = record;
    requireOrigin(origin, affinity().origin);
    const open = receipt.create.attempts.filter(isOpen);
    const [first] = open;
    const newest = open.at(-1);
    if (first === undefined || newest === undefined || keyFingerprint === undefined) return { receipt };
    const key = { origin, keyFingerprint };
    const since = ledgerSince(Date.parse(first.sentAt), times);
    const doubtful = open.find(({ verdict }) => verdict === 'unknown');
    const { ledger } = await lookAtLedger(mountsea, affinity(), cancellationSignal(), {
      affinity: key,
      since,
      ...(doubtful?.balanceBefore === undefined ? {} : { anchor: doubtful.balanceBefore }),
    });
    if (ledger === undefined) return { receipt };
    const closed = await updateAccount<ClosedTraining>(accountWorkflowId, CLOSE_TRAINING_UPDATE, {
      workflowId,
      runId: '',
      keyFingerprint,
      rows: seenRows(ledger, lastLook),
      skewMs: times.skewMs,
      bookingMs: times.bookingMs,
    } satisfies CloseTraining);
    const attempts = structuredClone(receipt.create.attempts);
    applyClosed(attempts, closed);
    const account = await askAccount(accountWorkflowId, { workflowId, keyFingerprint, since });
    const look = { at: ledger.at, ledger };
    for (const attempt of attempts) settleDoubt(attempt, { look, account, workflowId, times });
    const latest = Date.parse(newest.sentBy ?? newest.sentAt) + times.bookingMs + times.skewMs;
    const ids = ledger.creates.filter(({ at }) => at <= latest).map(({ id }) => id);
    return {
      receipt: { ...receipt, create: createReceipt(attempts, receipt.create.sends) },
      look: { at: ledger.at, ids },
    };
  };
}

/**
 * Rows as the account workflow learns from them. That a receipt was not settled at the last look does not mean that its
 * row was not there: it may have been ambiguous.
 */
export function seenRows(
  { at, creates }: Pick<LedgerLook, 'at' | 'creates'>,
  lastLook: RowsSeen | undefined,
): SeenRow[] {
  return creates.map((row) => ({
    ...row,
    seenAt: at,
    ...(lastLook === undefined || lastLook.ids.includes(row.id) ? {} : { unseenAt: lastLook.at }),
  }));
}

function isOpen({ verdict, provisional }: CreateAttempt): boolean {
  return verdict === 'unknown' || provisional === true;
}
