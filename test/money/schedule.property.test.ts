import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgementTimes, gapAfter, reconcileGapAfter, type TaskKind } from '../../src/workflows/schedule.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const graces = fc.integer({ min: 0, max: 120 }).map((minutes) => minutes * MINUTE);

/** Times at which the witnesses of a doubt are asked, from its beginning. */
function looks(graceMs: number, untilMs: number): number[] {
  const times = [0];
  for (let at = 0; at < untilMs; times.push(at)) at += reconcileGapAfter(at, graceMs);
  return times;
}

describe('the looks at the witnesses of a create in doubt', () => {
  it('are at most a minute apart over the grace, and the first after its end comes within that', () => {
    fc.assert(
      fc.property(graces, (graceMs) => {
        const times = looks(graceMs, graceMs + 5 * MINUTE);
        for (const [index, at] of times.entries()) {
          const before = times[index - 1] ?? 0;
          if (before < graceMs) expect(at - before).toBeLessThanOrEqual(MINUTE);
        }
        expect(times.some((at) => at >= graceMs && at < graceMs + MINUTE)).toBe(true);
      }),
    );
  });

  it('come again within the two minutes in which a busy ledger may settle', () => {
    const { patienceMs } = judgementTimes({ ms: (ms) => ms });
    fc.assert(
      fc.property(graces, (graceMs) => {
        const settling = looks(graceMs, graceMs + 10 * MINUTE).filter(
          (at) => at > graceMs && at <= graceMs + patienceMs,
        );
        expect(settling.length).toBeGreaterThanOrEqual(2);
      }),
    );
  });

  it('are never closer than 5 s, and so rare later that half a year fits into a history', () => {
    fc.assert(
      fc.property(graces, (graceMs) => {
        const times = looks(graceMs, 180 * DAY);
        expect(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) >= 5 * SECOND)).toBe(
          true,
        );
        expect(times.length).toBeLessThan(300);
      }),
      { numRuns: 30 },
    );
  });
});

it('the durations of the judgement keep their proportions where time is compressed', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 1, noNaN: true }), (scale) => {
      const { graceMs, patienceMs, skewMs, bookingMs } = judgementTimes({
        ms: (realMs) => Math.max(1, Math.round(realMs * scale)),
      });
      // 15 minutes of grace hold a create that lands 5 minutes late and the longest training that is documented.
      expect(graceMs / scale).toBeGreaterThanOrEqual(14 * MINUTE);
      // A row is looked for longer than it may take to come, or it would be taken for one of a later create.
      expect(bookingMs).toBeGreaterThan(graceMs);
      expect(patienceMs).toBeGreaterThan(0);
      expect(skewMs).toBeLessThan(graceMs / 2);
    }),
  );
});

describe('the looks at a task', () => {
  /** Jitter that comes again and again. */
  const jitter = fc
    .array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 20 })
    .map((values) => {
      let turn = 0;
      return (): number => values[turn++ % values.length] ?? 0;
    });
  const kinds = fc.constantFrom<TaskKind>('upload', 'training');

  function ages(kind: TaskKind, untilMs: number, random: () => number): number[] {
    const found: number[] = [];
    for (let age = 0; age < untilMs; found.push(age)) age += gapAfter(kind, age, random());
    return found;
  }

  it('find an end soon after it, whenever it comes within the deadline and whatever the jitter', () => {
    fc.assert(
      fc.property(kinds, fc.integer({ min: 0, max: 10 * MINUTE }), jitter, (kind, doneAt, random) => {
        const seenAt = ages(kind, doneAt + MINUTE, random).find((age) => age >= doneAt) ?? Infinity;
        expect(seenAt - doneAt).toBeLessThan(kind === 'upload' ? 9 * SECOND : 22 * SECOND);
      }),
    );
  });

  it('are never so many that they matter: under 60 for an upload, under 50 for a training of usual length', () => {
    fc.assert(
      fc.property(jitter, (random) => {
        expect(ages('upload', 5 * MINUTE, random).length).toBeLessThan(60);
        expect(ages('training', 3 * MINUTE, random).length).toBeLessThan(50);
      }),
    );
  });
});
