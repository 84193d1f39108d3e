import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_DECISION, type ReportSend, type SendAnswer } from '../../src/contract/account.js';
import { AccountBook, type AccountState, emptyAccount } from '../../src/workflows/accountBook.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const GRANT_MS = 3 * MINUTE;
const KEY = 'key';
const RULES = { skewMs: 2 * MINUTE, bookingMs: 20 * MINUTE };

/** The account workflow continues as new: its state is the input of the next run. */
function continued({ state }: AccountBook): AccountBook {
  return new AccountBook(JSON.parse(JSON.stringify(state)) as AccountState);
}

/** One run of a training, as honest as the workflow: it resolves what it is told of before it asks again. */
interface Run {
  workflowId: string;
  runId: string;
  known: Map<string, number>;
  decision: string;
  holding?: { decision: string; until: number };
  doubt?: string;
  isDone: boolean;
}

const operations = fc.array(
  fc.record({
    training: fc.constantFrom(0, 0, 0, 1, 2),
    what: fc.constantFrom(
      'ask',
      'ask',
      'answer',
      'answer',
      'resolve',
      'reset',
      'reset',
      'late report',
      'continue as new',
    ),
    outcome: fc.constantFrom<ReportSend['outcome'][]>('accepted', 'not-accepted', 'in-doubt'),
    later: fc.constantFrom(0, SECOND, 30 * SECOND, MINUTE, 4 * MINUTE),
    person: fc.boolean(),
  }),
  { maxLength: 60 },
);

/** A key with three trainings whose runs are reset now and then, while the account workflow continues as new. */
class Town {
  book = new AccountBook(emptyAccount());
  /** The same without ever continuing as new. */
  readonly twin = new AccountBook(emptyAccount());
  now = 0;
  readonly runs: Run[];
  readonly ended: Run[] = [];
  /** Who holds each decision, and whether its last send is proved to have had no effect. */
  readonly holders = new Map<string, { run: Run; isRefuted: boolean }>();
  #resets = 0;

  constructor() {
    this.runs = ['a', 'b', 'c'].map((workflowId) => this.#newRun(workflowId));
  }

  ask(run: Run): SendAnswer | undefined {
    if (run.isDone || run.doubt !== undefined || run.holding !== undefined) return undefined;
    const { workflowId, runId, decision } = run;
    const request = {
      workflowId,
      runId,
      sessionId: `session of ${workflowId}`,
      keyFingerprint: KEY,
      decision,
      known: [...run.known].map(([one, sentAt]) => ({ decision: one, sentAt })),
      grantMs: GRANT_MS,
      slotMs: 2 * SECOND,
    };
    const answer = this.book.requestSend(request, this.now);
    expect(this.twin.requestSend(request, this.now)).toEqual(answer);
    switch (answer.kind) {
      case 'go':
        run.holding = { decision, until: answer.until };
        run.known.set(decision, this.now);
        break;
      case 'may-have-sent':
        run.doubt = answer.decision;
        run.known.set(answer.decision, answer.grantedAt);
        break;
      case 'accepted':
        run.isDone = true;
        break;
      case 'wait':
      case 'taken':
        break;
    }
    return answer;
  }

  report(run: Run, decision: string, outcome: ReportSend['outcome']): void {
    const { workflowId, runId } = run;
    const report = {
      workflowId,
      runId,
      sessionId: `session of ${workflowId}`,
      keyFingerprint: KEY,
      decision,
      sentAt: this.now,
      outcome,
    };
    for (const book of [this.book, this.twin]) {
      book.reportSend(report, this.now);
      const once = JSON.stringify(book.state);
      // Temporal repeats the activity where its answer was lost.
      book.reportSend(report, this.now);
      expect(JSON.stringify(book.state)).toBe(once);
    }
    const held = this.holders.get(`${workflowId} ${decision}`);
    if (outcome === 'not-accepted' && held?.run === run) held.isRefuted = true;
  }

  /** What the run makes of the answer to its send, or of what the witnesses said later. */
  conclude(run: Run, decision: string, outcome: ReportSend['outcome'], person: boolean): void {
    this.report(run, decision, outcome);
    if (outcome === 'accepted') run.isDone = true;
    if (outcome === 'in-doubt') run.doubt = decision;
    if (outcome === 'not-accepted') run.decision = person ? `attention ${this.now}` : `${decision}+`;
  }

  reset(index: number): void {
    const old = this.runs[index];
    if (old === undefined) return;
    this.ended.push(old);
    this.runs[index] = this.#newRun(old.workflowId);
  }

  #newRun(workflowId: string): Run {
    this.#resets += 1;
    return {
      workflowId,
      runId: `run ${this.#resets}`,
      known: new Map(),
      decision: FIRST_DECISION,
      isDone: false,
    };
  }
}

/** Lets a town live, and shows every grant to a test before it is taken. */
function live(
  made: readonly (typeof operations extends fc.Arbitrary<(infer O)[]> ? O : never)[],
  onGrant: (town: Town, run: Run) => void,
): Town {
  const town = new Town();
  for (const { training, what, outcome, later, person } of made) {
    town.now += later;
    const run = town.runs[training];
    if (run === undefined) continue;
    switch (what) {
      case 'ask': {
        if (town.ask(run)?.kind !== 'go') break;
        onGrant(town, run);
        town.holders.set(`${run.workflowId} ${run.decision}`, { run, isRefuted: false });
        break;
      }
      case 'answer': {
        const { holding } = run;
        if (holding === undefined) break;
        delete run.holding;
        town.conclude(run, holding.decision, outcome, person);
        break;
      }
      case 'resolve': {
        const { doubt } = run;
        if (doubt === undefined || outcome === 'in-doubt') break;
        delete run.doubt;
        town.conclude(run, doubt, outcome, person);
        break;
      }
      case 'reset':
        town.reset(training);
        break;
      case 'late report': {
        // The activity of a run that was ended may still come through.
        const ended = town.ended.find(({ holding }) => holding !== undefined);
        if (ended?.holding === undefined) break;
        const { decision } = ended.holding;
        delete ended.holding;
        town.report(ended, decision, outcome);
        break;
      }
      case 'continue as new':
        town.book = continued(town.book);
        break;
    }
  }
  return town;
}

describe('the grant to send', () => {
  it('of one decision goes to one run, and to another only after proof that the first had no effect', () => {
    fc.assert(
      fc.property(operations, (made) => {
        live(made, (town, run) => {
          const holder = town.holders.get(`${run.workflowId} ${run.decision}`);
          if (holder !== undefined && holder.run !== run) expect(holder.isRefuted).toBe(true);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is never given to a run while another run of the training may have sent and it does not know', () => {
    fc.assert(
      fc.property(operations, (made) => {
        live(made, (town, run) => {
          for (const [name, holder] of town.holders) {
            const decision = name.slice(name.indexOf(' ') + 1);
            if (holder.run.workflowId !== run.workflowId || holder.run === run) continue;
            expect(holder.isRefuted || run.known.has(decision)).toBe(true);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is not freed by a run that it was not given to', () => {
    const book = new AccountBook(emptyAccount());
    const about = { workflowId: 'a', sessionId: 's', keyFingerprint: KEY, decision: FIRST_DECISION };
    const ask = { ...about, known: [], grantMs: GRANT_MS, slotMs: 2 * SECOND };
    expect(book.requestSend({ ...ask, runId: 'first' }, 0).kind).toBe('go');
    // Temporal ended the first run, but a request of its activity may still be on its way.
    book.reportSend({ ...about, runId: 'second', sentAt: 0, outcome: 'not-accepted' }, MINUTE);
    expect(book.requestSend({ ...ask, runId: 'third' }, 20 * MINUTE).kind).toBe('may-have-sent');
    book.reportSend({ ...about, runId: 'first', sentAt: 0, outcome: 'not-accepted' }, 21 * MINUTE);
    expect(book.requestSend({ ...ask, runId: 'third' }, 22 * MINUTE).kind).toBe('go');
  });

  it('lets one create of a key at a time be between send and answer', () => {
    fc.assert(
      fc.property(operations, (made) => {
        live(made, (town, run) => {
          const others = [...town.runs, ...town.ended].filter(
            ({ workflowId, holding }) =>
              workflowId !== run.workflowId && holding !== undefined && town.now < holding.until,
          );
          // A reset run that came after lets go of what the one before it held.
          const sending = others.filter((other) => town.runs.includes(other));
          expect(sending).toEqual([]);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('survives that the account workflow continues as new at any point', () => {
    fc.assert(
      fc.property(operations, (made) => {
        const { book, twin } = live(made, () => undefined);
        expect(JSON.parse(JSON.stringify(book.state))).toEqual(JSON.parse(JSON.stringify(twin.state)));
      }),
      { numRuns: 300 },
    );
  });

  it('comes to everyone who waits and asks again when told to', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 1, max: 60 }), (count, seconds) => {
        const book = new AccountBook(emptyAccount());
        const waiting = Array.from({ length: count }, (_, index) => ({ name: `w${index}`, at: 0 }));
        const sent: string[] = [];
        for (let turns = 0; waiting.length > 0 && turns < 5_000; turns += 1) {
          waiting.sort((a, b) => a.at - b.at);
          const [next] = waiting;
          if (next === undefined) break;
          const about = {
            workflowId: next.name,
            runId: 'r',
            sessionId: next.name,
            keyFingerprint: KEY,
            decision: FIRST_DECISION,
          };
          const answer = book.requestSend(
            { ...about, known: [], grantMs: GRANT_MS, slotMs: 2 * SECOND },
            next.at,
          );
          if (answer.kind === 'wait') next.at = answer.notBefore;
          if (answer.kind !== 'go') continue;
          waiting.shift();
          sent.push(next.name);
          const endsAt = next.at + seconds * SECOND;
          // Those whose turn comes meanwhile ask in vain.
          for (const other of waiting) {
            while (other.at < endsAt) {
              const request = { ...about, workflowId: other.name, sessionId: other.name, known: [] };
              const told = book.requestSend({ ...request, grantMs: GRANT_MS, slotMs: 2 * SECOND }, other.at);
              if (told.kind !== 'wait') throw new Error('two at a time');
              expect(told.notBefore).toBeGreaterThan(other.at);
              other.at = told.notBefore;
            }
          }
          book.reportSend({ ...about, sentAt: next.at, outcome: 'accepted' }, endsAt);
        }
        expect(new Set(sent).size).toBe(count);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a create that nobody has told the end of', () => {
  const about = (workflowId: string) => ({
    workflowId,
    runId: 'run',
    sessionId: `session of ${workflowId}`,
    keyFingerprint: KEY,
    decision: FIRST_DECISION,
  });
  const doubted = (book: AccountBook): string[] =>
    book
      .facts({ workflowId: 'x', keyFingerprint: KEY, since: -1 })
      .inDoubt.map(({ workflowId }) => workflowId);
  const ask = { known: [], grantMs: GRANT_MS, slotMs: 2 * SECOND };

  it('is one that may explain a row, from its grant on', () => {
    const book = new AccountBook(emptyAccount());
    book.requestSend({ ...about('a'), ...ask }, 0);
    expect(doubted(book)).toEqual(['a']);
    book.reportSend({ ...about('a'), sentAt: 1, outcome: 'accepted' }, SECOND);
    expect(doubted(book)).toEqual([]);
  });

  it('stays one after its grant lapsed and another create was sent', () => {
    const book = new AccountBook(emptyAccount());
    book.requestSend({ ...about('a'), ...ask }, 0);
    expect(book.requestSend({ ...about('b'), ...ask }, GRANT_MS).kind).toBe('go');
    book.reportSend({ ...about('b'), sentAt: GRANT_MS, outcome: 'accepted' }, GRANT_MS + SECOND);
    expect(doubted(book)).toEqual(['a']);
    book.reportSend({ ...about('a'), sentAt: 0, outcome: 'not-accepted' }, GRANT_MS + MINUTE);
    expect(doubted(book)).toEqual([]);
  });
});

describe('a session', () => {
  const claims = fc.array(
    fc.record({
      workflowId: fc.constantFrom('a', 'b', 'c', 'd'),
      sessionId: fc.constantFrom('1', '2', '3'),
      isReplacing: fc.boolean(),
      takeOverFrom: fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined, freq: 3 }),
    }),
    { maxLength: 30 },
  );

  it('has one owner, and a training keeps its session until a person gives it up', () => {
    fc.assert(
      fc.property(claims, (made) => {
        let book = new AccountBook(emptyAccount());
        for (const [now, { workflowId, sessionId, isReplacing, takeOverFrom }] of made.entries()) {
          const before = book.state.owners[workflowId]?.sessionId;
          const claim = {
            workflowId,
            runId: `run ${now}`,
            sessionId,
            ...(isReplacing && before !== undefined ? { replaces: before } : {}),
            ...(takeOverFrom === undefined ? {} : { takeOverFrom }),
          };
          const owner = Object.entries(book.state.owners).find(([, one]) => one.sessionId === sessionId)?.[0];
          const answer = book.claim(claim, now);
          const owned = Object.values(book.state.owners).map((one) => one.sessionId);
          expect(new Set(owned).size).toBe(owned.length);
          if (answer.kind === 'owned')
            expect(book.state.owners[workflowId]?.sessionId).toBe(answer.session.sessionId);
          else expect(answer.owner).toBe(owner);
          if (before !== undefined && claim.replaces === undefined) {
            expect(answer).toMatchObject({ kind: 'owned', session: { sessionId: before } });
          }
          if (owner !== undefined && owner !== workflowId && owner !== takeOverFrom) {
            expect(book.state.owners[owner]?.sessionId).toBe(sessionId);
          }
          book = continued(book);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the state', () => {
  const hour = 60 * MINUTE;

  /** Weeks of a busy key. */
  function busy(count: number, doubtEvery: number): AccountBook {
    const book = new AccountBook(emptyAccount());
    for (let index = 0; index < count; index += 1) {
      const now = index * hour;
      const about = {
        workflowId: `training-${index}`,
        runId: `run-${index}`,
        sessionId: `session-${index}`,
        keyFingerprint: KEY,
        decision: FIRST_DECISION,
      };
      book.claim(about, now);
      book.requestSend({ ...about, known: [], grantMs: GRANT_MS, slotMs: 2 * SECOND }, now);
      book.reportSend(
        { ...about, sentAt: now, outcome: index % doubtEvery === 0 ? 'in-doubt' : 'accepted' },
        now,
      );
      if (index % 2 === 0) book.close({ ...about, rows: [], trainingMs: index, ...RULES }, now + 3 * MINUTE);
    }
    return book;
  }

  it('stays under 600 kB however many trainings there were, and knows the newest of them', () => {
    const { state } = busy(1_100, 2);
    expect(JSON.stringify(state).length).toBeLessThan(600_000);
    const key = state.keys[KEY];
    expect([Object.keys(state.owners).length, key?.accepted.length, key?.inDoubt.length]).toEqual([
      1_000, 500, 500,
    ]);
    expect(state.trainingsMs).toHaveLength(40);
    expect(state.owners['training-1099']).toBeDefined();
  });

  it('says whether a create of a time may have been forgotten', () => {
    const book = busy(1_000, 5);
    const facts = (since: number) => book.facts({ workflowId: 'x', keyFingerprint: KEY, since });
    const all = Array.from({ length: 1_000 }, (_, index) => index).filter((index) => index % 5 !== 0);
    for (const since of [0, 200, 374, 376, 500, 999].map((index) => index * hour)) {
      const { isComplete, ...known } = facts(since);
      // Trainings that have not ended are listed besides.
      const accepted = known.accepted.filter(({ sentAt }) => sentAt >= since);
      const expected = all.filter((index) => index * hour >= since).length;
      if (isComplete) expect(accepted).toHaveLength(expected);
      else expect(accepted.length).toBeLessThan(expected);
    }
    expect([facts(0).isComplete, facts(999 * hour).isComplete]).toEqual([false, true]);
  });

  it('says so of a create in doubt too', () => {
    const book = busy(700, 1);
    const facts = (since: number) => book.facts({ workflowId: 'x', keyFingerprint: KEY, since });
    expect(facts(150 * hour).isComplete).toBe(false);
    expect(facts(250 * hour).isComplete).toBe(true);
  });

  it('does not take that back when creates are told of in another order than they were sent', () => {
    const book = new AccountBook(emptyAccount());
    const tell = (nth: number, sentAt: number): void => {
      const about = { workflowId: `w${nth}`, runId: 'r', sessionId: `s${nth}`, keyFingerprint: KEY };
      book.reportSend({ ...about, decision: FIRST_DECISION, sentAt, outcome: 'accepted' }, sentAt);
    };
    tell(0, 2 * hour);
    tell(1, hour);
    for (let nth = 2; nth < 502; nth += 1) tell(nth, 3 * hour);
    const { isComplete } = book.facts({ workflowId: 'x', keyFingerprint: KEY, since: 1.5 * hour });
    expect(isComplete).toBe(false);
  });
});

describe('the end of a training', () => {
  const creates = fc.array(
    fc.record({ minutes: fc.integer({ min: 0, max: 90 }), charge: fc.integer({ min: 0, max: 5 }) }),
    { minLength: 1, maxLength: 4 },
  );

  it('gives no row to two creates, and to none a row that it cannot have', () => {
    fc.assert(
      fc.property(
        creates,
        fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 2 }),
        (made, strangers) => {
          const book = new AccountBook(emptyAccount());
          const now = 120 * MINUTE;
          const sent = made.map(({ minutes, charge }, index) => ({
            workflowId: `training-${index}`,
            sentAt: minutes * MINUTE,
            chargedAt: (minutes + charge) * MINUTE,
          }));
          const rows = [...sent.map(({ chargedAt }) => chargedAt), ...strangers.map((at) => at * MINUTE)].map(
            (at, index) => ({ id: `row-${index}`, at, amount: 100, seenAt: now }),
          );
          const about = (workflowId: string) => ({ workflowId, runId: 'run', keyFingerprint: KEY });
          for (const { workflowId, sentAt } of sent) {
            const more = {
              sessionId: workflowId,
              decision: FIRST_DECISION,
              sentAt,
              outcome: 'accepted',
            } as const;
            book.reportSend({ ...about(workflowId), ...more }, sentAt);
          }
          const given = new Map<string, string>();
          for (const { workflowId, sentAt } of sent) {
            const end = { ...about(workflowId), rows, ...RULES };
            const closed = book.close(end, now);
            // It may come twice.
            expect(book.close(end, now)).toEqual(closed);
            const id = closed.rows[FIRST_DECISION]?.id;
            if (id === undefined) continue;
            expect(given.has(id)).toBe(false);
            given.set(id, workflowId);
            const row = rows.find((one) => one.id === id);
            expect(Math.abs((row?.at ?? Infinity) - sentAt - 10 * MINUTE)).toBeLessThanOrEqual(12 * MINUTE);
          }
          expect(book.facts({ ...about('x'), since: 0 }).accepted).toHaveLength(made.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('of a charge that came with the end never teaches that charges come early', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 600 }), (minutes, lag) => {
        const book = new AccountBook(emptyAccount());
        const about = { workflowId: 'a', runId: 'r', keyFingerprint: KEY };
        const more = { sessionId: 's', decision: FIRST_DECISION, sentAt: 0, outcome: 'accepted' } as const;
        book.reportSend({ ...about, ...more }, 0);
        const endSeenAt = minutes * MINUTE;
        const seenAt = endSeenAt + lag * SECOND;
        const rows = [{ id: 'r', at: endSeenAt, amount: 100, seenAt, unseenAt: endSeenAt - 5 * SECOND }];
        book.close({ ...about, rows, endSeenAt, ...RULES }, seenAt);
        expect(book.facts({ ...about, since: 0 }).charges.areEarly).toBe(false);
      }),
    );
  });

  it('teaches a longest charge that is never shorter than the charge took to show, where it was looked at in time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 120 }), (seconds, wait) => {
        const book = new AccountBook(emptyAccount());
        const about = { workflowId: 'a', runId: 'r', keyFingerprint: KEY };
        const more = { sessionId: 's', decision: FIRST_DECISION, sentAt: 0, outcome: 'accepted' } as const;
        book.reportSend({ ...about, ...more }, 0);
        const shownAt = seconds * SECOND;
        const seenAt = shownAt + wait * SECOND;
        const unseenAt = Math.max(0, shownAt - 1);
        const isTimely = seenAt - unseenAt <= RULES.skewMs;
        book.close({ ...about, rows: [{ id: 'r', at: 0, amount: 100, seenAt, unseenAt }], ...RULES }, seenAt);
        const longest = book.facts({ ...about, since: 0 }).charges.longestMs ?? 0;
        expect(longest).toBeGreaterThanOrEqual(isTimely ? shownAt : unseenAt);
        expect(longest).toBeLessThanOrEqual(seenAt);
      }),
    );
  });
});
