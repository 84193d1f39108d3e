import { defineConfig } from 'vitest/config';

/** Two cores are shared and servers are real: generous, so that only a hang fails. */
const timeouts = { testTimeout: 120_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    // The tests wait for processes more than they compute.
    maxWorkers: 4,
    projects: [
      {
        test: {
          name: 'alone',
          include: ['test/{unit,mountsea,sandbox,temporal,compose,cli,activities}/**/*.test.ts'],
          setupFiles: ['test/support/quietLogger.ts'],
          pool: 'forks',
          ...timeouts,
        },
      },
      {
        test: {
          name: 'with a Temporal server',
          include: ['test/{workflow,replay,e2e}/**/*.test.ts'],
          globalSetup: ['test/support/globalSetup.ts'],
          setupFiles: ['test/support/quietLogger.ts'],
          pool: 'forks',
          ...timeouts,
        },
      },
    ],
  },
});
