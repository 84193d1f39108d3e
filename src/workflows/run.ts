/**
 * Workflow sandbox: the state of one training, and how it is shown: query, memo, current details, timeline. One object
 * for each execution, never module state. Waiting goes through it, so that a failure in one branch ends them all.
 */
import {
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
import { PROGRESS_QUERY, TRAINING_MEMO } from '../contract/messages.js';
import type {
  Attention,
  FileProgress,
  FileState,
  Phase,
  TrainingFacts,
  TrainingMemo,
  TrainingProgress,
} from '../contract/progress.js';
import {
  type Receipt,
  type TimelineEntry,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
} from '../contract/training.js';
import { detailsMarkdown } from './details.js';
import { activitiesFor } from './profiles.js';

const TIMELINE_LIMIT = 300;
const MEMO_EVIDENCE = 20;

export class Run {
  readonly input: TrainCustomModelInput;
  readonly scale: number;
  readonly activities: ReturnType<typeof activitiesFor>;
  /** As they are shown; the URLs, which may be signed, stay in the input. */
  readonly files: FileProgress[];
  readonly receipt: Receipt = {
    create: { verdict: 'not-charged', sends: 0, evidence: ['create was not sent'] },
    uploads: { calls: 0, credits: 'unknown' },
  };
  readonly timeline: TimelineEntry[] = [];
  /** Open attentions; people see the first. */
  readonly attentions: Attention[] = [];
  readonly startedAt = now();
  #phase: Phase = 'preparing';
  #phaseSince = now();
  #session: (Affinity & { sessionId: string }) | undefined;
  #failure: { error: unknown } | undefined;
  #shownMemo = '';
  createTaskId: string | undefined;
  nextCheckAt: string | undefined;
  modelId: string | undefined;

  constructor(input: TrainCustomModelInput) {
    this.input = input;
    this.scale = input.timeScale ?? TRAINING_DEFAULTS.timeScale;
    this.activities = activitiesFor(this.scale);
    this.files = input.sources.map(({ label }, index) => ({
      number: index + 1,
      label,
      state: 'waiting',
      tries: 0,
      since: now(),
    }));
    setHandler(defineQuery<TrainingProgress>(PROGRESS_QUERY), () => this.progress());
  }

  /** Real time to this workflow's time, ms. */
  ms(realMs: number): number {
    return Math.max(1, Math.round(realMs * this.scale));
  }

  /** The session that every call uses. Only a person may give it up. */
  get session(): Affinity & { sessionId: string } {
    if (this.#session === undefined) throw new Error('No session yet: prepare comes first.');
    return this.#session;
  }

  set session(session: Affinity & { sessionId: string }) {
    this.#session = session;
    this.tell(`Session ${session.sessionId} is open.`);
  }

  get sessionId(): string | undefined {
    return this.#session?.sessionId;
  }

  /** What Mountsea fetches. Never to be shown, logged or put in the memo. */
  urlOf(file: FileProgress): string {
    const source = this.input.sources[file.number - 1];
    if (source === undefined) throw new Error(`No file ${file.number}.`);
    return source.url;
  }

  enter(phase: Phase, text: string): void {
    this.#phase = phase;
    this.#phaseSince = now();
    this.tell(text);
    this.show();
  }

  tell(text: string): void {
    this.timeline.push({ at: now(), text });
    // The story of a training that goes wrong for weeks must not outgrow a query's answer.
    if (this.timeline.length > TIMELINE_LIMIT) this.timeline.splice(1, 1);
  }

  setFile(file: FileProgress, state: FileState, reason?: string): void {
    file.state = state;
    file.since = now();
    if (reason === undefined) delete file.reason;
    else file.reason = reason;
  }

  /** Brings memo and current details up to date. Cheap where nothing changed: the memo is then not written. */
  show(): void {
    setCurrentDetails(detailsMarkdown(this.progress()));
    const memo = this.#memo();
    const text = JSON.stringify(memo);
    if (text === this.#shownMemo) return;
    this.#shownMemo = text;
    upsertMemo({ [TRAINING_MEMO]: memo });
  }

  /** Ends every wait of this training with an error: the way out of a branch that runs beside the story. */
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

  progress(): TrainingProgress {
    const { workflowId, runId } = workflowInfo();
    return {
      version: 1,
      workflowId,
      runId,
      ...this.#facts(),
      files: this.files,
      ...optional('createTaskId', this.createTaskId),
      ...optional('nextCheckAt', this.nextCheckAt),
      timeline: this.timeline,
      ...optional('attention', this.attentions[0]),
    };
  }

  #memo(): TrainingMemo {
    const fileCounts: Partial<Record<FileState, number>> = {};
    for (const { state } of this.files) fileCounts[state] = (fileCounts[state] ?? 0) + 1;
    const ended = this.#phase === 'done' || this.#phase === 'failed' || this.#phase === 'cancelled';
    const attention = this.attentions[0];
    return {
      ...this.#facts(),
      fileCounts,
      fileTotal: this.files.length,
      ...(attention === undefined ? {} : { attention: shortened(attention) }),
      ...(ended ? { finishedAt: this.#phaseSince } : {}),
    };
  }

  #facts(): TrainingFacts {
    return {
      name: this.input.name,
      origin: this.input.origin,
      phase: this.#phase,
      startedAt: this.startedAt,
      phaseSince: this.#phaseSince,
      ...optional('sessionId', this.sessionId),
      receipt: this.receipt,
      ...optional('modelId', this.modelId),
    };
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

/** A hundred bad files with long reasons must not outgrow the memo; the query has all of it. */
export function shortened(attention: Attention): Attention {
  const cut = (text: string, length: number): string =>
    text.length <= length ? text : `${text.slice(0, length - 1)}…`;
  const evidence = attention.evidence.slice(0, MEMO_EVIDENCE).map((line) => cut(line, 500));
  const left = attention.evidence.length - evidence.length;
  return {
    ...attention,
    message: cut(attention.message, 2_000),
    evidence: left === 0 ? evidence : [...evidence, `and ${left} more`],
  };
}

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
