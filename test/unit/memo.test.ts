import { expect, it } from 'vitest';
import type { Attention } from '../../src/contract/progress.js';
import { shortened } from '../../src/workflows/execution.js';

it('an attention in the memo stays small, however many files are bad and however long the reasons', () => {
  const attention: Attention = {
    id: 'a',
    kind: 'bad-files',
    message: 'm'.repeat(100_000),
    since: '2026-01-01T00:00:00Z',
    evidence: Array.from({ length: 100 }, () => 'e'.repeat(4_000)),
    options: ['retry', 'giveUp'],
  };
  const short = shortened(attention);
  expect(JSON.stringify(short).length).toBeLessThan(16_000);
  expect(short.evidence.at(-1)).toBe('and 80 more');
  expect(shortened({ ...attention, message: 'm', evidence: ['e'] })).toMatchObject({
    message: 'm',
    evidence: ['e'],
  });
});
