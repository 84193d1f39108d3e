/**
 * The send gate of the account workflow: who may send a create, and what a run that knows less is told.
 */
import { expect, it } from 'vitest';
import type { RequestSend, SendAnswer } from '../../src/contract/account.js';
import { AccountBook, emptyAccount } from '../../src/workflows/accountBook.js';

const MINUTE = 60_000;
const START = 1_000_000;

function ask(book: AccountBook, now: number, more: Partial<RequestSend> = {}): SendAnswer {
  const request = {
    workflowId: 'train-a',
    runId: 'old run',
    sessionId: 'session',
    keyFingerprint: 'key',
    decision: 'first',
    known: [],
    grantMs: 3 * MINUTE,
    slotMs: 1_000,
  };
  return book.requestSend({ ...request, ...more }, now);
}

it('a run that was reset to between two sends of one decision is told that the second may have been sent', () => {
  const book = new AccountBook(emptyAccount());
  expect(ask(book, START).kind).toBe('go');
  // It was refused for now, so the same decision is granted again.
  const known = [{ decision: 'first', sentAt: START + 1_000 }];
  expect(ask(book, START + MINUTE, { known }).kind).toBe('go');
  expect(ask(book, START + 2 * MINUTE, { runId: 'reset run', known })).toMatchObject({
    kind: 'may-have-sent',
    grantedAt: START + MINUTE,
  });
  const all = [...known, { decision: 'first', sentAt: START + MINUTE }];
  expect(ask(book, START + 9 * MINUTE, { runId: 'reset run', known: all }).kind).toBe('go');
});

it('a session that another training has taken over is not created in', () => {
  const book = new AccountBook(emptyAccount());
  const claim = { runId: 'run', sessionId: 'session' };
  book.claim({ ...claim, workflowId: 'train-a' }, START);
  book.claim({ ...claim, workflowId: 'train-b', takeOverFrom: 'train-a' }, START + 1);
  expect(ask(book, START + 2, { runId: 'reset run' })).toEqual({ kind: 'taken', owner: 'train-b' });
});

it('a session that is taken over is known to be unsent only where all of its story is known', () => {
  const unsent = (isNew: boolean, act: (book: AccountBook) => void): unknown => {
    const book = new AccountBook(emptyAccount());
    const claim = { runId: 'run', sessionId: 'session' };
    book.claim({ ...claim, workflowId: 'train-a', ...(isNew ? { isNew } : {}) }, START);
    act(book);
    const taken = { ...claim, workflowId: 'train-b', takeOverFrom: 'train-a' };
    const [first, again] = [book.claim(taken, START + 1), book.claim(taken, START + 2)];
    expect(again).toEqual(first);
    return first.kind === 'owned' && first.session.isUnsent;
  };
  const report = { workflowId: 'train-a', sessionId: 'session', keyFingerprint: 'key', decision: 'first' };
  expect(unsent(true, () => undefined)).toBe(true);
  expect(unsent(false, () => undefined)).toBeUndefined();
  expect(unsent(true, (book) => ask(book, START))).toBeUndefined();
  expect(
    unsent(true, (book) => {
      ask(book, START);
      book.reportSend({ ...report, runId: 'old run', sentAt: START, outcome: 'not-accepted' }, START);
    }),
  ).toBe(true);
});

it('of a key that comes after others it is not claimed that all its creates are known', () => {
  const book = new AccountBook(emptyAccount());
  ask(book, START);
  const later = START + 10 * MINUTE;
  ask(book, later, { workflowId: 'train-b', sessionId: 'other', keyFingerprint: 'new key' });
  const complete = (keyFingerprint: string, since: number): boolean =>
    book.facts({ workflowId: 'train-b', keyFingerprint, since }).isComplete;
  expect([complete('key', START), complete('new key', later - 1), complete('new key', later + 1)]).toEqual([
    true,
    false,
    true,
  ]);
  expect(complete('never seen', later + 1)).toBe(false);
});
