/**
 * What the account workflow knows of the creates of a training itself: a run that was reset, or that has taken a session
 * over, asks after a create that is known there.
 */
import { describe, expect, it } from 'vitest';
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
      decision: 'first',
      taskId: 'task',
    });
  });

  it('leaves no doubt at the account workflow, where its create is known to be accepted', () => {
    expect(accept().facts({ ...WHO, since: 0 }).inDoubt).toEqual([]);
  });
});
