/**
 * Activity side: looks once more at what the ledger shows of a training that has ended. Reads only; what is not proved
 * stays as it was.
 */
import { cancellationSignal } from '@temporalio/activity';
import {
  type AccountFacts,
  CLOSE_TRAINING_UPDATE,
  type ClosedTraining,
  type CloseTraining,
  REPORT_SEND_UPDATE,
  type ReportSend,
  SETTLED_RUN,
  type SeenRow,
} from '../contract/account.js';
import type { LedgerLook } from '../contract/money.js';
import type { TrainingRecord } from '../contract/record.js';
import type { CreateAttempt, Receipt } from '../contract/training.js';
import {
  applyClosed,
  charge,
  createReceipt,
  isOpen,
  mayHaveModel,
  refundAttempt,
  settleDoubts,
} from '../money/receipt.js';
import { provenRefund, refundsOf, refundSince } from '../money/refund.js';
import { type JudgementTimes, knownAt, ledgerSince, shownOfSend, UNKNOWN_TASK } from '../money/verdict.js';
import { askAccount, updateAccount } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import type { ActivityDependencies } from './dependencies.js';
import { lookAtLedger, sessionStatus } from './readWitnesses.js';

const TIMEOUT_MS = 30_000;

export interface SettleReceiptInput extends JudgementTimes {
  record: TrainingRecord;
  /** What the last look for it showed; absent where this is the first one. */
  lastLook?: RowsSeen;
  /** When it was asked for, ms since 1970: the clock of the worker may be ahead. */
  now: number;
}

/** Which create rows one look at the ledger showed. Only those that were booked in the time of the open creates. */
export interface RowsSeen {
  /** ms since 1970. */
  at: number;
  ids: string[];
  /** Rows that were booked later are left out, ms since 1970: that they are not listed says nothing. */
  until: number;
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
    now,
    ...times
  }: SettleReceiptInput): Promise<SettledReceipt> {
    const { origin, keyFingerprint, workflowId } = record;
    requireOrigin(origin, affinity().origin);
    const attempts = structuredClone(record.receipt.create.attempts);
    await tellProven(record, times);
    const silent = await askSessions(record, attempts, times);
    const receiptNow = (): Receipt => ({
      ...record.receipt,
      create: createReceipt(attempts, record.receipt.create.sends),
    });
    const open = attempts.filter(isOpen);
    const [first] = open;
    const newest = open.at(-1);
    if (first === undefined || newest === undefined || keyFingerprint === undefined) {
      return { receipt: receiptNow() };
    }
    const key = { origin, keyFingerprint };
    const doubtful = open.find(({ verdict }) => verdict === 'unknown');
    // As long as one is in doubt no refund is proved.
    const mayBeRefunded = doubtful === undefined && record.modelId === undefined;
    const since = (mayBeRefunded ? refundSince : ledgerSince)(Date.parse(first.sentAt), times);
    const { balanceBefore: anchor } = doubtful ?? first;
    const seen = await lookAtLedger(mountsea, affinity(), cancellationSignal(), {
      affinity: key,
      since,
      ...(anchor === undefined ? {} : { anchor }),
    });
    const { ledger } = knownAt(now, { at: now, ...seen });
    if (ledger === undefined) return { receipt: receiptNow() };
    const look = { at: ledger.at, ledger };
    const facts = (): Promise<AccountFacts> =>
      askAccount(accountWorkflowId, { workflowId, keyFingerprint, since });
    if (mayBeRefunded) {
      const known = await facts();
      for (const attempt of open) {
        const rowId = provenRefund({ look, account: known, workflowId, attempts, attempt, times });
        if (rowId !== undefined) refundAttempt(attempt, rowId);
      }
    }
    const closed = await updateAccount<ClosedTraining>(accountWorkflowId, CLOSE_TRAINING_UPDATE, {
      workflowId,
      runId: SETTLED_RUN,
      keyFingerprint,
      rows: seenRows(ledger, lastLook),
      hasModel: record.modelId !== undefined,
      refunded: refundsOf(attempts),
      skewMs: times.skewMs,
      bookingMs: times.bookingMs,
    } satisfies CloseTraining);
    applyClosed(attempts, closed);
    const account = await facts();
    const doubts = attempts.filter(({ verdict }) => verdict === 'unknown');
    settleDoubts(
      attempts,
      { look, account, workflowId, times },
      // One look may have met an old answer.
      (attempt) => lastLook !== undefined && silent.has(attempt),
    );
    for (const attempt of doubts) await tellAccount(record, attempt);
    const latest = Date.parse(newest.sentBy ?? newest.sentAt) + times.bookingMs + times.skewMs;
    const ids = ledger.creates.filter(({ at }) => at <= latest).map(({ id }) => id);
    return {
      receipt: receiptNow(),
      look: { at: ledger.at, ids, until: latest },
    };
  };

  /**
   * A training that ended asks no more what became of a create in doubt, or of one in a session that it gave up, but the
   * session may show it. Told to the account workflow, it also leaves the creates of others one doubt less. Changes the
   * attempts.
   *
   * @returns those whose session was asked, and has never heard of a create.
   */
  async function askSessions(
    record: TrainingRecord,
    attempts: CreateAttempt[],
    times: JudgementTimes,
  ): Promise<Set<CreateAttempt>> {
    const silent = new Set<CreateAttempt>();
    const { keyFingerprint, workflowId } = record;
    const asked = attempts.filter(
      (attempt) => attempt.verdict === 'unknown' || mayHaveModel(attempt, record.sessionId),
    );
    if (asked.length === 0 || keyFingerprint === undefined) return silent;
    // Somebody who went on with a session has creates of his own there.
    const { session, taken = [] } = await askAccount(accountWorkflowId, {
      workflowId,
      keyFingerprint,
      since: Date.now(),
      sessionIds: asked.map(({ sessionId }) => sessionId),
    });
    if (session === undefined) return silent;
    for (const attempt of asked) {
      const { sessionId } = attempt;
      if (taken.includes(sessionId)) continue;
      const signal = cancellationSignal();
      // A session that does not answer is silent here; there is another look.
      const status = await sessionStatus(mountsea, sessionId, { signal, timeoutMs: TIMEOUT_MS }).catch(
        () => undefined,
      );
      if (status === undefined) continue;
      const others = attempts.filter(
        (other) => other !== attempt && other.verdict !== 'not-charged' && other.sessionId === sessionId,
      );
      const shown = shownOfSend(status, Date.parse(attempt.sentAt), others.length > 0, times);
      if (shown === undefined) {
        if (status.word === UNKNOWN_TASK) silent.add(attempt);
        continue;
      }
      // What it shows may be of a later send.
      if (others.some((other) => attempts.indexOf(other) > attempts.indexOf(attempt))) continue;
      const [model] = status.models;
      if (model !== undefined && sessionId !== record.sessionId) attempt.modelId = model.modelId;
      if (attempt.verdict !== 'unknown') continue;
      charge(attempt, [shown]);
      await tellAccount(record, attempt);
    }
    return silent;
  }

  /** A training that was terminated between an answer and its report has told its memo, and not the account workflow. */
  async function tellProven(record: TrainingRecord, { bookingMs }: JudgementTimes): Promise<void> {
    const { keyFingerprint, workflowId } = record;
    const { attempts } = record.receipt.create;
    const [first] = attempts;
    if (first === undefined || keyFingerprint === undefined) return;
    const since = Date.parse(first.sentAt) - bookingMs;
    const { inDoubt } = await askAccount(accountWorkflowId, { workflowId, keyFingerprint, since });
    for (const doubt of inDoubt) {
      if (doubt.workflowId !== workflowId) continue;
      const attempt = attempts.find(({ decision }) => decision === doubt.decision);
      if (attempt !== undefined) await tellAccount(record, attempt);
    }
  }

  /** What is proved of a doubt: as long as the account workflow has it, it may explain rows of others. */
  async function tellAccount(
    { keyFingerprint, workflowId }: TrainingRecord,
    { decision, sentAt, verdict, sessionId }: CreateAttempt,
  ): Promise<void> {
    if (verdict === 'unknown' || keyFingerprint === undefined) return;
    await updateAccount<null>(accountWorkflowId, REPORT_SEND_UPDATE, {
      workflowId,
      runId: SETTLED_RUN,
      sessionId,
      keyFingerprint,
      decision,
      sentAt: Date.parse(sentAt),
      outcome: verdict === 'charged' ? 'accepted' : 'not-accepted',
    } satisfies ReportSend);
  }
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
    ...(lastLook === undefined || row.at > lastLook.until || lastLook.ids.includes(row.id)
      ? {}
      : { unseenAt: lastLook.at }),
  }));
}
