/**
 * A ledger row names no training, so nobody may take one that a create of another training would explain, also one that
 * nobody has reported on yet.
 */
import { describe, expect, it } from 'vitest';
import { NO_FACTS } from '../../src/contract/account.js';
import type { LedgerLook } from '../../src/contract/money.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { settleDoubts } from '../../src/money/receipt.js';
import {
  acceptedDoubt,
  type Doubt,
  judgeCreate,
  type JudgementTimes,
  UNKNOWN_TASK,
} from '../../src/money/verdict.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';

const KEY = '0a1b2c3d';
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const TIMES: JudgementTimes = {
  graceMs: 15 * MINUTE,
  patienceMs: 2 * MINUTE,
  skewMs: 2 * MINUTE,
  bookingMs: 20 * MINUTE,
};
const SENT_AT = 100 * MINUTE;

/** An attempt that nobody knows the outcome of; its request was over a second after it was sent. */
function unknownAttempt(sentAt = SENT_AT, decision = 'first'): CreateAttempt {
  return {
    decision,
    sessionId: 's',
    sentAt: new Date(sentAt).toISOString(),
    sentBy: new Date(sentAt + SECOND).toISOString(),
    verdict: 'unknown',
    evidence: [],
  };
}

/** A whole ledger with these create rows, by id. */
function ledgerAt(at: number, rowsAt: Record<string, number>, since = SENT_AT - 28 * MINUTE): LedgerLook {
  return {
    since,
    at,
    balance: 900,
    creates: Object.entries(rowsAt).map(([id, bookedAt]) => ({ id, at: bookedAt, amount: 100 })),
    unidentified: 0,
    isClosed: true,
    uploads: { count: 0, total: 0, dearest: 0 },
  };
}

function ask(book: AccountBook, workflowId: string, now: number): void {
  const asked = { workflowId, runId: 'run', sessionId: `of ${workflowId}`, keyFingerprint: KEY };
  book.requestSend({ ...asked, decision: 'first', known: [], grantMs: 3 * MINUTE, slotMs: SECOND }, now);
}

function report(book: AccountBook, workflowId: string, outcome: 'in-doubt' | 'not-accepted'): void {
  const told = { workflowId, runId: 'run', sessionId: `of ${workflowId}`, keyFingerprint: KEY };
  book.reportSend({ ...told, decision: 'first', sentAt: SENT_AT, outcome }, SENT_AT + SECOND);
}

function openOf(book: AccountBook, since = 0): string[] {
  return book
    .facts({ workflowId: 'asks', keyFingerprint: KEY, since })
    .inDoubt.map(({ workflowId }) => workflowId);
}

it('lists a create from its grant until somebody says what became of it', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, 'one', SENT_AT);
  expect(openOf(book)).toEqual(['one']);
  report(book, 'one', 'in-doubt');
  expect(openOf(book)).toEqual(['one']);
  report(book, 'one', 'not-accepted');
  expect(openOf(book)).toEqual([]);
});

it('lists no more what somebody else proved, but another run of the training asks first all the same', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, 'terminated', SENT_AT);
  const told = { workflowId: 'terminated', runId: '', sessionId: 'a later one', keyFingerprint: KEY };
  book.reportSend({ ...told, decision: 'first', sentAt: SENT_AT, outcome: 'not-accepted' }, SENT_AT + MINUTE);
  expect(openOf(book)).toEqual([]);
  const again = { ...told, runId: 'reset run', decision: 'first', known: [], grantMs: MINUTE, slotMs: 1 };
  expect(book.requestSend(again, SENT_AT + 2 * MINUTE).kind).toBe('may-have-sent');
});

describe('a training that is reset while its create is in doubt', () => {
  const theirs = { workflowId: 'reset', sessionId: 'of reset', keyFingerprint: KEY, decision: 'first' };
  const told = { ...theirs, sentAt: SENT_AT };

  it('stays in doubt for the others, whatever a run says that sent nothing', () => {
    const book = new AccountBook(emptyAccount());
    ask(book, 'reset', SENT_AT);
    report(book, 'reset', 'in-doubt');
    book.reportSend({ ...told, runId: 'second', outcome: 'not-accepted' }, SENT_AT + MINUTE);
    expect(openOf(book)).toEqual(['reset']);
  });

  it('keeps the gate shut while the request of the run before it may be out', () => {
    const book = new AccountBook(emptyAccount());
    ask(book, 'reset', SENT_AT);
    for (const outcome of ['not-accepted', 'in-doubt'] as const) {
      book.reportSend({ ...told, runId: 'second', outcome }, SENT_AT + SECOND);
    }
    const other = { workflowId: 'other', runId: 'run', sessionId: 's', keyFingerprint: KEY };
    const asked = { ...other, decision: 'first', known: [], grantMs: 3 * MINUTE, slotMs: SECOND };
    expect(book.requestSend(asked, SENT_AT + 2 * SECOND).kind).toBe('wait');
  });

  it('is no doubt any more once the run that asked after it has proved so', () => {
    const book = new AccountBook(emptyAccount());
    ask(book, 'reset', SENT_AT);
    book.reportSend({ ...told, runId: 'second', outcome: 'in-doubt' }, SENT_AT + SECOND);
    expect(openOf(book)).toEqual(['reset']);
    book.reportSend({ ...told, runId: 'second', outcome: 'not-accepted' }, SENT_AT + 20 * MINUTE);
    expect(openOf(book)).toEqual([]);
  });
});

it('what a training may have sent stays in doubt when its session is taken over', () => {
  const book = new AccountBook(emptyAccount());
  const session = { runId: 'run', sessionId: 's' };
  book.claim({ ...session, workflowId: 'terminated' }, SENT_AT);
  const asked = { ...session, workflowId: 'terminated', keyFingerprint: KEY, decision: 'first', known: [] };
  book.requestSend({ ...asked, grantMs: 3 * MINUTE, slotMs: SECOND }, SENT_AT);
  book.claim({ ...session, workflowId: 'next', takeOverFrom: 'terminated' }, SENT_AT + MINUTE);
  expect(openOf(book)).toEqual(['terminated']);
  const settled = { ...asked, runId: '', sentAt: SENT_AT, outcome: 'not-accepted' } as const;
  book.reportSend(settled, SENT_AT + 20 * MINUTE);
  expect(openOf(book)).toEqual([]);
});

it('an adopted create may have any row between the opening of its session and the adoption', () => {
  const book = new AccountBook(emptyAccount());
  const adoptedAt = SENT_AT + 5 * 60 * MINUTE;
  const asked = { workflowId: 'adopts', runId: 'run', sessionId: 's', keyFingerprint: KEY };
  const doubt = { decision: 'adopted', sentAt: SENT_AT, sentBy: adoptedAt, outcome: 'in-doubt' } as const;
  book.reportSend({ ...asked, ...doubt }, adoptedAt);
  ask(book, 'other', adoptedAt - MINUTE);
  const theirs = { ...asked, workflowId: 'other', decision: 'first', sentAt: adoptedAt - MINUTE };
  book.reportSend({ ...theirs, outcome: 'accepted' }, adoptedAt - MINUTE);
  const rows = [{ id: 'row', at: adoptedAt, amount: 100, seenAt: adoptedAt }];
  const { skewMs, bookingMs } = TIMES;
  const closed = book.close({ ...theirs, rows, skewMs, bookingMs }, adoptedAt + MINUTE);
  expect(closed.rows).toEqual({});
});

it.each([
  ['its own session', 's', 'accepted'],
  ['another session', 'another', 'wait'],
])('the row of an adopted session is looked for beside the doubts of others: one of %s', (_, of, kind) => {
  const at = SENT_AT + 5 * MINUTE;
  const uploads = { count: 0, total: 0, dearest: 0 };
  const creates = [{ id: 'row', at: SENT_AT + MINUTE, amount: 100 }];
  const ledger = { since: SENT_AT - 28 * MINUTE, at, balance: 0, creates, unidentified: 0, uploads };
  const before = { workflowId: 'before', keyFingerprint: KEY, decision: 'first', sentAt: SENT_AT };
  const verdict = judgeCreate({
    doubts: [{ decision: 'adopted', sentAt: SENT_AT, sentBy: SENT_AT + 4 * MINUTE }],
    look: { at, status: { word: 'success', models: [] }, ledger },
    account: { ...NO_FACTS, inDoubt: [{ ...before, sessionId: of }] },
    workflowId: 'adopts',
    sessionId: 's',
    times: TIMES,
  });
  expect(verdict.kind).toBe(kind);
});

it('an accepted create belongs to the session it was granted for, whichever its training has by then', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, 'moved on', SENT_AT);
  const told = { workflowId: 'moved on', runId: '', sessionId: 'a later one', keyFingerprint: KEY };
  book.reportSend({ ...told, decision: 'first', sentAt: SENT_AT, outcome: 'accepted' }, SENT_AT + MINUTE);
  const { accepted } = book.facts({ workflowId: 'asks', keyFingerprint: KEY, since: 0 });
  expect(accepted.map(({ sessionId }) => sessionId)).toEqual(['of moved on']);
});

it('does not list a grant of long ago that nobody will ever report on', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, 'terminated', SENT_AT);
  expect(openOf(book, SENT_AT + 1)).toEqual([]);
});

it('a row is not ours while the create of another training is on its way', () => {
  const book = new AccountBook(emptyAccount());
  book.state.areChargesEarly = true;
  ask(book, 'ours', SENT_AT);
  report(book, 'ours', 'in-doubt');
  ask(book, 'theirs', SENT_AT + 2 * SECOND);
  const attempt = unknownAttempt();
  const since = SENT_AT - 28 * MINUTE;
  const ledger = ledgerAt(SENT_AT + MINUTE, { theirs: SENT_AT + 3 * SECOND });
  settleDoubts([attempt], {
    look: { at: ledger.at, ledger },
    account: book.facts({ workflowId: 'ours', keyFingerprint: KEY, since }),
    workflowId: 'ours',
    times: TIMES,
  });
  expect(attempt.verdict).toBe('unknown');
  expect(attempt.evidence.join()).toContain('may be that of 1 other doubtful create');
});

it('a doubt that ended a training is settled by its session, where sessions were seen to tell', () => {
  const at = SENT_AT + 20 * MINUTE;
  // The row of one that was sent just now may still be on its way, so the row that is there may be ours.
  const other = { workflowId: 'theirs', sessionId: 'of theirs', keyFingerprint: KEY, decision: 'first' };
  const sentAt = at - MINUTE;
  const ledger = ledgerAt(at, { theirs: SENT_AT + 16 * MINUTE });
  const settled = (areTelling: boolean, isSessionSilent: boolean): string => {
    const attempt = unknownAttempt();
    const account = {
      ...NO_FACTS,
      accepted: [{ ...other, sentAt: SENT_AT + 15 * MINUTE, acceptedAt: sentAt }],
      charges: { areEarly: true, longestMs: 5 * MINUTE },
      sessions: { areTelling, longestSilentMs: 0 },
    };
    const question = { look: { at, ledger }, account, workflowId: 'ours', times: TIMES };
    settleDoubts([attempt], question, () => isSessionSilent);
    return attempt.verdict;
  };
  expect(settled(true, true)).toBe('not-charged');
  expect(settled(true, false)).toBe('unknown');
  expect(settled(false, true)).toBe('unknown');
});

it('a row of hours later is not ours, however little is known of whose it is', () => {
  const at = SENT_AT + 6 * 60 * MINUTE;
  const status = { word: 'success', models: [] };
  const verdictOf = (rowAt: number): string => {
    const ledger = ledgerAt(at, { row: rowAt });
    return judgeCreate({
      doubts: [
        {
          decision: 'first',
          sentAt: SENT_AT,
          sentBy: SENT_AT + MINUTE,
          baseline: { at: SENT_AT, status, ledger: { ...ledger, creates: [] } },
        },
      ],
      look: { at, status, ledger },
      account: { ...NO_FACTS, charges: { areEarly: true, longestMs: 10 * SECOND } },
      workflowId: 'ours',
      sessionId: 'of ours',
      times: TIMES,
    }).kind;
  };
  expect(verdictOf(SENT_AT + 30 * MINUTE)).toBe('accepted');
  expect(verdictOf(SENT_AT + 5 * 60 * MINUTE)).toBe('cannot-tell');
});

describe('several doubts of one training', () => {
  const sends = [SENT_AT, SENT_AT + 30 * MINUTE, SENT_AT + 60 * MINUTE];
  /** What they come to where the ledger has rows of these times. */
  function settledBy(...rowsAt: number[]): CreateAttempt[] {
    const book = new AccountBook({ ...emptyAccount(), areChargesEarly: true });
    const attempts = sends.map((sentAt, index): CreateAttempt => {
      const decision = `decision ${index}`;
      const asked = { workflowId: 'ours', runId: 'run', sessionId: 'of ours', keyFingerprint: KEY, decision };
      book.requestSend({ ...asked, known: [], grantMs: 3 * MINUTE, slotMs: SECOND }, sentAt);
      book.reportSend({ ...asked, sentAt, outcome: 'in-doubt' }, sentAt + SECOND);
      return unknownAttempt(sentAt, decision);
    });
    const since = SENT_AT - 28 * MINUTE;
    const at = SENT_AT + 120 * MINUTE;
    const ledger = ledgerAt(at, Object.fromEntries(rowsAt.map((rowAt) => [`row ${rowAt}`, rowAt])));
    const account = book.facts({ workflowId: 'ours', keyFingerprint: KEY, since });
    settleDoubts(attempts, { look: { at, ledger }, account, workflowId: 'ours', times: TIMES });
    return attempts;
  }
  const verdicts = (attempts: CreateAttempt[]): string[] => attempts.map(({ verdict }) => verdict);

  it.each([
    ['none', [], ['not-charged', 'not-charged', 'not-charged']],
    ['one, of the first', [SENT_AT + SECOND], ['charged', 'not-charged', 'not-charged']],
    ['one, of the second', [SENT_AT + 31 * MINUTE], ['not-charged', 'charged', 'not-charged']],
    ['one, of the last', [SENT_AT + 61 * MINUTE], ['not-charged', 'not-charged', 'charged']],
    ['two', [SENT_AT + SECOND, SENT_AT + 61 * MINUTE], ['charged', 'not-charged', 'charged']],
    [
      'one for each',
      [1, 31, 61].map((minute) => SENT_AT + minute * MINUTE),
      ['charged', 'charged', 'charged'],
    ],
  ])('are settled by as many rows as there are: %s', (_, rowsAt, expected) => {
    expect(verdicts(settledBy(...rowsAt))).toEqual(expected);
  });

  it('never have the same row', () => {
    const rowIds = settledBy(SENT_AT + 31 * MINUTE).flatMap(({ rowId }) => rowId ?? []);
    expect(rowIds).toEqual([`row ${SENT_AT + 31 * MINUTE}`]);
  });

  it('one that the account workflow knows to have been accepted is charged, though its look was lost', () => {
    const attempt = unknownAttempt();
    const sentAt = SENT_AT;
    const create = { workflowId: 'ours', sessionId: 's', keyFingerprint: KEY, decision: 'first', sentAt };
    const at = SENT_AT + 60 * MINUTE;
    const account = { ...NO_FACTS, accepted: [{ ...create, acceptedAt: at }], charges: { areEarly: true } };
    const ledger = ledgerAt(at, { row: SENT_AT + SECOND }, 0);
    settleDoubts([attempt], { look: { at, ledger }, account, workflowId: 'ours', times: TIMES });
    expect(attempt).toMatchObject({ verdict: 'charged', credits: 100, provisional: true });
  });
});

it('it is known which sessions another training has by now', () => {
  const book = new AccountBook(emptyAccount());
  book.claim({ workflowId: 'asks', runId: 'run', sessionId: 'given up' }, SENT_AT);
  book.claim({ workflowId: 'asks', runId: 'run', sessionId: 'own', replaces: 'given up' }, SENT_AT);
  const question = { workflowId: 'asks', keyFingerprint: KEY, since: 0, sessionIds: ['given up', 'own'] };
  expect(book.facts(question).taken).toBeUndefined();
  book.claim({ workflowId: 'other', runId: 'run', sessionId: 'given up' }, SENT_AT);
  expect(book.facts(question).taken).toEqual(['given up']);
});

it('a doubt that nobody settles does not keep the receipts of later trainings open', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, 'given up', SENT_AT);
  report(book, 'given up', 'in-doubt');
  const later = SENT_AT + 24 * 60 * MINUTE;
  const asked = { workflowId: 'later', runId: 'run', sessionId: 'of later', keyFingerprint: KEY };
  ask(book, 'later', later);
  book.reportSend({ ...asked, decision: 'first', sentAt: later, outcome: 'accepted' }, later);
  const rows = [{ id: 'row', at: later, amount: 100, seenAt: later + SECOND }];
  const { skewMs, bookingMs } = TIMES;
  const closed = book.close({ ...asked, rows, skewMs, bookingMs }, later + 3 * MINUTE);
  expect(closed.rows).toEqual({ first: { id: 'row', amount: 100 } });
});

const status = { word: 'running', models: [] };
const doubtAt = (decision: string, sentAt: number): Doubt => ({ decision, sentAt, sentBy: sentAt + MINUTE });
const doubts = [doubtAt('first', SENT_AT), doubtAt('second', SENT_AT + 60 * MINUTE)];

it.each([
  ['the newest where nothing tells', {}, 'second'],
  ['by the date of what is shown', { createdAt: new Date(SENT_AT + 5 * MINUTE).toISOString() }, 'first'],
  ['by that date also of the newest', { createdAt: new Date(SENT_AT + 61 * MINUTE).toISOString() }, 'second'],
  ['the newest where the date is that of the session', { createdAt: new Date(0).toISOString() }, 'second'],
])('of several sends that one was accepted: %s', (_, dates, decision) => {
  const look = { at: SENT_AT + 62 * MINUTE, status: { ...status, ...dates } };
  expect(acceptedDoubt({ doubts, look, times: TIMES })?.decision).toBe(decision);
});

it('of several sends that one was accepted: by the date of its row', () => {
  const creates = [{ id: 'row', at: SENT_AT + MINUTE, amount: 100 }];
  const uploads = { count: 0, total: 0, dearest: 0 };
  const ledger = { since: 0, at: SENT_AT + 2 * MINUTE, balance: 0, creates, unidentified: 0, uploads };
  const look = { at: SENT_AT + 62 * MINUTE, status, ledger };
  expect(acceptedDoubt({ doubts, look, times: TIMES }, 'row')?.decision).toBe('first');
});

describe('while one create comes after the other', () => {
  const never = { word: UNKNOWN_TASK, models: [] };
  const sentBy = SENT_AT + MINUTE;
  const grace = sentBy + TIMES.graceMs;
  /** A create every two minutes, and the row of each is there after a moment. */
  function verdictAt(at: number, lateSince: number, lastAt = at - MINUTE): string {
    const sends = Array.from({ length: 60 }, (_, index) => SENT_AT + (2 * index - 10) * MINUTE).filter(
      (time) => time <= lastAt,
    );
    const ledger = {
      since: SENT_AT - 28 * MINUTE,
      at,
      balance: 0,
      creates: sends.map((time) => ({ id: String(time), at: time + SECOND, amount: 100 })),
      unidentified: 0,
      isClosed: true,
      uploads: { count: 0, total: 0, dearest: 0 },
    };
    const known = ledger.creates.filter((row) => row.at < SENT_AT);
    const baseline = { at: SENT_AT, status: never, ledger: { ...ledger, at: SENT_AT, creates: known } };
    const accepted = sends.map((sentAt) => ({
      workflowId: `other ${sentAt}`,
      sessionId: `of other ${sentAt}`,
      keyFingerprint: KEY,
      decision: 'first',
      sentAt,
      acceptedAt: sentAt,
    }));
    return judgeCreate({
      doubts: [{ decision: 'first', sentAt: SENT_AT, sentBy, baseline }],
      look: { at, status: never, ledger },
      account: { ...NO_FACTS, accepted, charges: { areEarly: true, longestMs: 10 * SECOND } },
      workflowId: 'ours',
      sessionId: 'of ours',
      times: TIMES,
      lateSince,
    }).kind;
  }

  it('asks on for two graces more, counted from the first look after the grace, before a person is asked', () => {
    const first = grace + MINUTE;
    expect(verdictAt(first + 2 * TIMES.graceMs, first)).toBe('wait');
    expect(verdictAt(first + 2 * TIMES.graceMs + 1, first)).toBe('cannot-tell');
    // A machine that slept for hours has missed nothing.
    const slept = grace + 30 * MINUTE;
    expect(verdictAt(slept + 2 * TIMES.graceMs, slept)).toBe('wait');
  });

  it('says that it was not accepted in the first quiet moment', () => {
    const first = grace + MINUTE;
    expect(verdictAt(first + 10 * MINUTE, first, first + 5 * MINUTE)).toBe('not-accepted');
  });
});
