/**
 * What a record says of a training that nobody knows the end of.
 */
import { expect, it } from 'vitest';
import { closedRecord, type TrainingRecord } from '../../src/contract/record.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { snapshotOfRecord } from '../../src/library/snapshot.js';
import { createReceipt, emptyReceipt } from '../../src/money/receipt.js';

const AT = new Date(0).toISOString();

function recordWith(attempts: CreateAttempt[], sessionId?: string): TrainingRecord {
  return {
    version: 1,
    workflowId: 'train-a',
    name: 'a',
    origin: 'https://api.mountsea.ai',
    ...(sessionId === undefined ? {} : { sessionId }),
    end: 'open',
    sources: [],
    clips: [],
    receipt: { ...emptyReceipt(), create: createReceipt(attempts, attempts.length) },
    startedAt: AT,
    updatedAt: AT,
  };
}

const refused: CreateAttempt = {
  decision: 'first',
  sessionId: 's',
  sentAt: AT,
  verdict: 'not-charged',
  evidence: ['refused'],
};
const aboutToBeSent: CreateAttempt = { ...refused, verdict: 'unknown', evidence: ['about to be sent'] };

it.each([
  ['that kept no create', []],
  ['whose last create was refused', [refused]],
])('a session whose history is gone may have been paid for: one %s', (_, attempts) => {
  const { create } = closedRecord(recordWith(attempts, 's'), undefined, AT).receipt;
  expect(create).toMatchObject({ verdict: 'unknown', sends: attempts.length + 1 });
  expect(new Set(create.attempts.map(({ decision }) => decision)).size).toBe(attempts.length + 1);
  expect(create.attempts.slice(0, -1)).toEqual(attempts);
});

it('a create that was kept before it was sent is the one in doubt, and no other is made up', () => {
  const record = recordWith([aboutToBeSent], 's');
  expect(closedRecord(record, undefined, AT).receipt).toEqual(record.receipt);
});

it('nothing was spent where no session was opened', () => {
  expect(closedRecord(recordWith([]), undefined, AT).receipt.create.verdict).toBe('not-charged');
});

it('an open record that nothing else is left of is shown so, too, before anybody has closed it', () => {
  expect(snapshotOfRecord(recordWith([], 's')).memo.receipt.create.verdict).toBe('unknown');
});
