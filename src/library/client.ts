/**
 * Client side: the library as programs use it. It starts trainings, follows and corrects them; it draws nothing, ends no
 * process, never talks to Mountsea and never loads the worker's native module. The command line stands on the same room.
 */
import type { Client } from '@temporalio/client';
import type { ClientConfigProfile } from '@temporalio/envconfig';
import { z } from 'zod';
import type { TrainingRecord } from '../contract/record.js';
import {
  type Source,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
  type TrainingOptions,
} from '../contract/training.js';
import { readSettings, type Settings, SettingsError } from '../temporal/settings.js';
import { Connections } from './connections.js';
import { TrainingNotFoundError, UsageError } from './errors.js';
import { notifyTarget } from './notify.js';
import { type NamedSession, recalled } from './sessions.js';
import { sourcesFrom } from './sources.js';
import { stageSources } from './stage.js';
import { shown, type TrainingState } from './state.js';
import { type Context, StartedTraining, Training } from './training.js';

/** A Temporal server, as `@temporalio/envconfig` describes one. */
export type TemporalServer = ClientConfigProfile & { address: string };

/** Where the trainings are. With no option at all it is what the environment says, as for the command line. */
export interface TrainingClientOptions {
  /** A client of yours, connected to the server that keeps the trainings. You close it. Wins over `temporal`. */
  client?: Client;
  /**
   * The server that keeps the trainings. Default: Temporal's own variables and profile (`TEMPORAL_ADDRESS`, …); where they
   * name none, our own server in the background of this machine, which is started when a training is.
   */
  temporal?: TemporalServer;
  /** The API that the trainings are for. Default: `MOUNTSEA_BASE_URL`, else `https://api.mountsea.ai`. */
  baseUrl?: string;
  /**
   * Key for the worker of our own server in the background. With any other server the workers have their own keys, and the
   * client needs none. Default: `MOUNTSEA_API_KEY` and the like.
   */
  apiKey?: string;
  /** Folder of our own server's state. Default: `TUNESMITH_HOME`, else by the conventions of the system. */
  home?: string;
  /** The environment that everything else is read from (docs/cli.md). Default `process.env`. */
  env?: NodeJS.ProcessEnv;
  /** Gets sentences for people: our own server starts, no worker answers, a connection is lost. Default: nobody. */
  onNotice?: (sentence: string) => void;
}

/** What is to be trained, and how. */
export interface StartOptions extends Omit<TrainingOptions, 'timeScale'> {
  /** Name of the model at Mountsea. */
  name: string;
  /**
   * Six or more audio files: http or https URLs that Mountsea can fetch, or paths of files, folders and globs, counted from
   * the working directory (docs/local-files.md). The same set under the same name is the same training.
   */
  sources: readonly string[];
  /**
   * Train the same content once more, on purpose, and pay again: a label that makes the second training's id, or `true` for
   * the next number. Default: the training that this content has already is attached to.
   */
  again?: string | true;
  /** A session to go on with; where no clips are named, those that the server remembers are not uploaded again. */
  session?: NamedSession;
  /**
   * URL of a webhook that is told when the training is done, needs a person, or has ended otherwise (docs/notifications.md). The
   * worker signs with `TUNESMITH_WEBHOOK_SECRET`. Default: nobody is told.
   */
  notify?: string;
}

/** A model of the registry, whatever became of the server's history. */
export type ModelRecord = TrainingRecord & { modelId: string };

/**
 * Starts, finds and follows trainings.
 *
 * It connects when it is first used, and holds the connection until `close`. Every method rejects with an
 * `UnreachableError` where the server cannot be reached, and with a `UsageError` where the environment cannot be used.
 *
 * @example
 * ```ts
 * const client = new TrainingClient();
 * const training = await client.start({ name: 'Night Drive', sources });
 * for await (const { phase, receipt } of training.follow()) console.log(phase, receipt.create.verdict);
 * console.log((await training.result()).modelId);
 * await client.close();
 * ```
 */
export class TrainingClient {
  readonly #context: Context;

  /** @throws UsageError where an option or the environment cannot be used. */
  constructor(options: TrainingClientOptions = {}) {
    const { client, temporal, onNotice: notice = (): void => undefined } = options;
    const env = environmentOf(options);
    const settings = { ...settingsOf(env), ...(temporal === undefined ? {} : { temporal }) };
    const connections = new Connections({
      settings,
      env,
      say: notice,
      ...(client === undefined ? {} : { client }),
    });
    const { home, allowPrivateUrls } = settings;
    this.#context = { settings, connections, notice, staging: { env, home, allowPrivateUrls } };
  }

  /**
   * Starts a training, or finds the one that the same content has already: the same call gives the same training, however
   * often it is made and on whatever machine. Spends credits where it starts one: uploads, and 100 for create.
   *
   * @throws UsageError, and its subclasses `TrainingOpenError`, `SessionTakenError`, `NoApiKeyError` and
   *   `WorkerMismatchError`, where nothing was started.
   */
  async start(options: StartOptions): Promise<StartedTraining> {
    const { again, session, sources, notify, ...rest } = checked(options);
    const { settings, connections, notice } = this.#context;
    const { origin, allowPrivateUrls, timeScale } = settings;
    const { minClips = TRAINING_DEFAULTS.minClips } = rest;
    const found = await sourcesFrom([...sources], { minClips, allowPrivateUrls, warn: notice });
    const target =
      notify === undefined ? undefined : await notifyTarget(notify, { allowPrivateUrls, warn: notice });
    const { trainings, account } = await connections.toTrain({ notifies: target !== undefined });
    const known = session === undefined ? undefined : await trainings.knownSession(session.sessionId, origin);
    const input: TrainCustomModelInput = {
      ...rest,
      origin,
      sources: found,
      ...(timeScale === 1 ? {} : { timeScale }),
      ...(target === undefined ? {} : { notify: target }),
      ...(session === undefined ? {} : { session: recalled(session, found, known) }),
    };
    const hasClip = new Set(input.session?.clips.map(({ file }) => file));
    const stage = (workflowId: string): Promise<Source[]> =>
      stageSources(
        found,
        workflowId,
        { account, isOwn: connections.isOwn, origin, rules: this.#context.staging, say: notice },
        (index) => !hasClip.has(index + 1),
      );
    return new StartedTraining(this.#context, await trainings.start(input, again, stage));
  }

  /**
   * A training that was started before.
   *
   * @param id its workflow id, a unique prefix of it, its session id, or the model's name where only one fits.
   * @throws TrainingNotFoundError where nothing fits, AmbiguousIdError where more than one does.
   */
  async attach(id: string): Promise<Training> {
    const workflowId = await this.#context.connections.ask(({ trainings }) => trainings.resolve(id));
    if (workflowId === undefined) throw new TrainingNotFoundError(id);
    return new Training(this.#context, workflowId);
  }

  /** All trainings that the server still knows, newest first. Needs no worker. */
  async list(): Promise<TrainingState[]> {
    const states = await this.#context.connections.ask(async (connection) =>
      (await connection.trainings.list()).map((snapshot) => shown(snapshot, connection)),
    );
    return states ?? [];
  }

  /** Every model that was trained for this API, newest first. Needs no worker, and outlives the server's history. */
  async models(): Promise<ModelRecord[]> {
    const records = await this.#context.connections.ask(({ trainings }) => trainings.records.list());
    return (records ?? []).filter(
      (record): record is ModelRecord =>
        record.modelId !== undefined && record.origin === this.#context.settings.origin,
    );
  }

  /** Closes the connection that this client opened. Trainings go on. */
  async close(): Promise<void> {
    await this.#context.connections.close();
  }
}

/** Options of the client have names in the environment, which is also what a background server is started with. */
function environmentOf({
  env = process.env,
  baseUrl,
  apiKey,
  home,
}: TrainingClientOptions): NodeJS.ProcessEnv {
  return {
    ...env,
    ...(baseUrl === undefined ? {} : { MOUNTSEA_BASE_URL: baseUrl }),
    ...(apiKey === undefined ? {} : { MOUNTSEA_API_KEY: apiKey }),
    ...(home === undefined ? {} : { TUNESMITH_HOME: home }),
  };
}

function settingsOf(env: NodeJS.ProcessEnv): Settings {
  try {
    return readSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

const clip = z.object({ file: z.int().positive(), clipId: z.string().min(1) });
const task = z.object({ file: z.int().positive(), taskId: z.string().min(1) });

/** Programs in JavaScript have no compiler to tell them; a misspelt option would be a wish that nobody fulfils. */
const startOptions = z.strictObject({
  name: z.string().refine((name) => name.trim() !== '', 'must not be empty'),
  sources: z.array(z.string()).readonly(),
  again: z.union([z.string(), z.literal(true)]).optional(),
  session: z
    .strictObject({
      sessionId: z.string().min(1),
      clips: z.array(clip).optional(),
      tasks: z.array(task).optional(),
      openedAt: z.iso.datetime().optional(),
    })
    .optional(),
  concurrency: z.int().positive().optional(),
  tries: z.int().positive().optional(),
  minClips: z.int().positive().optional(),
  onBadFile: z.enum(['ask', 'drop', 'fail']).optional(),
  parkForMs: z.number().positive().optional(),
  maxCredits: z.number().nonnegative().optional(),
  uploadCredits: z.number().nonnegative().optional(),
  retryRefunded: z.boolean().optional(),
  notify: z.string().optional(),
} satisfies Record<keyof StartOptions, z.ZodType>);

function checked(options: StartOptions): StartOptions {
  const { success, error } = startOptions.safeParse(options);
  if (success) return options;
  const [issue] = error.issues;
  throw new UsageError(
    `Option ${issue?.path.join('.') ?? ''}: ${issue?.message ?? error.message}. Nothing was started.`,
  );
}
