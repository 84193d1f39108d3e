import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from '../../src/activities/turns.js';

it('lets so many in at once, in their order, and goes on after one that fails', async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  let inside = 0;
  let most = 0;
  const outcomes = await Promise.allSettled(
    [1, 2, 3, 4, 5, 6].map((number) =>
      turns.take(async () => {
        begun.push(number);
        most = Math.max(most, (inside += 1));
        await sleep(2);
        inside -= 1;
        if (number === 2) throw new Error('failed');
        return number;
      }),
    ),
  );
  expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
  expect(most).toBe(2);
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
});
