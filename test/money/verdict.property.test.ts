import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChargeTiming, NO_FACTS } from '../../src/contract/account.js';
import type { LedgerLook } from '../../src/contract/money.js';
import {
  type CreateQuestion,
  type CreateVerdict,
  graceEnd,
  judgeCreate,
  knownAt,
} from '../../src/money/verdict.js';
import {
  type History,
  histories,
  looksAfter,
  MINUTE,
  questionAt,
  SECOND,
  SENT_AT,
  TIMES,
} from './history.js';

const RUNS = { numRuns: 400 };

/** The verdict that ends the asking, and when it was given. */
function ending(history: History): { kind: CreateVerdict['kind']; at: number; evidence: string[] } {
  let last: CreateVerdict = { kind: 'wait', evidence: [] };
  let lateSince: number | undefined;
  for (const at of looksAfter(history.openMs)) {
    const question = questionAt(history, at);
    if (at > graceEnd(question)) lateSince ??= at;
    last = judgeCreate({ ...question, ...(lateSince === undefined ? {} : { lateSince }) });
    if (last.kind === 'accepted' || last.kind === 'not-accepted') return { ...last, at };
  }
  return { ...last, at: Infinity };
}

const alone = histories.map((history): History => ({ ...history, strangers: [] }));

describe('whatever happened and whichever witness lags or is silent', () => {
  it('"not accepted" is never said of a create that was or will still be accepted', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { kind } = ending(history);
        expect(kind === 'not-accepted' && history.landsAfterMs !== undefined).toBe(false);
      }),
      RUNS,
    );
  });

  it('a create that is known to be accepted, or a later one of another run, is never said not to be', () => {
    const later = fc.record({ isOther: fc.boolean(), minutes: fc.integer({ min: 1, max: 30 }) });
    fc.assert(
      fc.property(histories, later, (history, { isOther, minutes }) => {
        const decision = isOther ? 'of another run' : 'first';
        const sentAt = SENT_AT + (isOther ? minutes * MINUTE : 0);
        for (const at of looksAfter(history.openMs).filter((time) => time > sentAt)) {
          const { account, ...question } = questionAt(history, at);
          const { workflowId, sessionId } = question;
          const own = { workflowId, sessionId, keyFingerprint: 'key', decision, sentAt, acceptedAt: sentAt };
          const known = { ...account, accepted: [...account.accepted, own] };
          expect(judgeCreate({ ...question, account: known })).toMatchObject({
            kind: 'accepted',
            known: { decision },
          });
        }
      }),
      { numRuns: 100 },
    );
  });

  it('a look is no later than the moment at which it is known, whatever the clock of its worker says', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 0, max: 1e7 }), (history, aheadMs) => {
        const now = SENT_AT + history.openMs + MINUTE;
        const { look } = questionAt(history, now);
        const ledger = look.ledger && { ...look.ledger, at: look.ledger.at + aheadMs };
        const ahead = { ...look, at: look.at + aheadMs, ...(ledger === undefined ? {} : { ledger }) };
        expect(knownAt(now, ahead)).toEqual(look);
      }),
      { numRuns: 100 },
    );
  });

  it('"not accepted" is never said within the grace', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { kind, at } = ending(history);
        if (kind === 'not-accepted') expect(at - SENT_AT - history.openMs).toBeGreaterThan(15 * MINUTE);
      }),
      RUNS,
    );
  });

  it('"accepted" is never said of a create that was not, where all who use the key are known', () => {
    fc.assert(
      fc.property(alone, (history) => {
        const { kind, at } = ending(history);
        if (kind === 'accepted') expect(SENT_AT + (history.landsAfterMs ?? Infinity)).toBeLessThanOrEqual(at);
      }),
      RUNS,
    );
  });

  it('a row is not taken for ours where a stranger created with the key just before the send', () => {
    const strange = histories
      .filter(({ isBillingUp }) => isBillingUp.before)
      .map((history): History => ({
        ...history,
        landsAfterMs: undefined,
        others: [],
        strangers: [SENT_AT - 15 * MINUTE, ...history.strangers],
      }));
    fc.assert(
      fc.property(strange, (history) => {
        expect(ending(history).kind).not.toBe('accepted');
      }),
      RUNS,
    );
  });
});

describe('a verdict that the witnesses allow is given', () => {
  it('"accepted" at the first look at which the session shows it', () => {
    fc.assert(
      fc.property(
        histories.filter(({ landsAfterMs }) => landsAfterMs !== undefined),
        (history) => {
          const { landsAfterMs = 0, during, trainingMs } = history;
          const shownAt = SENT_AT + landsAfterMs + (during === 'live' ? 0 : trainingMs);
          const first = looksAfter(history.openMs).find((at) => at >= shownAt);
          if (first === undefined) return;
          const { kind, at } = ending({ ...history, strangers: [] });
          expect(kind).toBe('accepted');
          expect(at).toBeLessThanOrEqual(first);
        },
      ),
      RUNS,
    );
  });

  it('"accepted" by a row where the session is silent and nobody else may have caused it', () => {
    const silent = alone.map((history): History => ({
      ...history,
      landsAfterMs: history.landsAfterMs ?? 0,
      trainingMs: Infinity,
      before: 'success',
      during: 'unchanged',
      chargeAt: history.chargeAt === 'completion' ? 'start' : history.chargeAt,
      isBillingUp: { before: true, after: true },
      // Not so old that the row of its own is before those that are read.
      others: history.others.filter(
        ({ outcome, sentAt }) => outcome === 'accepted' && sentAt > SENT_AT - 24 * MINUTE,
      ),
    }));
    fc.assert(
      fc.property(silent, (history) => {
        expect(ending(history).kind).toBe('accepted');
      }),
      RUNS,
    );
  });

  it('"not accepted" soon after the grace where the session would speak and the ledger is whole', () => {
    const clear = alone.map((history): History => ({
      ...history,
      landsAfterMs: undefined,
      before: '404',
      chargeAt: history.chargeAt === 'completion' ? 'send' : history.chargeAt,
      lagMs: Math.min(history.lagMs, 30 * SECOND),
      isExperienced: true,
      isBillingUp: { before: true, after: true },
      // Others create, but not so near that their rows could be ours.
      others: history.others.filter(
        ({ sentAt, outcome }) => sentAt < SENT_AT - 26 * MINUTE && outcome === 'accepted',
      ),
      topUps: history.topUps.filter(({ hasRow }) => hasRow),
    }));
    fc.assert(
      fc.property(clear, (history) => {
        const { kind, at } = ending(history);
        expect(kind).toBe('not-accepted');
        expect(at - SENT_AT - history.openMs).toBeLessThan(18 * MINUTE);
      }),
      RUNS,
    );
  });
});

describe('while others create without a pause', () => {
  /** One create after the other, so that there is always one whose row may still be on its way. */
  const bustle = fc
    .record({ gap: fc.integer({ min: 30, max: 60 }), history: alone })
    .map(({ gap, history }): History => ({
      ...history,
      landsAfterMs: undefined,
      before: '404',
      chargeAt: history.chargeAt === 'completion' ? 'send' : history.chargeAt,
      lagMs: 0,
      isExperienced: true,
      isBillingUp: { before: true, after: true },
      others: Array.from({ length: Math.ceil((150 * 60) / gap) }, (_, index) => ({
        sentAt: SENT_AT - 20 * MINUTE + index * gap * SECOND,
        // Looks come at even times: none of them shall always meet one that is under way.
        answerMs: 0,
        outcome: 'accepted' as const,
        trainingMs: 3 * MINUTE,
      })),
      topUps: [],
    }));

  it('"not accepted" is said soon after the grace, since sessions were seen to tell', () => {
    fc.assert(
      fc.property(bustle, (history) => {
        const { kind, at } = ending({ ...history, during: 'live' });
        expect(kind).toBe('not-accepted');
        expect(at - SENT_AT - history.openMs).toBeLessThan(18 * MINUTE);
      }),
      { numRuns: 20 },
    );
  });

  it('it is not said where sessions were seen to be silent, and where a row is left over', () => {
    fc.assert(
      fc.property(bustle, (history) => {
        expect(ending({ ...history, during: 'unchanged' }).kind).toBe('cannot-tell');
        const hidden = { ...history, before: '404' as const, during: 'unchanged' as const, landsAfterMs: 0 };
        expect(ending({ ...hidden, trainingMs: Infinity }).kind).not.toBe('not-accepted');
      }),
      { numRuns: 20 },
    );
  });
});

describe('"not accepted" needs every one of its proofs', () => {
  const base: History = {
    landsAfterMs: undefined,
    openMs: 30 * SECOND,
    trainingMs: 3 * MINUTE,
    endsWell: true,
    before: '404',
    during: 'live',
    chargeAt: 'send',
    lagMs: 0,
    balance: 'at once',
    clockMs: 0,
    isBillingUp: { before: true, after: true },
    isExperienced: true,
    others: [],
    strangers: [],
    topUps: [],
  };
  const late = SENT_AT + 20 * MINUTE;

  const spoil: Record<string, (question: CreateQuestion) => CreateQuestion> = {
    'a look after the grace': (question) => ({
      ...question,
      look: { ...question.look, at: graceEnd(question) },
    }),
    'a ledger': (question) => ({
      ...question,
      look: { at: question.look.at, status: question.look.status, ledgerMissing: 'down' },
    }),
    'a session that is unknown now': (question) => ({
      ...question,
      look: { ...question.look, status: { word: 'success', models: [] } },
    }),
    'a session that was unknown before': (question) =>
      withBaseline(question, { word: 'success', models: [] }),
    'a whole ledger': (question) => withLedger(question, { isClosed: false }),
    'a balance of before the send': (question) => {
      const { ledger } = question.look;
      if (ledger === undefined) return question;
      const { since, at, balance, creates, unidentified, uploads } = ledger;
      return {
        ...question,
        look: { ...question.look, ledger: { since, at, balance, creates, unidentified, uploads } },
      };
    },
    'rows that all say what they are for': (question) => withLedger(question, { unidentified: 1 }),
    'a balance younger than the send': (question) => withLedger(question, { at: SENT_AT + 30 * SECOND }),
    experience: (question) => withCharges(question, { areEarly: false }),
    'a memory of all creates': (question) => ({
      ...question,
      account: { ...question.account, isComplete: false },
    }),
    'no row that may be ours': (question) =>
      withLedger(question, { creates: [{ id: 'r', at: SENT_AT + MINUTE, amount: 100 }] }),
    'billing before the send': (question) => ({
      ...question,
      doubts: question.doubts.map(({ baseline, ...doubt }) =>
        baseline === undefined
          ? doubt
          : { ...doubt, baseline: { at: baseline.at, status: baseline.status, ledgerMissing: 'down' } },
      ),
    }),
    'rows of those creates that could hide ours': (question) => {
      // Sent so shortly before the look that its own row may still be on its way.
      const sentAt = question.look.at - TIMES.skewMs + 10 * SECOND;
      const at = Math.min(sentAt, graceEnd(question) + TIMES.skewMs - SECOND);
      const other = { workflowId: 'other', sessionId: 'other', keyFingerprint: 'key', decision: 'first' };
      const { account } = question;
      return withLedger(
        { ...question, account: { ...account, accepted: [{ ...other, sentAt, acceptedAt: sentAt }] } },
        { creates: [{ id: 'r', at, amount: 100 }] },
      );
    },
    'a grace of three times the slowest charge': (question) =>
      withCharges(question, { longestMs: 8 * MINUTE }),
  };

  it('says it where all of them are there', () => {
    expect(judgeCreate(questionAt(base, late)).kind).toBe('not-accepted');
  });

  it.each(Object.keys(spoil))('not without %s', (name) => {
    const question = spoil[name]?.(questionAt(base, late)) ?? questionAt(base, late);
    expect(judgeCreate(question).kind).not.toBe('not-accepted');
  });

  it('a session that shows nothing makes up for rows that could hide ours, where sessions were seen to tell', () => {
    const hide = spoil['rows of those creates that could hide ours'];
    const question = hide?.(questionAt(base, late)) ?? questionAt(base, late);
    const lateSince = question.look.at - MINUTE;
    const judge = (change: Partial<CreateQuestion>): string =>
      judgeCreate({ ...question, lateSince, ...change }).kind;
    const { account } = question;
    expect(judge({})).toBe('not-accepted');
    expect(judge({ lateSince: question.look.at })).not.toBe('not-accepted');
    const silent = { areTelling: false, longestSilentMs: 0 };
    expect(judge({ account: { ...account, sessions: silent } })).not.toBe('not-accepted');
    const slow = { areTelling: true, longestSilentMs: 7 * MINUTE };
    expect(judge({ account: { ...account, sessions: slow } })).toBe('wait');
    const { accepted, inDoubt, isComplete, charges, trainingsMs, uploadsMs } = account;
    const untaught = { accepted, inDoubt, isComplete, charges, trainingsMs, uploadsMs };
    expect(judge({ account: untaught })).not.toBe('not-accepted');
  });

  it('nor with any of them missing on top of another', () => {
    const names = Object.keys(spoil);
    fc.assert(
      fc.property(
        fc.subarray(names, { minLength: 1 }),
        fc.integer({ min: 0, max: 3_600 }),
        (missing, seconds) => {
          let question = questionAt(base, SENT_AT + seconds * SECOND);
          for (const name of missing) question = spoil[name]?.(question) ?? question;
          // A longer grace is outwaited; nothing else is.
          const isOutwaited = missing.every((name) => name.includes('grace'));
          if (!isOutwaited || question.look.at <= graceEnd(question)) {
            expect(judgeCreate(question).kind).not.toBe('not-accepted');
          }
        },
      ),
      RUNS,
    );
  });
});

it.each(['success', 'ready', 'awaiting', 'polishing'])(
  'the word "%s" without a model proves no create',
  (word) => {
    const created = fc.option(fc.integer({ min: -60, max: 60 }), { nil: undefined });
    fc.assert(
      fc.property(alone, created, fc.integer({ min: 1, max: 3_600 }), (history, minutes, seconds) => {
        const at = SENT_AT + history.openMs + seconds * SECOND;
        const question = questionAt({ ...history, landsAfterMs: undefined, others: [] }, at);
        const dates =
          minutes === undefined ? {} : { createdAt: new Date(SENT_AT + minutes * MINUTE).toISOString() };
        const look = { ...question.look, status: { word, ...dates, models: [] } };
        expect(judgeCreate({ ...question, look }).kind).not.toMatch(/accepted/);
      }),
    );
  },
);

it('the grace counts from the last of several sends', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3_600 }), { minLength: 1, maxLength: 4 }), (seconds) => {
      const doubts = seconds.map((second, index) => {
        const sentBy = SENT_AT + second * SECOND;
        return { decision: String(index), sentAt: sentBy - SECOND, sentBy };
      });
      const account = { ...NO_FACTS, charges: { areEarly: true } };
      const end = graceEnd({ doubts, account, times: TIMES });
      for (const { sentBy } of doubts) expect(end - sentBy).toBeGreaterThanOrEqual(15 * MINUTE);
    }),
  );
});

function withLedger(question: CreateQuestion, change: Partial<LedgerLook>): CreateQuestion {
  const { ledger } = question.look;
  if (ledger === undefined) return question;
  return { ...question, look: { ...question.look, ledger: { ...ledger, ...change } } };
}

function withCharges(question: CreateQuestion, change: Partial<ChargeTiming>): CreateQuestion {
  const { account } = question;
  return { ...question, account: { ...account, charges: { ...account.charges, ...change } } };
}

function withBaseline(question: CreateQuestion, status: CreateQuestion['look']['status']): CreateQuestion {
  return {
    ...question,
    doubts: question.doubts.map((doubt) =>
      doubt.baseline === undefined ? doubt : { ...doubt, baseline: { ...doubt.baseline, status } },
    ),
  };
}
