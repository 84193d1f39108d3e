/**
 * A refund row names no training: it gives back only the create that nobody else's can be mistaken for. The properties in
 * test/money/refund.property.test.ts go through whole days; here is each rule by itself.
 */
import { describe, expect, it } from 'vitest';
import type { CloseTraining, ReportSend } from '../../src/contract/account.js';
import type { CreateRow, LedgerLook } from '../../src/contract/money.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { provenRefund, refundSince } from '../../src/money/refund.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';

const KEY = '0a1b2c3d';
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const TIMES = { skewMs: 2 * MINUTE, bookingMs: 20 * MINUTE };
const SENT_AT = 10_000 * MINUTE;
const SINCE = refundSince(SENT_AT, TIMES);

const who = (workflowId: string) => ({
  workflowId,
  runId: 'run',
  sessionId: `of ${workflowId}`,
  keyFingerprint: KEY,
});

function send(
  book: AccountBook,
  workflowId: string,
  sentAt: number,
  more: Partial<Pick<ReportSend, 'decision' | 'outcome'>> = {},
): void {
  const { decision = 'first', outcome = 'accepted' } = more;
  const asked = { ...who(workflowId), decision };
  book.requestSend({ ...asked, known: [], grantMs: MINUTE, slotMs: 1 }, sentAt);
  book.reportSend({ ...asked, sentAt, outcome }, sentAt + SECOND);
}

function close(book: AccountBook, workflowId: string, at: number, more: Partial<CloseTraining> = {}): void {
  book.close({ ...who(workflowId), rows: [], ...TIMES, ...more }, at);
}

function bookOf(sends: Record<string, number> = {}): AccountBook {
  const book = new AccountBook(emptyAccount());
  for (const [workflowId, at] of Object.entries(sends)) send(book, workflowId, at);
  send(book, 'ours', SENT_AT);
  return book;
}

const charge = (of: string, at: number): CreateRow => ({ id: `charge of ${of}`, at, amount: 100 });
const refund = (of: string, at: number): CreateRow => ({ id: `refund of ${of}`, at, amount: -100 });
const OWN = [charge('ours', SENT_AT), refund('ours', SENT_AT + 2 * MINUTE)];

function attemptOf(decision = 'first', more: Partial<CreateAttempt> = {}): CreateAttempt {
  return {
    decision,
    sessionId: 'ours',
    sentAt: new Date(SENT_AT).toISOString(),
    verdict: 'charged',
    credits: 100,
    evidence: [],
    ...more,
  };
}

interface Asked {
  ledger?: Partial<LedgerLook>;
  /** Default: true. */
  isAnchored?: boolean;
  earlierRows?: string[];
  attempt?: CreateAttempt;
  attempts?: CreateAttempt[];
}

function provenOf(book: AccountBook, creates: CreateRow[], asked: Asked = {}): string | undefined {
  const { attempt = attemptOf(), attempts = [attempt], isAnchored = true } = asked;
  const ledger = {
    since: SINCE,
    at: SENT_AT + 3 * MINUTE,
    balance: 1_000,
    creates: [...creates].sort((a, b) => a.at - b.at),
    unidentified: 0,
    ...(isAnchored ? { isClosed: true } : {}),
    uploads: { count: 0, total: 0, dearest: 0 },
    ...asked.ledger,
  };
  const account = book.facts({ workflowId: 'ours', keyFingerprint: KEY, since: ledger.since });
  const earlierRows = new Set(asked.earlierRows);
  return provenRefund({
    look: { ledger },
    account,
    workflowId: 'ours',
    attempts,
    attempt,
    earlierRows,
    times: TIMES,
  });
}

it('gives back the only create that failed', () => {
  expect(provenOf(bookOf(), OWN)).toBe('refund of ours');
  const book = bookOf({ good: SENT_AT - HOUR });
  close(book, 'good', SENT_AT - 50 * MINUTE, { hasModel: true });
  expect(provenOf(book, [charge('good', SENT_AT - HOUR), ...OWN])).toBe('refund of ours');
});

describe('may be that of a training', () => {
  const older = (sentAt: number): CreateRow[] => [charge('older', sentAt), ...OWN];

  it.each([
    ['a minute', MINUTE],
    ['five minutes', 5 * MINUTE],
    ['ten hours', 10 * HOUR],
  ])('that was sent %s earlier and has no model', (_, ms) => {
    expect(provenOf(bookOf({ older: SENT_AT - ms }), older(SENT_AT - ms))).toBeUndefined();
  });

  it('that was sent days ago and has not ended', () => {
    const book = bookOf({ older: SENT_AT - 72 * HOUR });
    expect(provenOf(book, OWN)).toBeUndefined();
  });

  it('that was sent days ago and was given up an hour ago', () => {
    const book = bookOf({ older: SENT_AT - 72 * HOUR });
    close(book, 'older', SENT_AT - HOUR);
    expect(provenOf(book, OWN)).toBeUndefined();
  });

  it('that was closed before it was given back', () => {
    const book = bookOf({ older: SENT_AT - 5 * MINUTE });
    close(book, 'older', SENT_AT - 2 * MINUTE);
    expect(provenOf(book, older(SENT_AT - 5 * MINUTE))).toBeUndefined();
  });

  it('that made a model with one of two creates, and nobody knows with which', () => {
    const book = bookOf({ older: SENT_AT - HOUR });
    send(book, 'older', SENT_AT - 50 * MINUTE, { decision: 'att1' });
    close(book, 'older', SENT_AT - 40 * MINUTE, { hasModel: true });
    const { accepted } = book.facts({ workflowId: 'ours', keyFingerprint: KEY, since: SINCE });
    expect(accepted.filter(({ hasModel }) => hasModel)).toEqual([]);
    const rows = [charge('older', SENT_AT - HOUR), charge('older again', SENT_AT - 50 * MINUTE), ...OWN];
    expect(provenOf(book, rows)).toBeUndefined();
    close(book, 'older', SENT_AT - 40 * MINUTE, { hasModel: true, refunded: { first: 'earlier refund' } });
    expect(provenOf(book, rows)).toBe('refund of ours');
  });

  it('whose create is in doubt', () => {
    const book = bookOf();
    send(book, 'doubtful', SENT_AT - HOUR, { outcome: 'in-doubt' });
    expect(provenOf(book, OWN)).toBeUndefined();
  });

  it('that nobody knows, and the ledger shows', () => {
    expect(provenOf(bookOf(), [charge('somebody', SENT_AT + SECOND), ...OWN])).toBeUndefined();
    expect(provenOf(bookOf(), [charge('somebody', SENT_AT - 10 * HOUR), ...OWN])).toBeUndefined();
  });
});

it('is another one where its training is known to have been given back by it', () => {
  const book = bookOf({ older: SENT_AT - 5 * MINUTE });
  const rows = [charge('older', SENT_AT - 5 * MINUTE), refund('older', SENT_AT + MINUTE), ...OWN];
  expect(provenOf(book, rows)).toBeUndefined();
  close(book, 'older', SENT_AT + MINUTE, { refunded: { first: 'refund of older' } });
  expect(provenOf(book, rows)).toBe('refund of ours');
  expect(provenOf(book, rows.slice(0, -1))).toBeUndefined();
});

it('of the first create of a training is not that of the second', () => {
  const book = new AccountBook(emptyAccount());
  send(book, 'ours', SENT_AT - 5 * MINUTE);
  send(book, 'ours', SENT_AT, { decision: 'first+' });
  const attempt = attemptOf('first+');
  const before = attemptOf('first', { sentAt: new Date(SENT_AT - 5 * MINUTE).toISOString() });
  const rows = [
    charge('first', SENT_AT - 5 * MINUTE),
    refund('first', SENT_AT + SECOND),
    charge('ours', SENT_AT),
  ];
  expect(provenOf(book, rows, { attempt, attempts: [before, attempt] })).toBeUndefined();
  const given = { ...before, verdict: 'not-charged' as const, refundRowId: 'refund of first' };
  expect(provenOf(book, rows, { attempt, attempts: [given, attempt] })).toBeUndefined();
  const all = [...rows, refund('ours', SENT_AT + 2 * MINUTE)];
  expect(provenOf(book, all, { attempt, attempts: [given, attempt] })).toBe('refund of ours');
});

describe('proves nothing', () => {
  it.each([
    ['where it is older than the send', -MINUTE, SENT_AT - SECOND],
    ['where it is older than the charge', MINUTE, SENT_AT + SECOND],
  ])('%s', (_, chargedAfter, at) => {
    expect(provenOf(bookOf(), [charge('ours', SENT_AT + chargedAfter), refund('x', at)])).toBeUndefined();
  });

  it('where it was there before the training failed', () => {
    expect(provenOf(bookOf(), OWN, { earlierRows: ['charge of ours'] })).toBe('refund of ours');
    expect(provenOf(bookOf(), OWN, { earlierRows: ['refund of ours'] })).toBeUndefined();
  });

  it('where there are two', () => {
    expect(provenOf(bookOf(), [...OWN, refund('x', SENT_AT + MINUTE)])).toBeUndefined();
  });

  it('where it is not of the same amount', () => {
    expect(provenOf(bookOf(), OWN, { attempt: attemptOf('first', { credits: 90 }) })).toBeUndefined();
  });

  it('where our charge is not there, or that of another create', () => {
    expect(provenOf(bookOf(), OWN.slice(1))).toBeUndefined();
    const book = bookOf({ good: SENT_AT - HOUR });
    close(book, 'good', SENT_AT - 50 * MINUTE, { hasModel: true });
    expect(provenOf(book, OWN)).toBeUndefined();
  });

  it.each([
    ['was not read far enough back', { since: SINCE + 1 }],
    ['does not add up', { isClosed: false }],
    ['has rows that do not say what they are for', { unidentified: 1 }],
  ])('where the ledger %s', (_, ledger) => {
    expect(provenOf(bookOf(), OWN, { ledger })).toBeUndefined();
  });

  it('where the balance before the send is not known', () => {
    expect(provenOf(bookOf(), OWN, { isAnchored: false })).toBeUndefined();
  });

  it('where not all trainings are remembered', () => {
    const book = bookOf();
    const key = book.state.keys[KEY];
    if (key !== undefined) key.forgottenBefore = SINCE;
    expect(provenOf(book, OWN)).toBeUndefined();
  });

  it('of a create that the account workflow does not know', () => {
    const book = new AccountBook(emptyAccount());
    send(book, 'other', SENT_AT);
    close(book, 'other', SENT_AT + MINUTE, { hasModel: true });
    expect(provenOf(book, OWN)).toBeUndefined();
  });
});

it('comes after its training was closed, and the books of the next one do not take it', () => {
  const book = bookOf({ older: SENT_AT - 10 * MINUTE });
  close(book, 'older', SENT_AT - 5 * MINUTE);
  const seen = [charge('ours', SENT_AT), refund('older', SENT_AT + MINUTE)];
  const closed = book.close(
    {
      ...who('ours'),
      ...TIMES,
      hasModel: true,
      rows: seen.map((row) => ({ ...row, seenAt: SENT_AT + 3 * MINUTE })),
    },
    SENT_AT + 3 * MINUTE,
  );
  expect(closed).toMatchObject({ rows: { first: { id: 'charge of ours', amount: 100 } } });
});
