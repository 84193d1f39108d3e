/**
 * What will go wrong in a chaos run, all of it from one seed: faults of the API, kills of processes, outages, and what
 * people do to each training. Pure: the same options give the same plan.
 */
import type { Fault, FaultRule } from '../../src/sandbox/index.js';
import { Chance } from './random.js';

/** How far a training is, as its memo shows it; `ended` is also reached where an earlier one never was. */
export const MOMENTS = ['uploading', 'creating', 'sent', 'doubt', 'parked', 'training', 'ended'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface LabelledFault {
  label: string;
  rule: FaultRule;
}

/** What somebody does to a training out of the blue. */
export interface Intervention {
  kind: 'cancel' | 'terminate' | 'reset';
  at: Moment;
  /** Which of the events that it can be reset to: from 0, the first, to 1, the newest. */
  point: number;
}

export interface TrainingPlan {
  /** From 1. */
  number: number;
  /** In its name and in every source of it; never a part of another one. */
  tag: string;
  files: number;
  /** Files whose URL gives 404 until they are replaced. */
  badFiles: number[];
  onBadFile: 'ask' | 'drop' | 'fail';
  faults: LabelledFault[];
  intervention?: Intervention;
  /** Its person does not wait until the witnesses of a doubtful create have told. */
  isImpatient: boolean;
}

/** What befalls processes and the whole API, when the training `by` has come so far. */
export interface Disruption {
  by: number;
  at: Moment;
  what:
    | { kind: 'kill workers'; workers: number[]; downMs: number }
    | { kind: 'kill server'; downMs: number }
    | { kind: 'outage'; downMs: number };
}

export interface Wave {
  trainings: TrainingPlan[];
  /** Bound to no training: they befall whoever asks then. */
  faults: LabelledFault[];
  /** Billing fails in this wave, so the witnesses may be silent. */
  isBillingFaulty: boolean;
  disruptions: Disruption[];
}

export interface PlanOptions {
  seed: number;
  size: number;
  /** Most trainings at once. */
  atOnce: number;
  /** Every so many waves billing is faulty; 0: never. */
  billingFaultsEvery: number;
}

export function planChaos({ seed, size, atOnce, billingFaultsEvery }: PlanOptions): Wave[] {
  const waves: Wave[] = [];
  for (let first = 1; first <= size; first += atOnce) {
    const count = Math.min(atOnce, size - first + 1);
    const index = waves.length;
    const isBillingFaulty = billingFaultsEvery > 0 && index % billingFaultsEvery === billingFaultsEvery - 1;
    const trainings = Array.from({ length: count }, (_, offset) => planTraining(seed, first + offset));
    waves.push({
      trainings,
      isBillingFaulty,
      faults: commonFaults(new Chance(seed, 'common', index), count, isBillingFaulty),
      disruptions: planDisruptions(new Chance(seed, 'disruptions', index), trainings),
    });
  }
  return waves;
}

export const CREATE_PRICE = 100;

function planTraining(seed: number, number: number): TrainingPlan {
  const chance = new Chance(seed, 'training', number);
  const tag = `c${String(number).padStart(5, '0')}`;
  const files = chance.whole(6, 8);
  const badFiles = chance.happens(0.06) ? [chance.whole(1, files)] : [];
  const intervention = chance.happens(0.22) ? planIntervention(chance) : undefined;
  return {
    number,
    tag,
    files,
    badFiles,
    onBadFile: chance.weighted([
      [8, 'ask'],
      [1, 'drop'],
      [1, 'fail'],
    ] as const),
    faults: [...uploadFaults(chance, tag, files), ...createFaults(chance, tag)],
    ...(intervention === undefined ? {} : { intervention }),
    isImpatient: chance.happens(0.1),
  };
}

function planIntervention(chance: Chance): Intervention {
  return {
    kind: chance.weighted([
      [4, 'cancel'],
      [3, 'terminate'],
      [5, 'reset'],
    ] as const),
    at: chance.weighted([
      [2, 'uploading'],
      [2, 'creating'],
      [3, 'sent'],
      [2, 'doubt'],
      [1, 'parked'],
      [3, 'training'],
      [1, 'ended'],
    ] as const),
    point: chance.next(),
  };
}

const because = (message: string): { message: string } => ({ message });

function uploadFaults(chance: Chance, tag: string, files: number): LabelledFault[] {
  if (!chance.happens(0.4)) return [];
  const count = chance.whole(1, 2);
  return chance
    .shuffled(Array.from({ length: files }, (_, index) => index + 1))
    .slice(0, count)
    .map((file) => {
      const [fault, times] = chance.weighted<readonly [Fault, number]>([
        [3, [{ kind: 'failTask', reason: 'decoder crashed' }, 1]],
        [2, [{ kind: 'failTask', reason: 'not music' }, 3]],
        [2, [{ kind: 'lost' }, 1]],
        [2, [{ kind: 'status', status: 503 }, 1]],
        [2, [{ kind: 'status', status: 502, when: 'after' }, 1]],
        [1, [{ kind: 'garbage' }, 1]],
        [1, [{ kind: 'truncated' }, 1]],
        [1, [{ kind: 'refuse' }, 1]],
        [1, [{ kind: 'rateLimit', retryAfterSeconds: 1 }, 1]],
        [1, [{ kind: 'late', afterMs: 60_000 }, 1]],
        [1, [{ kind: 'hang', when: 'after' }, 1]],
        [1, [{ kind: 'neverFinish' }, 1]],
        [1, [{ kind: 'status', status: 400, body: because('audioUrl is not allowed') }, 1]],
      ]);
      return labelled({ on: 'upload', match: { audioUrl: firstSource(tag, file) }, times, fault });
    });
}

/** Faults of create that prove nothing. */
const DOUBTFUL: readonly (readonly [number, Fault])[] = [
  [8, { kind: 'lost' }],
  [4, { kind: 'refuse' }],
  [2, { kind: 'hang', when: 'after' }],
  [2, { kind: 'hang', when: 'before' }],
  [4, { kind: 'status', status: 503 }],
  [4, { kind: 'status', status: 502, when: 'after' }],
  [3, { kind: 'garbage' }],
  [3, { kind: 'truncated' }],
  [4, { kind: 'late', afterMs: 300_000 }],
  [2, { kind: 'status', status: 409, body: because('busy') }],
  [1, { kind: 'redirect' }],
];
/** Faults of create that are a plain answer, or a plain end of what it began. */
const PLAIN: readonly (readonly [number, Fault])[] = [
  [3, { kind: 'rateLimit', retryAfterSeconds: 1 }],
  [3, { kind: 'status', status: 400, body: because('name is not allowed') }],
  [2, { kind: 'status', status: 402, body: because('insufficient credits') }],
  [1, { kind: 'status', status: 401, body: because('Unauthorized') }],
  [1, { kind: 'status', status: 400, body: because('the account has reached its model limit') }],
  [5, { kind: 'failTask', reason: 'gpu on fire' }],
  [2, { kind: 'successWithoutModel' }],
  [2, { kind: 'neverFinish' }],
];

function createFaults(chance: Chance, tag: string): LabelledFault[] {
  const faults: LabelledFault[] = [];
  for (
    let nth = 1, probability = 0.6;
    nth <= 3 && chance.happens(probability);
    nth += 1, probability = 0.35
  ) {
    const fault = chance.happens(0.65) ? chance.weighted(DOUBTFUL) : chance.weighted(PLAIN);
    faults.push(labelled({ on: 'create', nth, match: { name: tag }, fault }));
  }
  return faults;
}

function commonFaults(chance: Chance, size: number, isBillingFaulty: boolean): LabelledFault[] {
  const faults: LabelledFault[] = [];
  const bursts = Math.max(2, Math.round(size / 4));
  for (let burst = 0; burst < bursts; burst += 1) {
    const fault = chance.weighted<Fault>([
      [4, { kind: 'status', status: 500 }],
      [2, { kind: 'garbage' }],
      [2, { kind: 'truncated' }],
      [3, { kind: 'refuse' }],
      [2, { kind: 'slow', delayMs: 300 }],
      [2, { kind: 'rateLimit', retryAfterSeconds: 1 }],
      [2, { kind: 'staleStatus' }],
      [2, { kind: 'unknownStatus' }],
      [1, { kind: 'notFoundAtFirst' }],
    ]);
    const nth = chance.whole(1, size * 30);
    faults.push(labelled({ on: 'status', nth, times: chance.whole(1, 5), fault }));
  }
  if (!isBillingFaulty) return faults;
  for (let burst = 0; burst < bursts; burst += 1) {
    const fault: Fault = chance.happens(0.5) ? { kind: 'status', status: 500 } : { kind: 'refuse' };
    const on = chance.of(['credits', 'points'] as const);
    faults.push(labelled({ on, nth: chance.whole(1, size * 6), times: chance.whole(3, 12), fault }));
  }
  return faults;
}

/** At least one of each kind in every wave; one of them hits a create whose answer is held back for it. */
function planDisruptions(chance: Chance, trainings: TrainingPlan[]): Disruption[] {
  const order = chance.shuffled(trainings);
  let next = 0;
  const take = (): TrainingPlan => {
    const training = order[next++ % order.length];
    if (training === undefined) throw new Error('A wave has trainings.');
    return training;
  };
  const workers = (): number[] => chance.of([[0], [1], [0, 1]]);
  const disruptions: Disruption[] = [];

  const victims = Math.max(1, Math.round(trainings.length / 25));
  const healthy = order.filter(({ intervention, faults }) => {
    return intervention === undefined && !faults.some(({ rule }) => rule.on === 'create');
  });
  for (const victim of (healthy.length > 0 ? healthy : order).slice(0, victims)) {
    const rule: FaultRule = {
      on: 'create',
      match: { name: victim.tag },
      fault: { kind: 'slow', delayMs: 3_500 },
    };
    victim.faults.unshift({ label: 'create: its workers are killed', rule });
    disruptions.push({
      by: victim.number,
      at: 'sent',
      what: { kind: 'kill workers', workers: [0, 1], downMs: chance.whole(200, 2_000) },
    });
  }
  const kills = Math.max(1, Math.round(trainings.length / 12));
  for (let kill = 0; kill < kills; kill += 1) {
    disruptions.push({
      by: take().number,
      at: chance.of(['uploading', 'creating', 'training', 'ended']),
      what: { kind: 'kill workers', workers: workers(), downMs: chance.whole(100, 2_000) },
    });
  }
  const outages = Math.max(1, Math.round(trainings.length / 40));
  for (let outage = 0; outage < outages; outage += 1) {
    disruptions.push({
      by: take().number,
      at: chance.of(['uploading', 'training', 'creating']),
      what: { kind: 'outage', downMs: chance.whole(300, 3_000) },
    });
  }
  disruptions.push({
    by: take().number,
    at: chance.of(['uploading', 'creating', 'sent', 'training']),
    what: { kind: 'kill server', downMs: chance.whole(100, 1_500) },
  });
  return disruptions;
}

/** Path of a file's first source at the audio server. */
export function firstSource(tag: string, file: number): string {
  return `/${tag}/${file}-0.`;
}

function labelled(rule: FaultRule): LabelledFault {
  const { on, fault, times = 1 } = rule;
  const details =
    fault.kind === 'status'
      ? ` ${fault.status}${fault.when === 'after' ? ' after' : ''}${isLimit(fault) ? ' model limit' : ''}`
      : fault.kind === 'hang'
        ? ` ${fault.when ?? 'after'}`
        : '';
  const often = on === 'upload' && times > 1 ? `, ${times} times` : '';
  return { label: `${on}: ${fault.kind}${details}${often}`, rule };
}

function isLimit({ body }: { body?: unknown }): boolean {
  return JSON.stringify(body ?? '').includes('model limit');
}
