import { expect, it } from 'vitest';
import { clockAhead } from '../../src/mountsea/clock.js';

const NOON = Date.UTC(2026, 0, 1, 12);
const date = new Date(NOON).toUTCString();

it('how far clocks are apart is told by the middle of the exchange, and less of an answer out of a cache', () => {
  expect(clockAhead({ date }, NOON, 1_000)).toBe(0);
  expect(clockAhead({ date }, NOON + 90_000, 1_000)).toBe(90_000);
  expect(clockAhead({ date }, NOON - 90_000, 1_000)).toBe(-90_000);
  expect(clockAhead({ date, age: '90' }, NOON + 90_000, 1_000)).toBe(0);
});

it('nothing is told without a date, or by an answer that took too long', () => {
  expect(clockAhead({}, NOON, 1_000)).toBeUndefined();
  expect(clockAhead({ date: 'noon' }, NOON, 1_000)).toBeUndefined();
  expect(clockAhead({ date }, NOON, 60_000)).toBeUndefined();
});
