/**
 * Pure: whether the ledger proves that a failed training was given back.
 */
import type { AccountFacts } from '../contract/account.js';
import type { Witnesses } from '../contract/money.js';
import type { CreateAttempt } from '../contract/training.js';

export interface RefundQuestion {
  look: Witnesses;
  account: AccountFacts;
  attempt: CreateAttempt;
  skewMs: number;
  bookingMs: number;
}

/**
 * A row names no training, so it proves something only where no other create of the key could have been given back: none
 * was accepted or in doubt in the time of the rows.
 *
 * @returns the id of the row.
 */
export function provenRefund({
  look,
  account,
  attempt,
  skewMs,
  bookingMs,
}: RefundQuestion): string | undefined {
  const sentAt = Date.parse(attempt.sentAt);
  const refunds = (look.ledger?.creates ?? []).filter(
    ({ amount, at }) => amount < 0 && at >= sentAt - skewMs,
  );
  const [refund, ...more] = refunds;
  if (refund === undefined || more.length > 0 || !account.isComplete) return undefined;
  const others = account.accepted.filter(
    ({ decision, sentAt: at }) => decision !== attempt.decision || at !== sentAt,
  );
  // A doubt that is long past cannot be what is given back now.
  const doubts = account.inDoubt.filter(({ sentAt: at }) => at + 2 * bookingMs + skewMs >= sentAt);
  if (others.length > 0 || doubts.length > 0) return undefined;
  return attempt.credits === undefined || attempt.credits === -refund.amount ? refund.id : undefined;
}

/** Of numbers; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
