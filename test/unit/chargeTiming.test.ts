/**
 * How soon charges appear is learned by the account workflow, and the grace of every later doubt is three times that.
 */
import { expect, it } from 'vitest';
import { type RowsSeen, seenRows } from '../../src/activities/settleReceipt.js';
import type { ChargeTiming, CloseTraining } from '../../src/contract/account.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';

const KEY = '0a1b2c3d';
const MINUTE = 60_000;
const SENT_AT = 1_000_000;
const ROW = { id: 'row', at: SENT_AT + 500, amount: 100 };

/** A book that knows one accepted create. */
function bookOf(workflowId = 'one', sentAt = SENT_AT): AccountBook {
  const book = new AccountBook(emptyAccount());
  accept(book, workflowId, sentAt);
  return book;
}

function accept(book: AccountBook, workflowId: string, sentAt: number): void {
  const asked = { workflowId, runId: 'run', sessionId: `of ${workflowId}`, keyFingerprint: KEY };
  book.requestSend({ ...asked, decision: 'first', known: [], grantMs: MINUTE, slotMs: 1 }, sentAt);
  book.reportSend({ ...asked, decision: 'first', sentAt, outcome: 'accepted' }, sentAt + 1_000);
}

function close(book: AccountBook, now: number, more: Partial<CloseTraining>): void {
  const end = { workflowId: 'one', runId: '', keyFingerprint: KEY, rows: [], skewMs: 2 * MINUTE };
  book.close({ ...end, bookingMs: 20 * MINUTE, ...more }, now);
}

function chargesOf(book: AccountBook): ChargeTiming {
  return book.facts({ workflowId: 'one', keyFingerprint: KEY, since: 0 }).charges;
}

it('looks after an unsettled receipt do not make a charge that was there look late', () => {
  const book = bookOf();
  close(book, SENT_AT + 3 * MINUTE, {
    rows: [{ ...ROW, seenAt: SENT_AT + 8_000 }],
    endSeenAt: SENT_AT + 9_000,
  });
  expect(chargesOf(book)).toEqual({ areEarly: true, longestMs: 8_000 });
  let lastLook: RowsSeen | undefined;
  for (const minutes of [4, 9, 24, 44, 64, 124]) {
    const at = SENT_AT + minutes * MINUTE;
    close(book, at, { rows: seenRows({ at, creates: [ROW] }, lastLook) });
    lastLook = { at, ids: [ROW.id], until: at };
  }
  expect(chargesOf(book)).toEqual({ areEarly: true, longestMs: 8_000 });
});

it('a charge that was not there at the look before is known to be at least that late', () => {
  const book = bookOf();
  const before: RowsSeen = { at: SENT_AT + 10 * MINUTE, ids: [], until: SENT_AT + 10 * MINUTE };
  close(book, SENT_AT + 25 * MINUTE, {
    rows: seenRows({ at: SENT_AT + 25 * MINUTE, creates: [ROW] }, before),
  });
  expect(chargesOf(book).longestMs).toBe(10 * MINUTE);
});

it("another training's row is not taken for a late charge of this one", () => {
  const book = bookOf();
  accept(book, 'two', SENT_AT + 2 * MINUTE);
  const other = { id: 'other', at: SENT_AT + 2 * MINUTE + 500, amount: 100 };
  close(book, SENT_AT + 3 * MINUTE, {
    rows: [
      { ...ROW, seenAt: SENT_AT + 8_000 },
      { ...other, seenAt: SENT_AT + 3 * MINUTE, unseenAt: SENT_AT + 110_000 },
    ],
    endSeenAt: SENT_AT + 3 * MINUTE + 1,
  });
  expect(chargesOf(book).longestMs).toBe(8_000);
});

it('a key that was forgotten does not come back as one of which everything is known', () => {
  const book = bookOf();
  for (let other = 0; other < 10; other += 1) {
    close(book, SENT_AT + 10 * MINUTE, { keyFingerprint: `key-${other}` });
  }
  const facts = book.facts({ workflowId: 'one', keyFingerprint: KEY, since: SENT_AT - MINUTE });
  expect(facts.accepted).toEqual([]);
  expect(facts.isComplete).toBe(false);
  close(book, SENT_AT + 11 * MINUTE, {});
  expect(book.facts({ workflowId: 'one', keyFingerprint: KEY, since: SENT_AT - MINUTE }).isComplete).toBe(
    false,
  );
});

it('the key that was not used for longest is forgotten first', () => {
  const book = bookOf();
  for (let other = 0; other < 10; other += 1) {
    close(book, SENT_AT + (10 + other) * MINUTE, { keyFingerprint: `key-${other}` });
    close(book, SENT_AT + (10 + other) * MINUTE + 1, {});
  }
  expect(book.facts({ workflowId: 'one', keyFingerprint: KEY, since: 0 }).accepted).toHaveLength(1);
});

it('the account remembers what the last uploads took, once for each training', () => {
  const book = bookOf();
  const uploadsOf = (): number[] =>
    book.facts({ workflowId: 'two', keyFingerprint: KEY, since: 0 }).uploadsMs;
  expect(uploadsOf()).toEqual([]);
  book.claim({ workflowId: 'one', runId: 'run', sessionId: 'of one' }, SENT_AT);
  close(book, SENT_AT, { uploadsMs: [9_000, 12_000] });
  close(book, SENT_AT, { uploadsMs: [9_000, 12_000] });
  expect(uploadsOf()).toEqual([9_000, 12_000]);
  book.claim({ workflowId: 'two', runId: 'run', sessionId: 'of two' }, SENT_AT);
  close(book, SENT_AT, { workflowId: 'two', uploadsMs: Array.from({ length: 40 }, () => 5_000) });
  expect(uploadsOf()).toEqual(Array.from({ length: 40 }, () => 5_000));
});

it('a row that the look before left out, or that was known before, teaches nothing', () => {
  const book = bookOf();
  close(book, SENT_AT + 3 * MINUTE, {
    rows: [{ ...ROW, seenAt: SENT_AT + 8_000 }],
    endSeenAt: SENT_AT + 9_000,
  });
  const at = SENT_AT + 25 * MINUTE;
  const blind: RowsSeen = { at: SENT_AT + 10 * MINUTE, ids: [], until: SENT_AT - MINUTE };
  close(book, at, { rows: seenRows({ at, creates: [ROW] }, blind) });
  expect(chargesOf(book).longestMs).toBe(8_000);
  const odd: RowsSeen = { ...blind, until: at };
  close(book, at, { rows: seenRows({ at, creates: [ROW] }, odd) });
  expect(chargesOf(book).longestMs).toBe(8_000);
});

it('sessions are known to tell once three have shown their creates, and no more once one has not', () => {
  const book = bookOf();
  const sessions = (): unknown => book.facts({ workflowId: 'one', keyFingerprint: KEY, since: 0 }).sessions;
  expect(sessions()).toBeUndefined();
  close(book, SENT_AT + 3 * MINUTE, { session: { hasShown: true, silentMs: 4_000 } });
  expect(sessions()).toEqual({ areTelling: false, longestSilentMs: 4_000 });
  for (const workflowId of ['a second', 'a third']) {
    accept(book, workflowId, SENT_AT);
    close(book, SENT_AT + 3 * MINUTE, { workflowId, session: { hasShown: true, silentMs: 0 } });
  }
  expect(sessions()).toEqual({ areTelling: true, longestSilentMs: 4_000 });
  accept(book, 'seldom looked at', SENT_AT);
  close(book, SENT_AT + 4 * MINUTE, {
    workflowId: 'seldom looked at',
    session: { hasShown: false, silentMs: 5_000 },
    endSeenAt: SENT_AT + 4 * MINUTE,
  });
  expect(sessions()).toEqual({ areTelling: true, longestSilentMs: 4_000 });
  accept(book, 'two', SENT_AT);
  close(book, SENT_AT + 4 * MINUTE, {
    workflowId: 'two',
    session: { hasShown: false, silentMs: 3 * MINUTE },
    endSeenAt: SENT_AT + 4 * MINUTE,
  });
  expect(sessions()).toEqual({ areTelling: false, longestSilentMs: 3 * MINUTE });
  for (let next = 0; next < 40; next += 1) {
    accept(book, `later-${next}`, SENT_AT);
    close(book, SENT_AT + 5 * MINUTE, {
      workflowId: `later-${next}`,
      session: { hasShown: true, silentMs: 0 },
    });
  }
  // What was learned is of the last 40.
  expect(sessions()).toEqual({ areTelling: true, longestSilentMs: 0 });
});
