/**
 * The plan of a chaos run is a function of its seed, and has something of everything.
 */
import { expect, it } from 'vitest';
import { firstSource, planChaos, type PlanOptions, type Wave } from './plan.js';

const OPTIONS: PlanOptions = { seed: 7, size: 120, atOnce: 50, billingFaultsEvery: 2 };

function labelsOf(waves: Wave[]): Set<string> {
  return new Set(
    waves.flatMap(({ trainings }) => trainings.flatMap(({ faults }) => faults.map(({ label }) => label))),
  );
}

it('is the same for the same seed, and another one for another', () => {
  expect(planChaos(OPTIONS)).toEqual(planChaos(OPTIONS));
  expect(planChaos({ ...OPTIONS, seed: 8 })).not.toEqual(planChaos(OPTIONS));
});

it('has every training once, in waves of at most the size asked for', () => {
  const waves = planChaos(OPTIONS);
  expect(waves.map(({ trainings }) => trainings.length)).toEqual([50, 50, 20]);
  const numbers = waves.flatMap(({ trainings }) => trainings.map(({ number }) => number));
  expect(numbers).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
});

it('names each training so that it is no part of the name of another', () => {
  const tags = planChaos({ ...OPTIONS, size: 1_000 }).flatMap(({ trainings }) =>
    trainings.map(({ tag }) => tag),
  );
  expect(new Set(tags).size).toBe(1_000);
  expect(new Set(tags.map((tag) => tag.length)).size).toBe(1);
});

it('kills workers and server and takes the API down in every wave, also in a small one', () => {
  for (const size of [1, 12, 50]) {
    const [wave] = planChaos({ ...OPTIONS, size });
    const kinds = wave?.disruptions.map(({ what }) => what.kind);
    expect(new Set(kinds)).toEqual(new Set(['kill workers', 'kill server', 'outage']));
    const held = wave?.disruptions.find(({ at }) => at === 'sent');
    expect(held?.what.kind).toBe('kill workers');
  }
});

it('kills all workers while the answer of a create is held back', () => {
  for (const { trainings, disruptions } of planChaos(OPTIONS)) {
    const killed = disruptions.filter(({ at, what }) => at === 'sent' && what.kind === 'kill workers');
    const victims = trainings.filter(({ faults }) => faults[0]?.rule.fault.kind === 'slow');
    const numbers = new Set(victims.map(({ number }) => number));
    expect(killed.filter(({ by }) => numbers.has(by)).length).toBeGreaterThan(0);
  }
});

it('has faults of every kind, and people who interfere', () => {
  const waves = planChaos({ ...OPTIONS, size: 1_000 });
  const labels = labelsOf(waves);
  for (const kind of ['lost', 'refuse', 'late', 'hang before', 'hang after', 'garbage', 'truncated']) {
    expect(labels).toContain(`create: ${kind}`);
  }
  for (const kind of [
    'status 503',
    'status 502 after',
    'status 409',
    'redirect',
    'failTask',
    'neverFinish',
  ]) {
    expect(labels).toContain(`create: ${kind}`);
  }
  const kinds = waves.flatMap(({ trainings }) =>
    trainings.flatMap(({ intervention }) => intervention?.kind ?? []),
  );
  expect(new Set(kinds)).toEqual(new Set(['cancel', 'terminate', 'reset']));
});

it('breaks billing in some waves only', () => {
  expect(planChaos(OPTIONS).map(({ isBillingFaulty }) => isBillingFaulty)).toEqual([false, true, false]);
  for (const { faults, isBillingFaulty } of planChaos(OPTIONS)) {
    const onBilling = faults.filter(({ rule }) => rule.on === 'credits' || rule.on === 'points');
    expect(onBilling.length > 0).toBe(isBillingFaulty);
  }
});

it('matches a fault of an upload to the first source of one file', () => {
  const [wave] = planChaos(OPTIONS);
  for (const { tag, files, faults } of wave?.trainings ?? []) {
    for (const { rule } of faults.filter((one) => one.rule.on === 'upload')) {
      const sources = Array.from({ length: files }, (_, index) => firstSource(tag, index + 1));
      expect(sources).toContain(rule.match?.audioUrl);
    }
  }
});
