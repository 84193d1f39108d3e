import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CreateRow } from '../../src/contract/money.js';
import type { TrainingRecord } from '../../src/contract/record.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { attemptsOf, audit, type AuditedAttempt, auditWindow, settled } from '../../src/money/audit.js';
import { createReceipt } from '../../src/money/receipt.js';

const START = Date.parse('2026-01-10T12:00:00Z');
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const SINCE = START - DAY;
const NOW = START + DAY;
const window = auditWindow(1);

const row = (id: string, minutes: number, amount = 100): CreateRow => ({
  id,
  at: START + minutes * MINUTE,
  amount,
});

function attempt(minutes: number, more: Partial<CreateAttempt> = {}): CreateAttempt {
  return {
    decision: 'first',
    sessionId: 'session-a',
    sentAt: new Date(START + minutes * MINUTE).toISOString(),
    verdict: 'charged',
    credits: 100,
    evidence: ['create was accepted'],
    ...more,
  };
}

function recordOf(
  workflowId: string,
  attempts: CreateAttempt[],
  more: Partial<TrainingRecord> = {},
): TrainingRecord {
  return {
    version: 1,
    workflowId,
    name: workflowId.toUpperCase(),
    origin: 'https://api.mountsea.ai',
    sessionId: `session-${workflowId}`,
    end: 'done',
    sources: [],
    clips: [],
    receipt: {
      create: createReceipt(attempts, attempts.length),
      uploads: { calls: 8, credits: 'unknown' },
    },
    startedAt: new Date(START).toISOString(),
    updatedAt: new Date(START + 10 * MINUTE).toISOString(),
    ...more,
  };
}

const sentBy = (record: TrainingRecord): AuditedAttempt[] => attemptsOf(record, record.receipt, window);
const ids = (rows: readonly CreateRow[]): string[] => rows.map(({ id }) => id);
const owners = (attempts: readonly AuditedAttempt[]): string[] =>
  attempts.map(({ workflowId }) => workflowId);

describe('a row and a training', () => {
  it.each([
    [-2, true],
    [-2.1, false],
    [20, true],
    [20.1, false],
  ])('match where the row is booked %d minutes after the send: %s', (minutes, isMatched) => {
    const found = audit([row('r', minutes)], sentBy(recordOf('a', [attempt(0)])), SINCE, NOW);
    expect(found.matched).toHaveLength(isMatched ? 1 : 0);
    expect(ids(found.orphanRows)).toEqual(isMatched ? [] : ['r']);
    expect(owners(found.orphanAttempts)).toEqual(isMatched ? [] : ['a']);
  });

  it('are shared and never assigned where the row fits two trainings', () => {
    const sent = [...sentBy(recordOf('a', [attempt(0)])), ...sentBy(recordOf('b', [attempt(5)]))];
    const found = audit([row('r', 6), row('s', 7)], sent, SINCE, NOW);
    expect(found).toMatchObject({ matched: [], orphanRows: [], orphanAttempts: [] });
    expect(found.shared.map(({ rows, attempts }) => [ids(rows), owners(attempts)])).toEqual([
      [
        ['r', 's'],
        ['a', 'b'],
      ],
    ]);
  });

  it('are shared where two rows fit one training: one of them is somebody else’s', () => {
    const found = audit([row('r', 1), row('s', 2)], sentBy(recordOf('a', [attempt(0)])), SINCE, NOW);
    expect(found.shared.map(({ rows }) => ids(rows))).toEqual([['r', 's']]);
  });

  it('are told apart by a row that is known', () => {
    const sent = [
      ...sentBy(recordOf('a', [attempt(0, { rowId: 's' })])),
      ...sentBy(recordOf('b', [attempt(1)])),
    ];
    const found = audit([row('r', 3), row('s', 4)], sent, SINCE, NOW);
    expect(found.matched.map(({ row: { id }, attempt: { workflowId } }) => [workflowId, id])).toEqual([
      ['b', 'r'],
      ['a', 's'],
    ]);
    expect(found.shared).toEqual([]);
  });

  it('are not sought for a create that was refused', () => {
    const refused = attempt(0, { verdict: 'not-charged', evidence: ['answered 400'] });
    expect(audit([row('r', 1)], sentBy(recordOf('a', [refused])), SINCE, NOW).orphanRows).toHaveLength(1);
  });

  it('match where the charge was given back, and the refund is listed', () => {
    const refunded = attempt(0, { verdict: 'not-charged', refundRowId: 'z' });
    const found = audit([row('r', 1), row('z', 5, -100)], sentBy(recordOf('a', [refunded])), SINCE, NOW);
    expect(found.matched.map(({ row: { id } }) => id)).toEqual(['r']);
    expect(found.refunds.map(({ row: { id }, attempts }) => [id, owners(attempts)])).toEqual([['z', ['a']]]);
  });
});

describe('a training without a row', () => {
  it('waits while the row may still come, and is no orphan at the border of what was read', () => {
    const young = audit([], sentBy(recordOf('a', [attempt(0)])), SINCE, START + 10 * MINUTE);
    expect(owners(young.waiting)).toEqual(['a']);
    const border = audit([], sentBy(recordOf('a', [attempt(0)])), START, NOW);
    expect([border.orphanAttempts, border.waiting]).toEqual([[], []]);
  });

  it('whose charge is unknown stays so', () => {
    const unknown = sentBy(recordOf('a', [attempt(0, { verdict: 'unknown' })]));
    expect(owners(audit([], unknown, SINCE, NOW).unknown)).toEqual(['a']);
  });
});

it('each create has the session that it was sent in, also one that was given up', () => {
  const record = recordOf('a', [attempt(0, { sessionId: 'given up' }), attempt(60, { decision: 'x' })]);
  expect(sentBy(record).map(({ sessionId }) => sessionId)).toEqual(['given up', 'session-a']);
});

describe('an adopted session', () => {
  const adopted = attempt(0, { decision: 'adopted' });

  it('may have had its create at any time before the adoption', () => {
    const record = recordOf('b', [adopted], { startedAt: new Date(START + 120 * MINUTE).toISOString() });
    expect(audit([row('r', 100)], sentBy(record), SINCE, NOW).matched).toHaveLength(1);
  });

  it('has one create with the training that it was adopted from', () => {
    const sessionId = 'same';
    const sent = [
      ...sentBy(recordOf('a', [attempt(0)], { sessionId })),
      ...sentBy(recordOf('b', [adopted], { sessionId })),
    ];
    const found = audit([row('r', 1)], sent, SINCE, NOW);
    expect(found.matched.map(({ attempt: { workflowId } }) => workflowId)).toEqual(['a']);
    expect(found.orphanAttempts).toEqual([]);
  });
});

it('times are those of the sandbox where it runs faster', () => {
  const record = recordOf('a', [attempt(0)]);
  const sent = attemptsOf(record, record.receipt, auditWindow(0.01));
  expect(audit([row('r', 1)], sent, SINCE, NOW).matched).toEqual([]);
  expect(audit([row('r', 0.1)], sent, SINCE, NOW).matched).toHaveLength(1);
});

it('loses no row and no charged create, and gives none away twice', () => {
  const minutes = fc.integer({ min: 0, max: 120 });
  fc.assert(
    fc.property(fc.array(minutes, { maxLength: 8 }), fc.array(minutes, { maxLength: 8 }), (booked, sent) => {
      const rows = booked.map((at, index) => row(`r${index}`, at));
      const attempts = sent.flatMap((at, index) => sentBy(recordOf(`t${index}`, [attempt(at)])));
      const found = audit(rows, attempts, SINCE, NOW);
      const seenRows = [
        ...found.matched.map(({ row: { id } }) => id),
        ...found.shared.flatMap((group) => ids(group.rows)),
        ...ids(found.orphanRows),
      ];
      const seenTrainings = [
        ...found.matched.map(({ attempt: { workflowId } }) => workflowId),
        ...found.shared.flatMap((group) => owners(group.attempts)),
        ...owners(found.orphanAttempts),
      ];
      expect(seenRows.sort()).toEqual(ids(rows).sort());
      expect(seenTrainings.sort()).toEqual(owners(attempts).sort());
      for (const { row: one, attempt: its } of found.matched) {
        expect(attempts.filter(({ from, to }) => from <= one.at && one.at <= to)).toEqual([its]);
      }
    }),
  );
});

describe('a provisional receipt', () => {
  const provisional = attempt(0, { provisional: true });

  it('is settled by a unique match', () => {
    const record = recordOf('a', [provisional]);
    const next = settled(record, audit([row('r', 3, 90)], sentBy(record), SINCE, NOW));
    expect(next?.receipt.create).toMatchObject({
      verdict: 'charged',
      credits: 90,
      attempts: [{ rowId: 'r', credits: 90 }],
    });
    expect(next?.receipt.create.provisional).toBeUndefined();
    expect(next?.receipt.create.evidence.join()).toContain('ledger row r: 90 credits');
    expect(record.receipt.create.provisional).toBe(true);
  });

  it.each([
    ['a training that is open', { end: 'open' as const }, [row('r', 3)]],
    ['two rows that fit', {}, [row('r', 3), row('s', 4)]],
    ['no row', {}, []],
  ])('stays so with %s', (_, more, rows) => {
    const record = recordOf('a', [provisional], more);
    expect(settled(record, audit(rows, sentBy(record), SINCE, NOW))).toBeUndefined();
  });

  it('of a create whose charge is unknown is not made up', () => {
    const record = recordOf('a', [attempt(0, { verdict: 'unknown' })]);
    expect(settled(record, audit([row('r', 3)], sentBy(record), SINCE, NOW))).toBeUndefined();
  });
});
