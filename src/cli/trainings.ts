/**
 * Client side: everything that is said to the Temporal server about trainings. Draws nothing and ends no process, so that
 * the command line and, later, a library can stand on it.
 */
import {
  type Client,
  isGrpcServiceError,
  QueryNotRegisteredError,
  type WorkflowExecutionDescription,
  WorkflowExecutionAlreadyStartedError,
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
import type { TrainingMemo, TrainingProgress } from '../contract/progress.js';
import {
  type TrainCustomModelInput,
  type TrainedModel,
  TRAINING_DEFAULTS,
  type TrainingOptions,
} from '../contract/training.js';
import { slugOf, taskQueueFor, trainingWorkflowId, urlIdentity } from '../temporal/identity.js';
import { CommandError, UsageError } from './exit.js';

/** A worker that is there answers a query in milliseconds; without one the query hangs until its deadline. */
const QUERY_DEADLINE_MS = 1_200;
const UPDATE_DEADLINE_MS = 10_000;

export type TrainingStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed-out';

/** One look at a training. */
export interface Snapshot {
  workflowId: string;
  runId: string;
  status: TrainingStatus;
  memo: TrainingMemo;
  /** Absent where no worker answered, or where the training has ended. */
  progress?: TrainingProgress;
}

/** What became of the wish to train. */
export interface StartedTraining {
  workflowId: string;
  /** `attached`: it runs already. `found`: it has ended, see the snapshot. */
  how: 'started' | 'attached' | 'found';
  /** Options of this call that differ from those of the training attached to, and are ignored. */
  ignored: string[];
}

export class Trainings {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Starts a training, or finds the one that the same content has already.
   *
   * @param again label of a deliberate second training; `true` takes the next number.
   * @throws UsageError where a second training is asked for while the newest is open.
   */
  async start(input: TrainCustomModelInput, again?: string | true): Promise<StartedTraining> {
    const identity = {
      origin: input.origin,
      name: input.name,
      sources: input.sources.map(({ url }) => urlIdentity(url)),
    };
    const base = trainingWorkflowId(identity);
    const label = again === undefined ? undefined : await this.#labelOf(base, again);
    const workflowId = label === undefined ? base : trainingWorkflowId({ ...identity, again: label });
    const { sources, name, origin, ...options } = input;
    const now = new Date().toISOString();
    const memo: TrainingMemo = {
      name,
      origin,
      phase: 'preparing',
      startedAt: now,
      phaseSince: now,
      fileCounts: { waiting: sources.length },
      fileTotal: sources.length,
      receipt: {
        create: { verdict: 'not-charged', sends: 0, evidence: ['create was not sent'] },
        uploads: { calls: 0, credits: 'unknown' },
      },
    };
    try {
      await this.#client.workflow.start(TRAIN_CUSTOM_MODEL_WORKFLOW, {
        workflowId,
        taskQueue: taskQueueFor(origin),
        args: [input],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        memo: { [TRAINING_MEMO]: memo, [TRAINING_OPTIONS_MEMO]: options },
        staticSummary: `Train ${name} from ${sources.length} files`.slice(0, 190),
        staticDetails: detailsOf(input),
      });
      return { workflowId, how: 'started', ignored: [] };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const description = await this.#client.workflow.getHandle(workflowId).describe();
    const stored = description.memo?.[TRAINING_OPTIONS_MEMO] as TrainingOptions | undefined;
    return {
      workflowId,
      how: description.status.name === 'RUNNING' ? 'attached' : 'found',
      ignored: differences(options, stored ?? {}),
    };
  }

  /**
   * @param id a workflow id, a unique prefix of one, a session id, or the model's name where only one fits.
   * @throws UsageError where nothing or more than one fits.
   */
  async resolve(id: string): Promise<string> {
    if (await this.#exists(id)) return id;
    const all = await this.list();
    const tests: ((training: Snapshot) => boolean)[] = [
      ({ workflowId }) => workflowId.startsWith(id),
      ({ memo }) => memo.sessionId === id,
      ({ memo }) => memo.name === id,
    ];
    for (const test of tests) {
      const [found, ...others] = all.filter(test);
      if (found === undefined) continue;
      if (others.length === 0) return found.workflowId;
      const ids = [found, ...others].map(({ workflowId }) => workflowId);
      throw new UsageError(
        `"${id}" fits ${ids.length} trainings: ${ids.slice(0, 5).join(', ')}. Use one of these.`,
      );
    }
    throw new UsageError(`No training fits "${id}". \`tunesmith list\` shows them all.`);
  }

  /** One look, within 2 s. Falls back to the memo where no worker answers. */
  async look(workflowId: string): Promise<Snapshot> {
    const handle = this.#client.workflow.getHandle(workflowId);
    const snapshot = snapshotOf(await handle.describe());
    if (snapshot.status !== 'running') return snapshot;
    try {
      const progress = await this.#client.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
        handle.query<TrainingProgress>(PROGRESS_QUERY),
      );
      return { ...snapshot, progress };
    } catch (error) {
      // A deadline, a worker that was lost, or a first workflow task that none has taken yet.
      const code = grpcCode(error);
      if (error instanceof QueryNotRegisteredError || (code !== undefined && code !== Grpc.unavailable)) {
        return snapshot;
      }
      throw error;
    }
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

  /** The result of a training that has one. Needs no worker. */
  async result(workflowId: string): Promise<TrainedModel> {
    return (await this.#client.workflow.getHandle(workflowId).result()) as TrainedModel;
  }

  /**
   * @throws UsageError with the workflow's sentence where the correction does not apply; CommandError where no worker
   *   answers in 10 s.
   */
  async correct(workflowId: string, correction: Correction): Promise<CorrectionAccepted> {
    const handle = this.#client.workflow.getHandle(workflowId);
    try {
      return await this.#client.withDeadline(Date.now() + UPDATE_DEADLINE_MS, () =>
        handle.executeUpdate<CorrectionAccepted, [Correction]>(CORRECT_UPDATE, { args: [correction] }),
      );
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError)
        throw new UsageError(error.cause?.message ?? error.message);
      if (error instanceof WorkflowNotFoundError)
        throw new UsageError('The training has ended: nothing to correct.');
      if (isDeadline(error)) {
        throw new CommandError(
          'No worker answered, so the correction was not taken. Start a worker with `tunesmith worker`, then send it again: the same correction twice does no harm.',
        );
      }
      throw error;
    }
  }

  async cancel(workflowId: string): Promise<void> {
    await this.#client.workflow.getHandle(workflowId).cancel();
  }

  async #exists(workflowId: string): Promise<boolean> {
    try {
      const { type } = await this.#client.workflow.getHandle(workflowId).describe();
      return type === TRAIN_CUSTOM_MODEL_WORKFLOW;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
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
   * @throws UsageError where it is open, unless it is the very one that is wanted: then the caller attaches.
   */
  async #isClosed(workflowId: string, wanted: string | undefined): Promise<boolean> {
    if (!(await this.#exists(workflowId))) return false;
    const { status } = await this.#client.workflow.getHandle(workflowId).describe();
    if (status.name === 'RUNNING' && workflowId !== wanted) {
      throw new UsageError(
        `--again is refused while ${workflowId} is open. Follow it with \`tunesmith watch ${workflowId}\`.`,
      );
    }
    return true;
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

type Described = Pick<WorkflowExecutionDescription, 'workflowId' | 'runId' | 'status' | 'memo' | 'startTime'>;

const STATUSES: Record<string, TrainingStatus> = {
  RUNNING: 'running',
  CONTINUED_AS_NEW: 'running',
  PAUSED: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed-out',
};

function snapshotOf({ workflowId, runId, status, memo, startTime }: Described): Snapshot {
  const at = startTime.toISOString();
  return {
    workflowId,
    runId,
    status: STATUSES[status.name] ?? 'running',
    // A training that somebody started past us has no memo before its first workflow task.
    memo: (memo?.[TRAINING_MEMO] as TrainingMemo | undefined) ?? {
      name: workflowId,
      origin: '',
      phase: 'preparing',
      startedAt: at,
      phaseSince: at,
      fileCounts: {},
      fileTotal: 0,
      receipt: {
        create: { verdict: 'unknown', sends: 0, evidence: ['the training has not said anything yet'] },
        uploads: { calls: 0, credits: 'unknown' },
      },
    },
  };
}

/** An option that is left out means its default, so saying the default is no difference. */
function differences(wanted: TrainingOptions, stored: TrainingOptions): string[] {
  const here: TrainingOptions = { ...TRAINING_DEFAULTS, ...wanted };
  const there: TrainingOptions = { ...TRAINING_DEFAULTS, ...stored };
  const names = new Set([...Object.keys(here), ...Object.keys(there)]) as Set<keyof TrainingOptions>;
  return [...names].filter((name) => here[name] !== there[name]);
}

/** Markdown at the top of the run in the Web UI. Labels only: a URL may be signed. */
function detailsOf({ name, origin, sources }: TrainCustomModelInput): string {
  const lines = sources.map(({ label }, index) => `${index + 1}. \`${label.replaceAll('`', "'")}\``);
  return `Custom model **${name.replace(/[*_\\`]/g, '\\$&')}** at ${origin}\n\n${lines.join('\n')}`.slice(
    0,
    19_000,
  );
}
