/**
 * Workflow sandbox: what a training and a song have in common: phases, story, waits, memo, details. Parking and polling
 * stand on this; what is paid for, and what it came to, is told by `Run` and `Song`. One object for each execution, never
 * module state. Waiting goes through it, so that a failure in one branch ends them all.
 */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  setCurrentDetails,
  setHandler,
  defineQuery,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Affinity } from '../contract/affinity.js';
import type { Correction } from '../contract/correction.js';
import type { TrainingFailureType } from '../contract/failures.js';
import { PROGRESS_QUERY } from '../contract/messages.js';
import type { Attention, Outage } from '../contract/progress.js';
import { type ChargeVerdict, type TimelineEntry, TRAINING_DEFAULTS } from '../contract/training.js';
import { activitiesFor, type CallableActivities } from './profiles.js';

/** From connect to last byte of a request that may cost credits. */
export const REQUEST_TIMEOUT_MS = 60_000;
/** Heartbeats come every few seconds; a worker that is silent for so long is taken for lost. */
const HEARTBEAT_TIMEOUT_MS = 20_000;
const SHORTEST_TIMEOUT_MS = 5_000;
const TIMELINE_LIMIT = 300;
const MEMO_EVIDENCE = 20;

/** Options that every execution takes. */
export interface ExecutionOptions {
  maxCredits?: number;
  parkForMs?: number;
  timeScale?: number;
}

/** What every answer of the query `progress` has beside the facts. */
interface Told {
  version: 1;
  workflowId: string;
  runId: string;
  nextCheckAt?: string;
  timeline: TimelineEntry[];
  attention?: Attention;
}

/** What every memo has beside the facts. */
interface Noted {
  attention?: Attention;
  finishedAt?: string;
}

/**
 * @typeParam P its phases; `done`, `failed` and `cancelled` are its ends.
 * @typeParam F what query and memo both say of it.
 */
export abstract class Execution<P extends string = string, F extends object = object> {
  /** What it is called in a sentence. */
  abstract readonly noun: string;
  readonly scale: number;
  readonly activities: CallableActivities;
  readonly parkForMs: number | undefined;
  maxCredits: number | undefined;
  readonly timeline: TimelineEntry[] = [];
  /** Open attentions; people see the first. */
  readonly attentions: Attention[] = [];
  /** Those that mend themselves and have not done so for long, by id. */
  readonly lasting = new Set<string>();
  readonly startedAt = now();
  nextCheckAt: string | undefined;
  /** Requests that Mountsea gives no usable answer to, oldest first. */
  readonly #outages: Outage[] = [];
  #phase: P;
  #phaseSince = now();
  #phaseText = '';
  #failure: { error: unknown } | undefined;
  #shownMemo = '';

  constructor(
    { maxCredits, parkForMs, timeScale = TRAINING_DEFAULTS.timeScale }: ExecutionOptions,
    phase: P,
  ) {
    this.maxCredits = maxCredits;
    this.parkForMs = parkForMs;
    this.scale = timeScale;
    this.#phase = phase;
    this.activities = activitiesFor(
      this.scale,
      {
        timeoutMs: this.bounded(REQUEST_TIMEOUT_MS),
        heartbeatMs: this.bounded(HEARTBEAT_TIMEOUT_MS),
      },
      (outage) => this.#noteOutage(outage),
    );
    setHandler(defineQuery(PROGRESS_QUERY), () => this.progress());
  }

  /** The API and the key that its requests are made with. */
  abstract get affinity(): Affinity;
  /** The most that it may have spent by now, credits. */
  abstract get mostSpent(): number;
  /** How the budget counts, as a sentence. */
  abstract get countedAs(): string;
  /** What was spent by now, as sentences. */
  abstract get spentSoFar(): string;
  /** @returns a sentence that says why a correction does not apply; undefined where it does. */
  abstract whyRefused(correction: Correction, attention: Attention): string | undefined;
  /** What its paid requests of one kind came to: create, or generate. */
  protected abstract get charge(): { verdict: ChargeVerdict };
  protected abstract facts(): F;
  /** What was spent and what is left to go on from, for whoever sees it fail. */
  protected abstract failureDetails(): object;
  /** Markdown for the Web UI. */
  protected abstract details(): string;
  /** Field of the memo and its value. At most 64 kB. */
  protected abstract memo(): [string, object];

  get phase(): P {
    return this.#phase;
  }

  get phaseSince(): string {
    return this.#phaseSince;
  }

  /** What was told when the phase began. */
  get phaseText(): string {
    return this.#phaseText;
  }

  /** The request that Mountsea has not answered for longest. */
  get outage(): Outage | undefined {
    return this.#outages[0];
  }

  get chargeVerdict(): ChargeVerdict {
    return this.charge.verdict;
  }

  /** The failure that ends it. */
  failure(type: TrainingFailureType, message: string): ApplicationFailure {
    const details = [this.failureDetails()];
    return ApplicationFailure.create({ type, message, nonRetryable: true, details });
  }

  /** Answer of the query `progress`. */
  progress(): F & Told {
    const { workflowId, runId } = workflowInfo();
    return {
      version: 1,
      workflowId,
      runId,
      ...this.facts(),
      ...optional('nextCheckAt', this.nextCheckAt),
      timeline: this.timeline,
      ...optional('attention', this.attentions[0]),
    };
  }

  /** What the memo says without what only one kind of execution has. */
  protected noted(): F & Noted {
    const attention = this.attentions[0];
    return {
      ...this.facts(),
      ...optional('attention', attention === undefined ? undefined : shortened(attention)),
      ...optional('finishedAt', this.finishedAt),
    };
  }

  /** When it ended; ISO 8601. */
  get finishedAt(): string | undefined {
    const hasEnded = this.#phase === 'done' || this.#phase === 'failed' || this.#phase === 'cancelled';
    return hasEnded ? this.#phaseSince : undefined;
  }

  /** Real time to this workflow's time, ms. */
  ms(realMs: number): number {
    return Math.max(1, Math.round(realMs * this.scale));
  }

  /**
   * A time-out of a request or a process: those do not get faster with the rest, so where time is compressed at least 5 s
   * of it stay, ms.
   */
  bounded(realMs: number): number {
    return Math.min(realMs, Math.max(this.ms(realMs), SHORTEST_TIMEOUT_MS));
  }

  enter(phase: P, text: string): void {
    this.#phase = phase;
    this.#phaseSince = now();
    this.#phaseText = text;
    this.tell(text);
    this.show();
  }

  tell(text: string): void {
    this.timeline.push({ at: now(), text });
    // The story of one that goes wrong for weeks must not outgrow a query's answer.
    if (this.timeline.length > TIMELINE_LIMIT) this.timeline.splice(1, 1);
  }

  /** Brings memo and current details up to date. Cheap where nothing changed: the memo is then not written. */
  show(): void {
    setCurrentDetails(this.details());
    const [field, memo] = this.memo();
    const text = JSON.stringify(memo);
    if (text === this.#shownMemo) return;
    this.#shownMemo = text;
    upsertMemo({ [field]: memo });
  }

  #noteOutage(outage: Outage): (isAnswered: boolean) => void {
    if (this.#outages.length === 0) {
      this.tell(`No usable answer from Mountsea (${outage.why}); it is asked again, at most a minute apart.`);
    }
    this.#outages.push(outage);
    this.show();
    return (isAnswered) => {
      this.#outages.splice(this.#outages.indexOf(outage), 1);
      if (isAnswered && this.#outages.length === 0) this.tell('Mountsea answers again.');
      this.show();
    };
  }

  /** Ends every wait with an error: the way out of a branch that runs beside the story. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /**
   * Waits for a condition, without limit unless `timeoutMs` is given.
   *
   * @returns false when the time ran out.
   */
  async until(isTrue: () => boolean, timeoutMs?: number, summary?: string): Promise<boolean> {
    const done = (): boolean => this.#failure !== undefined || isTrue();
    const met =
      timeoutMs === undefined
        ? await condition(done).then(() => true)
        : await waitAtMost(done, timeoutMs, summary);
    if (this.#failure !== undefined) throw this.#failure.error;
    return met;
  }
}

/** ISO 8601, in workflow time. */
export function now(): string {
  return new Date().toISOString();
}

/** Like `condition` with a time-out, but the timer says in the Web UI what it is for. */
async function waitAtMost(isTrue: () => boolean, timeoutMs: number, summary = 'waiting'): Promise<boolean> {
  if (isTrue()) return true;
  const scope = new CancellationScope();
  try {
    return await scope.run(() =>
      Promise.race([sleep(timeoutMs, { summary }).then(() => isTrue()), condition(isTrue).then(() => true)]),
    );
  } finally {
    scope.cancel();
  }
}

export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** A hundred bad files with long reasons must not outgrow the memo; the query has all of it. */
export function shortened(attention: Attention): Attention {
  const evidence = attention.evidence.slice(0, MEMO_EVIDENCE).map((line) => cut(line, 500));
  const left = attention.evidence.length - evidence.length;
  return {
    ...attention,
    message: cut(attention.message, 2_000),
    evidence: left === 0 ? evidence : [...evidence, `and ${left} more`],
  };
}

/** What a paid request came to, for the memo: evidence may be long; the query has all of it. */
export function shortCharge<C extends { evidence: string[]; attempts: { evidence: string[] }[] }>(
  charge: C,
): C {
  const evidence = charge.evidence.slice(0, MEMO_EVIDENCE).map((line) => cut(line, 500));
  const attempts = charge.attempts.map((attempt) => ({
    ...attempt,
    evidence: attempt.evidence.slice(0, 6).map((line) => cut(line, 200)),
  }));
  return { ...charge, evidence, attempts };
}

export function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
