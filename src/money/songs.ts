/**
 * Pure: what the ledger says of a song. A row names no task, so it is told to be ours only where nothing else can explain
 * it. None of this leads to a second send: that is a person's.
 */
import type { CreateRow, LedgerLook } from '../contract/money.js';
import { GENERATE_CREDITS, type SongAttempt, type SongReceipt } from '../contract/song.js';

/** A send of another song with the same key. */
export interface OtherSend {
  /** ms since 1970. */
  sentAt: number;
  rowId?: string;
}

export interface SongTimes {
  /** How far Mountsea's clock may be from ours, ms. */
  skewMs: number;
  /** How long after an accepted send its charge may be booked, ms. */
  bookingMs: number;
}

/** The most that a song may have spent by now, credits. */
export function mostSpentOn({ generate }: SongReceipt, price: number): number {
  return generate.attempts.reduce(
    (sum, { verdict, credits }) => (verdict === 'not-charged' ? sum : sum + (credits ?? price)),
    0,
  );
}

/** What a song counts as: the dearest that was seen, never less than what others saw. */
export function songPrice(seen: number | undefined): number {
  return Math.max(seen ?? 0, GENERATE_CREDITS);
}

/** Charges of the time of a send that no known row of another song explains. */
function candidates(
  { sentAt, sentBy }: SongAttempt,
  { generates = [] }: LedgerLook,
  others: readonly OtherSend[],
  { skewMs, bookingMs }: SongTimes,
): { rows: CreateRow[]; rivals: OtherSend[] } {
  const from = Date.parse(sentAt) - skewMs;
  const to = Date.parse(sentBy ?? sentAt) + bookingMs;
  const known = new Set(others.map(({ rowId }) => rowId));
  const rows = generates.filter(
    ({ id, at, amount }) => amount > 0 && from <= at && at <= to && !known.has(id),
  );
  const rivals = others.filter(
    (other) =>
      other.rowId === undefined &&
      rows.some(({ at }) => other.sentAt - skewMs <= at && at <= other.sentAt + bookingMs),
  );
  return { rows, rivals };
}

/** What a look at the ledger says of a send in doubt, as sentences; `isTold`: there is a row that nothing else explains. */
export function songEvidence(
  attempt: SongAttempt,
  look: LedgerLook,
  others: readonly OtherSend[],
  times: SongTimes,
): { evidence: string[]; isTold: boolean } {
  const { rows, rivals } = candidates(attempt, look, others, times);
  const balance = balanceWords(attempt.balanceBefore, look);
  const list = rows.map(({ id, amount }) => `row ${id}: ${amount} credits`).join(', ');
  if (rows.length === 0) {
    return {
      evidence: ['the ledger shows no song of that time that nothing else explains', balance],
      isTold: false,
    };
  }
  if (rivals.length >= rows.length) {
    return {
      evidence: [`the ledger shows ${list}, which may be that of ${songs(rivals.length)} besides`, balance],
      isTold: false,
    };
  }
  return { evidence: [`the ledger shows ${list}, which no other song here explains`, balance], isTold: true };
}

function balanceWords(before: number | undefined, { balance, isClosed }: LedgerLook): string {
  if (before === undefined) return `the balance is ${balance}; what it was before is not known`;
  const whole = isClosed === true ? '; every booking between the two is in the ledger' : '';
  return `the balance was ${before} before it was sent and is ${balance} now${whole}`;
}

function songs(count: number): string {
  return count === 1 ? 'another song' : `${count} other songs`;
}

/** Puts into the attempts that were accepted what the ledger proves they cost. Changes them. */
export function settleSong(
  attempts: SongAttempt[],
  look: LedgerLook,
  others: readonly OtherSend[],
  times: SongTimes,
): void {
  const own = attempts.filter(({ rowId }) => rowId !== undefined).map(({ rowId }) => rowId);
  for (const attempt of attempts) {
    if (attempt.verdict !== 'charged' || attempt.provisional !== true) continue;
    const siblings = attempts.filter(
      (other) => other !== attempt && other.verdict !== 'not-charged' && other.rowId === undefined,
    );
    const rivals: OtherSend[] = [
      ...others,
      ...siblings.map(({ sentAt }) => ({ sentAt: Date.parse(sentAt) })),
    ];
    const found = candidates(attempt, look, rivals, times);
    const rows = found.rows.filter(({ id }) => !own.includes(id));
    const [row, ...more] = rows;
    if (row === undefined) continue;
    if (more.length === 0 && found.rivals.length === 0) {
      attempt.credits = row.amount;
      attempt.rowId = row.id;
      delete attempt.provisional;
      own.push(row.id);
      attempt.evidence = [...attempt.evidence.slice(0, 1), `ledger row ${row.id}: ${row.amount} credits`];
    } else if (rows.length === found.rivals.length + 1 && rows.every(({ amount }) => amount === row.amount)) {
      attempt.credits = row.amount;
      delete attempt.provisional;
      attempt.evidence = [
        ...attempt.evidence.slice(0, 1),
        `the ledger has a row for each song of that time: ${row.amount} credits`,
      ];
    }
  }
}
