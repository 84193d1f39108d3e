import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gapAfter, MINIMUM_GAP_MS, type TaskKind } from '../../src/workflows/schedule.js';

/** Ages at which a task is looked at during its first `untilMs`. */
function looks(kind: TaskKind, untilMs: number, random = 0.5): number[] {
  const ages: number[] = [];
  for (let age = gapAfter(kind, 0, random); age <= untilMs; age += gapAfter(kind, age, random))
    ages.push(age);
  return ages;
}

describe('the growing schedule', () => {
  it('never looks at a task twice within 2 s, whatever its age and the random number', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<TaskKind>('upload', 'training'),
        fc.double({ min: 0, max: 24 * 3_600_000, noNaN: true }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (kind, age, random) => gapAfter(kind, age, random) >= MINIMUM_GAP_MS,
      ),
    );
  });

  it('grows for an upload from 2 s to 8 s and no further', () => {
    const ages = looks('upload', 60_000);
    const gaps = ages.map((age, index) => age - (ages[index - 1] ?? 0));
    expect(gaps[0]).toBe(2_000);
    expect([...gaps].sort((a, b) => a - b)).toEqual(gaps);
    expect(gaps.at(-1)).toBe(8_000);
  });

  it('finds a model within 6 s in the two to three minutes that training is documented to take', () => {
    const ages = looks('training', 200_000).filter((age) => age >= 100_000);
    for (const [index, age] of ages.entries())
      expect(age - (ages[index - 1] ?? age)).toBeLessThanOrEqual(6_000);
    expect(ages[0]).toBeLessThanOrEqual(106_000);
  });

  it('finds a training that is far faster than documented without waiting for the documented time', () => {
    for (const doneAt of [3_000, 10_000, 30_000]) {
      const found = looks('training', 200_000).find((age) => age >= doneAt) ?? Infinity;
      expect(found / doneAt).toBeLessThan(2);
    }
  });

  it('looks every 15 s at a training that takes long', () => {
    expect(gapAfter('training', 600_000, 0.5)).toBe(15_000);
  });

  it.each(['upload', 'training'] as const)(
    'looks at an overdue %s so rarely that a month of it fits into a history',
    (kind) => {
      let looks = 0;
      for (let age = 0; age < 30 * 86_400_000; age += gapAfter(kind, age, 0.5)) looks += 1;
      expect(looks).toBeLessThan(400);
    },
  );
});
