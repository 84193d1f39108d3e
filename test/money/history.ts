/**
 * A made-up history of one key: what the service did and when, by plain rules. The witnesses are derived from it, so what
 * is concluded from them can be held against what was.
 */
import fc from 'fast-check';
import type { AccountFacts } from '../../src/contract/account.js';
import type { LedgerLook, SessionStatus, Witnesses } from '../../src/contract/money.js';
import { type BookedRow, isClosedChain } from '../../src/money/ledger.js';
import { type CreateQuestion, ledgerSince, UNKNOWN_TASK } from '../../src/money/verdict.js';
import { judgementTimes } from '../../src/workflows/schedule.js';

export const TIMES = judgementTimes({ ms: (realMs) => realMs });
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
/** Of the send that the question is about. */
export const SENT_AT = Date.parse('2026-01-10T12:00:00Z');
const BALANCE = 10_000;
const ME = 'me';
const SESSION = 'session';

/** A create of another training on the same key. */
export interface OtherCreate {
  sentAt: number;
  /** From the send to its report at the account workflow. */
  answerMs: number;
  outcome: 'accepted' | 'doubt, accepted' | 'doubt, not accepted';
  trainingMs: number;
}

export interface History {
  /** After the send; undefined: the create was not accepted and never will be. */
  landsAfterMs: number | undefined;
  /** From the send to the last moment at which a byte could leave. */
  openMs: number;
  /** Infinity: it never ends. */
  trainingMs: number;
  endsWell: boolean;
  before: '404' | 'success';
  during: 'live' | 'unchanged';
  chargeAt: 'send' | 'start' | 'completion';
  lagMs: number;
  /** The balance moves at once, or only when the row is shown. */
  balance: 'at once' | 'with the row';
  /** Mountsea's clock against ours. */
  clockMs: number;
  isBillingUp: { before: boolean; after: boolean };
  isExperienced: boolean;
  others: OtherCreate[];
  /** When creates of somebody unknown are charged. */
  strangers: number[];
  topUps: { at: number; hasRow: boolean }[];
}

const minutes = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * 60, max: max * 60 }).map((seconds) => seconds * SECOND);
const around = (min: number, max: number): fc.Arbitrary<number> =>
  minutes(min, max).map((ms) => SENT_AT + ms);

export const histories: fc.Arbitrary<History> = fc.record({
  landsAfterMs: fc.option(fc.oneof(fc.constant(0), minutes(0, 5)), { nil: undefined }),
  openMs: minutes(0, 1),
  trainingMs: fc.oneof(minutes(2, 3), minutes(3, 14), fc.constant(Infinity)),
  endsWell: fc.boolean(),
  before: fc.constantFrom('404', 'success'),
  during: fc.constantFrom('live', 'unchanged'),
  chargeAt: fc.constantFrom('send', 'start', 'completion'),
  lagMs: fc.oneof(fc.constant(0), fc.constant(30 * SECOND), minutes(0, 12)),
  balance: fc.constantFrom('at once', 'with the row'),
  clockMs: fc.integer({ min: -110, max: 110 }).map((seconds) => seconds * SECOND),
  isBillingUp: fc.record({
    before: fc.boolean().map((isDown) => !isDown),
    after: fc.constantFrom(true, true, true, false),
  }),
  isExperienced: fc.boolean(),
  others: fc.array(
    fc.record({
      sentAt: around(-40, 30),
      answerMs: minutes(0, 1),
      outcome: fc.constantFrom('accepted', 'accepted', 'doubt, accepted', 'doubt, not accepted'),
      trainingMs: minutes(2, 14),
    }),
    { maxLength: 3 },
  ),
  strangers: fc.array(around(-30, 40), { maxLength: 2 }),
  topUps: fc.array(fc.record({ at: around(-5, 40), hasRow: fc.boolean() }), { maxLength: 1 }),
});

/** When the credits of a create that was accepted at a time leave the balance. */
function chargedAt(acceptedAt: number, trainingMs: number, { chargeAt }: History): number {
  const start = acceptedAt + Math.min(trainingMs * 0.15, 30 * SECOND);
  return { send: acceptedAt, start, completion: acceptedAt + trainingMs }[chargeAt];
}

interface Booking {
  id: string;
  at: number;
  amount: number;
  kind: 'create' | 'other';
  hasRow: boolean;
}

function bookings(history: History): Booking[] {
  const { landsAfterMs, trainingMs, endsWell, chargeAt, others, strangers, topUps } = history;
  const create = (id: string, at: number): Booking => ({ id, at, amount: 100, kind: 'create', hasRow: true });
  // A service that charges at the end does not charge for a failure.
  const isCharged = landsAfterMs !== undefined && (chargeAt !== 'completion' || endsWell);
  return [
    ...(isCharged ? [create('own', chargedAt(SENT_AT + landsAfterMs, trainingMs, history))] : []),
    ...others
      .filter(({ outcome }) => outcome !== 'doubt, not accepted')
      .map((other, index) => create(`other-${index}`, chargedAt(other.sentAt, other.trainingMs, history))),
    ...strangers.map((at, index) => create(`stranger-${index}`, at)),
    ...topUps.map(({ at, hasRow }, index) => ({
      id: `top-up-${index}`,
      at,
      amount: -1_000,
      kind: 'other' as const,
      hasRow,
    })),
  ]
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at);
}

/** What the ledger and the balance say at a time. */
function ledgerAt(history: History, now: number, anchor: number | undefined): LedgerLook {
  const { lagMs, clockMs, balance: moves } = history;
  let balance = BALANCE;
  let shownBalance = BALANCE;
  const since = ledgerSince(SENT_AT, TIMES);
  const rows: BookedRow[] = [];
  for (const { id, at, amount, kind, hasRow } of bookings(history)) {
    if (at > now) break;
    const before = balance;
    balance -= amount;
    const isShown = at + lagMs <= now;
    if (moves === 'at once' || isShown) shownBalance = balance;
    const row = { id, at: at + clockMs, kind, amount, before, after: balance };
    if (hasRow && isShown && row.at >= since) rows.push(row);
  }
  return {
    since,
    at: now,
    balance: shownBalance,
    creates: rows.filter((row) => row.kind === 'create').map(({ id, at, amount }) => ({ id, at, amount })),
    unidentified: 0,
    ...(anchor === undefined ? {} : { isClosed: isClosedChain(rows, anchor, shownBalance) }),
    uploads: { count: 0, total: 0, dearest: 0 },
  };
}

function statusAt(history: History, now: number): SessionStatus {
  const { landsAfterMs, trainingMs, endsWell, before, during, clockMs } = history;
  const silent: SessionStatus =
    before === '404'
      ? { word: UNKNOWN_TASK, models: [] }
      : { word: 'success', createdAt: iso(SENT_AT - 5 * MINUTE + clockMs), models: [] };
  if (landsAfterMs === undefined || now < SENT_AT + landsAfterMs) return silent;
  const createdAt = iso(SENT_AT + landsAfterMs + clockMs);
  const endAt = SENT_AT + landsAfterMs + trainingMs;
  if (now < endAt) return during === 'live' ? { word: 'running', createdAt, models: [] } : silent;
  const ended = { createdAt, finishedAt: iso(endAt + clockMs) };
  return endsWell
    ? { word: 'success', ...ended, models: [{ modelId: 'chirp-custom:1' }] }
    : { word: 'failed', ...ended, models: [] };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

/** What the account workflow knows at a time: every other create of the key, from its grant on. */
function accountAt(history: History, now: number): AccountFacts {
  const { others, isExperienced, chargeAt, lagMs, during } = history;
  const known = others.map((other, index) => ({ ...other, workflowId: `other-${index}` }));
  const common = ({ workflowId, sentAt }: { workflowId: string; sentAt: number }) => ({
    workflowId,
    sessionId: workflowId,
    keyFingerprint: 'key',
    decision: 'first',
    sentAt,
  });
  const isDone = ({ sentAt, answerMs }: OtherCreate): boolean => sentAt + answerMs <= now;
  return {
    accepted: known
      .filter((other) => other.outcome === 'accepted' && isDone(other))
      .map((other) => ({ ...common(other), acceptedAt: other.sentAt + other.answerMs })),
    inDoubt: known
      .filter((other) => other.sentAt <= now && !(other.outcome === 'accepted' && isDone(other)))
      .map(common),
    isComplete: true,
    charges: {
      areEarly: isExperienced && chargeAt !== 'completion' && lagMs < MINUTE,
      ...(isExperienced ? { longestMs: lagMs } : {}),
    },
    ...(isExperienced ? { sessions: { areTelling: during === 'live', longestSilentMs: 0 } } : {}),
    trainingsMs: [],
    uploadsMs: [],
  };
}

/** What is asked at a time after the send. */
export function questionAt(history: History, now: number): CreateQuestion {
  const { openMs, isBillingUp } = history;
  const at = SENT_AT - SECOND;
  const baseline: Witnesses = {
    at,
    status: statusAt({ ...history, landsAfterMs: undefined }, at),
    ...(isBillingUp.before ? { ledger: ledgerAt(history, at, undefined) } : { ledgerMissing: 'down' }),
  };
  const look: Witnesses = {
    at: now,
    status: statusAt(history, now),
    ...(isBillingUp.after
      ? { ledger: ledgerAt(history, now, baseline.ledger?.balance) }
      : { ledgerMissing: 'down' }),
  };
  return {
    doubts: [{ decision: 'first', sentAt: SENT_AT, sentBy: SENT_AT + openMs, baseline }],
    look,
    account: accountAt(history, now),
    workflowId: ME,
    sessionId: SESSION,
    times: TIMES,
  };
}

/** When it is looked: closely at first, for more than an hour. */
export function looksAfter(openMs: number): number[] {
  const from = SENT_AT + openMs + SECOND;
  const early = Array.from({ length: 40 }, (_, index) => from + index * 30 * SECOND);
  return [...early, ...Array.from({ length: 25 }, (_, index) => from + (20 + index * 3) * MINUTE)];
}
