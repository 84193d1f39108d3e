/**
 * Workflow sandbox: the request that costs 100 credits (design, section 5). It is sent once for each decision to spend.
 * What proves nothing is answered by asking, never by sending again: only a proof that a send had no effect, or a
 * person, leads to another one.
 */
import { CancellationScope, CancelledFailure, sleep, workflowInfo } from '@temporalio/workflow';
import type { WitnessesRead } from '../activities/readWitnesses.js';
import type { SendGrant } from '../activities/sendGate.js';
import { ADOPTED_DECISION, type ReportSend } from '../contract/account.js';
import type { Correction } from '../contract/correction.js';
import { ActivityFailureType, TrainingFailureType } from '../contract/failures.js';
import type { SessionStatus, Witnesses } from '../contract/money.js';
import { CREATE_CREDITS, type CreateAttempt } from '../contract/training.js';
import { charge } from '../money/receipt.js';
import {
  acceptedDoubt,
  type Doubt,
  graceEnd,
  hasNoTrace,
  isUnderCreate,
  judgeCreate,
  knownAt,
  ledgerSince,
} from '../money/verdict.js';
import { keepRecord } from './bookkeeping.js';
import { doubtMessage, doubtPark, refusalPark, refutedPark, tooManyPark, unsentPark } from './createParks.js';
import { isUnsent, type ProvenFailure, sent } from './failures.js';
import { evidenceOf, type Parked, type Parking } from './parking.js';
import { now, optional, REQUEST_TIMEOUT_MS } from './execution.js';
import { Patience } from './patience.js';
import type { Run } from './run.js';
import { judgementTimes, reconcileGapAfter } from './schedule.js';

/** From the decision of the workflow to the last moment at which a byte may be written. */
const SEND_WINDOW_MS = 30_000;
/** Room in a grant for the look before the send, and for what comes in between. */
const BASELINE_MS = 90_000;
/** Distance of those that wait for the gate: about as long as a create takes, which gets no faster than its requests. */
const SLOT_MS = 2_000;
const SHORTEST_SLOT_MS = 500;

/** What came of one send, once everything is known that can be. */
type Outcome =
  | { kind: 'accepted' }
  | { kind: 'not-sent'; why: string }
  | { kind: 'not-accepted'; why: string }
  | { kind: 'refused'; failure: ProvenFailure }
  /** A person did not wait for the truth. */
  | { kind: 'corrected'; correction: Correction }
  /** The witnesses will not tell; the attention stays open. */
  | { kind: 'silent'; inquiry: Inquiry };

/** Why the sending of create ends. */
export type CreateEnd =
  | { kind: 'accepted' }
  /** A person changes something first. */
  | { kind: 'corrected'; correction: Correction }
  /** Files have no clips in the session that create belongs to by now; then it goes on by this decision. */
  | { kind: 'upload-first'; decision: string };

/** The asking after a create in doubt. */
interface Inquiry {
  parked: Parked;
  /** A sentence about the send. */
  why: string;
  /** When it began, or a person last said to go on. */
  since: number;
  /** Balance from which on the ledger must be whole. */
  anchor?: number;
  /** The first look after the grace. */
  lateSince?: number;
}

/** How far back an adopted session may have been opened where nobody knows; the ledger gives 90 days. */
const LONGEST_SESSION_MS = 80 * 24 * 3_600_000;

/** The creates of one training. */
export class Creates {
  readonly #run: Run;
  readonly #parking: Parking;
  readonly #patience: Patience;
  /** Sends of this session that may have been accepted, oldest first. */
  #doubts: Doubt[] = [];
  /** Create rows that were there before each send, by decision. */
  readonly rowsBefore = new Map<string, readonly string[]>();
  /** What the session showed before the last send that was accepted: an old failure is told by it. */
  before: SessionStatus | undefined;

  constructor(run: Run, parking: Parking) {
    this.#run = run;
    this.#parking = parking;
    this.#patience = new Patience(run, parking, {
      what: 'create',
      unsent: (tries, why) => unsentPark(run, tries, why),
      refused: (failure) => refusalPark(run, failure),
      tooMany: (failure, why) => tooManyPark(run, failure, why),
    });
  }

  /**
   * Sends create, and returns when it is accepted, or when something is to be done first.
   *
   * @param decision what allows it to spend: `FIRST_DECISION` or the id of an attention.
   * @throws ApplicationFailure `GivenUp` or `ParkExpired` out of a park.
   */
  async create(decision: string): Promise<CreateEnd> {
    const run = this.#run;
    const patience = this.#patience;
    let order = decision;
    patience.begin();
    for (;;) {
      // A session that was taken over: its clips are those of an earlier run, or must be made anew.
      if (run.files.some(({ state }) => state === 'waiting'))
        return { kind: 'upload-first', decision: order };
      const changed = await patience.beforeSend();
      if (changed !== undefined) return { kind: 'corrected', correction: changed };
      await this.#parking.withinBudget(CREATE_CREDITS, 'create', false);
      const sent = await this.#sendOnce(order);
      const outcome = sent.kind === 'silent' ? await this.#ask(sent.inquiry, 'ever') : sent;
      switch (outcome.kind) {
        case 'silent':
          break;
        case 'accepted':
          return { kind: 'accepted' };
        case 'corrected':
          return outcome;
        case 'not-sent':
          await patience.afterNotSent(outcome.why);
          break;
        case 'not-accepted': {
          run.tell(`Create is proved not to have been accepted: ${outcome.why}`);
          // The proof allows one more send; after that a person decides.
          if (!order.endsWith('+')) {
            order += '+';
            break;
          }
          const correction = await this.#parking.park(refutedPark(run, outcome.why));
          if (correction !== undefined) return { kind: 'corrected', correction };
          break;
        }
        case 'refused': {
          const correction = await patience.afterRefusal(outcome.failure);
          if (correction !== undefined) return { kind: 'corrected', correction };
          break;
        }
      }
    }
  }

  /**
   * A session that was begun elsewhere: its creates count as sent at an unknown time, so everything is asked before
   * anything is sent.
   *
   * @returns as `create`; `none` where it is proved that none was accepted.
   */
  async reconcileAdopted(openedAt: string | undefined): Promise<'accepted' | 'none' | Correction> {
    const run = this.#run;
    const at = Date.now();
    const opened = openedAt === undefined ? Number.NaN : Date.parse(openedAt);
    const sentAt = Number.isNaN(opened) ? at - LONGEST_SESSION_MS : opened;
    this.#doubts = [{ decision: ADOPTED_DECISION, sentAt, sentBy: at }];
    if (run.session.isUnsent === true && (await this.#isUntouched(sentAt))) {
      run.tell('The training that it was opened for never sent create, and nothing shows one.');
      this.#doubts = [];
      return 'none';
    }
    this.#attempt(ADOPTED_DECISION, sentAt);
    await this.#report(ADOPTED_DECISION, sentAt, 'in-doubt', { sentBy: at });
    const inquiry = this.#inquire(
      'This session was begun elsewhere, and its create may have been sent there.',
    );
    const outcome = await this.#ask(inquiry, 'ever');
    if (outcome.kind === 'corrected') return outcome.correction;
    return outcome.kind === 'accepted' ? 'accepted' : 'none';
  }

  /** Our own books have no send in the session; a copy of its clips may have been gone on with elsewhere. */
  async #isUntouched(openedAt: number): Promise<boolean> {
    const { look, account } = await this.#read('look whether create was sent elsewhere', undefined, true);
    return hasNoTrace({ look, account, times: judgementTimes(this.#run) }, openedAt);
  }

  /** A person gave up the session: its doubts go with it, but what they may have cost stays in the receipt. */
  forgetSession(): void {
    this.#doubts = [];
    this.before = undefined;
  }

  /** From the grant to the verdict. */
  async #sendOnce(decision: string): Promise<Outcome> {
    const run = this.#run;
    // Until an answer says otherwise it is the session.
    run.createTaskId = undefined;
    const grant = await this.#grant(decision);
    switch (grant.answer.kind) {
      case 'go': {
        const baseline = await this.#beforeSend(decision, grant);
        // From here on cancellation waits for the truth about the charge.
        return CancellationScope.nonCancellable(() => this.#sendGranted(decision, grant, baseline));
      }
      case 'accepted': {
        const { sessionId, decision: earlier, sentAt, acceptedAt, taskId } = grant.answer;
        this.#takeSession(sessionId);
        // What an earlier send may have cost stays in the receipt; the story goes on from this one.
        this.#doubts = [];
        run.createTaskId = taskId ?? sessionId;
        const attempt = this.#attempt(earlier, sentAt);
        if (taskId !== undefined && taskId !== sessionId) attempt.taskId = taskId;
        this.#accepted(
          earlier,
          ['another run of this training has sent it, and it was accepted'],
          new Date(acceptedAt).toISOString(),
        );
        return { kind: 'accepted' };
      }
      case 'taken':
        throw run.failure(
          TrainingFailureType.SessionTaken,
          `Session ${run.session.sessionId} belongs to the training ${grant.answer.owner} by now. Nothing was sent.`,
        );
      case 'may-have-sent': {
        const { sessionId, decision: earlier, grantedAt } = grant.answer;
        this.#takeSession(sessionId);
        const sentBy = grantedAt + this.#grantMs;
        this.#attempt(earlier, grantedAt).sentBy = new Date(sentBy).toISOString();
        this.#doubts.push({ decision: earlier, sentAt: grantedAt, sentBy });
        return CancellationScope.nonCancellable(async () => {
          await this.#report(earlier, grantedAt, 'in-doubt', { sentBy });
          return this.#reconcile('Another run of this training may have sent create (a reset).');
        });
      }
      case 'wait':
        return { kind: 'not-sent', why: 'another create is under way' };
    }
  }

  /** From the grant to the last moment at which its request may end. */
  get #grantMs(): number {
    return [BASELINE_MS, SEND_WINDOW_MS, REQUEST_TIMEOUT_MS].reduce(
      (sum, ms) => sum + this.#run.bounded(ms),
      0,
    );
  }

  /** Waits until no other create of the key is between send and answer. */
  async #grant(decision: string): Promise<SendGrant> {
    const run = this.#run;
    for (;;) {
      const request = {
        origin: run.input.origin,
        sessionId: run.session.sessionId,
        decision,
        known: [
          ...run.attempts.map((attempt) => ({
            decision: attempt.decision,
            sentAt: Date.parse(attempt.sentAt),
          })),
          ...this.#doubts.map((doubt) => ({ decision: doubt.decision, sentAt: doubt.sentAt })),
        ],
        grantMs: this.#grantMs,
        slotMs: Math.max(run.ms(SLOT_MS), SHORTEST_SLOT_MS),
      };
      // A grant that a cancelled run never hears of would shut the gate, and be a doubt for ever.
      const grant = await this.#parking.mending(() =>
        CancellationScope.nonCancellable(() => run.activities.requestSend('ask to send create', request)),
      );
      const { answer } = grant;
      if (answer.kind !== 'wait') return grant;
      await sleep(Math.max(1, answer.notBefore - Date.now()), { summary: 'another create is under way' });
    }
  }

  /** A run that was reset to before a new session was opened goes on in that one; the old one's clips are none of it. */
  #takeSession(sessionId: string): void {
    const run = this.#run;
    if (sessionId === run.session.sessionId) return;
    this.forgetSession();
    run.session = { ...run.session, sessionId };
    for (const file of run.files) if (file.state !== 'dropped') run.forget(file);
  }

  /**
   * What must be there before anything is sent: the record, and the look that the verdict will be compared with.
   *
   * @throws CancelledFailure where the training was cancelled meanwhile: then nothing is sent.
   */
  async #beforeSend(decision: string, { origin, keyFingerprint }: SendGrant): Promise<Witnesses> {
    const run = this.#run;
    // The key may have been changed since the session was opened; money is judged by the one that sends.
    run.session = { ...run.session, origin, keyFingerprint };
    try {
      await keepRecord(run, false, this.#aboutToSend(decision));
      const { look } = await this.#read('look before create');
      if (CancellationScope.current().consideredCancelled)
        throw new CancelledFailure('Cancelled before create.');
      return look;
    } catch (error) {
      await CancellationScope.nonCancellable(() => this.#report(decision, Date.now(), 'not-accepted'));
      throw error;
    }
  }

  /** A training that is deleted while it trains leaves nothing but its record behind. */
  #aboutToSend(decision: string): CreateAttempt {
    const at = Date.now();
    return {
      decision,
      sessionId: this.#run.session.sessionId,
      sentAt: new Date(at).toISOString(),
      verdict: 'unknown',
      sentBy: new Date(at + this.#grantMs).toISOString(),
      evidence: ['create was about to be sent; nobody told what became of it'],
    };
  }

  async #sendGranted(decision: string, grant: SendGrant, baseline: Witnesses): Promise<Outcome> {
    const run = this.#run;
    const { origin, keyFingerprint, runId } = grant;
    if (isUnderCreate(baseline.status)) {
      const shown = `before the send the session showed "${baseline.status.word}" already`;
      // By the clock of the grant: another run knows by it that this one was told of its send.
      const at = Date.now();
      if (this.#doubts.length > 0) return this.#landed(decision, at, baseline.status, shown);
      this.#attempt(decision, at);
      await this.#report(decision, at, 'accepted');
      this.#accepted(decision, [shown]);
      return { kind: 'accepted' };
    }
    const sentAt = Date.now();
    const timeoutMs = run.bounded(REQUEST_TIMEOUT_MS);
    const until = grant.answer.kind === 'go' ? grant.answer.until : sentAt;
    const notAfter = Math.min(sentAt + run.bounded(SEND_WINDOW_MS), until - timeoutMs);
    if (notAfter <= sentAt) {
      await this.#report(decision, sentAt, 'not-accepted');
      return { kind: 'not-sent', why: 'the look before it took too long' };
    }
    const attempt = this.#attempt(decision, sentAt);
    attempt.sentBy = new Date(notAfter + timeoutMs).toISOString();
    if (baseline.ledger !== undefined) {
      attempt.balanceBefore = baseline.ledger.balance;
      this.rowsBefore.set(
        decision,
        baseline.ledger.creates.map(({ id }) => id),
      );
    }
    run.sends += 1;
    run.show();
    const clipIds = run.clips.map(({ clipId }) => clipId);
    const came = await sent(
      'create',
      run.activities.submitTraining(
        `create ${run.name} from ${clipIds.length} clips: ${CREATE_CREDITS} credits`,
        {
          affinity: { origin, keyFingerprint },
          sessionId: run.session.sessionId,
          clipIds,
          name: run.name,
          baseline: baseline.status,
          notAfter,
          timeoutMs,
          grantedRunId: runId,
        },
      ),
    );
    if (!('failure' in came)) return this.#conclude(attempt, baseline.status, came.proof, came.taskId);
    const { failure } = came;
    // Another worker's clock says when a request that nobody saw the end of must have ended.
    const sentBy = failure.isWorkerLost ? notAfter + timeoutMs : Date.now();
    return this.#judge(attempt, failure, { decision, sentAt, sentBy, baseline });
  }

  /** Another run of this training (a reset) had the answer: what the session showed says nothing of that task. */
  #takeTask(taskId: string, decision: string): void {
    const run = this.#run;
    run.createTaskId = taskId;
    this.before = undefined;
    const attempt = run.attempts.find((one) => one.decision === decision);
    if (attempt !== undefined) attempt.taskId = taskId;
  }

  /** @param taskId what create answered with; documented to be the session (mountsea-api, section 2). */
  async #conclude(
    attempt: CreateAttempt,
    before: SessionStatus,
    proof: string,
    taskId = this.#run.session.sessionId,
  ): Promise<Outcome> {
    const run = this.#run;
    const isOther = taskId !== run.session.sessionId;
    run.createTaskId = taskId;
    if (isOther)
      run.tell(`Create was answered with the task ${taskId} instead of its session: it is asked for that.`);
    if (isOther) attempt.taskId = taskId;
    // What the session showed before says nothing of another task.
    this.before = isOther ? undefined : before;
    // What an earlier send may have cost stays in the receipt; this session's story goes on from here.
    this.#doubts = [];
    await this.#report(attempt.decision, Date.parse(attempt.sentAt), 'accepted', isOther ? { taskId } : {});
    this.#accepted(attempt.decision, [proof]);
    return { kind: 'accepted' };
  }

  /** What the failure of a send proves, and what is asked where it proves nothing. */
  async #judge(attempt: CreateAttempt, failure: ProvenFailure, doubt: Doubt): Promise<Outcome> {
    const run = this.#run;
    const { decision, sentAt } = doubt;
    if (isUnsent(failure)) {
      run.attempts.splice(run.attempts.indexOf(attempt), 1);
      run.sends -= 1;
      run.show();
      // What became of the send that was granted is told by the run that has the grant.
      if (failure.type !== ActivityFailureType.GrantElsewhere) {
        await this.#report(decision, sentAt, 'not-accepted');
      }
      return { kind: 'not-sent', why: failure.message };
    }
    switch (failure.type) {
      case ActivityFailureType.AlreadySent:
        run.sends -= 1;
        if (this.#doubts.length > 0) {
          run.attempts.splice(run.attempts.indexOf(attempt), 1);
          return this.#landed(decision, sentAt, NO_STATUS, failure.message);
        }
        return this.#conclude(attempt, doubt.baseline?.status ?? NO_STATUS, failure.message);
      case ActivityFailureType.Ambiguous:
        break;
      case ActivityFailureType.Credentials:
        // Without an answer it is our own worker that has no key.
        if (failure.details.status === undefined) run.sends -= 1;
        return this.#refused(attempt, failure, doubt);
      default:
        return this.#refused(attempt, failure, doubt);
    }
    attempt.evidence = evidenceOf(failure);
    attempt.sentBy = new Date(doubt.sentBy).toISOString();
    run.show();
    this.#doubts.push(doubt);
    await this.#report(decision, sentAt, 'in-doubt');
    return this.#reconcile(`Create may or may not have been accepted: ${failure.message}.`);
  }

  /** A refusal speaks of this request; where an earlier one is in doubt it may be the echo of that one's success. */
  async #refused(
    attempt: CreateAttempt,
    failure: ProvenFailure,
    { decision, sentAt }: Doubt,
  ): Promise<Outcome> {
    attempt.verdict = 'not-charged';
    attempt.evidence = evidenceOf(failure);
    this.#run.show();
    await this.#report(decision, sentAt, 'not-accepted');
    if (this.#doubts.length === 0) return { kind: 'refused', failure };
    this.#patience.obey(failure);
    return this.#reconcile(`Create was refused (${failure.message}), but an earlier one is in doubt.`);
  }

  /** An earlier send, which was in doubt, shows to have been accepted, so this one was not written. */
  async #landed(decision: string, at: number, status: SessionStatus, shown: string): Promise<Outcome> {
    await this.#report(decision, at, 'not-accepted');
    const question = { doubts: this.#doubts, look: { at, status }, times: judgementTimes(this.#run) };
    return this.#resolvedAsAccepted(acceptedDoubt(question), [shown]);
  }

  /** Asks until the witnesses tell or will not tell, or a person decides. */
  #reconcile(why: string): Promise<Outcome> {
    return this.#ask(this.#inquire(why), 'told');
  }

  /** People see the doubt from the beginning, and may cut the asking short. */
  #inquire(why: string): Inquiry {
    const since = Date.now();
    const parked = this.#parking.open(doubtPark(this.#run, why), new Date(since).toISOString());
    const anchor = this.#doubts[0]?.baseline?.ledger?.balance;
    return { parked, why, since, ...(anchor === undefined ? {} : { anchor }) };
  }

  /** @param until `told`: returns `silent` once the witnesses will not tell; `ever`: then looks on, ever more rarely. */
  async #ask(inquiry: Inquiry, until: 'told' | 'ever'): Promise<Outcome> {
    const run = this.#run;
    const { parked, why } = inquiry;
    const { attention } = parked;
    let isOpen = true;
    try {
      for (;;) {
        const read = await this.#parking.unlessAnswered(parked, () =>
          this.#read('ask what became of create', inquiry.anchor, true),
        );
        if (read === undefined) {
          const decided = await this.#parking.answerWithin(parked, 1, 'answered');
          if (decided !== undefined && decided.action !== 'keepWaiting') {
            return { kind: 'corrected', correction: decided };
          }
          inquiry.since = Date.now();
          parked.answer = undefined;
          continue;
        }
        const { look, account } = read;
        // Where nobody looked before the send, the ledger is at least whole from here on.
        if (look.ledger !== undefined) inquiry.anchor ??= look.ledger.balance;
        const times = judgementTimes(run);
        const question = {
          doubts: this.#doubts,
          look,
          account,
          workflowId: workflowInfo().workflowId,
          sessionId: run.session.sessionId,
          times,
        };
        if (look.at > graceEnd(question)) inquiry.lateSince ??= look.at;
        const verdict = judgeCreate({ ...question, ...optional('lateSince', inquiry.lateSince) });
        attention.evidence = verdict.evidence;
        for (const { decision } of this.#doubts) this.#explain(decision, verdict.evidence);
        if (verdict.kind === 'accepted' || verdict.kind === 'not-accepted') {
          // It is no question any more: an answer that came while the verdict is told would be taken, and not obeyed.
          isOpen = false;
          this.#parking.close(parked);
        }
        if (verdict.kind === 'accepted') {
          const { known, rowId } = verdict;
          const accepted = known ?? acceptedDoubt(question, rowId);
          const outcome = await this.#resolvedAsAccepted(accepted, verdict.evidence);
          run.isAcceptedByRow = verdict.isByRow === true;
          if (known?.taskId !== undefined) this.#takeTask(known.taskId, known.decision);
          return outcome;
        }
        if (verdict.kind === 'not-accepted') return await this.#resolvedAsRefuted(verdict.evidence);
        const end = graceEnd(question);
        const isClose = verdict.kind === 'wait' || Date.now() < inquiry.since + times.graceMs;
        const graceMs = Math.max(0, end - inquiry.since) / run.scale;
        const gap = run.ms(reconcileGapAfter((Date.now() - inquiry.since) / run.scale, graceMs));
        const next = Date.now() + gap;
        attention.message = doubtMessage(run, why, isClose ? Math.max(end, next) : undefined);
        parked.triesAgain(isClose ? next : undefined);
        run.show();
        if (!isClose && until === 'told') {
          isOpen = false;
          return { kind: 'silent', inquiry };
        }
        const correction = await this.#parking.answerWithin(parked, gap, 'ask again what became of create');
        if (correction === undefined) continue;
        if (correction.action !== 'keepWaiting') return { kind: 'corrected', correction };
        inquiry.since = Date.now();
        parked.answer = undefined;
      }
    } finally {
      if (isOpen) this.#parking.close(parked);
    }
  }

  /** With several in doubt only one is known to have been accepted; what the others cost is asked of the ledger later. */
  async #resolvedAsAccepted(
    accepted: Pick<Doubt, 'decision' | 'sentAt'> | undefined,
    evidence: string[],
  ): Promise<Outcome> {
    const { attempts } = this.#run;
    if (accepted !== undefined) {
      const { decision, sentAt } = accepted;
      await this.#report(decision, sentAt, 'accepted');
      if (!attempts.some((attempt) => attempt.decision === decision)) this.#attempt(decision, sentAt);
      this.#accepted(decision, evidence);
    }
    this.#settle();
    return { kind: 'accepted' };
  }

  async #resolvedAsRefuted(evidence: string[]): Promise<Outcome> {
    for (const { decision, sentAt } of this.#doubts) {
      await this.#report(decision, sentAt, 'not-accepted');
      this.#refuted(decision, evidence);
    }
    this.#settle();
    return { kind: 'not-accepted', why: evidence.join('; ') };
  }

  #settle(): void {
    this.before = this.#doubts.at(-1)?.baseline?.status;
    this.#doubts = [];
    this.#run.show();
  }

  async #read(summary: string, anchor?: number, withAccount = false): Promise<WitnessesRead> {
    const run = this.#run;
    const sentAt = this.#doubts[0]?.sentAt ?? Date.now();
    const { look, account } = await this.#parking.mending(() =>
      run.activities.readWitnesses(summary, {
        affinity: run.affinity,
        sessionId: run.session.sessionId,
        since: ledgerSince(sentAt, judgementTimes(run)),
        ...(anchor === undefined ? {} : { anchor }),
        // Before the send it decides nothing.
        ...(withAccount
          ? optional('controlTaskId', run.files.find(({ taskId }) => taskId !== undefined)?.taskId)
          : {}),
        withAccount,
      }),
    );
    return { look: knownAt(Date.now(), look), account };
  }

  async #report(
    decision: string,
    sentAt: number,
    outcome: ReportSend['outcome'],
    more: Pick<ReportSend, 'taskId' | 'sentBy'> = {},
  ): Promise<void> {
    const { keyFingerprint, sessionId } = this.#run.session;
    await this.#run.activities.reportSend(`create: ${outcome}`, {
      decision,
      sentAt,
      outcome,
      keyFingerprint,
      sessionId,
      ...more,
    });
  }

  #attempt(decision: string, sentAt: number): CreateAttempt {
    const known = this.#run.attempts.find((attempt) => attempt.decision === decision);
    // A training may have given up the session of an earlier send.
    const send: CreateAttempt = {
      decision,
      sessionId: this.#run.session.sessionId,
      sentAt: new Date(sentAt).toISOString(),
      verdict: 'unknown',
      evidence: ['create was sent; its outcome is not known yet'],
    };
    const attempt = known === undefined ? send : Object.assign(known, send);
    delete attempt.taskId;
    if (known === undefined) this.#run.attempts.push(attempt);
    return attempt;
  }

  #accepted(decision: string, proof: string[], acceptedAt?: string): void {
    const run = this.#run;
    const attempt =
      run.attempts.find((one) => one.decision === decision) ?? this.#attempt(decision, Date.now());
    charge(attempt, proof);
    // Of a session begun elsewhere nobody knows since when it trains.
    run.acceptedAt = decision === ADOPTED_DECISION ? undefined : (acceptedAt ?? now());
    run.isAcceptedByRow = false;
    run.show();
  }

  #refuted(decision: string, proof: string[]): void {
    const attempt = this.#run.attempts.find((one) => one.decision === decision);
    if (attempt === undefined) return;
    attempt.verdict = 'not-charged';
    attempt.evidence = proof;
  }

  #explain(decision: string, evidence: string[]): void {
    const attempt = this.#run.attempts.find((one) => one.decision === decision);
    if (attempt !== undefined) attempt.evidence = evidence;
  }
}

const NO_STATUS: SessionStatus = { word: '', models: [] };
