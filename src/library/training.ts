/**
 * Client side: one training as the library shows it. It never depends on being looked at: whatever happens here, it goes
 * on.
 */
import type { Correction, CorrectionAccepted } from '../contract/correction.js';
import type { TrainedModel } from '../contract/training.js';
import type { Settings } from '../temporal/settings.js';
import type { Connection } from './connect.js';
import type { Connections } from './connections.js';
import { AttentionNeededError, TrainingEndedError, TrainingNotFoundError } from './errors.js';
import { looks } from './follow.js';
import { stageSources, type StagingRules } from './stage.js';
import { sourceFrom } from './sources.js';
import { shown, type TrainingState } from './state.js';
import type { StartOutcome } from './trainings.js';

/** A correction of a parked training. Which apply is in `TrainingState.attention.options`. */
export interface CorrectionRequest extends Omit<Correction, 'replacements'> {
  /** `replaceFiles`: the new source of each file, a URL or a path, by number from 1. */
  replacements?: readonly { file: number; source: string }[];
}

/** How to follow. */
export interface FollowOptions {
  /** Ends the following; the training goes on. */
  signal?: AbortSignal;
  /** From one look to the next, ms. Default 1 000. */
  everyMs?: number;
}

/** What a client and its trainings share. */
export interface Context {
  settings: Pick<Settings, 'origin' | 'allowPrivateUrls' | 'timeScale'>;
  connections: Connections;
  notice: (sentence: string) => void;
  staging: StagingRules;
}

/** One training. `TrainingClient` gives it out. */
export class Training {
  readonly workflowId: string;
  readonly #context: Context;

  /** @internal */
  constructor(context: Context, workflowId: string) {
    this.#context = context;
    this.workflowId = workflowId;
  }

  /** One look, within 2 s. Where no worker answers it is what the training last wrote down. */
  async look(): Promise<TrainingState> {
    return this.#ask(async (connection) =>
      shown(await connection.trainings.look(this.workflowId), connection),
    );
  }

  /**
   * The training as it is now, and again whenever it has changed, until it has ended. It goes on through parks: correct it
   * while you iterate, or leave the loop. A lost connection is made again.
   *
   * @throws the signal's reason where that is aborted.
   */
  async *follow({ signal, everyMs }: FollowOptions = {}): AsyncGenerator<TrainingState, void, undefined> {
    signal?.throwIfAborted();
    const { connections, notice } = this.#context;
    let connection = await this.#connection();
    let before = '';
    const release = connections.hold();
    try {
      const all = looks({
        look: () => connection.trainings.look(this.workflowId),
        reconnect: async () => {
          connection = (await connections.again(connection)) ?? connection;
          return connection.worker !== undefined;
        },
        isOwn: connections.isOwn,
        isCurrent: () => connection.isCurrent(),
        note: notice,
        signal: signal ?? new AbortController().signal,
        workerCommand: '`tunesmith worker`',
        ...(everyMs === undefined ? {} : { lookEveryMs: everyMs }),
      });
      for await (const snapshot of all) {
        const state = shown(snapshot, connection);
        const text = JSON.stringify(state);
        if (text !== before) yield state;
        before = text;
        if (state.status !== 'running') return;
      }
    } finally {
      release();
    }
    signal?.throwIfAborted();
  }

  /**
   * Waits for the model.
   *
   * @throws AttentionNeededError as soon as only a person can help; TrainingEndedError where it has ended without a model;
   *   the signal's reason where that is aborted.
   */
  async result(options: FollowOptions = {}): Promise<TrainedModel> {
    for await (const { status, attention, receipt, sessionId } of this.follow(options)) {
      if (status === 'completed') return this.#ask(({ trainings }) => trainings.result(this.workflowId));
      if (status !== 'running') throw new TrainingEndedError(this.workflowId, status, receipt, sessionId);
      if (attention !== undefined && attention.nextTryAt === undefined) {
        throw new AttentionNeededError(this.workflowId, attention, receipt);
      }
    }
    throw new Error('A training that is followed without a signal is followed to its end.');
  }

  /**
   * Answers a parked training. The same correction sent twice is one.
   *
   * @throws CorrectionRefusedError where it does not apply; UsageError where a new source cannot be used; NoWorkerError
   *   where no worker answers in 10 s: then it was not taken.
   */
  async correct({ replacements, ...request }: CorrectionRequest): Promise<CorrectionAccepted> {
    const { settings, notice } = this.#context;
    const rules = { allowPrivateUrls: settings.allowPrivateUrls, warn: notice };
    const named = await Promise.all(
      (replacements ?? []).map(async ({ file, source }) => ({
        file,
        source: await sourceFrom(source, `The new source of file ${file}`, rules),
      })),
    );
    return this.#ask(async ({ trainings, account }) => {
      if (replacements === undefined) return trainings.correct(this.workflowId, request);
      const { connections, staging } = this.#context;
      const { origin } = settings;
      const sources = await stageSources(
        named.map(({ source }) => source),
        this.workflowId,
        { account, isOwn: connections.isOwn, origin, rules: staging, say: notice },
      );
      const staged = named.map(({ file, source }, index) => ({ file, source: sources[index] ?? source }));
      return trainings.correct(this.workflowId, { ...request, replacements: staged });
    });
  }

  /**
   * Asks it to stop, and does not wait until it has: follow it to see. Mountsea has no cancel, so after create the credits
   * are spent and Mountsea goes on; the receipt says so.
   */
  async cancel(): Promise<void> {
    await this.#ask(({ trainings }) => trainings.cancel(this.workflowId));
  }

  async #connection(): Promise<Connection> {
    const connection = await this.#context.connections.get();
    if (connection === undefined) throw new TrainingNotFoundError(this.workflowId);
    return connection;
  }

  /** @throws TrainingNotFoundError where the state of our own server is gone. */
  async #ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    const answer = await this.#context.connections.ask(async (connection) => ({
      value: await question(connection),
    }));
    if (answer === undefined) throw new TrainingNotFoundError(this.workflowId);
    return answer.value;
  }
}

/** A training that `TrainingClient.start` started or found. */
export class StartedTraining extends Training {
  /** `attached`: the same content is being trained already. `found`: it was trained before; that training has ended. */
  readonly how: StartOutcome['how'];
  /** Options of this call that differ from those of the training attached to or found, and are ignored. */
  readonly ignored: readonly string[];

  /** @internal */
  constructor(context: Context, { workflowId, how, ignored }: StartOutcome) {
    super(context, workflowId);
    this.how = how;
    this.ignored = ignored;
  }
}
