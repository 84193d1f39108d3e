import { describe, expect, it } from 'vitest';
import { parseRetryAfter } from '../../src/mountsea/retryAfter.js';

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);

describe('parseRetryAfter', () => {
  it.each([
    ['0', 0],
    ['5', 5_000],
    [' 120 ', 120_000],
    ['86400', 86_400_000],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
  ])('reads %j as %i ms', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });

  it.each([
    undefined,
    '',
    'soon',
    '-5',
    '1.5',
    '5s',
    '1e3',
    '0x10',
    'NaN',
    'Infinity',
    '86401',
    '99999999999999999999999',
    '2026-01-01T12:00:30Z',
    'Thu Jan  1 12:00:30 2026',
    'Thu, 99 Foo 2026 12:00:30 GMT',
    'Sat, 03 Jan 2026 12:00:00 GMT',
  ])('gives nothing for %j', (value) => {
    expect(parseRetryAfter(value, NOW)).toBeUndefined();
  });
});
