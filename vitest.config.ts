import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Two cores are shared and servers are real: generous, so that only a hang fails.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
