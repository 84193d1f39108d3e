/**
 * Workflow sandbox: the state of one training, and how it is shown: query, memo, current details, timeline. What it has in
 * common with a song is in `execution.ts`.
 */
import { workflowInfo } from '@temporalio/workflow';
import type { Affinity } from '../contract/affinity.js';
import type { ChargeTiming, OwnedSession } from '../contract/account.js';
import type { Correction } from '../contract/correction.js';
import type { TrainingFailureDetails } from '../contract/failures.js';
import { TRAINING_MEMO } from '../contract/messages.js';
import type {
  Attention,
  FileProgress,
  FileState,
  Phase,
  SeenDurations,
  TrainingFacts,
  TrainingMemo,
  TrainingProgress,
  UploadedFile,
} from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import type {
  Clip,
  CreateAttempt,
  FileSource,
  Receipt,
  Source,
  TrainCustomModelInput,
  UploadPrice,
} from '../contract/training.js';
import { createReceipt, emptyReceipt, mostSpent, priceOfUpload, type Prices } from '../money/receipt.js';
import { whyRefused } from './corrections.js';
import { detailsMarkdown } from './details.js';
import { cut, Execution, now, optional, shortCharge } from './execution.js';
import { Notices } from './notices.js';
import { spentSentence } from './sentences.js';

const MEMO_LABEL = 200;

/** The session that every call uses. */
export interface OpenSession extends Affinity, OwnedSession {}

/** What trainings of this API taught, as known at the start. */
export interface Experience {
  /** The last trainings, ms. */
  trainingsMs: number[];
  /** The last uploads, ms. */
  uploadsMs: number[];
  charges: ChargeTiming;
}

export class Run extends Execution<Phase, TrainingFacts> {
  override readonly noun = 'training';
  readonly input: TrainCustomModelInput;
  /** As they are shown; the URLs, which may be signed, stay in the input. */
  readonly files: FileProgress[];
  /** Create requests that may have been accepted or were, oldest first. */
  readonly attempts: CreateAttempt[] = [];
  readonly uploads: Receipt['uploads'] = emptyReceipt().uploads;
  /** Uploads of an adopted session that were under way, by number of the file. */
  readonly #adoptedTasks: Map<number, string>;
  /** Create requests that may have left a worker. */
  sends = 0;
  readonly #sources: Source[];
  readonly #notices: Notices | undefined;
  #session: OpenSession | undefined;
  name: string;
  seenUploadCredits: number | undefined;
  experience: Experience = { trainingsMs: [], uploadsMs: [], charges: { areEarly: false } };
  /** When the newest create was accepted; ISO 8601. */
  acceptedAt: string | undefined;
  /** Only a ledger row says that the newest create was accepted: it may be somebody else's. */
  isAcceptedByRow = false;
  createTaskId: string | undefined;
  modelId: string | undefined;

  constructor(input: TrainCustomModelInput) {
    super(input, 'preparing');
    this.input = input;
    this.name = input.name;
    this.#sources = [...input.sources];
    this.#adoptedTasks = new Map(input.session?.tasks?.map(({ file, taskId }) => [file, taskId]));
    this.files = input.sources.map((source, index) => ({
      number: index + 1,
      label: source.label,
      ...optional('sha256', sha256Of(source)),
      state: 'waiting',
      tries: 0,
      since: now(),
    }));
    if (input.notify !== undefined) {
      this.#notices = new Notices(input.notify, this.scale, (text) => {
        this.tell(text);
      });
    }
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

  override get affinity(): Affinity {
    const { origin, keyFingerprint } = this.session;
    return { origin, keyFingerprint };
  }

  get sessionId(): string | undefined {
    return this.#session?.sessionId;
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

  get uploadPrice(): UploadPrice {
    return priceOfUpload(this.prices);
  }

  protected override get charge(): Receipt['create'] {
    return this.receipt.create;
  }

  override get mostSpent(): number {
    return mostSpent(this.receipt, this.prices);
  }

  override get countedAs(): string {
    return `an upload counts as ${this.uploadPrice.credits} credits, what is unknown counts as spent`;
  }

  override get spentSoFar(): string {
    return spentSentence(this);
  }

  override whyRefused(correction: Correction, attention: Attention): string | undefined {
    return whyRefused(correction, attention, this);
  }

  protected override failureDetails(): TrainingFailureDetails {
    const { receipt, timeline, sessionId } = this;
    return { receipt, timeline, ...optional('sessionId', sessionId) };
  }

  /** A URL in it is never to be shown, logged or put in the memo. */
  sourceOf(file: FileProgress): Source {
    const source = this.#sources[file.number - 1];
    if (source === undefined) throw new Error(`No file ${file.number}.`);
    return source;
  }

  /** What the client has put into a bucket for workers that can sign, and so can remove. */
  get stagedByClient(): { number: number; source: FileSource }[] {
    return this.#sources.flatMap((source, index) => {
      const isTheirs = !('url' in source) && source.at.kind === 'object' && source.at.signed === undefined;
      return isTheirs ? [{ number: index + 1, source }] : [];
    });
  }

  /** Sources of the files that are not left out. */
  get sources(): Source[] {
    return this.#sources.filter((_, index) => this.files[index]?.state !== 'dropped');
  }

  /** What each upload that gave a clip took, ms. */
  get uploadsMs(): number[] {
    return this.files.flatMap(({ state, begunAt, since }) =>
      state === 'ready' && begunAt !== undefined ? [Date.parse(since) - Date.parse(begunAt)] : [],
    );
  }

  /** The clips that are trained with, in the order of the sources whatever the order in which they came. */
  get clips(): Clip[] {
    return this.files.flatMap(({ clipId, number, label, sha256, state }) =>
      state === 'ready' && clipId !== undefined
        ? [{ clipId, file: number, source: label, ...optional('sha256', sha256) }]
        : [],
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
          if ('url' in source) delete file.sha256;
          else file.sha256 = source.sha256;
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
    delete file.begunAt;
    this.setFile(file, 'waiting');
  }

  /**
   * What the registry and `--save` keep.
   *
   * @param next a create that is about to be sent: if nobody ever tells more, it may have been.
   */
  record(next?: CreateAttempt): TrainingRecord {
    const end = { done: 'done', failed: 'failed', cancelled: 'cancelled' } as const;
    const { phase } = this;
    const hasEnded = phase === 'done' || phase === 'failed' || phase === 'cancelled';
    const cut = (label: string): string => label.slice(0, MEMO_LABEL);
    return {
      version: 1,
      workflowId: workflowInfo().workflowId,
      name: this.name,
      origin: this.input.origin,
      ...optional('keyFingerprint', this.#session?.keyFingerprint),
      ...optional('sessionId', this.sessionId),
      ...(this.createTaskId === this.sessionId ? {} : optional('createTaskId', this.createTaskId)),
      ...optional('modelId', this.modelId),
      end: hasEnded ? end[phase] : 'open',
      sources: this.files.flatMap(({ number, label, sha256, state }) => {
        if (state === 'dropped') return [];
        const source = this.#sources[number - 1];
        const hasQuery = source !== undefined && 'url' in source && source.url.includes('?');
        return [
          {
            file: number,
            source: cut(label),
            ...optional('sha256', sha256),
            ...(hasQuery ? { hasQuery } : {}),
          },
        ];
      }),
      // Which bytes a clip was made of is said with the source of its number.
      clips: this.clips.map(({ clipId, file, source }) => ({ clipId, file, source: cut(source) })),
      receipt: next === undefined ? this.receipt : this.#receiptWith(next),
      startedAt: this.startedAt,
      updatedAt: now(),
    };
  }

  /** A decision has one attempt, however often it was refused. */
  #receiptWith(next: CreateAttempt): Receipt {
    const others = this.attempts.filter(({ decision }) => decision !== next.decision);
    return { create: createReceipt([...others, next], this.sends + 1), uploads: this.uploads };
  }

  setFile(file: FileProgress, state: FileState, reason?: string): void {
    file.state = state;
    file.since = now();
    if (reason === undefined) delete file.reason;
    else file.reason = reason;
  }

  override show(): void {
    super.show();
    this.#notices?.look(this.memo()[1], this.files, this.lasting);
  }

  /** The training has ended: whoever wants to know of it (`--notify`) is being told when this resolves. */
  async notifyEnd(): Promise<void> {
    await this.#notices?.end(this.memo()[1], this.phaseText);
  }

  override progress(): TrainingProgress {
    return {
      ...super.progress(),
      files: this.files,
      ...optional('createTaskId', this.createTaskId),
      ...optional('expected', this.#expected()),
    };
  }

  #expected(): TrainingProgress['expected'] {
    const { trainingsMs, uploadsMs } = this.experience;
    const trainingMs = this.#seen(trainingsMs);
    const uploadMs = this.#seen(uploadsMs);
    if (trainingMs === undefined && uploadMs === undefined) return undefined;
    return { ...optional('trainingMs', trainingMs), ...optional('uploadMs', uploadMs) };
  }

  #seen(durations: readonly number[]): SeenDurations | undefined {
    if (durations.length === 0) return undefined;
    return {
      count: durations.length,
      shortestMs: this.ms(Math.min(...durations)),
      longestMs: this.ms(Math.max(...durations)),
    };
  }

  protected override details(): string {
    return detailsMarkdown(this.progress());
  }

  protected override memo(): [string, TrainingMemo] {
    const fileCounts: Partial<Record<FileState, number>> = {};
    for (const { state } of this.files) fileCounts[state] = (fileCounts[state] ?? 0) + 1;
    const memo = {
      ...this.noted(),
      receipt: { ...this.receipt, create: shortCharge(this.charge) },
      uploads: this.files.flatMap(uploadedFile),
      fileCounts,
      fileTotal: this.files.length,
    };
    return [TRAINING_MEMO, memo];
  }

  protected override facts(): TrainingFacts {
    return {
      name: this.name,
      origin: this.input.origin,
      phase: this.phase,
      startedAt: this.startedAt,
      phaseSince: this.phaseSince,
      ...optional('sessionId', this.sessionId),
      receipt: this.receipt,
      uploadPrice: this.uploadPrice,
      ...optional('outage', this.outage),
      ...optional('modelId', this.modelId),
    };
  }
}

function sha256Of(source: Source): string | undefined {
  return 'url' in source ? undefined : source.sha256;
}

/** A file that costs nothing to go on from. */
function uploadedFile({ number, label, sha256, state, taskId, clipId }: FileProgress): UploadedFile[] {
  const isThere = state === 'ready' || state === 'processing' || state === 'overdue';
  if (!isThere) return [];
  return [
    {
      file: number,
      label: cut(label, MEMO_LABEL),
      ...optional('sha256', sha256),
      ...(state === 'ready' ? optional('clipId', clipId) : optional('taskId', taskId)),
    },
  ];
}
