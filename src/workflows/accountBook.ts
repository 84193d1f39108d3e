/**
 * Workflow sandbox, pure: the rules of the account workflow. Its state is plain JSON of bounded size: it is the input of
 * the next run. What is forgotten here is still in the records (`contract/record.ts`).
 */
import {
  type AcceptedCreate,
  type AccountFacts,
  type AccountQuestion,
  ADOPTED_DECISION,
  type ChargeTiming,
  type ClaimAnswer,
  type ClaimSession,
  type ClosedTraining,
  type CloseTraining,
  type DoubtfulCreate,
  type OwnedSession,
  type ReportSend,
  type RequestSend,
  type SendAnswer,
  type SessionTiming,
  SETTLED_RUN,
} from '../contract/account.js';
import type { CreateRow } from '../contract/money.js';
import { type Explainer, fits, matchRows } from '../money/ledger.js';

/** A training that owns a session. */
interface Owner extends OwnedSession {
  /** No create was sent in its session before it was the owner. */
  isFirst?: true;
  /** Which run was granted each decision to spend. */
  grants: Record<string, Grant>;
  isClosed: boolean;
  /** ms since 1970. */
  touchedAt: number;
}

interface Grant {
  runId: string;
  sessionId: string;
  keyFingerprint: string;
  grantedAt: number;
  /** Set once a send under it was accepted. */
  accepted?: { sentAt: number; acceptedAt: number; taskId?: string };
  /** The last send under it is proved to have had no effect: another run may have it. */
  isRefuted?: boolean;
  /** Somebody else proved that nothing sent under it was charged: it is no doubt, but another run asks first all the same. */
  isCleared?: boolean;
}

/** What is known of one key. */
interface KeyState {
  /** ms since 1970. */
  touchedAt: number;
  /** The create that is between send and answer. */
  sending?: { workflowId: string; decision: string; until: number };
  /** When the next of those that wait may ask again. */
  nextSlotAt: number;
  accepted: (AcceptedCreate & { closedAt?: number })[];
  /** A create sent before this, accepted or in doubt, may be listed no more. */
  forgottenBefore: number;
  inDoubt: DoubtfulCreate[];
  longestChargeMs?: number;
  uploadCredits?: number;
}

export interface AccountState {
  /** By workflow id. */
  owners: Record<string, Owner>;
  /** By fingerprint. */
  keys: Record<string, KeyState>;
  /** A charge of this origin was seen before its training ended. */
  areChargesEarly: boolean;
  /** The last trainings, newest last, ms. */
  trainingsMs: number[];
  /** The last uploads, newest last, ms. */
  uploadsMs: number[];
  /** How the last sessions showed their creates, newest last. */
  sessions: SessionTiming[];
}

/** Sizes that keep the state under a few hundred kB. */
const OWNERS_KEPT = 1_000;
const CREATES_KEPT = 500;
const DURATIONS_KEPT = 40;
const KEYS_KEPT = 5;
/** One session that shows its create is no rule. */
const TELLING_SESSIONS = 3;

export function emptyAccount(): AccountState {
  return { owners: {}, keys: {}, areChargesEarly: false, trainingsMs: [], uploadsMs: [], sessions: [] };
}

export class AccountBook {
  readonly state: AccountState;

  constructor(state: AccountState) {
    this.state = state;
  }

  /** A session has one owner, and a training one session; only `replaces` and `takeOverFrom` change that. */
  claim(claim: ClaimSession, now: number): ClaimAnswer {
    const { workflowId, runId, sessionId, replaces, takeOverFrom, isNew } = claim;
    const own = this.state.owners[workflowId];
    if (own !== undefined && own.sessionId !== replaces) {
      own.touchedAt = now;
      own.isClosed = false;
      return { kind: 'owned', session: toldOf(own) };
    }
    const other = this.#ownerOf(sessionId, workflowId);
    const before = other === undefined ? undefined : this.state.owners[other];
    const isUnsent =
      before?.isFirst === true && Object.values(before.grants).every(({ isRefuted }) => isRefuted === true);
    if (other !== undefined) {
      if (other !== takeOverFrom) return { kind: 'refused', owner: other };
      this.#keepDoubts(other, now);
      Reflect.deleteProperty(this.state.owners, other);
    }
    const owner: Owner = {
      sessionId,
      firstRunId: runId,
      ...(isNew === true || isUnsent ? { isFirst: true } : {}),
      ...(isUnsent ? { isUnsent } : {}),
      // Decisions are good for one send whatever the session.
      grants: own?.grants ?? {},
      isClosed: false,
      touchedAt: now,
    };
    this.state.owners[workflowId] = owner;
    this.#forgetOwners();
    return { kind: 'owned', session: toldOf(owner) };
  }

  requestSend(request: RequestSend, now: number): SendAnswer {
    const { workflowId, runId, decision, known, keyFingerprint, sessionId, grantMs, slotMs } = request;
    const taker = this.#ownerOf(sessionId, workflowId);
    if (taker !== undefined) return { kind: 'taken', owner: taker };
    const owner = (this.state.owners[workflowId] ??= {
      sessionId,
      firstRunId: runId,
      grants: {},
      isClosed: false,
      touchedAt: now,
    });
    owner.touchedAt = now;
    // What another run of this training did after the point to which it was reset.
    const foreign = Object.entries(owner.grants)
      .filter(
        ([name, { runId: granted, grantedAt, isRefuted }]) =>
          granted !== runId &&
          isRefuted !== true &&
          !known.some(({ decision: one, sentAt }) => one === name && sentAt >= grantedAt),
      )
      .map(([name, { sessionId: session, grantedAt, accepted }]) => ({
        decision: name,
        sessionId: session,
        grantedAt,
        accepted,
      }))
      .sort((a, b) => b.grantedAt - a.grantedAt);
    for (const { accepted, decision: name, sessionId: session } of foreign) {
      if (accepted !== undefined)
        return { kind: 'accepted', sessionId: session, decision: name, ...accepted };
    }
    const [doubtful] = foreign;
    if (doubtful !== undefined) {
      const { decision: name, sessionId: session, grantedAt } = doubtful;
      return { kind: 'may-have-sent', sessionId: session, decision: name, grantedAt };
    }
    const own = owner.grants[decision]?.accepted;
    if (own !== undefined) return { kind: 'accepted', sessionId, decision, ...own };
    const key = this.#key(keyFingerprint, now);
    const { sending } = key;
    const isBusy = sending !== undefined && sending.workflowId !== workflowId && now < sending.until;
    if (isBusy) {
      key.nextSlotAt = Math.max(key.nextSlotAt, now) + slotMs;
      return { kind: 'wait', notBefore: Math.min(key.nextSlotAt, sending.until + slotMs) };
    }
    const until = now + grantMs;
    key.sending = { workflowId, decision, until };
    owner.grants[decision] = { runId, sessionId, keyFingerprint, grantedAt: now };
    return { kind: 'go', until };
  }

  reportSend(report: ReportSend, now: number): void {
    const { workflowId, runId, decision, keyFingerprint, sessionId, sentAt, sentBy, outcome, taskId } =
      report;
    const key = this.#key(keyFingerprint, now);
    const isSame = (create: Pick<DoubtfulCreate, 'workflowId' | 'decision'>): boolean =>
      isOf(create, workflowId, decision);
    const owner = this.state.owners[workflowId];
    const grant = owner?.grants[decision];
    const doubt = key.inDoubt.find(isSame);
    const isSettled = runId === SETTLED_RUN;
    // A run that was reset knows nothing of what the one before it sent, until it has asked after it itself.
    const mayClear = isSettled || grant?.runId === runId || doubt?.runId === runId;
    const mayFree = isSettled || grant === undefined || grant.runId === runId || outcome === 'accepted';
    if (mayFree && key.sending?.workflowId === workflowId && key.sending.decision === decision) {
      delete key.sending;
      key.nextSlotAt = now;
    }
    if (outcome === 'not-accepted' && !mayClear) return;
    // A run that was reset asks after what the one before it knows to be accepted.
    if (outcome === 'in-doubt' && key.accepted.some(isSame)) return;
    key.inDoubt = key.inDoubt.filter((one) => !isSame(one));
    switch (outcome) {
      case 'accepted': {
        const known = key.accepted.find(isSame);
        const acceptedAt = known?.acceptedAt ?? now;
        // Two creates where there was one would explain a row too many: that of a create in doubt.
        const isEcho =
          decision === ADOPTED_DECISION &&
          key.accepted.some((create) => create.sessionId === sessionId && create.workflowId !== workflowId);
        if (known === undefined && !isEcho) {
          key.accepted.push({
            workflowId,
            // A training may have given up the session that this create belongs to.
            sessionId: grant?.sessionId ?? sessionId,
            keyFingerprint,
            decision,
            sentAt,
            acceptedAt,
            ...(taskId === undefined ? {} : { taskId }),
          });
          if (key.accepted.length > CREATES_KEPT) {
            forgetOldest(key, key.accepted);
          }
        }
        if (grant !== undefined) {
          const known = taskId ?? grant.accepted?.taskId;
          grant.accepted = { sentAt, acceptedAt, ...(known === undefined ? {} : { taskId: known }) };
        }
        break;
      }
      case 'not-accepted':
        if (grant?.runId === runId) grant.isRefuted = true;
        else if (grant !== undefined) grant.isCleared = true;
        break;
      case 'in-doubt':
        this.#doubt(key, {
          workflowId,
          keyFingerprint,
          decision,
          sentAt,
          ...(sentBy === undefined ? {} : { sentBy }),
          sessionId: grant?.sessionId ?? sessionId,
          runId,
        });
        break;
    }
  }

  /** A training has ended: learns from it, and says which rows are its own. */
  close(end: CloseTraining, now: number): ClosedTraining {
    const { workflowId, keyFingerprint, trainingMs, uploadsMs = [], session, rows, uploadCredits } = end;
    const { hasModel = false, refunded = {} } = end;
    const key = this.#key(keyFingerprint, now);
    const own = key.accepted.filter((create) => create.workflowId === workflowId);
    const owner = this.state.owners[workflowId];
    if (owner !== undefined && !owner.isClosed) {
      owner.isClosed = true;
      owner.touchedAt = now;
      if (trainingMs !== undefined) this.state.trainingsMs.push(trainingMs);
      this.state.trainingsMs.splice(0, this.state.trainingsMs.length - DURATIONS_KEPT);
      this.state.uploadsMs = [...this.state.uploadsMs, ...uploadsMs].slice(-DURATIONS_KEPT);
      if (session !== undefined && isTelling(session, own.at(-1), end)) {
        this.state.sessions = [...this.state.sessions, session].slice(-DURATIONS_KEPT);
      }
    }
    if (uploadCredits !== undefined) key.uploadCredits = Math.max(key.uploadCredits ?? 0, uploadCredits);
    for (const create of own) {
      create.closedAt ??= now;
      const refundRowId = refunded[create.decision];
      if (refundRowId !== undefined) create.refundRowId = refundRowId;
    }
    if (hasModel) this.#noteModel(own, workflowId, keyFingerprint);
    // How soon they were seen is learned already.
    const known = new Set(own.map(({ rowId }) => rowId));

    const explainers = key.accepted.map((create) => ({ create, ...bookingOf(create, end, now) }));
    const doubts = this.#openCreates(keyFingerprint).map((create) => doubtfulBookingOf(create, end));
    const closed: ClosedTraining = { rows: {}, sends: sendsOf(owner, own) };
    for (const explainer of explainers.filter(({ create }) => create.workflowId === workflowId)) {
      const { decision } = explainer.create;
      const isNeeded =
        matchRows(rows, [...explainers.filter((other) => other !== explainer), ...doubts]).unexplained
          .length > matchRows(rows, [...explainers, ...doubts]).unexplained.length;
      const charges = rows.filter((row) => row.amount > 0 && fits(row, explainer));
      const [charge] = charges;
      // Without it a row would be left over: so it was charged, whichever of the rows is its own.
      if (isNeeded && charge !== undefined && charges.every(({ amount }) => amount === charge.amount)) {
        const isOnly = charges.length === 1 && isOnlyFit(charge, explainer, [...explainers, ...doubts]);
        closed.rows[decision] = { amount: charge.amount, ...(isOnly ? { id: charge.id } : {}) };
        if (isOnly) explainer.create.rowId = charge.id;
      }
    }
    const { pairs } = matchRows<Explainer & { create?: AcceptedCreate }>(rows, [...explainers, ...doubts]);
    for (const { row, explainer } of pairs) {
      if (explainer.create?.workflowId !== workflowId || known.has(row.id)) continue;
      this.#learnTiming(key, row.id, explainer.create, end);
    }
    return closed;
  }

  facts({ workflowId, keyFingerprint, since, sessionIds = [] }: AccountQuestion): AccountFacts {
    const taken = sessionIds.filter((sessionId) => this.#ownerOf(sessionId, workflowId) !== undefined);
    const owner = this.state.owners[workflowId];
    const key = this.state.keys[keyFingerprint];
    const { sessions } = this.state;
    const charges: ChargeTiming = {
      areEarly: this.state.areChargesEarly,
      ...(key?.longestChargeMs === undefined ? {} : { longestMs: key.longestChargeMs }),
    };
    return {
      ...(owner === undefined ? {} : { session: toldOf(owner) }),
      ...(taken.length === 0 ? {} : { taken }),
      accepted: (key?.accepted ?? []).filter(
        // Its training may go on, or have failed a moment ago, though it was sent long before.
        ({ sentAt, sessionId, closedAt = Infinity }) =>
          sentAt >= since || closedAt >= since || sessionId === owner?.sessionId,
      ),
      inDoubt: this.#openCreates(keyFingerprint, since),
      isComplete: since > (key?.forgottenBefore ?? this.#unknownBefore(Infinity)),
      charges,
      ...(sessions.length === 0
        ? {}
        : {
            sessions: {
              areTelling: sessions.length >= TELLING_SESSIONS && sessions.every(({ hasShown }) => hasShown),
              longestSilentMs: Math.max(...sessions.map(({ silentMs }) => silentMs)),
            },
          }),
      trainingsMs: this.state.trainingsMs,
      uploadsMs: this.state.uploadsMs,
      ...(key?.uploadCredits === undefined ? {} : { uploadCredits: key.uploadCredits }),
    };
  }

  /** Of several creates nobody can say which one made the model: then each of them may still be given back. */
  #noteModel(own: readonly AcceptedCreate[], workflowId: string, keyFingerprint: string): void {
    const [create, ...more] = own.filter(({ refundRowId }) => refundRowId === undefined);
    const isDoubtful = this.#openCreates(keyFingerprint).some((doubt) => doubt.workflowId === workflowId);
    if (create !== undefined && more.length === 0 && !isDoubtful) create.hasModel = true;
  }

  /** The training that has the session, where it is another one. */
  #ownerOf(sessionId: string, asking: string): string | undefined {
    return Object.entries(this.state.owners).find(
      ([workflowId, owner]) => workflowId !== asking && owner.sessionId === sessionId,
    )?.[0];
  }

  #doubt(key: KeyState, doubt: DoubtfulCreate): void {
    key.inDoubt.push(doubt);
    if (key.inDoubt.length > CREATES_KEPT) forgetOldest(key, key.inDoubt);
  }

  /** What a training may have sent is charged whoever has its session next. */
  #keepDoubts(workflowId: string, now: number): void {
    const grants = Object.entries(this.state.owners[workflowId]?.grants ?? {});
    for (const [decision, grant] of grants) {
      const { keyFingerprint, sessionId, grantedAt, runId } = grant;
      const key = this.#key(keyFingerprint, now);
      if (!isOpen(grant) || key.inDoubt.some((doubt) => isOf(doubt, workflowId, decision))) continue;
      this.#doubt(key, { workflowId, keyFingerprint, decision, sentAt: grantedAt, sessionId, runId });
    }
  }

  #learnTiming(
    key: KeyState,
    rowId: string,
    { sentAt }: AcceptedCreate,
    { rows, endSeenAt = 0, skewMs }: CloseTraining,
  ): void {
    const seen = rows.find(({ id }) => id === rowId);
    if (seen === undefined) return;
    const unseenAt = Math.max(sentAt, seen.unseenAt ?? 0);
    // A look that came late, after an outage, tells only how long it was not there yet.
    const isTimely = seen.seenAt - unseenAt <= skewMs;
    const afterMs = Math.max(0, (isTimely ? seen.seenAt : unseenAt) - sentAt);
    key.longestChargeMs = Math.max(key.longestChargeMs ?? 0, afterMs);
    if (seen.seenAt < endSeenAt) this.state.areChargesEarly = true;
  }

  /**
   * Creates that may be charged and are not known to be: those in doubt, and grants that nobody has reported on, since the
   * send is under way or its run was terminated.
   *
   * @param since of the latter only those that were granted from then on.
   */
  #openCreates(keyFingerprint: string, since = 0): DoubtfulCreate[] {
    const inDoubt = this.state.keys[keyFingerprint]?.inDoubt ?? [];
    const unreported = Object.entries(this.state.owners).flatMap(([workflowId, { grants }]) =>
      Object.entries(grants)
        .filter(
          ([decision, grant]) =>
            grant.keyFingerprint === keyFingerprint &&
            grant.grantedAt >= since &&
            isOpen(grant) &&
            !inDoubt.some((doubt) => isOf(doubt, workflowId, decision)),
        )
        .map(([decision, { grantedAt, sessionId }]) => ({
          workflowId,
          keyFingerprint,
          decision,
          sentAt: grantedAt,
          sessionId,
        })),
    );
    return [...inDoubt, ...unreported];
  }

  /** Where there are other keys, a new one may be of the same account: its ledger then has their creates too. */
  #unknownBefore(now: number): number {
    return Object.keys(this.state.keys).length > 0 ? now : 0;
  }

  #key(fingerprint: string, now: number): KeyState {
    const { keys } = this.state;
    const known = keys[fingerprint];
    if (known !== undefined) {
      known.touchedAt = now;
      return known;
    }
    const [oldest, ...others] = Object.entries(keys).sort(([, a], [, b]) => a.touchedAt - b.touchedAt);
    const forgottenBefore = this.#unknownBefore(now);
    if (oldest !== undefined && others.length + 1 >= KEYS_KEPT) Reflect.deleteProperty(keys, oldest[0]);
    return (keys[fingerprint] = {
      touchedAt: now,
      nextSlotAt: 0,
      accepted: [],
      forgottenBefore,
      inDoubt: [],
    });
  }

  /** Trainings that ended go first, the longest untouched first. */
  #forgetOwners(): void {
    const owners = Object.entries(this.state.owners);
    const rank = ([, { isClosed, touchedAt }]: [string, Owner]): number => touchedAt + (isClosed ? 0 : 1e15);
    owners.sort((a, b) => rank(a) - rank(b));
    for (const [workflowId] of owners.slice(0, Math.max(0, owners.length - OWNERS_KEPT))) {
      Reflect.deleteProperty(this.state.owners, workflowId);
    }
  }
}

function forgetOldest(key: KeyState, creates: { sentAt: number }[]): void {
  // They are told of in another order than they were sent in.
  key.forgottenBefore = Math.max(key.forgottenBefore, creates.shift()?.sentAt ?? 0);
}

/** @param own creates of the training that were accepted, also in a session that it has no more. */
function sendsOf(owner: Owner | undefined, own: readonly AcceptedCreate[]): ClosedTraining['sends'] {
  const open = Object.entries(owner?.grants ?? {})
    .filter(([decision, grant]) => isOpen(grant) && !own.some((create) => create.decision === decision))
    .map(([decision, { sessionId, grantedAt }]) => ({
      decision,
      sessionId,
      sentAt: grantedAt,
      isAccepted: false,
    }));
  const accepted = own
    .filter(({ refundRowId }) => refundRowId === undefined)
    .map(({ decision, sessionId, sentAt, taskId }) => ({
      decision,
      sessionId,
      sentAt,
      isAccepted: true,
      ...(taskId === undefined ? {} : { taskId }),
    }));
  return [...open, ...accepted].sort((a, b) => a.sentAt - b.sentAt);
}

/** Nobody has told what became of its send. */
function isOpen({ accepted, isRefuted, isCleared }: Grant): boolean {
  return accepted === undefined && isRefuted !== true && isCleared !== true;
}

function isOf(
  create: Pick<DoubtfulCreate, 'workflowId' | 'decision'>,
  workflowId: string,
  decision: string,
): boolean {
  return create.workflowId === workflowId && create.decision === decision;
}

/** When the charge of a create may be booked: while its training runs, and the clocks may differ. */
function bookingOf(
  { sentAt, rowId, closedAt }: { sentAt: number; rowId?: string; closedAt?: number },
  { skewMs, bookingMs }: Pick<CloseTraining, 'skewMs' | 'bookingMs'>,
  now: number,
): Explainer {
  const latest = sentAt + bookingMs;
  const to = closedAt === undefined ? Math.max(now, latest) : Math.min(closedAt, latest);
  return { from: sentAt - skewMs, to: to + skewMs, ...(rowId === undefined ? {} : { rowId }) };
}

/** Of a create that may never be charged: one that nobody settles must not explain the rows of all time to come. */
function doubtfulBookingOf(
  { sentAt, sentBy = sentAt }: DoubtfulCreate,
  { skewMs, bookingMs }: Pick<CloseTraining, 'skewMs' | 'bookingMs'>,
): Explainer {
  // It may land late, and is then booked as any other.
  return { from: sentAt - skewMs, to: sentBy + 2 * bookingMs + skewMs };
}

function isOnlyFit(row: CreateRow, explainer: Explainer, all: readonly Explainer[]): boolean {
  return all.every((other) => other === explainer || !fits(row, other));
}

/** A session that was silent at first, and was not looked at again before its end, teaches nothing. */
function isTelling(
  { hasShown, silentMs }: SessionTiming,
  create: AcceptedCreate | undefined,
  { endSeenAt }: CloseTraining,
): boolean {
  if (hasShown) return true;
  return create !== undefined && endSeenAt !== undefined && 2 * silentMs >= endSeenAt - create.acceptedAt;
}

function toldOf({ sessionId, firstRunId, isUnsent }: Owner): OwnedSession {
  return { sessionId, firstRunId, ...(isUnsent === undefined ? {} : { isUnsent }) };
}
