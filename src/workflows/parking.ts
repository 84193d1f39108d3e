/**
 * Workflow sandbox: what needs a person does not end a training or a song. It parks here and waits for the update `correct`, or
 * for the cause to go away. Several branches may park at once; people see and answer one at a time.
 */
import {
  ApplicationFailure,
  CancellationScope,
  defineUpdate,
  isCancellation,
  setHandler,
  uuid4,
} from '@temporalio/workflow';
import type { Correction, CorrectionAccepted, CorrectionAction } from '../contract/correction.js';
import { ActivityFailureType, TrainingFailureType } from '../contract/failures.js';
import { CORRECT_UPDATE } from '../contract/messages.js';
import type { Attention, AttentionKind } from '../contract/progress.js';
import { CREATE_CREDITS } from '../contract/training.js';
import { type Execution, now } from './execution.js';
import { type ProvenFailure, provenFailure } from './failures.js';

/** Pace of the tries of a park that mends itself: it slows down, so that weeks of it do not fill the history. */
const MENDING_INTERVAL_MS = { first: 60_000, longest: 2 * 3_600_000, growth: 1.2 };
/** Trouble that goes away sooner is nobody's business. */
const LASTING_MS = 15 * 60_000;

export interface ParkRequest {
  kind: AttentionKind;
  message: string;
  evidence: string[];
  /** Beside `giveUp`, which always applies. */
  options: CorrectionAction[];
  /** Sending create again may charge a second time, whatever the receipt says. */
  isRisky?: boolean;
  files?: number[];
}

/** An open attention. */
export class Parked {
  readonly attention: Attention;
  answer: Correction | undefined;

  /** Since when a person is needed, ms since 1970; undefined while it tries again by itself. */
  #neededSince: number | undefined;

  constructor(attention: Attention) {
    this.attention = attention;
    if (attention.nextTryAt === undefined) this.#neededSince = Date.now();
  }

  get neededSince(): number | undefined {
    return this.#neededSince;
  }

  /** @param at of the next try, ms since 1970; undefined: from now on a person is needed. */
  triesAgain(at: number | undefined): void {
    if (at === undefined) {
      delete this.attention.nextTryAt;
      this.#neededSince ??= Date.now();
    } else {
      this.attention.nextTryAt = new Date(at).toISOString();
      this.#neededSince = undefined;
    }
  }
}

export class Parking {
  readonly #run: Execution;
  readonly #parked = new Map<string, Parked>();
  /** Parks that several branches with the same trouble share, by kind. */
  readonly #shared = new Map<AttentionKind, Parked>();
  /** Trouble that mends itself, by kind, until a request succeeds. */
  readonly #troubles = new Map<AttentionKind, { tries: number; since: number; isLasting: boolean }>();

  constructor(run: Execution) {
    this.#run = run;
    setHandler(
      defineUpdate<CorrectionAccepted, [Correction]>(CORRECT_UPDATE),
      (correction: Correction) => this.#accept(correction),
      {
        validator: (correction: Correction) => {
          this.#validate(correction);
        },
      },
    );
  }

  /**
   * Parks until a person answers or `isResolved` turns true.
   *
   * @returns the person's correction, or undefined where it resolved itself.
   * @throws ApplicationFailure `GivenUp` or `ParkExpired`.
   */
  async park(request: ParkRequest, isResolved = (): boolean => false): Promise<Correction | undefined> {
    const parked = this.open(request);
    try {
      return await this.answerTo(parked, isResolved);
    } finally {
      this.close(parked);
    }
  }

  /** Waits for the answer to an open attention; see `park`. */
  async answerTo(parked: Parked, isResolved = (): boolean => false): Promise<Correction | undefined> {
    const met = await this.#run.until(
      () => parked.answer !== undefined || isResolved(),
      this.#run.parkForMs,
      `parked: ${parked.attention.kind}`,
    );
    if (!met) throw this.#expired(parked);
    return this.#decided(parked);
  }

  /**
   * Waits for the answer for a while, with the attention staying open. A person has all of `parkForMs`, counted from when one
   * is needed.
   *
   * @throws ApplicationFailure `GivenUp`; `ParkExpired` where it needs a person and nobody came in time.
   */
  async answerWithin(parked: Parked, ms: number, summary: string): Promise<Correction | undefined> {
    const left = this.#leftFor(parked) ?? Infinity;
    const met = await this.#run.until(
      () => parked.answer !== undefined,
      Math.max(1, Math.min(ms, left)),
      summary,
    );
    if (!met && left <= ms) throw this.#expired(parked);
    return this.#decided(parked);
  }

  /** How long a person has left, ms; undefined: without limit, or none is needed. */
  #leftFor({ neededSince }: Parked): number | undefined {
    const { parkForMs: limit } = this.#run;
    return limit === undefined || neededSince === undefined ? undefined : neededSince + limit - Date.now();
  }

  #expired({ attention: { message } }: Parked): ApplicationFailure {
    return this.#run.failure(TrainingFailureType.ParkExpired, `Nobody answered in time. ${message}`);
  }

  /**
   * Makes a request. While it is refused for a reason that goes away by itself (key, balance), parks visibly and tries
   * again at a slow pace, or when a person says `retry`.
   *
   * @throws what the request threw, for every other reason.
   */
  async mending<T>(request: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await request();
        this.#troubles.clear();
        return answer;
      } catch (error) {
        const failure = provenFailure(error);
        if (failure === undefined || !(await this.mend(failure))) throw error;
      }
    }
  }

  /** Waits for the next try where the failure goes away by itself. @returns false where it does not. */
  async mend(failure: ProvenFailure): Promise<boolean> {
    const park = mendingPark(failure, this.#run);
    if (park === undefined) return false;
    await this.waitVisibly(park);
    return true;
  }

  /**
   * Reads while an attention is open. Its answer comes first: a read may take for hours, in an outage.
   *
   * @returns undefined where a person answered; the read is then given up.
   * @throws ApplicationFailure `ParkExpired` where a person is needed, and nobody came in time.
   */
  async unlessAnswered<T>(parked: Parked, read: () => Promise<T>): Promise<T | undefined> {
    const scope = new CancellationScope();
    let ended: { value: T } | { error: unknown } | undefined;
    const reading = scope.run(read).then(
      (value) => (ended = { value }),
      (error: unknown) => (ended = { error }),
    );
    const left = this.#leftFor(parked);
    let met = true;
    try {
      met = await this.#run.until(
        () => ended !== undefined || parked.answer !== undefined,
        left === undefined ? undefined : Math.max(1, left),
        `parked: ${parked.attention.kind}`,
      );
    } finally {
      scope.cancel();
      await CancellationScope.nonCancellable(() => reading);
    }
    if (!met) throw this.#expired(parked);
    const result = await reading;
    if ('value' in result) return result.value;
    if (isCancellation(result.error) && parked.answer !== undefined) return undefined;
    throw result.error;
  }

  /**
   * Waits until the training's own budget has room for a request. Until create is accepted, its price is kept back: an
   * upload that leaves no room for create is spent in vain.
   *
   * @param count counts the request. Called in the moment of the decision, since branches that ask side by side would
   *   all be given the same room.
   * @throws ApplicationFailure `GivenUp` or `ParkExpired`.
   */
  async withinBudget(
    credits: number,
    what: string,
    isCreateAhead: boolean,
    count = (): void => undefined,
  ): Promise<void> {
    const run = this.#run;
    const ahead = isCreateAhead ? CREATE_CREDITS : 0;
    for (;;) {
      const { maxCredits, mostSpent: spent } = run;
      if (maxCredits === undefined || spent + credits + ahead <= maxCredits) {
        count();
        return;
      }
      const shared = this.#shared.get('credits');
      if (shared !== undefined) {
        await run.until(() => this.#shared.get('credits') !== shared);
        continue;
      }
      const parked = this.open({
        kind: 'credits',
        message:
          `The budget of this ${run.noun} does not allow ${what}: up to ${spent} credits may be spent already, ` +
          `${credits + ahead} more are needed${ahead === 0 ? '' : ' (with create)'}, and the limit is ${maxCredits}. It was not sent.`,
        evidence: [run.countedAs],
        options: ['retry'],
      });
      this.#shared.set('credits', parked);
      try {
        const correction = await this.answerTo(parked);
        if (correction?.maxCredits !== undefined) run.maxCredits = correction.maxCredits;
      } finally {
        this.#shared.delete('credits');
        this.close(parked);
      }
    }
  }

  /** @param isFirst is what people see, whatever else is open: it is the cause that nothing moves. */
  open(request: ParkRequest, nextTryAt?: string, isFirst = false): Parked {
    const { kind, message, evidence, options, isRisky = false, files } = request;
    const risky: CorrectionAction[] = ['resendCreate', 'newSession'];
    // Of a song: the same request once more.
    if (kind === 'charge-unknown') risky.push('retry');
    const riskOfSecondCharge =
      isRisky || this.#run.chargeVerdict === 'unknown'
        ? risky.filter((action) => options.includes(action))
        : [];
    const parked = new Parked({
      id: uuid4().slice(0, 8),
      kind,
      message,
      since: now(),
      evidence,
      options: [...options, 'giveUp'],
      ...(riskOfSecondCharge.length === 0 ? {} : { riskOfSecondCharge }),
      ...(files === undefined ? {} : { files }),
      ...(nextTryAt === undefined ? {} : { nextTryAt }),
    });
    this.#parked.set(parked.attention.id, parked);
    if (isFirst) this.#run.attentions.unshift(parked.attention);
    else this.#run.attentions.push(parked.attention);
    this.#run.tell(`Waits (${kind}): ${message}`);
    this.#run.show();
    return parked;
  }

  close({ attention }: Parked): void {
    this.#parked.delete(attention.id);
    const { attentions } = this.#run;
    attentions.splice(attentions.indexOf(attention), 1);
    this.#run.show();
  }

  /**
   * Parks until the next try, or until a person answers. Several branches with the same trouble share one park.
   *
   * @param forMs Default: ever longer from try to try.
   * @returns what a person answered; undefined where the time is over, or another branch waited. A park that offers only
   *   `retry` may ignore it.
   * @throws ApplicationFailure `GivenUp`.
   */
  async waitVisibly(request: ParkRequest, forMs?: number): Promise<Correction | undefined> {
    const run = this.#run;
    const { kind } = request;
    const shared = this.#shared.get(kind);
    if (shared !== undefined) {
      await run.until(() => this.#shared.get(kind) !== shared);
      return undefined;
    }
    const trouble = this.#troubles.get(kind) ?? { tries: 0, since: Date.now(), isLasting: false };
    this.#troubles.set(kind, trouble);
    const { first, longest, growth } = MENDING_INTERVAL_MS;
    const wait = forMs ?? run.ms(Math.min(longest, first * growth ** trouble.tries));
    trouble.tries += 1;
    const parked = this.open(request, new Date(Date.now() + wait).toISOString(), true);
    if (!trouble.isLasting && Date.now() - trouble.since >= run.ms(LASTING_MS)) {
      // Each try has an attention of its own; one of them is told.
      trouble.isLasting = true;
      run.lasting.add(parked.attention.id);
      run.show();
    }
    this.#shared.set(kind, parked);
    try {
      await run.until(() => parked.answer !== undefined, wait, `${kind}: next try`);
      return this.#decided(parked);
    } finally {
      this.#shared.delete(kind);
      this.close(parked);
    }
  }

  #decided({ answer }: Parked): Correction | undefined {
    if (answer?.action === 'giveUp') {
      throw this.#run.failure(TrainingFailureType.GivenUp, 'Given up by a person.');
    }
    return answer;
  }

  /** Synchronous: the rejection of an asynchronous validator would never be seen. */
  #validate(correction: Correction): void {
    const current = this.#run.attentions[0];
    if (current === undefined) {
      throw refusal(`Nothing to correct: the ${this.#run.noun} is not parked (phase ${this.#run.phase}).`);
    }
    const { attentionId } = correction;
    if (attentionId !== current.id || this.#parked.get(current.id)?.answer !== undefined) {
      throw refusal(
        `Attention ${attentionId} is no longer the current one. Look again: the ${this.#run.noun} now waits for ${current.kind} (${current.id}).`,
      );
    }
    const why = this.#run.whyRefused(correction, current);
    if (why !== undefined) throw refusal(why);
  }

  #accept(correction: Correction): CorrectionAccepted {
    const { attentionId, action } = correction;
    const parked = this.#parked.get(attentionId);
    if (parked !== undefined) parked.answer = correction;
    this.#run.tell(`A person answered: ${action}.`);
    return { attentionId, action };
  }
}

/** What an API said, as evidence. */
export function evidenceOf({ message, details }: ProvenFailure): string[] {
  return [message, ...(details.raw === undefined ? [] : [`raw answer: ${details.raw.slice(0, 2_000)}`])];
}

function mendingPark(failure: ProvenFailure, run: Execution): ParkRequest | undefined {
  switch (failure.type) {
    case ActivityFailureType.Credentials:
      return {
        kind: 'credentials',
        message: `Mountsea refuses the API key. Nothing is lost: put the key right and the ${run.noun} goes on. ${run.spentSoFar}`,
        evidence: evidenceOf(failure),
        options: ['retry'],
      };
    case ActivityFailureType.InsufficientCredits:
      return {
        kind: 'credits',
        message: `The balance is too low. Nothing is lost: top it up and the ${run.noun} goes on. ${run.spentSoFar}`,
        evidence: evidenceOf(failure),
        options: ['retry'],
      };
    default:
      return undefined;
  }
}

function refusal(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'CorrectionRefused');
}
