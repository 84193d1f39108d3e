/**
 * Pure: what became of a create whose answer proves nothing (design, section 5, point 5). Three witnesses of different
 * weight: the status speaks of this session, the ledger counts creates on the key, the balance only proves that the
 * ledger is complete. There is no path to a second send without proof; where the witnesses are silent a person decides.
 */
import type { AcceptedCreate, AccountFacts } from '../contract/account.js';
import type { CreateRow, LedgerLook, SessionStatus, Witnesses } from '../contract/money.js';
import { type Explainer, matchRows, spareRows } from './ledger.js';

/** What is known at a time was seen no later: the clock of the worker that looked may be ahead, and no grace ends by that. */
export function knownAt<L extends Pick<Witnesses, 'at' | 'ledger'>>(now: number, look: L): L {
  const { at, ledger } = look;
  return {
    ...look,
    at: Math.min(at, now),
    ...(ledger === undefined ? {} : { ledger: { ...ledger, at: Math.min(ledger.at, now) } }),
  };
}

/** A create request that may have been accepted. */
export interface Doubt {
  decision: string;
  /** When its sending began, ms since 1970; of an adopted session when its creates may have begun. */
  sentAt: number;
  /** The last moment at which a byte of it could leave, ms since 1970. */
  sentBy: number;
  /** The look before the send; absent where the send is somebody else's or a reset run's. */
  baseline?: Witnesses;
}

/** Durations of the judgement, ms. */
export interface JudgementTimes {
  /** Least time after `sentBy` before "not accepted" can be said. */
  graceMs: number;
  /** How much longer it is tried where only the ledger stands against it, whose rows do not add up yet. */
  patienceMs: number;
  /** How far Mountsea's clock may be from ours. */
  skewMs: number;
  /** How long after an accepted send its charge may be booked: longer than any training. */
  bookingMs: number;
}

export interface CreateQuestion {
  /** Sends of this session that are in doubt, oldest first; at least one. */
  doubts: readonly Doubt[];
  look: Witnesses;
  /** What the account workflow knows; creates of this training that were accepted earlier are among them. */
  account: AccountFacts;
  /** The asking training, whose own doubts are not somebody else's. */
  workflowId: string;
  sessionId: string;
  times: JudgementTimes;
  /** The first look after the grace: patience begins there, since a machine that slept has missed nothing. */
  lateSince?: number;
}

export type CreateVerdict =
  /**
   * `isByRow`: only the ledger says so, and it names no session. `known`: which send it was, where the account workflow
   * knows; it may be one of another run.
   */
  | { kind: 'accepted'; evidence: string[]; rowId?: string; isByRow?: true; known?: AcceptedCreate }
  | { kind: 'not-accepted'; evidence: string[] }
  /** The witnesses will not tell: a person decides. */
  | { kind: 'cannot-tell'; evidence: string[] }
  /** Ask again. */
  | { kind: 'wait'; evidence: string[] };

/** When "not accepted" can be said at the earliest, ms since 1970. */
export function graceEnd({
  doubts,
  account,
  times,
}: Pick<CreateQuestion, 'doubts' | 'account' | 'times'>): number {
  return Math.max(...doubts.map(({ sentBy }) => sentBy)) + graceOf(account, times);
}

/**
 * Whether a session that shows no create makes up for a ledger that waits for the creates of others (decision 17): theirs
 * explain every row, and the last sessions all showed their creates.
 */
export function isForSession(ledger: LedgerOpinion, { sessions }: Pick<AccountFacts, 'sessions'>): boolean {
  return ledger.kind === 'busy' && ledger.areRowsExplained && sessions?.areTelling === true;
}

export const SESSION_TOLD = [
  'the creates of others explain every row',
  'the sessions of the last creates all showed them while they trained, and this one shows none',
];

function graceOf({ charges, sessions }: CreateQuestion['account'], { graceMs }: JudgementTimes): number {
  return Math.max(graceMs, 3 * (charges.longestMs ?? 0), 3 * (sessions?.longestSilentMs ?? 0));
}

export function judgeCreate(question: CreateQuestion): CreateVerdict {
  const { doubts, look, times } = question;
  const first = doubts[0];
  if (first === undefined) return { kind: 'cannot-tell', evidence: ['no send is in doubt'] };
  const known = knownAsAccepted(doubts, question) ?? sentLater(question);
  if (known !== undefined) return { kind: 'accepted', evidence: [KNOWN_AS_ACCEPTED], known };
  const shown = shownBySession(look.status, first.baseline?.status) ?? shownWithoutBaseline(question, first);
  if (shown !== undefined) return { kind: 'accepted', evidence: [shown] };
  const elsewhere = acceptedElsewhere(question, first);
  if (elsewhere !== undefined) return { kind: 'accepted', evidence: [elsewhere] };

  const ledger = judgeLedger(question, first);
  const status = isNeverCreated(look.status, first.baseline?.status)
    ? 'the session is unknown as a task, as it was before create'
    : `status "${look.status.word}" of the session tells nothing`;
  if (ledger.kind === 'accepted' && look.status.word !== UNKNOWN_TASK) {
    return {
      kind: 'accepted',
      evidence: [ledger.says, status],
      isByRow: true,
      ...plainRow(ledger.rows),
    };
  }

  const evidence = [status, ledger.says];
  const over = graceEnd(question);
  if (look.at <= over) return { kind: 'wait', evidence };
  if (ledger.kind === 'clear' && isNeverCreated(look.status, first.baseline?.status)) {
    return { kind: 'not-accepted', evidence: [...evidence, 'the grace is over'] };
  }
  if (ledger.kind === 'busy') {
    const { lateSince = over } = question;
    // One look may have met an old answer, and after a sleep it is the only one.
    const isSeenTwice = question.lateSince !== undefined && look.at > question.lateSince;
    const isSilent = isNeverCreated(look.status, first.baseline?.status);
    if (isSeenTwice && isSilent && isForSession(ledger, question.account)) {
      return { kind: 'not-accepted', evidence: [...evidence, ...SESSION_TOLD, 'the grace is over'] };
    }
    // What becomes of other creates is told by their own rows and sessions, in a grace of theirs. While one comes after
    // the other there is always one whose row may be either, so it takes a quiet moment, too.
    const patience = ledger.isByOthers ? 2 * graceOf(question.account, times) : times.patienceMs;
    if (look.at <= Math.max(over, lateSince) + patience) return { kind: 'wait', evidence };
  }
  return { kind: 'cannot-tell', evidence: [...evidence, 'the grace is over'] };
}

export const KNOWN_AS_ACCEPTED = 'the account workflow knows that it was accepted';

/** A report that came through, though the look that made it did not, or that another run of this training made (a reset). */
export function knownAsAccepted(
  sends: readonly Pick<Doubt, 'decision'>[],
  { account, workflowId }: Pick<CreateQuestion, 'account' | 'workflowId'>,
): AcceptedCreate | undefined {
  return account.accepted.find(
    (create) =>
      create.workflowId === workflowId && sends.some(({ decision }) => decision === create.decision),
  );
}

/** What another run of this training (a reset) has sent since: the session shows that, and nothing of what is in doubt. */
function sentLater({
  doubts,
  account,
  workflowId,
  sessionId,
}: Pick<CreateQuestion, 'doubts' | 'account' | 'workflowId' | 'sessionId'>): AcceptedCreate | undefined {
  const newest = Math.max(...doubts.map(({ sentAt }) => sentAt));
  return account.accepted.find(
    (create) => create.workflowId === workflowId && create.sessionId === sessionId && create.sentAt > newest,
  );
}

/**
 * Which of several sends of a session was accepted, where one of them was: by the date of its row or of what the session
 * shows. Where neither tells, the newest, since the look before it showed nothing of the others.
 */
export function acceptedDoubt(
  { doubts, look: { status, ledger }, times }: Pick<CreateQuestion, 'doubts' | 'look' | 'times'>,
  rowId?: string,
): Doubt | undefined {
  const row = ledger?.creates.find(({ id }) => id === rowId);
  const at = row?.at ?? (status.createdAt === undefined ? undefined : timeOf(status.createdAt));
  return lastSentBefore(doubts, at, times) ?? doubts.at(-1);
}

/** The newest of several sends that something of that date may come from. */
export function lastSentBefore<D extends Pick<Doubt, 'sentAt'>>(
  doubts: readonly D[],
  at: number | undefined,
  { skewMs }: Pick<JudgementTimes, 'skewMs'>,
): D | undefined {
  return doubts.findLast(({ sentAt }) => at !== undefined && sentAt - skewMs <= at);
}

export const UNKNOWN_TASK = 'unknown-task';
/** Words that a session shows only because of a create. `ready` is none: it may mean a session that waits for one. */
const WORDS_OF_A_CREATE = new Set(['queued', 'running', 'stream']);
const WORDS_OF_AN_END = new Set(['failed', 'timeout']);

/**
 * @returns what in the status only a create after the baseline can have caused; undefined where nothing is shown.
 */
export function shownBySession(now: SessionStatus, before: SessionStatus | undefined): string | undefined {
  // Without a look before the send only a model is plain.
  const known = new Set(before?.models.map(({ modelId }) => modelId));
  const model = now.models.find(({ modelId }) => !known.has(modelId));
  if (model !== undefined) return `the session has the model ${model.modelId}`;
  const { word } = now;
  const isActive = WORDS_OF_A_CREATE.has(word);
  if (before === undefined || (!isActive && !WORDS_OF_AN_END.has(word))) return undefined;
  if (before.word === UNKNOWN_TASK || isNewer(now, before)) return causedByCreate(word);
  const wasActive = WORDS_OF_A_CREATE.has(before.word);
  // Without dates the word itself must be a new one.
  if (isActive && !wasActive) return `the session's status went from "${before.word}" to "${word}"`;
  if (!isActive && !WORDS_OF_AN_END.has(before.word)) {
    return `the session's status went from "${before.word}" to "${word}"`;
  }
  return undefined;
}

/** Of a send that nobody looked before: an earlier create of the session, if there was one, must not be taken for it. */
function shownWithoutBaseline(
  { look: { status }, account, workflowId, times }: CreateQuestion,
  doubt: Doubt,
): string | undefined {
  if (doubt.baseline !== undefined || status.models.length > 0) return undefined;
  const hasEarlier = account.accepted.some(({ workflowId: owner }) => owner === workflowId);
  return shownOfSend(status, doubt.sentAt, hasEarlier, times);
}

/**
 * What in the status of a session tells that a send was accepted, where nobody looked before it.
 *
 * @param hasEarlier another create of this training may be what is shown: then only its date tells them apart.
 */
export function shownOfSend(
  { word, createdAt, models }: SessionStatus,
  sentAt: number,
  hasEarlier: boolean,
  { skewMs }: Pick<JudgementTimes, 'skewMs'>,
): string | undefined {
  if (models.length === 0 && !WORDS_OF_A_CREATE.has(word) && !WORDS_OF_AN_END.has(word)) return undefined;
  const began = createdAt === undefined ? undefined : timeOf(createdAt);
  const isOfSend = !hasEarlier || (began !== undefined && began >= sentAt - skewMs);
  if (!isOfSend) return undefined;
  return models[0] === undefined ? causedByCreate(word) : `the session has the model ${models[0].modelId}`;
}

/** Another training had this session, and its create was accepted. */
function acceptedElsewhere(
  { account, workflowId, sessionId }: CreateQuestion,
  { baseline }: Doubt,
): string | undefined {
  if (baseline !== undefined) return undefined;
  const other = account.accepted.find(
    (create) => create.sessionId === sessionId && create.workflowId !== workflowId,
  );
  return other && `the training ${other.workflowId} had a create of this session accepted`;
}

/** Whether a status says by its word that a create is under way. In any case of letters. */
export function isWordOfCreate(word: string): boolean {
  return WORDS_OF_A_CREATE.has(word.toLowerCase());
}

/**
 * Whether nothing at all speaks of a create: neither the session nor a row that other creates do not explain. Proof only of
 * a session in which nobody is known to have sent one.
 *
 * @param since when the session was opened, ms since 1970.
 */
export function hasNoTrace(
  question: Pick<CreateQuestion, 'look' | 'account' | 'times'>,
  since: number,
): boolean {
  const { look, times } = question;
  const { status, ledger } = look;
  if (isUnderCreate(status) || WORDS_OF_AN_END.has(status.word)) return false;
  if (ledger === undefined || ledger.unidentified > 0) return false;
  const rows = ledger.creates.filter(({ at }) => at >= since - times.skewMs);
  return matchRows(rows, othersOf(question, ledger)).unexplained.length === 0;
}

/** The session has, or is about to get, a model: nothing is to be sent. */
export function isUnderCreate({ word, models }: SessionStatus): boolean {
  return models.length > 0 || WORDS_OF_A_CREATE.has(word);
}

function causedByCreate(word: string): string {
  return `the session's status is "${word}", which only a create causes`;
}

/** The status would tell of a create, and tells of none. */
function isNeverCreated(now: SessionStatus, before: SessionStatus | undefined): boolean {
  return now.word === UNKNOWN_TASK && (before === undefined || before.word === UNKNOWN_TASK);
}

function isNewer(now: SessionStatus, before: SessionStatus): boolean {
  return isLater(now.createdAt, before.createdAt) || isLater(now.finishedAt, before.finishedAt);
}

function isLater(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined) return false;
  if (b === undefined) return true;
  const [timeA, timeB] = [timeOf(a), timeOf(b)];
  return timeA !== undefined && timeB !== undefined && timeA > timeB;
}

function timeOf(text: string): number | undefined {
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

export type LedgerOpinion =
  /** A row that only a send of ours explains: one of these, oldest first. */
  | { kind: 'accepted'; says: string; rows: [CreateRow, ...CreateRow[]] }
  /** It is whole, charges show early, and none is ours. */
  | { kind: 'clear'; says: string }
  /**
   * It may be clear a moment later; `isByOthers`: once it is known what became of other creates. `areRowsExplained`:
   * accepted creates of others explain every row, though one of those may be ours and their own still on its way.
   */
  | { kind: 'busy'; says: string; isByOthers: boolean; areRowsExplained: boolean }
  | { kind: 'silent'; says: string };

interface OtherCreate extends Explainer {
  sentAt: number;
  /** Long enough ago for its row to be there. */
  isDue: boolean;
}

/** From when on rows must be read, so that no row of an earlier create can be taken for one of this send. */
export function ledgerSince(sentAt: number, { bookingMs, skewMs }: JudgementTimes): number {
  return sentAt - bookingMs - 4 * skewMs;
}

type LedgerQuestion = Omit<CreateQuestion, 'look' | 'sessionId'> & {
  sessionId?: string;
  look: Pick<Witnesses, 'at' | 'ledger' | 'ledgerMissing'>;
};

/** What the ledger alone says of the sends in doubt. */
export function judgeLedger(question: LedgerQuestion, first: Doubt): LedgerOpinion {
  const { doubts, look, account, times } = question;
  const { ledger } = look;
  if (ledger === undefined) {
    return { kind: 'silent', says: `the ledger tells nothing: ${look.ledgerMissing ?? 'it was not read'}` };
  }
  const charges = ledger.creates.filter(({ amount }) => amount > 0);
  const fresh = charges.filter((row) => isFresh(row, first, times));
  const others = othersOf(question, ledger);
  if (fresh.length > 0) {
    const opinion = judgeUnexplained(question, first, ledger, others);
    if (opinion !== undefined) return opinion;
  }
  const count = `the ledger has ${ledger.creates.length} create row(s) of that time and none of ours`;
  const silent = (but: string): LedgerOpinion => ({ kind: 'silent', says: `${count}, but ${but}` });
  const busy = (but: string, isByOthers = false): LedgerOpinion => ({
    kind: 'busy',
    says: `${count}, but ${but}`,
    isByOthers,
    areRowsExplained: isByOthers,
  });
  if (first.baseline !== undefined && first.baseline.ledger === undefined) {
    return silent('billing did not answer before the send');
  }
  if (ledger.isClosed === undefined) return silent('the balance before the send is not known');
  if (ledger.unidentified > 0) return silent(`${ledger.unidentified} row(s) do not say what they are for`);
  if (!account.isComplete) return silent('not all trainings are remembered');
  if (!account.charges.areEarly) return silent('no earlier create has shown that charges appear early');
  if (!ledger.isClosed) return busy('its rows do not add up to the balance');
  if (ledger.at <= Math.max(...doubts.map(({ sentBy }) => sentBy))) {
    return busy('the balance is older than the send');
  }
  const due = others.filter(({ isDue, from }) => isDue && from >= ledger.since);
  if (matchRows(charges, due).waiting.length > 0) return busy('other creates still wait for their rows');
  // A row of ours could hide behind a create whose own row is not there yet: those of the others must use up all rows.
  const latest = graceEnd(question) + times.skewMs;
  const spare = spareRows(charges, due);
  const isHidden = fresh.some((row) => row.at <= latest && spare.has(row));
  if (isHidden) return busy('one of them may be ours, since other creates still wait for theirs', true);
  return { kind: 'clear', says: `${count}; it is complete up to a balance of ${ledger.balance}` };
}

/** Not there before the send. Where nobody looked then, by Mountsea's clock. */
function isFresh(row: CreateRow, { baseline, sentAt }: Doubt, { skewMs }: JudgementTimes): boolean {
  const known = baseline?.ledger?.creates;
  return known === undefined ? row.at >= sentAt - skewMs : known.every(({ id }) => id !== row.id);
}

/** When the row of an accepted create must be there. */
function dueAt(sentAt: number, { account, times }: Pick<LedgerQuestion, 'account' | 'times'>): number {
  return sentAt + 3 * (account.charges.longestMs ?? 0) + times.skewMs;
}

function othersOf(
  question: Pick<LedgerQuestion, 'account' | 'look' | 'times'>,
  ledger: LedgerLook,
): OtherCreate[] {
  const { account, look, times } = question;
  const { skewMs, bookingMs } = times;
  return account.accepted.map(({ sentAt, rowId }) => ({
    sentAt,
    from: sentAt - skewMs,
    to: sentAt + bookingMs + skewMs,
    isDue:
      rowId === undefined ? look.at > dueAt(sentAt, question) : ledger.creates.some(({ id }) => id === rowId),
    ...(rowId === undefined ? {} : { rowId }),
  }));
}

/** @returns undefined where accepted creates of others explain every row. */
function judgeUnexplained(
  { doubts, account, workflowId, sessionId, times }: LedgerQuestion,
  first: Doubt,
  ledger: LedgerLook,
  others: readonly OtherCreate[],
): LedgerOpinion | undefined {
  const { skewMs, bookingMs, graceMs } = times;
  // The first rows may be those of creates that are older than what the account was asked for.
  const charges = ledger.creates.filter(({ amount, at }) => amount > 0 && at >= ledger.since + skewMs);
  // As late as those of others: whoever creates hours later is somebody else.
  const afterMs = graceOf(account, times) + bookingMs + skewMs;
  const isOurs = (row: CreateRow): boolean =>
    isFresh(row, first, times) &&
    doubts.some(({ sentAt, sentBy }) => sentAt - skewMs <= row.at && row.at <= sentBy + afterMs);
  const doubtful = account.inDoubt
    // What the training before sent in this session is what is asked about.
    .filter((doubt) => doubt.workflowId !== workflowId && doubt.sessionId !== sessionId)
    .map(({ sentAt, sentBy = sentAt }): Explainer => ({
      from: sentAt - skewMs,
      to: sentBy + graceMs + bookingMs + skewMs,
    }));
  const left = (rows: readonly CreateRow[], explainers: readonly Explainer[]): number =>
    matchRows(rows, explainers).unexplained.length;
  if (left(charges, others) === 0) return undefined;

  const silent = (says: string): LedgerOpinion => ({ kind: 'silent', says });
  const explainers = [...others, ...doubtful];
  const [row, ...more] = [...spareRows(charges, explainers)].filter(isOurs).sort((a, b) => a.at - b.at);
  const id = row === undefined || more.length > 0 ? '' : ` ${row.id}`;
  const says = `the ledger has a create row${id} that no other training explains`;
  if (!account.isComplete) return silent(`${says}, but not all trainings are remembered`);
  if (left(charges, explainers) === 0) {
    // What became of those is about to be told by their own sessions.
    return {
      kind: 'busy',
      says: `${says}, but it may be that of ${doubtful.length} other doubtful create(s)`,
      isByOthers: true,
      areRowsExplained: false,
    };
  }
  const notOurs = charges.filter((one) => !isOurs(one));
  if (row === undefined || left(notOurs, explainers) > 0) {
    return silent(`${says}, but somebody else creates with this key too`);
  }
  if (first.baseline === undefined && first.sentBy - first.sentAt > bookingMs) {
    return silent(`${says}, but nobody knows when the send was, and it may be an older one`);
  }
  return { kind: 'accepted', says, rows: [row, ...more] };
}

/** Which row it is, where that is plain. */
export function plainRow([row, ...more]: readonly CreateRow[]): { rowId?: string } {
  return row === undefined || more.length > 0 ? {} : { rowId: row.id };
}
