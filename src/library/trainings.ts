/**
 * Client side: everything that is said to the Temporal server about trainings. Draws nothing and ends no process, so that
 * the command line and, later, a library can stand on it.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  isGrpcServiceError,
  QueryNotRegisteredError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Correction, CorrectionAccepted } from '../contract/correction.js';
import {
  CORRECT_UPDATE,
  PROGRESS_QUERY,
  TRAIN_CUSTOM_MODEL_WORKFLOW,
  TRAINING_MEMO,
  TRAINING_OPTIONS_MEMO,
} from '../contract/messages.js';
import { NOTIFICATION_WORKFLOW } from '../contract/notification.js';
import type { TrainingMemo, TrainingProgress } from '../contract/progress.js';
import { closedRecord, type TrainingRecord } from '../contract/record.js';
import {
  type Source,
  type TrainCustomModelInput,
  type TrainedModel,
  TRAINING_DEFAULTS,
  type TrainingOptions,
} from '../contract/training.js';
import { emptyReceipt } from '../money/receipt.js';
import { slugOf, sourceIdentity, taskQueueFor, trainingWorkflowId } from '../temporal/identity.js';
import {
  AmbiguousIdError,
  CorrectionRefusedError,
  NoWorkerError,
  SessionTakenError,
  TrainingNotFoundError,
  TrainingOpenError,
  UsageError,
} from './errors.js';
import { Records } from './records.js';
import { type KnownSession, knownSession } from './sessions.js';
import {
  modelOfRecord,
  type Snapshot,
  snapshotOf,
  snapshotOfRecord,
  withPending,
  withStaging,
  withRecord,
} from './snapshot.js';

/** A worker that is there answers a query in milliseconds; without one the query hangs until its deadline. */
const QUERY_DEADLINE_MS = 1_200;
/** A server that is there answers at once; a busy machine may take its time. */
const LOOK_DEADLINE_MS = 10_000;
const UPDATE_DEADLINE_MS = 10_000;
/** Longer than a server takes to delete; then it is done in its own time. */
const DELETED_WITHIN_MS = 10_000;

/** What became of the wish to train. */
export interface StartOutcome {
  workflowId: string;
  /** `attached`: it runs already. `found`: it has ended, see the snapshot. */
  how: 'started' | 'attached' | 'found';
  /** Options of this call that differ from those of the training attached to, and are ignored. */
  ignored: string[];
  /** The training attached to does not keep the `--save` file of this call. */
  savesElsewhere: boolean;
}

/** The options of a start, as the memo keeps them. */
type StoredOptions = TrainingOptions &
  Pick<TrainCustomModelInput, 'saveFile' | 'song'> & {
    /** Label of the receiver: its URL may hold a secret. */
    notify?: string;
  };

/** A training under the id that its content has, or was corrected to. */
interface Known {
  workflowId: string;
  isOpen: boolean;
  options: StoredOptions;
}

export class Trainings {
  readonly records: Records;
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
    this.records = new Records(client);
  }

  /**
   * Starts a training, or finds the one that the same content has already.
   *
   * @param again label of a deliberate second training; `true` takes the next number.
   * @param stage brings local files to where the worker can make URLs of them; called only for a training that is new,
   *   just before its start.
   * @throws TrainingOpenError where a second training is asked for while the newest is open; SessionTakenError where
   *   another training that is open has the session that is to be adopted.
   */
  async start(
    input: TrainCustomModelInput,
    again?: string | true,
    stage: (workflowId: string) => Promise<Source[]> = () => Promise.resolve(input.sources),
  ): Promise<StartOutcome> {
    const { workflowId, found } = await this.#find(input, again);
    if (found !== undefined) return found;
    const { sources, name, origin, session } = input;
    const staged = await stage(workflowId);
    const now = new Date().toISOString();
    const adopted = (session?.clips ?? []).map(({ file, clipId }) => ({
      file,
      label: (sources[file - 1]?.label ?? '').slice(0, 200),
      clipId,
    }));
    const memo: TrainingMemo = {
      name,
      origin,
      phase: 'preparing',
      startedAt: now,
      phaseSince: now,
      fileCounts: { waiting: sources.length },
      fileTotal: sources.length,
      uploads: adopted,
      receipt: emptyReceipt(),
    };
    try {
      await this.#client.workflow.start(TRAIN_CUSTOM_MODEL_WORKFLOW, {
        workflowId,
        taskQueue: taskQueueFor(origin),
        args: [{ ...input, sources: staged }],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        memo: { [TRAINING_MEMO]: memo, [TRAINING_OPTIONS_MEMO]: optionsOf(input) },
        staticSummary: `Train ${name} from ${sources.length} files`.slice(0, 190),
        staticDetails: detailsOf(input),
      });
      return { workflowId, how: 'started', ignored: [], savesElsewhere: false };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      // Somebody else was faster.
      const faster = await this.#known(workflowId);
      if (faster === undefined) throw error;
      return foundOf(faster, input);
    }
  }

  /** The training that `start` would find; undefined where it would start one. Throws as `start` does. */
  async find(input: TrainCustomModelInput, again?: string | true): Promise<StartOutcome | undefined> {
    return (await this.#find(input, again)).found;
  }

  /**
   * @param id a workflow id, a unique prefix of one, a session id, or the model's name where only one fits.
   * @throws TrainingNotFoundError where nothing fits; AmbiguousIdError where more than one does.
   */
  async resolve(id: string): Promise<string> {
    const known = await this.#known(id);
    if (known !== undefined) return known.workflowId;
    const found =
      only(id, (await this.list()).map(idsOf)) ?? only(id, (await this.records.list()).map(idsOf));
    if (found !== undefined) return found;
    throw new TrainingNotFoundError(id);
  }

  /**
   * One look, within 2 s. Falls back to the memo where no worker answers, and to the record where the training is gone.
   */
  async look(workflowId: string): Promise<Snapshot> {
    const handle = this.#client.workflow.getHandle(workflowId);
    let snapshot: Snapshot;
    let pending: Parameters<typeof withPending>[1];
    try {
      // A network that swallows everything must be noticed.
      const description = await this.#client.withDeadline(Date.now() + LOOK_DEADLINE_MS, () =>
        handle.describe(),
      );
      snapshot = snapshotOf(description);
      pending = description.raw.pendingActivities ?? [];
    } catch (error) {
      const { record } = error instanceof WorkflowNotFoundError ? await this.records.find(workflowId) : {};
      if (record === undefined) throw error;
      return snapshotOfRecord(record);
    }
    if (snapshot.status !== 'running') {
      const why = snapshot.status === 'failed' ? await whyFailed(this.#client, snapshot) : undefined;
      const ended = why === undefined ? snapshot : { ...snapshot, why };
      return withRecord(ended, await this.#closedRecordOf(snapshot));
    }
    const progress = await progressOf<TrainingProgress>(this.#client, handle);
    const seen = withPending(progress === undefined ? snapshot : { ...snapshot, progress }, pending);
    return withStaging(seen, pending);
  }

  /** All trainings that the server still knows, newest first. */
  async list(): Promise<Snapshot[]> {
    const query = `WorkflowType = '${TRAIN_CUSTOM_MODEL_WORKFLOW}'`;
    const all: (Snapshot & { startTime: Date })[] = [];
    for await (const info of this.#client.workflow.list({ query })) {
      all.push({ ...snapshotOf(info), startTime: info.startTime });
    }
    return all.sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
  }

  /** What this server remembers of a session of an API. */
  async knownSession(sessionId: string, origin: string): Promise<KnownSession | undefined> {
    const [trainings, records] = await Promise.all([this.list(), this.records.list()]);
    return knownSession({ sessionId, origin }, trainings, records);
  }

  /** The result of a training that has one, with what its receipt was settled to. Needs no worker. */
  async result(workflowId: string): Promise<TrainedModel> {
    const { record } = await this.records.find(workflowId);
    try {
      const result = (await this.#client.workflow.getHandle(workflowId).result()) as TrainedModel;
      return record?.end === 'done' ? { ...result, receipt: record.receipt } : result;
    } catch (error) {
      const kept = record === undefined ? undefined : modelOfRecord(record);
      if (kept === undefined || !(error instanceof WorkflowNotFoundError)) throw error;
      return kept;
    }
  }

  /**
   * The same correction sent twice is one, and gets the same answer.
   *
   * @throws CorrectionRefusedError with the workflow's sentence where the correction does not apply; NoWorkerError where
   *   no worker answers in 10 s.
   */
  async correct(workflowId: string, correction: Correction): Promise<CorrectionAccepted> {
    const handle = this.#client.workflow.getHandle(workflowId);
    try {
      return await this.#client.withDeadline(Date.now() + UPDATE_DEADLINE_MS, () =>
        handle.executeUpdate<CorrectionAccepted, [Correction]>(CORRECT_UPDATE, {
          args: [correction],
          updateId: updateIdOf(correction),
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError)
        throw new CorrectionRefusedError(error.cause?.message ?? error.message);
      if (error instanceof WorkflowNotFoundError)
        throw new CorrectionRefusedError('It has ended: nothing to correct.');
      if (isDeadline(error)) {
        throw new NoWorkerError(
          'No worker answered, so the correction was not taken. Start a worker with `tunesmith worker`, then send it again: the same correction twice does no harm.',
        );
      }
      throw error;
    }
  }

  async cancel(workflowId: string): Promise<void> {
    await this.#client.workflow.getHandle(workflowId).cancel();
  }

  /**
   * Deletes what the server keeps of a training that has ended: its executions, its notifications and, where that is wanted,
   * its record.
   *
   * @returns how many executions are deleted; `isGone` is false where the server has not come to all of them yet.
   */
  async forget(workflowId: string, withRecord: boolean): Promise<{ executions: number; isGone: boolean }> {
    const all = await this.#executionsOf(`WorkflowId = '${workflowId}' AND ExecutionStatus != 'Running'`);
    // Lists lag behind: the one that ended just now may not be in them yet.
    const newest = await this.#endedRunOf(workflowId);
    if (newest !== undefined && !all.some(([, runId]) => runId === newest)) all.push([workflowId, newest]);
    // Those of `…-again-2` begin alike.
    const prefix = `notify-${workflowId}-`;
    const notices = await this.#executionsOf(
      `WorkflowType = '${NOTIFICATION_WORKFLOW}' AND WorkflowId STARTS_WITH '${prefix}'`,
    );
    all.push(...notices.filter(([id]) => /^(parked|done|failed|cancelled)-/.test(id.slice(prefix.length))));
    for (const id of withRecord ? await this.records.idsOf(workflowId) : []) {
      all.push(...(await this.#executionsOf(`WorkflowId = '${id}'`)));
    }
    const { connection, options } = this.#client;
    for (const [id, runId] of all) {
      await connection.workflowService.deleteWorkflowExecution({
        namespace: options.namespace,
        workflowExecution: { workflowId: id, runId },
      });
    }
    // The server deletes in its own time, which may be minutes for what ended just now.
    const until = Date.now() + DELETED_WITHIN_MS;
    let isGone = true;
    for (const [id, runId] of all) {
      for (;;) {
        isGone = !(await this.#exists(id, runId));
        if (isGone || Date.now() > until) break;
        await sleep(50);
      }
      if (!isGone) break;
    }
    return { executions: all.length, isGone };
  }

  async #executionsOf(query: string): Promise<[string, string][]> {
    const found: [string, string][] = [];
    for await (const { workflowId, runId } of this.#client.workflow.list({ query })) {
      found.push([workflowId, runId]);
    }
    return found;
  }

  async #endedRunOf(workflowId: string): Promise<string | undefined> {
    try {
      const { runId, status } = await this.#client.workflow.getHandle(workflowId).describe();
      return status.name === 'RUNNING' ? undefined : runId;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  async #exists(workflowId: string, runId: string): Promise<boolean> {
    try {
      await this.#client.workflow.getHandle(workflowId, runId).describe();
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  /** The record of an ended training. One that was terminated could not close it: then this look does. */
  async #closedRecordOf({ workflowId, status, memo }: Snapshot): Promise<TrainingRecord | undefined> {
    const { record } = await this.records.find(workflowId);
    const isCut = status === 'terminated' || status === 'timed-out';
    if (record?.end !== 'open' || !isCut) return record;
    const closed = closedRecord(record, memo, new Date().toISOString());
    await this.records.put(closed);
    return closed;
  }

  async #find(
    input: TrainCustomModelInput,
    again: string | true | undefined,
  ): Promise<{ workflowId: string; found?: StartOutcome }> {
    const identity = {
      origin: input.origin,
      name: input.name,
      sources: input.sources.map(sourceIdentity),
    };
    const base = trainingWorkflowId(identity);
    const label = again === undefined ? undefined : await this.#labelOf(base, again);
    const workflowId = label === undefined ? base : trainingWorkflowId({ ...identity, again: label });
    const known = await this.#known(workflowId);
    if (known !== undefined) return { workflowId, found: foundOf(known, input) };
    if (input.session !== undefined) await this.#refuseTaken(input.session.sessionId, input.origin);
    return { workflowId };
  }

  /** The training that is known under an id: itself, its record, or the one that this identity was corrected to. */
  async #known(workflowId: string): Promise<Known | undefined> {
    const own = await this.#describe(workflowId);
    if (own !== undefined) return own;
    const { record, aliasOf } = await this.records.find(workflowId);
    if (record !== undefined) return { workflowId, isOpen: false, options: {} };
    if (aliasOf === undefined) return undefined;
    // Its history may be gone; then its record says how it ended.
    return (await this.#describe(aliasOf)) ?? { workflowId: aliasOf, isOpen: false, options: {} };
  }

  async #describe(workflowId: string): Promise<Known | undefined> {
    try {
      const description = await this.#client.workflow.getHandle(workflowId).describe();
      if (description.type !== TRAIN_CUSTOM_MODEL_WORKFLOW) return undefined;
      const options = (description.memo?.[TRAINING_OPTIONS_MEMO] as StoredOptions | undefined) ?? {};
      return { workflowId, isOpen: snapshotOf(description).status === 'running', options };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  /** The workflow refuses it too; here nothing was started. */
  async #refuseTaken(sessionId: string, origin: string): Promise<void> {
    const owner = (await this.list()).find(
      ({ status, memo }) => status === 'running' && memo.sessionId === sessionId && memo.origin === origin,
    );
    if (owner === undefined) return;
    const { workflowId, memo } = owner;
    throw new SessionTakenError(sessionId, { workflowId, name: memo.name });
  }

  /** The label that makes the id of a second training; undefined where there is no first one yet. */
  async #labelOf(base: string, again: string | true): Promise<string | undefined> {
    const label = again === true ? undefined : slugOf(again);
    if (label === '') throw new UsageError('--again needs a label of letters or digits.');
    const wanted = label === undefined ? undefined : `${base}-again-${label}`;
    // Asked one by one: the list lags behind a start, and a training too many costs 100 credits.
    let next = 1;
    for (let id = base; await this.#isClosed(id, wanted); id = `${base}-again-${next}`) next += 1;
    for (const { workflowId } of await this.list()) {
      if (workflowId.startsWith(`${base}-again-`)) await this.#isClosed(workflowId, wanted);
    }
    return label ?? (next === 1 ? undefined : String(next));
  }

  /**
   * @returns false where there is no such training.
   * @throws TrainingOpenError where it is open, unless it is the very one that is wanted: then the caller attaches.
   */
  async #isClosed(workflowId: string, wanted: string | undefined): Promise<boolean> {
    const known = await this.#known(workflowId);
    if (known?.isOpen === true && known.workflowId !== wanted) {
      throw new TrainingOpenError(known.workflowId);
    }
    return known !== undefined;
  }
}

/** Asks how a training or a song stands. @returns undefined where no worker answers in time. */
export async function progressOf<P>(client: Client, handle: WorkflowHandle): Promise<P | undefined> {
  try {
    return await client.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => handle.query<P>(PROGRESS_QUERY));
  } catch (error) {
    // A deadline, a worker that was lost, or a first workflow task that none has taken yet.
    const code = grpcCode(error);
    if (error instanceof QueryNotRegisteredError || (code !== undefined && code !== Grpc.unavailable)) {
      return undefined;
    }
    throw error;
  }
}

/** Codes of gRPC that the SDK passes on. */
const Grpc = { cancelled: 1, deadlineExceeded: 4, unavailable: 14 } as const;

/** The connection is gone, and a new one may help. */
export function isConnectionLost(error: unknown): boolean {
  const code = grpcCode(error);
  return code === Grpc.unavailable || isDeadline(error);
}

function isDeadline(error: unknown): boolean {
  const code = grpcCode(error);
  return code === Grpc.deadlineExceeded || code === Grpc.cancelled;
}

/** Of the error itself or of what it wraps. */
function grpcCode(error: unknown): number | undefined {
  const inner = isGrpcServiceError(error) ? error : (error as { cause?: unknown } | undefined)?.cause;
  return isGrpcServiceError(inner) ? inner.code : undefined;
}

/** How the id that a person typed may fit. */
interface Ids {
  workflowId: string;
  name: string;
  sessionId: string | undefined;
}

function idsOf(training: Snapshot | (Omit<Ids, 'sessionId'> & { sessionId?: string })): Ids {
  const { name, sessionId } = 'memo' in training ? training.memo : training;
  return { workflowId: training.workflowId, name, sessionId };
}

/**
 * @param all newest first.
 * @throws AmbiguousIdError where more than one fits.
 */
function only(id: string, all: Ids[]): string | undefined {
  const isPrefix = all.filter(({ workflowId }) => workflowId.startsWith(id));
  // A session has one owner at a time: the newest training that has it.
  const isSession = all.filter(({ sessionId }) => sessionId === id).slice(0, 1);
  const isName = all.filter(({ name }) => name === id);
  for (const fitting of [isPrefix, isSession, isName]) {
    const [found, ...others] = fitting;
    if (found === undefined) continue;
    if (others.length === 0) return found.workflowId;
    throw new AmbiguousIdError(
      id,
      fitting.map(({ workflowId }) => workflowId),
    );
  }
  return undefined;
}

/** Made of what is sent, so that the same correction is one however often it is sent. */
function updateIdOf(correction: Correction): string {
  const { attentionId, action, name, replacements, files, maxCredits, acceptSecondCharge } = correction;
  const payload = [
    name,
    replacements?.map(({ file, source }) => [file, 'url' in source ? source.url : source.sha256]),
    files,
    maxCredits,
    acceptSecondCharge,
  ];
  const digest = createHash('sha256')
    .update(JSON.stringify([attentionId, action, payload]))
    .digest('hex');
  return `${attentionId}-${action}-${digest.slice(0, 32)}`;
}

/** Which of a training's input are options; a new one has to be added here. */
const OPTIONS: Record<keyof TrainingOptions, true> = {
  concurrency: true,
  tries: true,
  minClips: true,
  onBadFile: true,
  parkForMs: true,
  maxCredits: true,
  uploadCredits: true,
  retryRefunded: true,
  timeScale: true,
};
const OPTION_NAMES = Object.keys(OPTIONS) as (keyof TrainingOptions)[];

function optionsOf(input: TrainCustomModelInput): StoredOptions {
  const given = OPTION_NAMES.filter((name) => input[name] !== undefined).map((name) => [name, input[name]]);
  return {
    ...(Object.fromEntries(given) as TrainingOptions),
    ...(input.saveFile === undefined ? {} : { saveFile: input.saveFile }),
    ...(input.notify === undefined ? {} : { notify: input.notify.label }),
    ...(input.song === undefined ? {} : { song: input.song }),
  };
}

function foundOf({ workflowId, isOpen, options }: Known, input: TrainCustomModelInput): StartOutcome {
  return {
    workflowId,
    how: isOpen ? 'attached' : 'found',
    ignored: [
      ...differences(input, options),
      ...(input.song === undefined ||
      JSON.stringify(input.song.request) === JSON.stringify(options.song?.request)
        ? []
        : ['try']),
      ...(input.notify === undefined || input.notify.label === options.notify ? [] : ['notify']),
    ],
    savesElsewhere: input.saveFile !== options.saveFile,
  };
}

/** An option that is left out means its default, so saying the default is no difference. */
function differences(wanted: TrainingOptions, stored: TrainingOptions): string[] {
  const here: TrainingOptions = { ...TRAINING_DEFAULTS, ...wanted };
  const there: TrainingOptions = { ...TRAINING_DEFAULTS, ...stored };
  return OPTION_NAMES.filter((name) => here[name] !== there[name]);
}

/** Markdown at the top of the run in the Web UI. Labels only: a URL may be signed. */
function detailsOf({ name, origin, sources }: TrainCustomModelInput): string {
  const lines = sources.map(({ label }, index) => `${index + 1}. \`${label.replaceAll('`', "'")}\``);
  return `Custom model **${name.replace(/[*_\\`]/g, '\\$&')}** at ${origin}\n\n${lines.join('\n')}`.slice(
    0,
    19_000,
  );
}

/** The sentence that a training failed with. Of this run: a reset may have begun another one meanwhile. */
async function whyFailed(
  client: Client,
  { workflowId, runId }: Pick<Snapshot, 'workflowId' | 'runId'>,
): Promise<string | undefined> {
  const handle = client.workflow.getHandle(workflowId, runId, { followRuns: false });
  try {
    await client.withDeadline(Date.now() + LOOK_DEADLINE_MS, () => handle.result());
  } catch (error) {
    if (error instanceof WorkflowFailedError) return error.cause?.message;
    throw error;
  }
  return undefined;
}
