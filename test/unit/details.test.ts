/**
 * What whoever is on call reads in the Web UI.
 */
import { expect, it } from 'vitest';
import type { TrainingProgress } from '../../src/contract/progress.js';
import { createReceipt } from '../../src/money/receipt.js';
import { detailsMarkdown } from '../../src/workflows/details.js';

const AT = '2026-01-02T03:04:05.000Z';

const progress: TrainingProgress = {
  version: 1,
  workflowId: 'train-x',
  runId: 'run',
  name: 'Night *Drive*',
  origin: 'https://api.example',
  phase: 'creating',
  startedAt: AT,
  phaseSince: AT,
  sessionId: 'session-1',
  files: [],
  timeline: [],
  receipt: {
    create: createReceipt(
      [
        {
          decision: 'first',
          sessionId: 'session-1',
          sentAt: AT,
          verdict: 'not-charged',
          evidence: ['the ledger has no row of ours'],
        },
        {
          decision: 'first+',
          sessionId: 'session-1',
          sentAt: AT,
          verdict: 'unknown',
          evidence: ['status "success" tells nothing'],
        },
      ],
      2,
    ),
    uploads: { calls: 6, credits: 30 },
  },
  attention: {
    id: 'abcd1234',
    kind: 'charge-unknown',
    message: 'Create may or may not have been accepted.',
    since: AT,
    evidence: ['the grace is over'],
    options: ['keepWaiting', 'giveUp'],
  },
};

it('the Web UI shows what a training waits for, and each create with its verdict and why', () => {
  const text = detailsMarkdown(progress);
  expect(text).toContain('Needs attention (charge-unknown, id `abcd1234`)');
  expect(text).toContain('* the grace is over');
  expect(text).toContain(`create 1, sent ${AT}: **not-charged**, because the ledger has no row of ours`);
  expect(text).toContain(`create 2, sent ${AT}: **unknown**, because status "success" tells nothing`);
  expect(text).toContain('Night \\*Drive\\*');
});
