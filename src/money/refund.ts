/**
 * Pure: whether the ledger proves that a failed training was given back. A row names no training, so it is ours only
 * where no other create can have been: all that the ledger shows of the last day is known, and ours alone is left.
 */
import type { AcceptedCreate, AccountFacts } from '../contract/account.js';
import type { CreateRow, LedgerLook, Witnesses } from '../contract/money.js';
import type { CreateAttempt } from '../contract/training.js';
import { type Explainer, fits, matchRows } from './ledger.js';
import type { JudgementTimes } from './verdict.js';

type Times = Pick<JudgementTimes, 'skewMs' | 'bookingMs'>;

export interface RefundQuestion {
  /** Rows from `refundSince` on; `isClosed` counts from the balance before the send, and without it nothing is proved. */
  look: Pick<Witnesses, 'ledger'>;
  /** Asked from the same time on. */
  account: AccountFacts;
  /** The asking training, and all its attempts. */
  workflowId: string;
  attempts: readonly CreateAttempt[];
  /** The one that failed. */
  attempt: CreateAttempt;
  /** Rows that were there before it failed: none of them gives it back. Default: none is known. */
  earlierRows?: ReadonlySet<string>;
  times: Times;
}

/** In times of `bookingMs`, which is longer than any training: a day. */
const REFUNDS_COME_WITHIN = 72;

/**
 * From when on creates and rows must be known: the refund of a training that was sent, or ended, earlier than this does
 * not come any more.
 */
export function refundSince(sentAt: number, { bookingMs }: Times): number {
  return sentAt - REFUNDS_COME_WITHIN * bookingMs;
}

/** @returns the id of the row that gives the attempt back; undefined where there is none, or where it may be another's. */
export function provenRefund(question: RefundQuestion): string | undefined {
  const { look, account, workflowId, attempts, attempt, earlierRows, times } = question;
  const { ledger } = look;
  const sentAt = Date.parse(attempt.sentAt);
  if (ledger === undefined || ledger.since > refundSince(sentAt, times)) return undefined;
  if (!isWhole(ledger, account, times)) return undefined;
  const ours = account.accepted.find(
    (create) => create.workflowId === workflowId && create.decision === attempt.decision,
  );
  if (ours === undefined) return undefined;

  const charge = ledger.creates.find((row) => row.amount > 0 && fits(row, explainerOf(ours, times)));
  if (charge === undefined) return undefined;
  // Both rows have their dates from one clock.
  const begun = Math.max(sentAt, charge.at);
  const given = new Set([...account.accepted, ...attempts].map(({ refundRowId }) => refundRowId));
  const isNew = ({ id }: CreateRow): boolean => !given.has(id) && earlierRows?.has(id) !== true;
  const [refund, ...more] = ledger.creates.filter((row) => row.amount < 0 && row.at >= begun && isNew(row));
  if (refund === undefined || more.length > 0) return undefined;
  const isGivenBack = (create: AcceptedCreate): boolean =>
    create.refundRowId !== undefined ||
    (create.workflowId === workflowId &&
      attempts.some(
        ({ decision, refundRowId }) => decision === create.decision && refundRowId !== undefined,
      ));
  const isOther = account.accepted.some(
    (create) =>
      create !== ours &&
      create.hasModel !== true &&
      !isGivenBack(create) &&
      create.sentAt - times.skewMs <= refund.at,
  );
  if (isOther) return undefined;
  return -refund.amount === (attempt.credits ?? charge.amount) ? refund.id : undefined;
}

/** Each charge is that of a known create and each create has its charge, so nobody else's training can be given back. */
function isWhole(ledger: LedgerLook, account: AccountFacts, times: Times): boolean {
  const { skewMs, bookingMs } = times;
  if (ledger.isClosed !== true || ledger.unidentified > 0) return false;
  if (!account.isComplete || account.inDoubt.some(({ sentAt }) => sentAt + bookingMs >= ledger.since)) {
    return false;
  }
  const charges = ledger.creates.filter(({ amount }) => amount > 0);
  const creates = account.accepted.map((create) => ({
    ...explainerOf(create, times),
    sentAt: create.sentAt,
  }));
  // What was charged in the first moments may have been sent before that time, and the other way round.
  const from = ledger.since + bookingMs + 2 * skewMs;
  const unexplained = matchRows(
    charges.filter(({ at }) => at >= from),
    creates,
  ).unexplained;
  const { waiting } = matchRows(
    charges,
    creates.filter(({ sentAt }) => sentAt >= from),
  );
  return unexplained.length === 0 && waiting.length === 0;
}

function explainerOf({ sentAt, rowId }: AcceptedCreate, { skewMs, bookingMs }: Times): Explainer {
  return {
    from: sentAt - skewMs,
    to: sentAt + bookingMs + skewMs,
    ...(rowId === undefined ? {} : { rowId }),
  };
}

/** The rows that give attempts back, by decision. */
export function refundsOf(attempts: readonly CreateAttempt[]): Record<string, string> {
  return Object.fromEntries(
    attempts.flatMap(({ decision, refundRowId }) =>
      refundRowId === undefined ? [] : [[decision, refundRowId]],
    ),
  );
}

/** Of numbers; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
