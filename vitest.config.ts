import { defineConfig } from 'vitest/config';

const shared = {
  setupFiles: ['test/support/quietLogger.ts'],
  pool: 'forks' as const,
  // Two cores are shared and servers are real: generous, so that only a hang fails.
  testTimeout: 240_000,
  hookTimeout: 120_000,
  // The tests wait for processes more than they compute.
  maxWorkers: 5,
};

export default defineConfig({
  test: {
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
            'test/{workflow,replay,e2e,matrix,library,package,staging}/**/*.test.ts',
            'test/temporal/{github-actions,lock,serverBinary}.test.ts',
            'test/chaos/chaos.test.ts',
          ],
          globalSetup: ['test/support/globalSetup.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'servers of their own',
          include: ['test/temporal/{background,server}.test.ts'],
          // They look at which ports a server gets again, so no other test may start one meanwhile.
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
