import { describe, expect, it } from 'vitest';
import type { CreateRow, LedgerLook } from '../../src/contract/money.js';
import type { SongAttempt } from '../../src/contract/song.js';
import { bookedRowOf } from '../../src/money/ledger.js';
import { mostSpentOn, settleSong, songEvidence, songPrice } from '../../src/money/songs.js';

const SENT = Date.parse('2026-01-01T12:00:00Z');
const times = { skewMs: 120_000, bookingMs: 1_200_000 };

function attempt(more: Partial<SongAttempt> = {}): SongAttempt {
  return {
    decision: 'first',
    sentAt: new Date(SENT).toISOString(),
    verdict: 'charged',
    credits: 40,
    provisional: true,
    evidence: ['it was accepted as task t'],
    ...more,
  };
}

function look(generates: CreateRow[]): LedgerLook {
  const uploads = { count: 0, total: 0, dearest: 0 };
  return { since: 0, at: SENT, balance: 100, creates: [], generates, unidentified: 0, uploads };
}

const row = (id: string, atMs: number, amount = 44): CreateRow => ({ id, at: SENT + atMs, amount });

describe('the ledger beside a song', () => {
  it('settles what it cost where one row fits and nothing else explains it', () => {
    const attempts = [attempt()];
    settleSong(attempts, look([row('a', 1_000)]), [], times);
    expect(attempts[0]).toMatchObject({ credits: 44, rowId: 'a' });
    expect(attempts[0]?.provisional).toBeUndefined();
  });

  it.each([
    ['no row', [], []],
    ['a row of another time', [row('a', -300_000)], []],
    ['a row that is known to be that of another song', [row('a', 1_000)], [{ sentAt: SENT, rowId: 'a' }]],
    ['a row that may be that of another song', [row('a', 1_000)], [{ sentAt: SENT }]],
    ['a refund', [row('a', 1_000, -44)], []],
    ['two rows of which one is a stranger’s', [row('a', 1_000), row('b', 2_000)], []],
  ])('leaves it provisional with %s', (_, rows, others) => {
    const attempts = [attempt()];
    settleSong(attempts, look(rows), others, times);
    expect(attempts[0]).toMatchObject({ credits: 40, provisional: true });
  });

  it('knows the amount, but no row, where as many rows as songs cost the same', () => {
    const attempts = [attempt()];
    settleSong(attempts, look([row('a', 1_000), row('b', 2_000)]), [{ sentAt: SENT }], times);
    expect(attempts[0]?.credits).toBe(44);
    expect(attempts[0]?.rowId).toBeUndefined();
  });

  it('never says of a send in doubt that it was not charged', () => {
    const attempts = [attempt({ verdict: 'unknown' })];
    settleSong(attempts, look([]), [], times);
    expect(attempts[0]?.verdict).toBe('unknown');
  });

  it('tells a person of a row that nothing explains, and of one that another song may explain', () => {
    const doubt = attempt({ verdict: 'unknown', balanceBefore: 144 });
    const alone = songEvidence(doubt, look([row('a', 1_000)]), [], times);
    expect(alone.isTold).toBe(true);
    expect(alone.evidence).toEqual([
      'the ledger shows row a: 44 credits, which no other song here explains',
      'the balance was 144 before it was sent and is 100 now',
    ]);
    expect(songEvidence(doubt, look([row('a', 1_000)]), [{ sentAt: SENT }], times).isTold).toBe(false);
    expect(songEvidence(doubt, look([]), [], times).isTold).toBe(false);
  });

  it('tells rows of songs from those of creates and uploads by their path', () => {
    const kindOf = (apiPath: string): string =>
      bookedRowOf({ id: 'x', createdAt: 0, finalAmount: 40, apiPath }).kind;
    expect(kindOf('/suno/v2/generate')).toBe('generate');
    expect(kindOf('/suno/v2/customModel/create')).toBe('create');
    expect(kindOf('/chat/v1/generated')).toBe('other');
  });
});

describe('the budget of a song', () => {
  it('counts what is unknown as spent, at the dearest price that was seen', () => {
    expect(songPrice(undefined)).toBe(40);
    expect(songPrice(55)).toBe(55);
    const attempts = [attempt({ verdict: 'not-charged' }), attempt({ credits: 44 })];
    const unknown = attempt({ verdict: 'unknown' });
    delete unknown.credits;
    const generate = {
      verdict: 'unknown' as const,
      sends: 3,
      evidence: [],
      attempts: [...attempts, unknown],
    };
    expect(mostSpentOn({ generate }, 55)).toBe(99);
  });
});
