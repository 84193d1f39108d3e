/**
 * A small chaos run with a seed of its own, and the same world with one protection switched off: the audit must find what
 * comes of that. `npm run chaos` runs the large ones.
 */
import { expect, it } from 'vitest';
import { prepare } from '../support/prepare.js';
import type { Break } from './broken.js';
import { type ChaosOptions, runChaos } from './chaos.js';
import { type ChaosReport, complaintsOf, textOf } from './report.js';

const PREPARE_MS = 15 * 60_000;

async function run(more: Partial<ChaosOptions>): Promise<ChaosReport> {
  return runChaos({
    seed: 1,
    size: 12,
    atOnce: 50,
    speed: 60,
    billingFaultsEvery: 0,
    // It ends as soon as all are settled; the registry's third look is after 21 min.
    settleMinutes: 25,
    binary: await prepare(),
    say: () => undefined,
    ...more,
  });
}

it(
  'nobody is charged twice, nothing is lost, nothing is stuck',
  async () => {
    const report = await run({});
    expect(complaintsOf(report), textOf(report)).toEqual([]);
    expect(report.audit.charges).toBeGreaterThan(5);
    expect(report.audit.cannotTell.of).toBeGreaterThan(3);
  },
  PREPARE_MS,
);

it.each<Break>(['at-most-once', 'reconciliation'])(
  'a build without %s is found out',
  async (broken) => {
    const report = await run({ seed: 29, size: 6, broken, isCalm: true, settleMinutes: 0 });
    const rules = report.audit.violations.map(({ rule }) => rule);
    expect(rules, textOf(report)).toContain('charged more often than decided');
  },
  PREPARE_MS,
);
