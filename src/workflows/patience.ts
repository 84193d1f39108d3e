/**
 * Workflow sandbox: what follows a paid request that is proved to have had no effect: it waits and lets it be sent again,
 * or asks a person. Doubt is none of its business.
 */
import { sleep } from '@temporalio/workflow';
import type { Correction } from '../contract/correction.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { Execution } from './execution.js';
import type { ProvenFailure } from './failures.js';
import type { Parking, ParkRequest } from './parking.js';
import { minuteOf } from './sentences.js';

const RATE_LIMIT_TRIES = 10;
const RATE_LIMIT_WAIT_MS = 15_000;
/** A longer wait is shown, and a person may cut it short. */
const LONGEST_QUIET_WAIT_MS = 120_000;
const NOT_SENT_QUIET_TRIES = 10;
const NOT_SENT_WAIT_MS = { first: 2_000, longest: 60_000 };

export interface PatienceTexts {
  /** The request, in the middle of a sentence. */
  what: string;
  /** Shown while it cannot be sent. */
  unsent: (tries: number, why: string) => ParkRequest;
  /** Shown when it is refused. */
  refused: (failure: ProvenFailure) => ParkRequest;
  /** Shown when it is refused for now; `why` says until when, as a sentence. */
  tooMany: (failure: ProvenFailure, why: string) => ParkRequest;
}

/** A refusal for now, which is obeyed whatever changes meanwhile; only a person who says `retry` does not wait. */
interface Hold {
  failure: ProvenFailure;
  /** ms since 1970. */
  until: number;
  isQuiet: boolean;
}

/** Of one order to send after the other. */
export class Patience {
  readonly #run: Execution;
  readonly #parking: Parking;
  readonly #texts: PatienceTexts;
  #refusals = 0;
  #unsent = 0;
  #hold: Hold | undefined;

  constructor(run: Execution, parking: Parking, texts: PatienceTexts) {
    this.#run = run;
    this.#parking = parking;
    this.#texts = texts;
  }

  /** A new order: its tries are counted anew. What the last refusal asked for holds on. */
  begin(): void {
    this.#refusals = 0;
    this.#unsent = 0;
  }

  /**
   * Waits for as long as the last refusal asked for.
   *
   * @returns what a person wants changed before it is sent; undefined where it may be sent now.
   */
  async beforeSend(): Promise<Correction | undefined> {
    const hold = this.#hold;
    if (hold === undefined) return undefined;
    const { what, tooMany } = this.#texts;
    const { failure, until, isQuiet } = hold;
    const wait = until - Date.now();
    if (wait > 0) {
      if (isQuiet) await sleep(wait, { summary: `${what} was refused for now: next try` });
      else {
        const why = `Too many requests, until ${minuteOf(until)}: then ${what} is sent again by itself, or at once by retry.`;
        const correction = await this.#parking.waitVisibly(tooMany(failure, why), wait);
        if (correction !== undefined && correction.action !== 'retry') return correction;
      }
    }
    this.#hold = undefined;
    return undefined;
  }

  /** Notes for how long a refusal asks to send nothing; no other failure does. */
  obey(failure: ProvenFailure): void {
    if (failure.type !== ActivityFailureType.RateLimited) return;
    const run = this.#run;
    const { retryAfterMs = run.ms(RATE_LIMIT_WAIT_MS) } = failure.details;
    const wait = Math.max(retryAfterMs, run.ms(NOT_SENT_WAIT_MS.first));
    this.#hold = { failure, until: Date.now() + wait, isQuiet: wait <= LONGEST_QUIET_WAIT_MS };
  }

  /** Not a byte of it left: it may be sent again after this. */
  async afterNotSent(why: string): Promise<void> {
    const run = this.#run;
    const { what, unsent } = this.#texts;
    run.tell(`${capitalised(what)} did not leave: ${why}`);
    if (++this.#unsent > NOT_SENT_QUIET_TRIES) {
      await this.#parking.waitVisibly(unsent(this.#unsent, why));
      return;
    }
    const wait = Math.min(NOT_SENT_WAIT_MS.first * 2 ** this.#unsent, NOT_SENT_WAIT_MS.longest);
    await sleep(run.ms(wait), { summary: `${what} was not sent: next try` });
  }

  /** @returns what a person decided; undefined where it may be sent again as it is, once `beforeSend` lets it. */
  async afterRefusal(failure: ProvenFailure): Promise<Correction | undefined> {
    const run = this.#run;
    const { what, refused, tooMany } = this.#texts;
    this.obey(failure);
    if (failure.type === ActivityFailureType.RateLimited) {
      if (++this.#refusals < RATE_LIMIT_TRIES) {
        run.tell(`${capitalised(what)} was refused for now: ${failure.message}`);
        return undefined;
      }
      this.#refusals = 0;
      const why = `Too many requests, ${RATE_LIMIT_TRIES} times in a row; it is not sent again by itself.`;
      const correction = await this.#parking.park(tooMany(failure, why));
      if (correction?.action === 'retry') this.#hold = undefined;
      return correction;
    }
    this.#refusals = 0;
    if (await this.#parking.mend(failure)) return undefined;
    return this.#parking.park(refused(failure));
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
