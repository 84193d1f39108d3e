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
}

/** Of one order to send. */
export class Patience {
  readonly #run: Execution;
  readonly #parking: Parking;
  readonly #texts: PatienceTexts;
  #refusals = 0;
  #unsent = 0;

  constructor(run: Execution, parking: Parking, texts: PatienceTexts) {
    this.#run = run;
    this.#parking = parking;
    this.#texts = texts;
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

  /** @returns what a person decided; undefined where it may be sent again as it is. */
  async afterRefusal(failure: ProvenFailure): Promise<Correction | undefined> {
    const run = this.#run;
    const { what, refused } = this.#texts;
    if (failure.type === ActivityFailureType.RateLimited && ++this.#refusals < RATE_LIMIT_TRIES) {
      run.tell(`${capitalised(what)} was refused for now: ${failure.message}`);
      const { retryAfterMs = run.ms(RATE_LIMIT_WAIT_MS) } = failure.details;
      const wait = Math.max(retryAfterMs, run.ms(NOT_SENT_WAIT_MS.first));
      if (wait > LONGEST_QUIET_WAIT_MS) await this.#parking.waitVisibly(refused(failure), wait);
      else await sleep(wait, { summary: `${what} was refused for now: next try` });
      return undefined;
    }
    this.#refusals = 0;
    if (await this.#parking.mend(failure)) return undefined;
    return this.#parking.park(refused(failure));
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
