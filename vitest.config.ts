import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/sequencer.js';

const shared = {
  pool: 'forks' as const,
  // Two cores are shared and servers are real: generous, so that only a hang fails.
  testTimeout: 240_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    // The tests wait for processes more than they compute.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: 'alone',
          include: [
            'test/{unit,money,mountsea,sandbox,compose,cli,activities,preflight}/**/*.test.ts',
            'test/chaos/{audit,plan}.test.ts',
          ],
        },
      },
      {
        test: {
          ...shared,
          name: 'with a Temporal server',
          include: [
            'test/{workflow,replay,e2e,matrix,library,package,staging,temporal}/**/*.test.ts',
            'test/chaos/chaos.test.ts',
          ],
          globalSetup: ['test/support/globalSetup.ts'],
        },
      },
    ],
  },
});
