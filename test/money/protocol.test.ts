/**
 * The pure money protocol over every combination of what is not documented about money, in virtual time. The service's
 * own books are the judge: what it accepted and charged is compared with what was concluded from the witnesses.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProfileChange } from '../../src/sandbox/options.js';
import type { TaskFate } from '../../src/sandbox/service.js';
import { AccountBook, type AccountState, emptyAccount } from '../../src/workflows/accountBook.js';
import { type CreateFault, stopTime, type Truth, VirtualService } from './virtualService.js';
import { type End, type Person, VirtualTraining } from './virtualTraining.js';

// The sandbox fetches its sources over a socket; money does not depend on them.
vi.mock('../../src/sandbox/audio.js', () => ({ whyNotAudio: () => Promise.resolve(undefined) }));

const MINUTE = 60_000;

/** Whether a create that met the fault was accepted all the same. */
const FAULTS: Record<Exclude<CreateFault, 'none'>, boolean> = {
  'lost after the effect': true,
  'reset before the effect': false,
  'reset, lands 5 min late': true,
  '500 after the effect': true,
  '500 before the effect': false,
  'hang after the effect': true,
  '409 before the effect': false,
  'worker lost after the effect': true,
};
type Fault = keyof typeof FAULTS;
const EVERY_FAULT = Object.keys(FAULTS) as Fault[];

/** What happens to the balance or to the training while create is in doubt. */
const EVENTS = {
  'nothing else': {},
  'a top-up with a row': { profile: { topUp: { everyMs: 7 * MINUTE } } },
  'a top-up without a row': { profile: { topUp: { everyMs: 7 * MINUTE }, topUpRow: false } },
  'a refund': { profile: { refundFailed: 'row' }, fate: { fails: { reason: 'bad luck', code: 7 } } },
  'a training without end': { fate: { neverEnds: 'running' } },
} as const satisfies Record<string, { profile?: ProfileChange; fate?: TaskFate }>;
type Event = keyof typeof EVENTS;

interface Combination {
  chargeAt: 'send' | 'start' | 'completion';
  sessionBeforeCreate: '404' | 'success';
  sessionDuringTraining: 'live' | 'unchanged';
  ledgerLagMs: number;
  secondCreate: 'accept' | 'refuse' | 'conflict';
  /** Somebody else who creates with the same key. */
  stranger: 'none' | 'since long ago' | 'from the send on';
  event: Event;
  /** An earlier training of this key has shown how soon charges appear. */
  isExperienced: boolean;
}

const ALL: { [K in keyof Combination]: readonly Combination[K][] } = {
  chargeAt: ['send', 'start', 'completion'],
  sessionBeforeCreate: ['404', 'success'],
  sessionDuringTraining: ['live', 'unchanged'],
  ledgerLagMs: [0, MINUTE / 2, 10 * MINUTE],
  secondCreate: ['accept', 'refuse', 'conflict'],
  stranger: ['none', 'since long ago'],
  event: Object.keys(EVENTS) as Event[],
  isExperienced: [false, true],
};

function product(fields: typeof ALL): Combination[] {
  let rows: Partial<Combination>[] = [{}];
  for (const [field, values] of Object.entries(fields)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [field]: value })));
  }
  return rows as Combination[];
}

interface Story {
  end: End;
  verdict: string;
  attempts: string[];
  sends: number;
  truth: Truth;
}

async function storyOf(combination: Combination, fault: Fault, person: Person, seed: number): Promise<Story> {
  const { stranger, event, isExperienced, ...profile } = combination;
  const { profile: change = {}, fate = {} }: { profile?: ProfileChange; fate?: TaskFate } = EVENTS[event];
  const foreignCreateEveryMs = stranger === 'none' ? 0 : 4 * MINUTE;
  const world = new VirtualService({ ...profile, ...change, foreignCreateEveryMs }, seed);
  try {
    let book = new AccountBook(emptyAccount());
    if (stranger === 'since long ago') await world.pass(30 * MINUTE);
    if (isExperienced) {
      const smooth = { fault: 'none', fate: {}, person: 'absent' } as const;
      const earlier = new VirtualTraining(world, book, 'earlier', await world.openSession(), smooth);
      await earlier.create();
      await earlier.finish();
      await world.pass(40 * MINUTE);
      // The account workflow continues as new in between.
      book = new AccountBook(JSON.parse(JSON.stringify(book.state)) as AccountState);
    }
    const session = await world.openSession();
    const training = new VirtualTraining(world, book, 'this', session, { fault, fate, person });
    const end = await training.create();
    const { receipt, sends } = training;
    // Whatever is still under way lands, ends and is charged.
    await world.pass(30 * MINUTE);
    const { verdict, attempts } = receipt;
    const truth = world.truth(session.sessionId);
    return { end, verdict, attempts: attempts.map((attempt) => attempt.verdict), sends, truth };
  } finally {
    world.end();
  }
}

/**
 * Every combination of the fields with a fault. What the service makes of a second create is looked up only when one
 * arrives, so where none did the stories of the other two values are the same and are not told again.
 */
async function* stories(
  fields: typeof ALL,
  fault: Fault,
  person: Person,
): AsyncGenerator<[Combination, Story]> {
  const [accept, ...others] = fields.secondCreate;
  let seed = 0;
  for (const combination of product({ ...fields, secondCreate: accept === undefined ? [] : [accept] })) {
    seed += 1;
    const story = await storyOf(combination, fault, person, seed);
    yield [combination, story];
    const wasAsked = story.truth.arrived > (combination.isExperienced ? 2 : 1);
    for (const secondCreate of others) {
      const other = { ...combination, secondCreate };
      yield [other, wasAsked ? await storyOf(other, fault, person, seed) : story];
    }
  }
}

/** The service takes the credits of such a training at all. */
function isCharged({ chargeAt, event }: Combination): boolean {
  return chargeAt !== 'completion' || (event !== 'a refund' && event !== 'a training without end');
}

/** What somebody who reads the design expects where nobody helps: which witness is there and speaks? */
function isTold(
  {
    chargeAt,
    sessionBeforeCreate,
    sessionDuringTraining,
    ledgerLagMs,
    stranger,
    event,
    isExperienced,
  }: Combination,
  isAccepted: boolean,
): boolean {
  const chargesOnTheWay = chargeAt !== 'completion';
  if (isAccepted) {
    // The session shows it, at the latest when its training has ended; else a row against a status that is silent.
    const sessionShows = sessionDuringTraining === 'live' || event !== 'a training without end';
    return sessionShows || (sessionBeforeCreate === 'success' && chargesOnTheWay && stranger === 'none');
  }
  // A proof that there was none needs all of it: a session that would speak, a whole ledger, and experience with it.
  const isEarly = isExperienced && chargesOnTheWay && ledgerLagMs < MINUTE;
  const isWhole = stranger === 'none' && event !== 'a top-up without a row';
  return sessionBeforeCreate === '404' && isEarly && isWhole;
}

function wrongs(
  combination: Combination,
  fault: Fault,
  { end, verdict, attempts, sends, truth }: Story,
): string[] {
  const isAccepted = FAULTS[fault];
  const told = isTold(combination, isAccepted);
  const expected = told ? 'accepted' : 'parked in doubt';
  return [
    truth.accepted <= 1 && truth.charged <= 1 ? '' : `charged ${truth.charged} times`,
    sends <= (isAccepted ? 1 : 2) ? '' : `sent ${sends} times`,
    end === expected ? '' : `${end} instead of ${expected}`,
    verdict === (told ? 'charged' : 'unknown') ? '' : `the receipt says ${verdict}`,
    verdict !== 'charged' || truth.accepted === 1 ? '' : 'nothing was accepted',
    verdict !== 'charged' || truth.charged === (isCharged(combination) ? 1 : 0) ? '' : 'nothing was charged',
    attempts[0] !== 'not-charged' || !isAccepted ? '' : 'the first send is said to be free',
  ]
    .filter((wrong) => wrong !== '')
    .map((wrong) => `${wrong}: ${JSON.stringify(combination)}`);
}

beforeEach(() => {
  stopTime();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('with nobody there to decide, every combination is paid at most once and told wherever a witness speaks', () => {
  it.each(EVERY_FAULT)('%s', async (fault) => {
    const found: string[] = [];
    const ends: Partial<Record<End, number>> = {};
    for await (const [combination, story] of stories(ALL, fault, 'absent')) {
      found.push(...wrongs(combination, fault, story));
      ends[story.end] = (ends[story.end] ?? 0) + 1;
    }
    expect(found).toEqual([]);
    // Written down, so that a protocol that parks more than it has to is seen.
    expect(ends).toEqual(
      FAULTS[fault]
        ? { accepted: 1_980, 'parked in doubt': 180 }
        : { accepted: 96, 'parked in doubt': 2_064 },
    );
  });
});

describe('with a person who sends again at once, the receipt still never says less than was spent', () => {
  const fields: typeof ALL = {
    ...ALL,
    stranger: ['none'],
    event: ['nothing else', 'a training without end'],
    isExperienced: [false],
  };

  it.each(EVERY_FAULT)('%s', async (fault) => {
    for await (const [combination, story] of stories(fields, fault, 'resends at once')) {
      const { attempts, sends, truth, verdict } = story;
      const about = JSON.stringify({ combination, story });
      expect(sends, about).toBeLessThanOrEqual(2);
      expect(truth.accepted, about).toBeLessThanOrEqual(combination.secondCreate === 'accept' ? 2 : 1);
      expect(attempts.filter((one) => one !== 'not-charged').length, about).toBeGreaterThanOrEqual(
        truth.charged,
      );
      expect(attempts.filter((one) => one === 'charged').length, about).toBeLessThanOrEqual(truth.accepted);
      if (truth.accepted > 0) expect(verdict, about).not.toBe('not-charged');
      // A session that shows what it is about is looked at before the second send, which is then not written.
      const shows = combination.sessionDuringTraining === 'live' && fault !== 'reset, lands 5 min late';
      if (shows) expect(truth.accepted, about).toBe(1);
    }
  });
});

describe('a stranger who begins to create with the key after the send', () => {
  const fields: typeof ALL = {
    ...ALL,
    stranger: ['from the send on'],
    event: ['nothing else', 'a training without end'],
    isExperienced: [false],
  };

  it.each(EVERY_FAULT)('is at worst taken for us and never leads to a second send: %s', async (fault) => {
    for await (const [combination, { sends, truth }] of stories(fields, fault, 'absent')) {
      expect(sends, JSON.stringify(combination)).toBe(1);
      expect(truth.accepted).toBe(FAULTS[fault] ? 1 : 0);
    }
  });
});
