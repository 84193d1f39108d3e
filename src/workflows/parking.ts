/**
 * Workflow sandbox: what needs a person does not end the training. It parks here and waits for the update `correct`, or
 * for the cause to go away. Several branches may park at once; people see and answer one at a time.
 */
import { ApplicationFailure, defineUpdate, setHandler, uuid4 } from '@temporalio/workflow';
import type { Correction, CorrectionAccepted, CorrectionAction } from '../contract/correction.js';
import {
  ActivityFailureType,
  type TrainingFailureDetails,
  TrainingFailureType,
} from '../contract/failures.js';
import { CORRECT_UPDATE } from '../contract/messages.js';
import type { Attention, AttentionKind } from '../contract/progress.js';
import { type ProvenFailure, provenFailure } from './failures.js';
import { now, type Run } from './run.js';

/** Pace of the tries of a park that mends itself. */
const MENDING_INTERVAL_MS = 60_000;

export interface ParkRequest {
  kind: AttentionKind;
  message: string;
  evidence: string[];
  /** Beside `giveUp`, which always applies. */
  options: CorrectionAction[];
}

interface Parked {
  attention: Attention;
  answer?: CorrectionAction;
}

export class Parking {
  readonly #run: Run;
  readonly #parked = new Map<string, Parked>();
  /** Parks that mend themselves, by kind: branches with the same trouble share one. */
  readonly #mending = new Map<AttentionKind, Parked>();

  constructor(run: Run) {
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
   * @returns the person's action, or undefined where it resolved itself.
   * @throws ApplicationFailure `GivenUp` or `ParkExpired`.
   */
  async park(request: ParkRequest, isResolved = (): boolean => false): Promise<CorrectionAction | undefined> {
    const parked = this.#open(request);
    try {
      const limit = this.#run.input.parkForMs;
      const met = await this.#run.until(
        () => parked.answer !== undefined || isResolved(),
        limit,
        `parked: ${request.kind}`,
      );
      if (!met) {
        throw trainingFailure(
          this.#run,
          TrainingFailureType.ParkExpired,
          `Nobody answered in time. ${request.message}`,
        );
      }
      return this.#decided(parked);
    } finally {
      this.#close(parked);
    }
  }

  /**
   * Makes a request. While it is refused for a reason that goes away by itself (key, balance), parks visibly and tries
   * again once a minute, or when a person says `retry`.
   *
   * @throws what the request threw, for every other reason.
   */
  async mending<T>(request: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await request();
      } catch (error) {
        const failure = provenFailure(error);
        const park = failure === undefined ? undefined : mendingPark(failure);
        if (park === undefined) throw error;
        await this.#untilNextTry(park);
      }
    }
  }

  async #untilNextTry(request: ParkRequest): Promise<void> {
    const run = this.#run;
    const shared = this.#mending.get(request.kind);
    if (shared !== undefined) {
      await run.until(() => this.#mending.get(request.kind) !== shared);
      return;
    }
    const wait = run.ms(MENDING_INTERVAL_MS);
    const parked = this.#open(request, new Date(Date.now() + wait).toISOString());
    this.#mending.set(request.kind, parked);
    try {
      await run.until(() => parked.answer !== undefined, wait, `${request.kind}: next try`);
      this.#decided(parked);
    } finally {
      this.#mending.delete(request.kind);
      this.#close(parked);
    }
  }

  #open(request: ParkRequest, nextTryAt?: string): Parked {
    const { kind, message, evidence, options } = request;
    const attention: Attention = {
      id: uuid4().slice(0, 8),
      kind,
      message,
      since: now(),
      evidence,
      options: [...options, 'giveUp'],
      ...(nextTryAt === undefined ? {} : { nextTryAt }),
    };
    const parked: Parked = { attention };
    this.#parked.set(attention.id, parked);
    this.#run.attentions.push(attention);
    this.#run.tell(`Waits (${kind}): ${message}`);
    this.#run.show();
    return parked;
  }

  #close({ attention }: Parked): void {
    this.#parked.delete(attention.id);
    const { attentions } = this.#run;
    attentions.splice(attentions.indexOf(attention), 1);
    this.#run.show();
  }

  #decided({ answer }: Parked): CorrectionAction | undefined {
    if (answer === 'giveUp')
      throw trainingFailure(this.#run, TrainingFailureType.GivenUp, 'Given up by a person.');
    return answer;
  }

  /** Synchronous: the rejection of an asynchronous validator would never be seen. */
  #validate({ attentionId, action }: Correction): void {
    const current = this.#run.attentions[0];
    if (current === undefined) {
      throw refusal(`Nothing to correct: the training is not parked (phase ${this.#run.progress().phase}).`);
    }
    if (attentionId !== current.id || this.#parked.get(current.id)?.answer !== undefined) {
      throw refusal(
        `Attention ${attentionId} is no longer the current one. Look again: the training now waits for ${current.kind} (${current.id}).`,
      );
    }
    if (!current.options.includes(action)) {
      throw refusal(
        `${action} does not apply to ${current.kind}. What applies: ${current.options.join(', ')}.`,
      );
    }
  }

  #accept({ attentionId, action }: Correction): CorrectionAccepted {
    const parked = this.#parked.get(attentionId);
    if (parked !== undefined) parked.answer = action;
    this.#run.tell(`A person answered: ${action}.`);
    return { attentionId, action };
  }
}

/** The failure that ends a training: it says what was spent and what is left to go on from. */
export function trainingFailure(run: Run, type: TrainingFailureType, message: string): ApplicationFailure {
  const { receipt, timeline, sessionId } = run;
  const details: TrainingFailureDetails = {
    receipt,
    timeline,
    ...(sessionId === undefined ? {} : { sessionId }),
  };
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [details] });
}

/** What an API said, as evidence. */
export function evidenceOf({ message, details }: ProvenFailure): string[] {
  return [message, ...(details.raw === undefined ? [] : [`raw answer: ${details.raw.slice(0, 2_000)}`])];
}

function mendingPark(failure: ProvenFailure): ParkRequest | undefined {
  switch (failure.type) {
    case ActivityFailureType.Credentials:
      return {
        kind: 'credentials',
        message: 'Mountsea refuses the API key. Nothing is lost: put the key right and the training goes on.',
        evidence: evidenceOf(failure),
        options: ['retry'],
      };
    case ActivityFailureType.InsufficientCredits:
      return {
        kind: 'credits',
        message: 'The balance is too low. Nothing is lost: top it up and the training goes on.',
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
