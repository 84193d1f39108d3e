/**
 * Activity side: brings a local file to where it can have a URL, and takes it away when its upload has ended. Costs no
 * credits: all of it may be repeated.
 */
import { activityInfo, ApplicationFailure, cancellationSignal } from '@temporalio/activity';
import { ActivityFailureType } from '../contract/failures.js';
import type { ReadStagingInput, StagingAbilities, StagingProgress } from '../contract/staging.js';
import type { FilePlace, FileSource } from '../contract/training.js';
import { StagingError } from '../staging/errors.js';
import type { WorkerStaging } from '../staging/workerStaging.js';
import { requireOrigin } from './affinity.js';
import { asker } from './accountClient.js';
import type { ActivityDependencies } from './dependencies.js';
import { withHeartbeat } from './heartbeat.js';

export interface StageFileInput {
  origin: string;
  /** Number of the file. */
  file: number;
  source: FileSource;
}

export function createStageFile({ staging, affinity }: ActivityDependencies) {
  /** @returns where its bytes are now. */
  return async function stageFile({ origin, file, source }: StageFileInput): Promise<FilePlace> {
    requireOrigin(origin, affinity().origin);
    const own = requireStaging(staging, source);
    const progress: StagingProgress = { file, sent: 0, total: source.bytes };
    const options = { signal: cancellationSignal(), onSent: (sent: number) => (progress.sent = sent) };
    try {
      return await withHeartbeat(
        () => progress,
        () => own.stage(source, asker().workflowId, options),
      );
    } catch (error) {
      throw stagingFailure(error);
    }
  };
}

export interface UnstageFileInput {
  origin: string;
  source: Pick<FileSource, 'sha256' | 'at'>;
}

export function createUnstageFile({ staging, affinity }: ActivityDependencies) {
  return async function unstageFile({ origin, source }: UnstageFileInput): Promise<void> {
    requireOrigin(origin, affinity().origin);
    const own = requireStaging(staging, source);
    try {
      await own.remove(source);
    } catch (error) {
      throw stagingFailure(error);
    }
  };
}

export function createReadStaging({ staging, affinity }: ActivityDependencies) {
  /** Reads only: what this worker could do for a training of local files. */
  return async function readStaging(input: ReadStagingInput): Promise<StagingAbilities> {
    requireOrigin(input.origin, affinity().origin);
    if (input.wantsFiles === true) requireFiles(staging);
    const { hasCredentials, hasObject } = await import('../staging/s3.js');
    const { staged } = input;
    return {
      readsFiles: staging?.readsFiles === true,
      hasTunnel: staging?.hasTunnel === true,
      hasCredentials: input.wantsCredentials === true && (await hasCredentials()),
      ...(staged === undefined ? {} : { canRead: await hasObject(staged.object, staged).catch(() => false) }),
    };
  };
}

/**
 * The URL of a staged file, for one request. Never to be returned to the workflow.
 *
 * @throws a failure that says that nothing was sent.
 */
export async function urlOfStaged(staging: WorkerStaging | undefined, source: FileSource): Promise<string> {
  const own = requireStaging(staging, source);
  try {
    return await own.urlOf(source);
  } catch (error) {
    throw stagingFailure(error);
  }
}

/** A path means something to one worker only: the server offers the task again until that one takes it. */
function requireStaging(staging: WorkerStaging | undefined, { at }: Pick<FileSource, 'at'>): WorkerStaging {
  if (at.kind === 'path') requireFiles(staging);
  if (staging === undefined) throw new Error('This worker stages nothing.');
  return staging;
}

function requireFiles(staging: WorkerStaging | undefined): void {
  if (staging?.readsFiles === true) return;
  throw ApplicationFailure.create({
    type: ActivityFailureType.NoFilesHere,
    message: 'Only the worker that TUNESMITH_HOME started reads local files; this is another one.',
    nextRetryDelay: '1s',
  });
}

/** What may pass is tried for about a minute. */
const TRIES = 6;

function stagingFailure(error: unknown): unknown {
  if (!(error instanceof StagingError)) return error;
  return ApplicationFailure.create({
    type: ActivityFailureType.NotStaged,
    message: error.message,
    nonRetryable: !error.mayPass || activityInfo().attempt >= TRIES,
    details: [{}],
  });
}
