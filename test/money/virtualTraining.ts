/**
 * The steps of `src/workflows/create.ts` without Temporal: the same rules (verdict, account book, classification,
 * schedule) in the same order, over a virtual service.
 */
import { FIRST_DECISION, type SeenRow, type SessionTiming } from '../../src/contract/account.js';
import { ActivityFailureType } from '../../src/contract/failures.js';
import { CREATE_CREDITS, type CreateAttempt, type Receipt } from '../../src/contract/training.js';
import { applyClosed, createReceipt } from '../../src/money/receipt.js';
import {
  type Doubt,
  graceEnd,
  isUnderCreate,
  isWordOfCreate,
  judgeCreate,
  ledgerSince,
  shownBySession,
  UNKNOWN_TASK,
} from '../../src/money/verdict.js';
import type { AccountBook } from '../../src/workflows/accountBook.js';
import { gapAfter, judgementTimes, reconcileGapAfter } from '../../src/workflows/schedule.js';
import type { TaskFate } from '../../src/sandbox/service.js';
import { AFFINITY, type CreateFault, type VirtualService } from './virtualService.js';

export const TIMES = judgementTimes({ ms: (realMs) => realMs });
const MINUTE = 60_000;
const SEND_WINDOW_MS = 30_000;
const TIMEOUT_MS = 60_000;
const GRANT_MS = 90_000 + SEND_WINDOW_MS + TIMEOUT_MS;
/** How long after the witnesses fell silent it is still looked on here. */
const LOOK_ON_MS = 10 * MINUTE;
const CHARGE_LOOKS_MS = [8_000, 20_000, 40_000];

/** `resends at once` accepts a second charge as soon as create is in doubt; nothing is riskier. */
export type Person = 'absent' | 'resends at once';

export interface Plan {
  /** Of the first send; any later one meets none. */
  fault: CreateFault;
  fate: TaskFate;
  person: Person;
}

export type End = 'accepted' | 'parked in doubt' | 'parked as rejected';

type Outcome = 'accepted' | 'not-accepted' | 'not-sent' | 'refused' | 'resend' | 'silent';

export class VirtualTraining {
  readonly #service: VirtualService;
  readonly #book: AccountBook;
  readonly #workflowId: string;
  readonly #session: { sessionId: string; clipIds: string[] };
  readonly #plan: Plan;
  readonly #attempts: CreateAttempt[] = [];
  /** Requests that were written. */
  sends = 0;
  #doubts: Doubt[] = [];

  constructor(
    service: VirtualService,
    book: AccountBook,
    workflowId: string,
    session: { sessionId: string; clipIds: string[] },
    plan: Plan,
  ) {
    this.#service = service;
    this.#book = book;
    this.#workflowId = workflowId;
    this.#session = session;
    this.#plan = plan;
  }

  /** Each attempt and what the receipt says of it. */
  get receipt(): Receipt['create'] {
    return createReceipt(this.#attempts, this.sends);
  }

  async create(): Promise<End> {
    let order: string = FIRST_DECISION;
    for (let turns = 0; turns < 10; turns += 1) {
      switch (await this.#sendOnce(order)) {
        case 'accepted':
          return 'accepted';
        case 'silent':
          return 'parked in doubt';
        case 'refused':
          return 'parked as rejected';
        case 'not-accepted':
          if (order.endsWith('+')) return 'parked as rejected';
          order += '+';
          break;
        case 'resend':
          order = `attention-${turns}`;
          break;
        case 'not-sent':
          await this.#service.pass(2_000);
          break;
      }
    }
    throw new Error('it goes round in circles');
  }

  /** Waits for the model and tells the book what the ledger showed meanwhile, as `ChargeWatch` does. */
  async finish(): Promise<void> {
    const { sessionId } = this.#session;
    const begunAt = Date.now();
    const rows = new Map<string, SeenRow>();
    let before: number | undefined;
    const look = async (): Promise<void> => {
      const { ledger } = await this.#service.ledger(begunAt - 5 * MINUTE);
      if (ledger === undefined) return;
      for (const row of ledger.creates) {
        if (rows.has(row.id)) continue;
        rows.set(row.id, {
          ...row,
          seenAt: ledger.at,
          ...(before === undefined ? {} : { unseenAt: before }),
        });
      }
      before = ledger.at;
    };
    const hasSeen = (): boolean =>
      [...rows.values()].some(({ at, amount }) => amount > 0 && at >= begunAt - TIMES.skewMs);
    const looks = [...CHARGE_LOOKS_MS];
    let ledgerAt = begunAt + (looks.shift() ?? 0);
    let session: SessionTiming | undefined;
    let statusAt = begunAt + gapAfter('training', 0, 0.5);
    for (;;) {
      await this.#service.pass(Math.min(ledgerAt, statusAt) - Date.now());
      if (Date.now() >= ledgerAt) {
        await look();
        ledgerAt = hasSeen() ? Infinity : ledgerAt + (looks.shift() ?? Infinity);
      }
      if (Date.now() < statusAt) continue;
      const { word, models } = await this.#service.status(sessionId);
      if (models.length > 0) break;
      if (isWordOfCreate(word)) session = { silentMs: 0, ...session, hasShown: true };
      else if (word === UNKNOWN_TASK) session = { hasShown: false, silentMs: Date.now() - begunAt };
      statusAt = Date.now() + gapAfter('training', Date.now() - begunAt, 0.5);
    }
    const endSeenAt = Date.now();
    if (!hasSeen()) await look();
    const closed = this.#book.close(
      {
        ...this.#who,
        keyFingerprint: AFFINITY.keyFingerprint,
        trainingMs: endSeenAt - begunAt,
        rows: [...rows.values()],
        endSeenAt,
        ...(session === undefined ? {} : { session }),
        skewMs: TIMES.skewMs,
        bookingMs: TIMES.bookingMs,
      },
      Date.now(),
    );
    applyClosed(this.#attempts, closed);
  }

  get #who(): { workflowId: string; runId: string } {
    return { workflowId: this.#workflowId, runId: `run of ${this.#workflowId}` };
  }

  async #sendOnce(decision: string): Promise<Outcome> {
    const { sessionId } = this.#session;
    const grant = this.#book.requestSend(
      {
        ...this.#who,
        sessionId,
        keyFingerprint: AFFINITY.keyFingerprint,
        decision,
        known: [...this.#attempts, ...this.#doubts].map((one) => ({
          decision: one.decision,
          sentAt: Date.now(),
        })),
        grantMs: GRANT_MS,
        slotMs: 2_000,
      },
      Date.now(),
    );
    if (grant.kind !== 'go') throw new Error(`nobody else sends here, but the gate says ${grant.kind}`);
    const baseline = await this.#look();
    if (isUnderCreate(baseline.status)) {
      this.#attempt(decision, baseline.at);
      this.#report(decision, baseline.at, 'accepted');
      return this.#accepted(decision);
    }
    const sentAt = Date.now();
    const notAfter = Math.min(sentAt + SEND_WINDOW_MS, grant.until - TIMEOUT_MS);
    const attempt = this.#attempt(decision, sentAt);
    // The look with the connection open.
    if (shownBySession(await this.#service.status(sessionId), baseline.status) !== undefined) {
      return this.#conclude(attempt);
    }
    this.sends += 1;
    const { fault, fate } = this.#plan;
    const sent = await this.#service.create(this.#session, this.sends === 1 ? fault : 'none', fate);
    if (sent.kind === 'accepted') return this.#conclude(attempt);
    const { proof, isWorkerLost } = sent;
    const sentBy = isWorkerLost ? notAfter + TIMEOUT_MS : Date.now();
    if (proof.type !== ActivityFailureType.Ambiguous) {
      if (proof.type !== ActivityFailureType.Refused) throw new Error(`unexpected ${proof.type}`);
      attempt.verdict = 'not-charged';
      this.#report(decision, sentAt, 'not-accepted');
      return this.#doubts.length === 0 ? 'refused' : this.#ask();
    }
    this.#doubts.push({ decision, sentAt, sentBy, baseline });
    this.#report(decision, sentAt, 'in-doubt');
    return this.#ask();
  }

  async #ask(): Promise<Outcome> {
    const { person } = this.#plan;
    const since = Date.now();
    const anchor = this.#doubts[0]?.baseline?.ledger?.balance;
    let lateSince: number | undefined;
    for (;;) {
      const look = await this.#look(anchor);
      const account = this.#book.facts({
        workflowId: this.#workflowId,
        keyFingerprint: AFFINITY.keyFingerprint,
        since: this.#since,
      });
      const question = {
        doubts: this.#doubts,
        look,
        account,
        workflowId: this.#workflowId,
        sessionId: this.#session.sessionId,
        times: TIMES,
      };
      if (look.at > graceEnd(question)) lateSince ??= look.at;
      const { kind } = judgeCreate({ ...question, ...(lateSince === undefined ? {} : { lateSince }) });
      if (kind === 'accepted' || kind === 'not-accepted') return this.#resolved(kind);
      if (person === 'resends at once' && this.sends === 1) return 'resend';
      const end = graceEnd(question);
      if (kind === 'cannot-tell' && Date.now() > end + LOOK_ON_MS) return 'silent';
      await this.#service.pass(reconcileGapAfter(Date.now() - since, Math.max(0, end - since)));
    }
  }

  #resolved(kind: 'accepted' | 'not-accepted'): Outcome {
    const [first] = this.#doubts;
    for (const { decision, sentAt } of this.#doubts) {
      if (kind === 'accepted' && decision !== first?.decision) continue;
      this.#report(decision, sentAt, kind);
      if (kind === 'accepted') this.#accepted(decision);
      else
        for (const attempt of this.#attempts)
          if (attempt.decision === decision) attempt.verdict = 'not-charged';
    }
    this.#doubts = [];
    return kind;
  }

  #conclude(attempt: CreateAttempt): Outcome {
    this.#doubts = [];
    this.#report(attempt.decision, Date.parse(attempt.sentAt), 'accepted');
    return this.#accepted(attempt.decision);
  }

  #accepted(decision: string): Outcome {
    for (const attempt of this.#attempts) {
      if (attempt.decision !== decision) continue;
      attempt.verdict = 'charged';
      attempt.credits = CREATE_CREDITS;
      attempt.provisional = true;
    }
    return 'accepted';
  }

  #attempt(decision: string, sentAt: number): CreateAttempt {
    const attempt: CreateAttempt = {
      decision,
      sessionId: this.#session.sessionId,
      sentAt: new Date(sentAt).toISOString(),
      verdict: 'unknown',
      evidence: [],
    };
    this.#attempts.push(attempt);
    return attempt;
  }

  #report(decision: string, sentAt: number, outcome: 'accepted' | 'not-accepted' | 'in-doubt'): void {
    const { sessionId } = this.#session;
    this.#book.reportSend(
      { ...this.#who, sessionId, keyFingerprint: AFFINITY.keyFingerprint, decision, sentAt, outcome },
      Date.now(),
    );
  }

  get #since(): number {
    return ledgerSince(this.#doubts[0]?.sentAt ?? Date.now(), TIMES);
  }

  #look(anchor?: number): ReturnType<VirtualService['look']> {
    return this.#service.look(this.#session.sessionId, this.#since, anchor);
  }
}
