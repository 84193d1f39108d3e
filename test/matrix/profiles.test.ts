/**
 * Whatever is not documented about money × a create whose answer proves nothing. What is right in one of these worlds is
 * a double charge in another, and nobody says in which one we are.
 */
import { describe, expect, it } from 'vitest';
import type { Fault, FaultRule, ProfileChange } from '../../src/sandbox/index.js';
import { objections } from './check.js';
import {
  chosen,
  DONE,
  DONE_AGAIN,
  IN_DOUBT,
  MODEL,
  observe,
  type Outcome,
  parked,
  type Row,
  useWorker,
  type WorldOptions,
} from './lab.js';

type Column = 'had no effect' | 'had its effect' | 'lands 5 min later';

/** What befalls create, by what the witnesses have to find out. */
const FAULTS: Record<Column, Record<string, Fault>> = {
  'had no effect': {
    'was reset': { kind: 'refuse' },
    'was answered 503': { kind: 'status', status: 503 },
    hung: { kind: 'hang', when: 'before' },
  },
  'had its effect': {
    'was reset': { kind: 'lost' },
    'was answered 502': { kind: 'status', status: 502, when: 'after' },
    hung: { kind: 'hang', when: 'after' },
  },
  'lands 5 min later': { 'was reset': { kind: 'late', afterMs: 300_000 } },
};

const found = [DONE];
const again = [DONE_AGAIN];
const doubt = [IN_DOUBT];
/** On a busy machine a charge of the end or later is seen before the end is: then it counts as early, and the grace is longer. */
const either = [IN_DOUBT, DONE_AGAIN];

/** Of a key that trains for the first time, or of one whose charges appear late. */
const once = 'once';
const early = 'charges are early';

const silent = { sessionBeforeCreate: 'success', sessionDuringTraining: 'unchanged' } as const;
const strangers = { foreignCreateEveryMs: 50_000 } as const;
const topUp = { everyMs: 240_000 } as const;
/** Billing is down from the beginning to the end. The balance is asked first, and then nothing more. */
const down: FaultRule[] = [{ on: 'credits', times: 1_000_000, fault: { kind: 'status', status: 503 } }];

type Line = [
  topic: string,
  title: string,
  profile: ProfileChange,
  experience: WorldOptions['experience'],
  noEffect: Outcome[],
  effect: Outcome[],
  late: Outcome[],
  faults?: FaultRule[],
];

// prettier-ignore
const PROFILES: Line[] = [
  // topic,       profile                                                                                        learned, no effect, effect, late
  ['charge',      'charged at the start', { chargeAt: 'start' },                                                 early,   again,     found,  found],
  ['charge',      'charged at completion', { chargeAt: 'completion' },                                           once,    either,    found,  found],
  ['session',     '`success` from birth', { sessionBeforeCreate: 'success' },                                    early,   doubt,     found,  found],
  ['session',     'unchanged until the end', { sessionDuringTraining: 'unchanged' },                             early,   again,     found,  found],
  ['session',     '`success` from birth and unchanged until the end', silent,                                    early,   doubt,     found,  found],
  ['ledger',      'a ledger 30 s behind', { ledgerLagMs: 30_000 },                                               early,   again,     found,  found],
  ['ledger',      'a ledger 10 min behind', { ledgerLagMs: 600_000 },                                            once,    either,    found,  found],
  ['ledger',      'a ledger 10 min behind, the session silent', { ...silent, ledgerLagMs: 600_000 },             once,    doubt,     found,  found],
  ['ledger',      'nothing to be seen before the end', { ...silent, ledgerLagMs: 30_000, chargeAt: 'completion' }, once,  doubt,     found,  found],
  ['ledger',      'billing that is down', {},                                                                    early,   doubt,     found,  found, down],
  ['strangers',   'foreign creates on the key', strangers,                                                       once,    doubt,     found,  found],
  ['strangers',   'foreign creates on the key, the session silent', { ...strangers, ...silent },                 once,    doubt,     found,  found],
  ['strangers',   'top-ups within the grace', { topUp },                                                         early,   again,     found,  found],
  ['strangers',   'top-ups without a row', { topUp, topUpRow: false },                                           early,   doubt,     found,  found],
  ['second',      'a second create refused', { secondCreate: 'refuse' },                                         early,   again,     found,  found],
  ['second',      'a second create in conflict', { secondCreate: 'conflict' },                                   early,   again,     found,  found],
];

interface MoneyRow extends Row {
  /** `npm test` runs one row of each. */
  class: string;
}

/** By column first: those of which nothing must be concluded too soon come before the others. */
const columns: Column[] = ['had no effect', 'lands 5 min later', 'had its effect'];
const lines = columns.flatMap((column) =>
  PROFILES.flatMap(([topic, title, profile, experience, noEffect, effect, late, faults = []]): MoneyRow[] => {
    const cells = { 'had no effect': noEffect, 'had its effect': effect, 'lands 5 min later': late };
    const outcomes = cells[column];
    return Object.entries(FAULTS[column]).map(([what, fault]) => ({
      class: column === 'had no effect' ? topic : column,
      title: `${title}: a create that ${what} and ${column} comes to ${outcomes.map(({ end }) => end).join(' or ')}`,
      profile,
      experience: experience ?? 'none',
      faults: [...faults, { on: 'create', fault }],
      outcomes,
    }));
  }),
);

/** Nothing is to be seen of a create for as long as its training takes: time for a person to be impatient. */
const slow = {
  speed: 20,
  profile: { ...silent, ledgerLagMs: 600_000 },
  isResent: true,
} as const;
const lost: FaultRule[] = [{ on: 'create', fault: { kind: 'lost' } }];

const others: MoneyRow[] = [
  {
    class: 'person',
    title: 'a second create that a person dared is refused with "exists": the first one is found',
    ...slow,
    profile: { ...slow.profile, secondCreate: 'refuse' },
    faults: lost,
    outcomes: [DONE_AGAIN],
  },
  {
    class: 'person',
    title: 'a second create that a person dared is in conflict: the first one is found',
    ...slow,
    profile: { ...slow.profile, secondCreate: 'conflict' },
    faults: lost,
    outcomes: [DONE_AGAIN],
  },
  {
    class: 'person',
    title: 'a second create that a person dared is charged, as was accepted',
    ...slow,
    faults: lost,
    outcomes: [{ end: 'done', charges: 2, creates: 2 }],
  },
  {
    class: 'person',
    title: 'a create that lands 5 min later finds the second one, that a person dared, in its place',
    ...slow,
    profile: { ...slow.profile, secondCreate: 'refuse' },
    faults: [{ on: 'create', fault: { kind: 'late', afterMs: 300_000 } }],
    outcomes: [DONE_AGAIN],
  },
  {
    class: 'refund',
    title: 'the charge and the refund of another training within the grace are not taken for its own',
    profile: { refundFailed: 'row' },
    experience: early,
    hasRefundBeside: true,
    faults: [{ on: 'create', match: { name: MODEL }, fault: { kind: 'refuse' } }],
    outcomes: again,
  },
  {
    class: 'refund',
    title: 'a failed training that is given back is in the receipt as not charged',
    profile: { refundFailed: 'row' },
    faults: [{ on: 'create', fault: { kind: 'failTask' } }],
    outcomes: [parked('training-failed', 1, 1)],
  },
];

describe('whatever is not known about money, a create in doubt is paid once', () => {
  const worker = useWorker();
  const rows = chosen([...lines, ...others], (row) => row.class);

  it.concurrent.each(rows.map((row) => [row.title, row] as const))('%s', async (_, row) => {
    expect(objections(row, await observe(worker(), row))).toEqual([]);
  });
});
