/**
 * The refund of a failed training over made-up days of one key: other trainings that fail and are given back at any time,
 * parked ones, creates of somebody unknown, rows that come late, a clock that is off.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerLook } from '../../src/contract/money.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { type BookedRow, isClosedChain } from '../../src/money/ledger.js';
import { provenRefund, refundSince } from '../../src/money/refund.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';
import { MINUTE, SECOND, SENT_AT, TIMES } from './history.js';

const HOUR = 60 * MINUTE;
const BALANCE = 10_000;
const KEY = 'key';
const OWN_REFUND = 'refund of ours';

interface Training {
  sentAt: number;
  trainingMs: number;
  hasModel: boolean;
  /** From the failure on; undefined: it is not given back. */
  refundAfterMs: number | undefined;
  /** From its end until its books are closed; undefined: it stays parked. */
  closesAfterMs: number | undefined;
  /** Nobody knows of it. */
  isForeign: boolean;
  isDoubtful: boolean;
}

interface Day {
  ours: Pick<Training, 'trainingMs' | 'refundAfterMs'>;
  others: Training[];
  chargeAt: 'send' | 'start';
  lagMs: number;
  clockMs: number;
}

const minutes = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * 60, max: max * 60 }).map((seconds) => seconds * SECOND);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

const other: fc.Arbitrary<Training> = fc.record({
  sentAt: fc.oneof(minutes(-30, 15), minutes(-9 * 60, 0)).map((ms) => SENT_AT + ms),
  trainingMs: fc.oneof(minutes(1, 15), minutes(15, 6 * 60)),
  hasModel: fc.boolean(),
  refundAfterMs: maybe(fc.oneof(fc.constant(0), minutes(0, 5), minutes(0, 120))),
  closesAfterMs: maybe(fc.oneof(fc.constant(0), minutes(0, 60))),
  isForeign: fc.constantFrom(false, false, false, true),
  isDoubtful: fc.constantFrom(false, false, false, true),
});

const days: fc.Arbitrary<Day> = fc.record({
  ours: fc.record({
    trainingMs: minutes(1, 15),
    refundAfterMs: maybe(fc.oneof(fc.constant(0), minutes(0, 5))),
  }),
  others: fc.array(other, { maxLength: 4 }),
  chargeAt: fc.constantFrom('send', 'start'),
  lagMs: fc.oneof(fc.constant(0), fc.constant(30 * SECOND), minutes(0, 12)),
  clockMs: fc.integer({ min: -110, max: 110 }).map((seconds) => seconds * SECOND),
});

function trainingsOf({ ours, others }: Day): [string, Training][] {
  const own: Training = {
    ...ours,
    sentAt: SENT_AT,
    hasModel: false,
    closesAfterMs: undefined,
    isForeign: false,
    isDoubtful: false,
  };
  return [['ours', own], ...others.map((one, index): [string, Training] => [`other ${index}`, one])];
}

/** Every row that will ever be, by the service's clock. */
function rowsOf(day: Day): BookedRow[] {
  let balance = BALANCE;
  return trainingsOf(day)
    .flatMap(([id, { sentAt, trainingMs, hasModel, refundAfterMs }]) => {
      const charge = { id: `charge of ${id}`, at: sentAt, amount: 100 };
      // Before its end, whatever it is.
      if (day.chargeAt === 'start') charge.at += Math.min(trainingMs * 0.15, 30 * SECOND);
      if (hasModel || refundAfterMs === undefined) return [charge];
      return [charge, { id: `refund of ${id}`, at: sentAt + trainingMs + refundAfterMs, amount: -100 }];
    })
    .sort((a, b) => a.at - b.at)
    .map(({ id, at, amount }) => {
      const before = balance;
      balance -= amount;
      return { id, at, kind: 'create' as const, amount, before, after: balance };
    });
}

function ledgerAt(
  { lagMs, clockMs }: Day,
  rows: readonly BookedRow[],
  now: number,
  anchor?: number,
): LedgerLook {
  const since = refundSince(SENT_AT, TIMES);
  const shown = rows
    .filter(({ at }) => at + lagMs <= now)
    .map((row) => ({ ...row, at: row.at + clockMs }))
    .filter(({ at }) => at >= since);
  const balance = rows.findLast(({ at }) => at <= now)?.after ?? BALANCE;
  return {
    since,
    at: now,
    balance,
    creates: shown.map(({ id, at, amount }) => ({ id, at, amount })),
    unidentified: 0,
    ...(anchor === undefined ? {} : { isClosed: isClosedChain(shown, anchor, balance) }),
    uploads: { count: 0, total: 0, dearest: 0 },
  };
}

/** The account workflow at a time: it has lived through all that was told to it until then. */
function bookAt(day: Day, rows: readonly BookedRow[], now: number): AccountBook {
  const book = new AccountBook(emptyAccount());
  const told = trainingsOf(day).flatMap(([workflowId, training]) => {
    const { sentAt, trainingMs, hasModel, closesAfterMs, isForeign, isDoubtful } = training;
    if (isForeign) return [];
    const who = { workflowId, runId: 'run', sessionId: workflowId, keyFingerprint: KEY };
    const send = (): void => {
      book.requestSend({ ...who, decision: 'first', known: [], grantMs: 0, slotMs: 0 }, sentAt);
      const outcome = isDoubtful ? ('in-doubt' as const) : ('accepted' as const);
      book.reportSend({ ...who, decision: 'first', sentAt, outcome }, sentAt + SECOND);
    };
    const endAt = sentAt + trainingMs + (closesAfterMs ?? Infinity);
    const close = (): void => {
      const seen = ledgerAt(day, rows, endAt).creates.map((row) => ({ ...row, seenAt: endAt }));
      book.close(
        { ...who, ...TIMES, hasModel, rows: seen.filter(({ at }) => at >= sentAt - TIMES.skewMs) },
        endAt,
      );
    };
    return [
      { at: sentAt, act: send },
      { at: endAt, act: close },
    ];
  });
  const past = told.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
  for (const { act } of past) act();
  return book;
}

/** @returns the rows that are taken for ours, of looks from the failure on. */
function takenIn(day: Day): string[] {
  const rows = rowsOf(day);
  const failedAt = SENT_AT + day.ours.trainingMs;
  const balanceBefore = rows.findLast(({ at }) => at < SENT_AT)?.after ?? BALANCE;
  const attempt: CreateAttempt = {
    decision: 'first',
    sessionId: 'ours',
    sentAt: new Date(SENT_AT).toISOString(),
    verdict: 'charged',
    credits: 100,
    balanceBefore,
    evidence: [],
  };
  const earlierRows = new Set(ledgerAt(day, rows, SENT_AT - 1).creates.map(({ id }) => id));
  const looks = [5 * SECOND, 35 * SECOND, 95 * SECOND, 215 * SECOND, 20 * MINUTE, HOUR, 6 * HOUR];
  return looks.flatMap((after) => {
    const now = failedAt + after;
    const rowId = provenRefund({
      look: { ledger: ledgerAt(day, rows, now, balanceBefore) },
      account: bookAt(day, rows, now).facts({
        workflowId: 'ours',
        keyFingerprint: KEY,
        since: refundSince(SENT_AT, TIMES),
      }),
      workflowId: 'ours',
      attempts: [attempt],
      attempt,
      earlierRows,
      times: TIMES,
    });
    return rowId === undefined ? [] : [rowId];
  });
}

describe('a refund of a failed training', () => {
  it('is never that of another one, whatever others failed and were given back', () => {
    let proofs = 0;
    fc.assert(
      fc.property(days, (day) => {
        const taken = takenIn(day);
        proofs += taken.length;
        expect(new Set([...taken, OWN_REFUND])).toEqual(new Set([OWN_REFUND]));
      }),
      { numRuns: 2_000 },
    );
    expect(proofs).toBeGreaterThan(0);
  });

  it('is told where all others made models, once their rows are there', () => {
    const models = other.map((one): Training => ({
      ...one,
      sentAt: Math.min(one.sentAt, SENT_AT - SECOND),
      trainingMs: Math.min(one.trainingMs, 15 * MINUTE),
      hasModel: true,
      closesAfterMs: 0,
      isForeign: false,
      isDoubtful: false,
    }));
    const told = fc.record({
      ours: fc.record({ trainingMs: minutes(3, 15), refundAfterMs: minutes(0, 5) }),
      others: fc.array(models, { maxLength: 4 }),
      chargeAt: fc.constantFrom<'send' | 'start'>('send', 'start'),
      lagMs: minutes(0, 12),
      clockMs: fc.integer({ min: -110, max: 110 }).map((seconds) => seconds * SECOND),
    });
    fc.assert(
      fc.property(told, (day) => {
        expect(takenIn(day).slice(-2)).toEqual([OWN_REFUND, OWN_REFUND]);
      }),
      { numRuns: 300 },
    );
  });
});
