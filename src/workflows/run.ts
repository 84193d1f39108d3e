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
import type { ChargeTiming } from '../contract/account.js';
import type { Correction } from '../contract/correction.js';
import { PROGRESS_QUERY, TRAINING_MEMO } from '../contract/messages.js';
import type {
  Attention,
  FileProgress,
  FileState,
  Phase,
  TrainingFacts,
  TrainingMemo,
  TrainingProgress,
  UploadedFile,
} from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import {
  type Clip,
  type CreateAttempt,
  type Receipt,
  type Source,
  type TimelineEntry,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
} from '../contract/training.js';
import { createReceipt, emptyReceipt, type Prices, uploadPrice } from '../money/receipt.js';
import { detailsMarkdown } from './details.js';
import { activitiesFor, type CallableActivities } from './profiles.js';

/** From connect to last byte of a request that may cost credits. */
export const REQUEST_TIMEOUT_MS = 60_000;
/** Heartbeats come every few seconds; a worker that is silent for so long is taken for lost. */
const HEARTBEAT_TIMEOUT_MS = 20_000;
const SHORTEST_TIMEOUT_MS = 5_000;
const TIMELINE_LIMIT = 300;
const MEMO_EVIDENCE = 20;
const MEMO_LABEL = 200;

/** The session that every call uses. */
export interface OpenSession extends Affinity {
  sessionId: string;
  /** The run that claimed it; another run of this training is a reset one. */
  firstRunId: string;
}

/** What trainings of this API taught, as known at the start. */
export interface Experience {
  /** The last trainings, ms. */
  trainingsMs: number[];
  charges: ChargeTiming;
}

export class Run {
  readonly input: TrainCustomModelInput;
  readonly scale: number;
  readonly activities: CallableActivities;
  /** As they are shown; the URLs, which may be signed, stay in the input. */
  readonly files: FileProgress[];
  /** Create requests that may have been accepted or were, oldest first. */
  readonly attempts: CreateAttempt[] = [];
  readonly uploads: Receipt['uploads'] = emptyReceipt().uploads;
  /** Uploads of an adopted session that were under way, by number of the file. */
  readonly #adoptedTasks: Map<number, string>;
  /** Create requests that may have left a worker. */
  sends = 0;
  readonly timeline: TimelineEntry[] = [];
  /** Open attentions; people see the first. */
  readonly attentions: Attention[] = [];
  readonly startedAt = now();
  #phase: Phase = 'preparing';
  #phaseSince = now();
  readonly #sources: Source[];
  #session: OpenSession | undefined;
  #failure: { error: unknown } | undefined;
  #shownMemo = '';
  name: string;
  maxCredits: number | undefined;
  seenUploadCredits: number | undefined;
  experience: Experience = { trainingsMs: [], charges: { areEarly: false } };
  /** When the newest create was accepted; ISO 8601. */
  acceptedAt: string | undefined;
  createTaskId: string | undefined;
  nextCheckAt: string | undefined;
  modelId: string | undefined;

  constructor(input: TrainCustomModelInput) {
    this.input = input;
    this.name = input.name;
    this.maxCredits = input.maxCredits;
    this.#sources = [...input.sources];
    this.#adoptedTasks = new Map(input.session?.tasks?.map(({ file, taskId }) => [file, taskId]));
    this.scale = input.timeScale ?? TRAINING_DEFAULTS.timeScale;
    this.activities = activitiesFor(this.scale, {
      timeoutMs: this.bounded(REQUEST_TIMEOUT_MS),
      heartbeatMs: this.bounded(HEARTBEAT_TIMEOUT_MS),
    });
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

  /**
   * A time-out of a request or a process: those do not get faster with the rest, so where time is compressed at least 5 s
   * of it stay, ms.
   */
  bounded(realMs: number): number {
    return Math.min(realMs, Math.max(this.ms(realMs), SHORTEST_TIMEOUT_MS));
  }

  /** The session that every call uses. Only a person may give it up. */
  get session(): OpenSession {
    if (this.#session === undefined) throw new Error('No session yet: prepare comes first.');
    return this.#session;
  }

  set session(session: OpenSession) {
    const isNew = this.#session?.sessionId !== session.sessionId;
    this.#session = session;
    if (isNew) this.tell(`Session ${session.sessionId} is open.`);
  }

  get affinity(): Affinity {
    const { origin, keyFingerprint } = this.session;
    return { origin, keyFingerprint };
  }

  get sessionId(): string | undefined {
    return this.#session?.sessionId;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get receipt(): Receipt {
    return { create: createReceipt(this.attempts, this.sends), uploads: this.uploads };
  }

  get prices(): Prices {
    return {
      ...optional('seenUpload', this.seenUploadCredits),
      ...optional('saidUpload', this.input.uploadCredits),
    };
  }

  get uploadPrice(): number {
    return uploadPrice(this.prices);
  }

  /** What Mountsea fetches. Never to be shown, logged or put in the memo. */
  urlOf(file: FileProgress): string {
    const source = this.#sources[file.number - 1];
    if (source === undefined) throw new Error(`No file ${file.number}.`);
    return source.url;
  }

  /** Sources of the files that are not left out. */
  get sources(): Source[] {
    return this.#sources.filter((_, index) => this.files[index]?.state !== 'dropped');
  }

  /** The clips that are trained with, in the order of the sources whatever the order in which they came. */
  get clips(): Clip[] {
    return this.files.flatMap(({ clipId, number, label, state }) =>
      state === 'ready' && clipId !== undefined ? [{ clipId, file: number, source: label }] : [],
    );
  }

  /**
   * Does what a correction says of name and files. What is paid for is kept: only a replaced file is uploaded again.
   *
   * @returns whether name or files are other ones now, so that the training has another identity.
   */
  apply({ action, name, replacements, files, maxCredits }: Correction): boolean {
    if (maxCredits !== undefined) this.maxCredits = maxCredits;
    switch (action) {
      case 'rename':
        this.name = name ?? this.name;
        return true;
      case 'replaceFiles':
        for (const { file: number, source } of replacements ?? []) {
          const file = this.files[number - 1];
          if (file === undefined) continue;
          this.#sources[number - 1] = source;
          file.label = source.label;
          this.forget(file);
        }
        return true;
      case 'dropFiles':
        for (const number of files ?? []) {
          const file = this.files[number - 1];
          if (file !== undefined) this.setFile(file, 'dropped', 'left out by a person');
        }
        return true;
      default:
        return false;
    }
  }

  /** The task of an upload that was begun elsewhere; given once. */
  takeTask({ number }: FileProgress): string | undefined {
    const taskId = this.#adoptedTasks.get(number);
    this.#adoptedTasks.delete(number);
    return taskId;
  }

  /** The file is to be uploaded anew, with all its tries. */
  forget(file: FileProgress): void {
    this.#adoptedTasks.delete(file.number);
    file.tries = 0;
    delete file.clipId;
    delete file.taskId;
    this.setFile(file, 'waiting');
  }

  /** What the registry and `--save` keep. */
  record(): TrainingRecord {
    const end = { done: 'done', failed: 'failed', cancelled: 'cancelled' } as const;
    const phase = this.#phase;
    const hasEnded = phase === 'done' || phase === 'failed' || phase === 'cancelled';
    const cut = (label: string): string => label.slice(0, MEMO_LABEL);
    return {
      version: 1,
      workflowId: workflowInfo().workflowId,
      name: this.name,
      origin: this.input.origin,
      ...optional('keyFingerprint', this.#session?.keyFingerprint),
      ...optional('sessionId', this.sessionId),
      ...optional('modelId', this.modelId),
      end: hasEnded ? end[phase] : 'open',
      sources: this.files.flatMap(({ number, label, state }) =>
        state === 'dropped' ? [] : [{ file: number, source: cut(label) }],
      ),
      clips: this.clips.map((clip) => ({ ...clip, source: cut(clip.source) })),
      receipt: this.receipt,
      startedAt: this.startedAt,
      updatedAt: now(),
    };
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
      receipt: shortReceipt(this.receipt),
      uploads: this.files.flatMap(uploadedFile),
      fileCounts,
      fileTotal: this.files.length,
      ...(attention === undefined ? {} : { attention: shortened(attention) }),
      ...(ended ? { finishedAt: this.#phaseSince } : {}),
    };
  }

  #facts(): TrainingFacts {
    return {
      name: this.name,
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

/** A file that costs nothing to go on from. */
function uploadedFile({ number, label, state, taskId, clipId }: FileProgress): UploadedFile[] {
  const isThere = state === 'ready' || state === 'processing' || state === 'overdue';
  if (!isThere) return [];
  return [
    {
      file: number,
      label: cut(label, MEMO_LABEL),
      ...(state === 'ready' ? optional('clipId', clipId) : optional('taskId', taskId)),
    },
  ];
}

/** Evidence may be long; the query has all of it. */
function shortReceipt({ create, uploads }: Receipt): Receipt {
  const evidence = create.evidence.slice(0, MEMO_EVIDENCE).map((line) => cut(line, 500));
  const attempts = create.attempts.map((attempt) => ({
    ...attempt,
    evidence: attempt.evidence.slice(0, 6).map((line) => cut(line, 200)),
  }));
  return { create: { ...create, evidence, attempts }, uploads };
}

function cut(text: string, length: number): string {
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

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
