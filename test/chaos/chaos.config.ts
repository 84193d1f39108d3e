import { defineConfig } from 'vitest/config';

/** `npm run chaos`: not part of the tests, which run a small one (chaos.test.ts). */
export default defineConfig({
  test: {
    include: ['test/chaos/run.ts'],
    pool: 'forks',
    testTimeout: 0,
    // Its own lines are what there is to see for an hour.
    disableConsoleIntercept: true,
  },
});
