/**
 * Client side: everything that is said to the Temporal server about songs. Draws nothing and ends no process.
 */
import { randomBytes } from 'node:crypto';
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import {
  GENERATE_SONG_WORKFLOW,
  type GeneratedSong,
  type GenerateSongInput,
  SONG_MEMO,
  type SongMemo,
  type SongProgress,
} from '../contract/song.js';
import type { TrainingRecord } from '../contract/record.js';
import { createReceipt } from '../money/receipt.js';
import { slugOf, taskQueueFor } from '../temporal/identity.js';
import { AmbiguousIdError, TrainingNotFoundError, UsageError } from './errors.js';
import { type Described, statusOf, type TrainingStatus } from './snapshot.js';
import { isConnectionLost, progressOf } from './trainings.js';

/** One look at a song. */
export interface SongSnapshot {
  workflowId: string;
  runId: string;
  status: TrainingStatus;
  memo: SongMemo;
  /** Absent where no worker answered, or where the song has ended. */
  progress?: SongProgress;
}

/** How often a start is tried whose answer was lost. */
const START_TRIES = 3;

export class Songs {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Starts a song under an id of the caller's, so that a start whose answer was lost can be made again and is one.
   *
   * @param workflowId of `newSongId`: each call is a decision to spend.
   */
  async start(workflowId: string, input: GenerateSongInput): Promise<void> {
    const { request, modelName, origin } = input;
    const at = new Date().toISOString();
    const memo: SongMemo = {
      title: request.title ?? '',
      model: request.model,
      ...(modelName === undefined ? {} : { modelName }),
      origin,
      phase: 'sending',
      startedAt: at,
      phaseSince: at,
      clips: [],
      receipt: { generate: createReceipt([], 0, 'generate') },
    };
    for (let tries = 1; ; tries++) {
      try {
        await this.#client.workflow.start(GENERATE_SONG_WORKFLOW, {
          workflowId,
          taskQueue: taskQueueFor(origin),
          args: [input],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          memo: { [SONG_MEMO]: memo },
          staticSummary: `A song with ${modelName ?? request.model}`.slice(0, 190),
        });
        return;
      } catch (error) {
        // The id is new: nobody but this call can have started it.
        if (error instanceof WorkflowExecutionAlreadyStartedError && tries > 1) return;
        if (!isConnectionLost(error) || tries >= START_TRIES) throw error;
      }
    }
  }

  /**
   * @param id a workflow id, a unique prefix of one, or the song's title where only one fits.
   * @throws TrainingNotFoundError where nothing fits; AmbiguousIdError where more than one does.
   */
  async resolve(id: string): Promise<string> {
    if ((await this.#describe(id)) !== undefined) return id;
    const all = await this.list();
    const byPrefix = all.filter(({ workflowId }) => workflowId.startsWith(id));
    const byTitle = all.filter(({ memo: { title } }) => title === id);
    for (const fitting of [byPrefix, byTitle]) {
      const [found, ...others] = fitting;
      if (found === undefined) continue;
      if (others.length === 0) return found.workflowId;
      const ids = fitting.map(({ workflowId }) => workflowId);
      throw new AmbiguousIdError(id, ids, 'songs');
    }
    throw new TrainingNotFoundError(id);
  }

  /** One look, within 2 s; by the memo alone where no worker answers. */
  async look(workflowId: string): Promise<SongSnapshot> {
    const handle = this.#client.workflow.getHandle(workflowId);
    const snapshot = songSnapshotOf(await handle.describe());
    if (snapshot.status !== 'running') return snapshot;
    const progress = await progressOf<SongProgress>(this.#client, handle);
    return progress === undefined ? snapshot : { ...snapshot, progress };
  }

  /** All songs that the server still knows, newest first. */
  async list(): Promise<SongSnapshot[]> {
    const query = `WorkflowType = '${GENERATE_SONG_WORKFLOW}'`;
    const all: (SongSnapshot & { startTime: Date })[] = [];
    for await (const info of this.#client.workflow.list({ query })) {
      all.push({ ...songSnapshotOf(info), startTime: info.startTime });
    }
    return all
      .sort((a, b) => b.startTime.getTime() - a.startTime.getTime())
      .map(({ workflowId, runId, status, memo }) => ({ workflowId, runId, status, memo }));
  }

  /** The result of a song that has one. Needs no worker. */
  async result(workflowId: string): Promise<GeneratedSong> {
    return (await this.#client.workflow.getHandle(workflowId).result()) as GeneratedSong;
  }

  async #describe(workflowId: string): Promise<Described | undefined> {
    try {
      const description = await this.#client.workflow.getHandle(workflowId).describe();
      return description.type === GENERATE_SONG_WORKFLOW ? description : undefined;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }
}

function songSnapshotOf({ workflowId, runId, status, memo, startTime }: Described): SongSnapshot {
  const at = startTime.toISOString();
  return {
    workflowId,
    runId,
    status: statusOf(status.name),
    memo: (memo?.[SONG_MEMO] as SongMemo | undefined) ?? {
      title: '',
      model: '',
      origin: '',
      phase: 'sending',
      startedAt: at,
      phaseSince: at,
      clips: [],
      // It was started past us and has said nothing yet.
      receipt: {
        generate: { verdict: 'unknown', sends: 0, evidence: ['it has not said anything yet'], attempts: [] },
      },
    },
  };
}

/** e.g. `song-night-drive-5f0c1a9b`: the tail is random, since the same song may be wanted many times. */
export function newSongId(title: string): string {
  const slug = slugOf(title);
  return `song-${slug === '' ? 'untitled' : slug}-${randomBytes(4).toString('hex')}`;
}

/** A model to sing with. */
export interface SingingModel {
  model: string;
  /** Where it is one of ours. */
  name?: string;
}

/**
 * Finds the model that a person means: its id as it is, one of Suno's own (`chirp-…`), or what the registry knows by the
 * model's name, the training's id or a prefix of it, or the session id.
 *
 * @throws UsageError where nothing or more than one fits, or where it was trained at another API.
 */
export function modelMeant(wanted: string, records: readonly TrainingRecord[], origin: string): SingingModel {
  const trained = records.filter(({ modelId }) => modelId !== undefined);
  const fits: ((record: TrainingRecord) => boolean)[] = [
    ({ modelId }) => modelId?.toLowerCase() === wanted.toLowerCase(),
    ({ workflowId }) => workflowId === wanted,
    ({ name }) => name === wanted,
    ({ sessionId }) => sessionId === wanted,
    ({ workflowId }) => workflowId.startsWith(wanted),
  ];
  for (const fit of fits) {
    const fitting = trained.filter(fit);
    const here = fitting.filter((record) => record.origin === origin);
    const [found, ...others] = here;
    if (found?.modelId !== undefined && others.length === 0)
      return { model: found.modelId, name: found.name };
    if (others.length > 0) {
      const list = here.map(
        ({ modelId = '', name, updatedAt }) => `  ${modelId}  ${name}  ${updatedAt.slice(0, 10)}`,
      );
      throw new UsageError(
        `"${wanted}" fits ${here.length} models. Say which, by its id:\n${list.join('\n')}`,
      );
    }
    const [elsewhere] = fitting;
    if (elsewhere !== undefined) {
      throw new UsageError(
        `"${wanted}" was trained at ${elsewhere.origin}, but this command is for ${origin}. Nothing was started. (MOUNTSEA_BASE_URL says which.)`,
      );
    }
  }
  if (/^chirp-[\w.:-]+$/i.test(wanted)) return { model: wanted };
  throw new UsageError(
    `No trained model fits "${wanted}". \`tunesmith models\` shows them all; an id (chirp-custom:…) is taken as it is.`,
  );
}
