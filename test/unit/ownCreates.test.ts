/**
 * What the account workflow knows of the creates of a training itself: a run that was reset, or that has taken a session
 * over, asks after a create that is known there.
 */
import { describe, expect, it } from 'vitest';
import { ADOPTED_DECISION } from '../../src/contract/account.js';
import type { CreateRow, LedgerLook } from '../../src/contract/money.js';
import { type CreateQuestion, type Doubt, judgeCreate, UNKNOWN_TASK } from '../../src/money/verdict.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';
import { judgementTimes } from '../../src/workflows/schedule.js';

const KEY = '0a1b2c3d';
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const SENT_AT = 100 * MINUTE;
const TIMES = judgementTimes({ ms: (realMs) => realMs });
const WHO = { workflowId: 'mine', sessionId: 'session', keyFingerprint: KEY };

/** A book of a key whose charges are known to appear early. */
function experienced(): AccountBook {
  return new AccountBook({ ...emptyAccount(), areChargesEarly: true });
}

function grant(book: AccountBook, who: typeof WHO, runId: string, at = SENT_AT): void {
  const asked = { ...who, runId, decision: 'first', known: [], grantMs: 3 * MINUTE, slotMs: 1 };
  expect(book.requestSend(asked, at).kind).toBe('go');
}

/** A whole ledger with these create rows. */
function ledgerAt(at: number, creates: CreateRow[]): LedgerLook {
  const uploads = { count: 0, total: 0, dearest: 0 };
  return {
    since: SENT_AT - 28 * MINUTE,
    at,
    balance: 900,
    creates,
    unidentified: 0,
    isClosed: true,
    uploads,
  };
}

/** Asked after the grace, of a session that shows nothing. */
function questionOf(book: AccountBook, creates: CreateRow[], more: Partial<Doubt> = {}): CreateQuestion {
  const at = SENT_AT + 30 * MINUTE;
  const status = { word: UNKNOWN_TASK, models: [] };
  const before = { at: SENT_AT - SECOND, status, ledger: ledgerAt(SENT_AT - SECOND, []) };
  return {
    doubts: [{ decision: 'first', sentAt: SENT_AT, sentBy: SENT_AT + SECOND, baseline: before, ...more }],
    look: { at, status, ledger: ledgerAt(at, creates) },
    account: book.facts({ ...WHO, since: SENT_AT - 28 * MINUTE }),
    workflowId: WHO.workflowId,
    sessionId: WHO.sessionId,
    times: TIMES,
  };
}

describe('a run that is reset to after its create, of which the run before it learned more', () => {
  const row = { id: 'ours', at: SENT_AT + SECOND, amount: 100 };
  const accept = (): AccountBook => {
    const book = experienced();
    grant(book, WHO, 'old run');
    const told = { ...WHO, decision: 'first', sentAt: SENT_AT };
    book.reportSend({ ...told, runId: 'old run', outcome: 'accepted', taskId: 'task' }, SENT_AT + SECOND);
    book.reportSend({ ...told, runId: 'reset run', outcome: 'in-doubt' }, SENT_AT + MINUTE);
    return book;
  };

  it('takes the row of that create for no proof that it had no effect', () => {
    expect(judgeCreate(questionOf(accept(), [row]))).toMatchObject({
      kind: 'accepted',
      known: { decision: 'first', taskId: 'task' },
    });
  });

  it('takes what its session shows for the later send that the run before it made, and knows to be accepted', () => {
    const book = experienced();
    grant(book, WHO, 'old run');
    const told = { ...WHO, runId: 'old run', decision: 'first', sentAt: SENT_AT };
    book.reportSend({ ...told, outcome: 'in-doubt' }, SENT_AT + SECOND);
    const later = SENT_AT + 20 * MINUTE;
    book.reportSend({ ...told, decision: 'of a person', sentAt: later, outcome: 'accepted' }, later);
    const { look, ...question } = questionOf(book, [{ ...row, at: later }]);
    const status = { word: 'running', createdAt: new Date(later).toISOString(), models: [] };
    expect(judgeCreate({ ...question, look: { ...look, status } })).toMatchObject({
      kind: 'accepted',
      known: { decision: 'of a person', sentAt: later },
    });
  });

  it('leaves no doubt at the account workflow, where its create is known to be accepted', () => {
    expect(accept().facts({ ...WHO, since: 0 }).inDoubt).toEqual([]);
  });
});

describe('a create of a session that another training has taken over', () => {
  it('is one create for everybody, so that it does not explain the row of another one in doubt', () => {
    const book = experienced();
    const first = { workflowId: 'cancelled', sessionId: 'taken over', keyFingerprint: KEY };
    book.claim({ ...first, runId: 'run' }, SENT_AT - 9 * MINUTE);
    grant(book, first, 'run', SENT_AT - 8 * MINUTE);
    const sentAt = SENT_AT - 8 * MINUTE;
    book.reportSend({ ...first, runId: 'run', decision: 'first', sentAt, outcome: 'accepted' }, sentAt);
    const next = { ...first, workflowId: 'next', runId: 'run' };
    book.claim({ ...next, takeOverFrom: 'cancelled' }, SENT_AT - 5 * MINUTE);
    const adopted = { ...next, decision: ADOPTED_DECISION, sentAt: SENT_AT - 9 * MINUTE };
    book.reportSend({ ...adopted, outcome: 'in-doubt' }, SENT_AT - 5 * MINUTE);
    book.reportSend({ ...adopted, outcome: 'accepted' }, SENT_AT - 4 * MINUTE);
    grant(book, WHO, 'run');
    const told = { ...WHO, runId: 'run', decision: 'first', sentAt: SENT_AT };
    book.reportSend({ ...told, outcome: 'in-doubt' }, SENT_AT + SECOND);
    const { kind } = judgeCreate(
      questionOf(book, [
        { id: 'of the first', at: sentAt + SECOND, amount: 100 },
        { id: 'ours', at: SENT_AT + SECOND, amount: 100 },
      ]),
    );
    expect(kind).not.toBe('not-accepted');
    expect(book.facts({ ...WHO, since: 0 }).inDoubt.map(({ workflowId }) => workflowId)).toEqual(['mine']);
  });
});
