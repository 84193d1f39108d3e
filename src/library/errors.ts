/**
 * Client side: what goes wrong in a way that has a sentence of its own, one class for each situation. The messages are
 * for people and name commands of `tunesmith`; programs look at the class or at `code`. Anything else that is thrown is a
 * bug, or an error of the Temporal SDK as it came.
 */
import type { Attention } from '../contract/progress.js';
import type { Receipt } from '../contract/training.js';
import type { TrainingStatus } from './snapshot.js';

/** What all errors of this library have in common. */
export abstract class TunesmithError extends Error {
  /** Names the situation; never changes its meaning. */
  abstract readonly code: string;
}

/** The call is wrong, or nothing can come of it as things are. Nothing was started, and nothing is spent. */
export class UsageError extends TunesmithError {
  override readonly name: string = 'UsageError';
  /** `INVALID_INPUT`, or that of a class below. */
  readonly code: string = 'INVALID_INPUT';
}

/** No training fits the id. */
export class TrainingNotFoundError extends UsageError {
  override readonly name = 'TrainingNotFoundError';
  override readonly code = 'TRAINING_NOT_FOUND';
  /** As it was given. */
  readonly id: string;

  constructor(id: string) {
    super(
      `No training and no song fits "${id}". \`tunesmith list\` shows the trainings, \`tunesmith list --songs\` the songs.`,
    );
    this.id = id;
  }
}

/** As many of those that fit are named in a sentence. */
const NAMED = 5;

/** More than one training fits the id. */
export class AmbiguousIdError extends UsageError {
  override readonly name = 'AmbiguousIdError';
  override readonly code = 'AMBIGUOUS_ID';
  /** As it was given. */
  readonly id: string;
  /** Workflow ids of those that fit. */
  readonly fitting: readonly string[];

  constructor(id: string, fitting: readonly string[], what = 'trainings') {
    const more = fitting.length > NAMED ? ', …' : '';
    super(
      `"${id}" fits ${fitting.length} ${what}: ${fitting.slice(0, NAMED).join(', ')}${more}. Use one of these.`,
    );
    this.id = id;
    this.fitting = fitting;
  }
}

/** A second training of the same content is refused while the first is open. */
export class TrainingOpenError extends UsageError {
  override readonly name = 'TrainingOpenError';
  override readonly code = 'TRAINING_OPEN';
  /** Workflow id of the one that is open. */
  readonly workflowId: string;

  constructor(workflowId: string) {
    super(
      `--again is refused while ${workflowId} is open. Follow it with \`tunesmith watch ${workflowId}\`.`,
    );
    this.workflowId = workflowId;
  }
}

/** The session that is to be gone on with belongs to another training, which still runs. */
export class SessionTakenError extends UsageError {
  override readonly name = 'SessionTakenError';
  override readonly code = 'SESSION_TAKEN';
  readonly sessionId: string;
  /** The training that has it. */
  readonly owner: { workflowId: string; name: string };

  constructor(sessionId: string, owner: { workflowId: string; name: string }) {
    const { workflowId, name } = owner;
    super(
      `Session ${sessionId} belongs to the training "${name}" (${workflowId}), which still runs. Nothing was started. Follow it with \`tunesmith watch ${workflowId}\`, or end it first.`,
    );
    this.sessionId = sessionId;
    this.owner = owner;
  }
}

/** The correction does not apply now; the message is the workflow's own sentence. */
export class CorrectionRefusedError extends UsageError {
  override readonly name = 'CorrectionRefusedError';
  override readonly code = 'CORRECTION_REFUSED';
}

/** Our own server in the background has no worker, and there is no API key to start one with. */
export class NoApiKeyError extends UsageError {
  override readonly name = 'NoApiKeyError';
  override readonly code = 'NO_API_KEY';
}

/** The worker in the background serves another API, uses another key, or records elsewhere. */
export class WorkerMismatchError extends UsageError {
  override readonly name = 'WorkerMismatchError';
  override readonly code = 'WORKER_MISMATCH';
}

/** The Temporal server cannot be reached, or our own does not start. Trainings that were started go on. */
export class UnreachableError extends TunesmithError {
  override readonly name = 'UnreachableError';
  readonly code = 'UNREACHABLE';
}

/** What was asked needs a worker, and none answers. Trainings wait for one. */
export class NoWorkerError extends TunesmithError {
  override readonly name = 'NoWorkerError';
  readonly code = 'NO_WORKER';
}

/** A worker answered that it cannot do what was asked of it. */
export class WorkerFailedError extends TunesmithError {
  override readonly name = 'WorkerFailedError';
  readonly code = 'WORKER_FAILED';
}

/** The training waits for a person: its result is not to be had before somebody corrects it. It stays as it is. */
export class AttentionNeededError extends TunesmithError {
  override readonly name = 'AttentionNeededError';
  readonly code = 'ATTENTION_NEEDED';
  readonly workflowId: string;
  /** What it needs, and the corrections that apply. */
  readonly attention: Attention;
  /** What it cost so far. */
  readonly receipt: Receipt;

  constructor(workflowId: string, attention: Attention, receipt: Receipt) {
    super(
      `${workflowId} waits for a person: ${attention.message} \`tunesmith watch ${workflowId}\` shows the answers that apply.`,
    );
    this.workflowId = workflowId;
    this.attention = attention;
    this.receipt = receipt;
  }
}

/** The training has ended without a model. */
export class TrainingEndedError extends TunesmithError {
  override readonly name = 'TrainingEndedError';
  readonly code = 'TRAINING_ENDED';
  readonly workflowId: string;
  readonly status: Exclude<TrainingStatus, 'running' | 'completed'>;
  /** What it cost; a verdict `unknown` is not 0. */
  readonly receipt: Receipt;
  /** What can be gone on with; absent where none was opened. */
  readonly sessionId: string | undefined;

  constructor(
    workflowId: string,
    status: Exclude<TrainingStatus, 'running' | 'completed'>,
    receipt: Receipt,
    sessionId: string | undefined,
  ) {
    super(
      `${workflowId} has ended without a model: ${status}, create ${receipt.create.verdict}. \`tunesmith status ${workflowId}\` shows what it cost.`,
    );
    this.workflowId = workflowId;
    this.status = status;
    this.receipt = receipt;
    this.sessionId = sessionId;
  }
}
