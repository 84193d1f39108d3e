/**
 * `npm run chaos`: the run that the environment asks for. Its report is a file, also where nothing is wrong.
 *
 * - `CHAOS_RUNS`: how many trainings. Default 1000.
 * - `CHAOS_SEED`: of every choice. Default: of the clock, and said.
 * - `CHAOS_REPORT`: the file. Default `chaos-report-<seed>.json`.
 * - `CHAOS_AT_ONCE`: most trainings at once. Default 50.
 * - `CHAOS_SPEED`: times faster than life. Default 50.
 * - `CHAOS_KEEP`: `all` keeps the histories of all trainings, not only of those that something is wrong with.
 * - `CHAOS_BREAK`: what is switched off in the build that runs, to show that it is found.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { prepare } from '../support/prepare.js';
import { isBreak, BREAKS } from './broken.js';
import { runChaos } from './chaos.js';
import { complaintsOf, textOf } from './report.js';

function numberIn(name: string, otherwise: number): number {
  const text = process.env[name] ?? '';
  if (text === '') return otherwise;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${name} must be a whole number above 0, not "${text}".`);
  return Number(text);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const seed = numberIn('CHAOS_SEED', 1 + (Date.now() % 1_000_000));
const size = numberIn('CHAOS_RUNS', 1_000);

test(`chaos: ${size} trainings, seed ${seed}`, async () => {
  const broken = process.env['CHAOS_BREAK'];
  if (broken !== undefined && !isBreak(broken)) {
    throw new Error(`CHAOS_BREAK must be one of ${BREAKS.join(', ')}.`);
  }
  const file = resolve(process.env['CHAOS_REPORT'] ?? `chaos-report-${seed}.json`);
  const histories = file.replace(/(\.json)?$/, '.histories');
  const report = await runChaos({
    seed,
    size,
    atOnce: numberIn('CHAOS_AT_ONCE', 50),
    speed: numberIn('CHAOS_SPEED', 50),
    billingFaultsEvery: 4,
    binary: await prepare(),
    ...(broken === undefined ? {} : { broken }),
    say,
    keepAll: process.env['CHAOS_KEEP'] === 'all',
    keep: (name, text) => {
      mkdirSync(histories, { recursive: true });
      writeFileSync(join(histories, name), text);
    },
  });
  writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`);
  say(`\n${textOf(report)}\nReport: ${file}`);
  expect(complaintsOf(report)).toEqual([]);
});
