import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CreateRow } from '../../src/contract/money.js';
import {
  type BookedRow,
  bookedRowOf,
  type Explainer,
  fits,
  isClosedChain,
  matchRows,
  spareRows,
} from '../../src/money/ledger.js';

const BALANCE = 10_000;

/** Rows of one key from a balance on; several may share a moment. */
function chainOf(steps: readonly { amount: number; gap: number }[], from = BALANCE): BookedRow[] {
  let balance = from;
  let at = 0;
  return steps.map(({ amount, gap }, index) => {
    const before = balance;
    balance -= amount;
    at += gap;
    return { id: String(index), at, kind: amount > 0 ? 'create' : 'other', amount, before, after: balance };
  });
}

const charge = fc.constantFrom(5, 40, 100);
const credit = fc.constantFrom(-1_000, -100, -5);
const steps = (amount: fc.Arbitrary<number>): fc.Arbitrary<{ amount: number; gap: number }[]> =>
  fc.array(fc.record({ amount, gap: fc.integer({ min: 0, max: 2 }) }), { maxLength: 8 });
const movements = steps(fc.oneof({ weight: 3, arbitrary: charge }, credit));

describe('a chain of rows from one balance to another', () => {
  it('is never closed where rows between the two are missing, as long as no balance comes twice', () => {
    fc.assert(
      fc.property(
        movements,
        movements,
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        (made, later, shown) => {
          const rows = chainOf([...made, ...later]);
          if (new Set([BALANCE, ...rows.map(({ after }) => after)]).size <= rows.length) return;
          const to = rows[made.length - 1]?.after ?? BALANCE;
          const left = rows.filter((_, index) => index >= made.length || shown[index]);
          if (left.length < rows.length) expect(isClosedChain(left, BALANCE, to)).toBe(false);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is never closed where one charge is missing, though balances come again, if what was before is there', () => {
    fc.assert(
      fc.property(charge, movements, movements, fc.nat(), (old, made, later, nth) => {
        const rows = chainOf(
          [{ amount: old, gap: 0 }, ...made, ...later].map((step) => ({ ...step, gap: 1 })),
        );
        const [first, ...between] = rows.slice(0, made.length + 1);
        const charges = between.filter(({ amount }) => amount > 0);
        const missing = charges[nth % Math.max(charges.length, 1)];
        if (missing === undefined) return;
        const left = rows.filter((row) => row !== missing);
        const to = between.at(-1)?.after ?? BALANCE;
        expect(isClosedChain(left, first?.after ?? BALANCE, to)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is closed where all are there, in whatever order they come, with older ones and later charges around them', () => {
    fc.assert(
      fc.property(
        steps(charge),
        steps(charge),
        steps(charge),
        fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
        (old, made, later, order) => {
          const rows = chainOf([...old, ...made, ...later].map((step) => ({ ...step, gap: step.gap + 1 })));
          const from = rows[old.length]?.before ?? rows.at(-1)?.after ?? BALANCE;
          const to = rows[old.length + made.length]?.before ?? rows.at(-1)?.after ?? BALANCE;
          const mixed = rows
            .map((row, index) => ({ row, key: order[index] ?? 0 }))
            .sort((a, b) => a.key - b.key)
            .map(({ row }) => row);
          expect(isClosedChain(mixed, from, to)).toBe(true);
        },
      ),
    );
  });

  it('is closed by charges of one moment, too', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([5, 40, 100, 7, 300], { minLength: 1 }), (amounts) => {
        const rows = chainOf(amounts.map((amount) => ({ amount, gap: 0 })));
        expect(isClosedChain(rows.reverse(), BALANCE, rows[0]?.after ?? 0)).toBe(true);
      }),
    );
  });

  it('is not closed where a row does not say which balances it lies between', () => {
    fc.assert(
      fc.property(
        steps(charge).filter(({ length }) => length > 0),
        fc.nat(),
        (made, nth) => {
          const rows = chainOf(made);
          const to = rows.at(-1)?.after ?? BALANCE;
          const bare = rows.map(({ before, after, ...row }, index) =>
            index === nth % rows.length
              ? row
              : {
                  ...row,
                  ...(before === undefined ? {} : { before }),
                  ...(after === undefined ? {} : { after }),
                },
          );
          expect(isClosedChain(bare, BALANCE, to)).toBe(false);
        },
      ),
    );
  });
});

it('a row that takes credits is no refund, however its amount is signed', () => {
  fc.assert(
    fc.property(charge, fc.boolean(), fc.boolean(), (amount, isNegative, isRefund) => {
      const after = isRefund ? BALANCE + amount : BALANCE - amount;
      const row = bookedRowOf({
        id: 'r',
        createdAt: 0,
        apiPath: '/suno/v2/customModel/create',
        finalAmount: isNegative ? -amount : amount,
        beforeCredits: BALANCE,
        afterCredits: after,
      });
      expect(row).toMatchObject({ kind: 'create', amount: isRefund ? -amount : amount });
    }),
  );
});

const rowsAndExplainers = fc
  .record({
    rows: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 6 }),
    explainers: fc.array(
      fc.record({
        from: fc.integer({ min: -2, max: 12 }),
        length: fc.integer({ min: 0, max: 8 }),
        known: fc.option(fc.nat({ max: 5 }), { nil: undefined, freq: 3 }),
      }),
      { maxLength: 5 },
    ),
  })
  .map(({ rows, explainers }) => {
    const taken = new Set<number>();
    return {
      rows: rows.map((at, index): CreateRow => ({ id: `r${index}`, at, amount: 100 })),
      explainers: explainers.map(({ from, length, known }): Explainer => {
        // A row is known of one create only.
        const isNew = known !== undefined && !taken.has(known);
        if (isNew) taken.add(known);
        return { from, to: from + length, ...(isNew ? { rowId: `r${known}` } : {}) };
      }),
    };
  });

/** By trying everything. */
function largest(rows: readonly CreateRow[], explainers: readonly Explainer[]): number {
  const [row, ...rest] = rows;
  if (row === undefined) return 0;
  const without = largest(rest, explainers);
  const tries = explainers
    .filter((explainer) => fits(row, explainer))
    .map(
      (one) =>
        1 +
        largest(
          rest,
          explainers.filter((other) => other !== one),
        ),
    );
  return Math.max(without, ...tries);
}

describe('rows and the creates that explain them', () => {
  it('are paired one to one, as many as can be, and only where they fit', () => {
    fc.assert(
      fc.property(rowsAndExplainers, ({ rows, explainers }) => {
        const { pairs, unexplained, waiting } = matchRows(rows, explainers);
        expect(pairs.length).toBe(largest(rows, explainers));
        expect(pairs.every(({ row, explainer }) => fits(row, explainer))).toBe(true);
        expect(new Set([...pairs.map(({ row }) => row), ...unexplained]).size).toBe(rows.length);
        expect(new Set([...pairs.map(({ explainer }) => explainer), ...waiting]).size).toBe(
          explainers.length,
        );
      }),
      { numRuns: 500 },
    );
  });

  it('leave over exactly those rows that some largest pairing leaves over', () => {
    fc.assert(
      fc.property(rowsAndExplainers, ({ rows, explainers }) => {
        const most = largest(rows, explainers);
        const spare = rows.filter(
          (row) =>
            largest(
              rows.filter((other) => other !== row),
              explainers,
            ) === most,
        );
        expect([...spareRows(rows, explainers)].map(({ id }) => id).sort()).toEqual(
          spare.map(({ id }) => id).sort(),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('never pair a refund', () => {
    const refund: CreateRow = { id: 'z', at: 1, amount: -100 };
    expect(matchRows([refund], [{ from: 0, to: 2 }])).toMatchObject({ pairs: [], unexplained: [] });
  });
});
