import { expect, it } from 'vitest';
import { runCli } from '../support/cli.js';

it('demo trains a model with no key, shows a recovery, and says what tunesmith and the ledger say was charged', async () => {
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    MOUNTSEA_API_KEY: 'mine',
    TEMPORAL_ADDRESS: 'nowhere:1',
  };
  const { code, stdout, stderr } = await runCli(['demo'], env);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^chirp-custom:[0-9a-f-]{36}\n$/);
  expect(stderr).toContain('the decoder gave up (demo)');
  expect(stderr).toContain('says tunesmith: create: 100 credits · 9 uploads: 45 credits.');
  expect(stderr).toContain('9 × upload = 45, 1 × create = 100');
  expect(stderr).toMatch(/http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/train-night-drive-/);
});
