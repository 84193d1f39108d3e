/**
 * `import { TrainingClient } from 'tunesmith'`: what programs use. Loads neither the worker nor the command line, and needs
 * no API key where a Temporal server is configured.
 *
 * @module
 */
export {
  type ModelRecord,
  type StartOptions,
  type TemporalServer,
  TrainingClient,
  type TrainingClientOptions,
} from './client.js';
export { type CorrectionRequest, type FollowOptions, StartedTraining, Training } from './training.js';
export type { TrainingState } from './state.js';
export type { NamedSession } from './sessions.js';
export type { TrainingStatus } from './snapshot.js';
export {
  AmbiguousIdError,
  AttentionNeededError,
  CorrectionRefusedError,
  NoApiKeyError,
  NoWorkerError,
  SessionTakenError,
  TrainingEndedError,
  TrainingNotFoundError,
  TrainingOpenError,
  TunesmithError,
  UnreachableError,
  UsageError,
  WorkerFailedError,
  WorkerMismatchError,
} from './errors.js';
export type { Correction, CorrectionAccepted, CorrectionAction } from '../contract/correction.js';
export type {
  Attention,
  AttentionKind,
  FileProgress,
  FileState,
  Outage,
  Phase,
  SeenDurations,
  TrainingFacts,
  TrainingMemo,
  TrainingProgress,
  UploadedFile,
} from '../contract/progress.js';
export type { SongRequest } from '../contract/song.js';
export type { NotifyTarget } from '../contract/notification.js';
export type { RecordedSource, TrainingRecord } from '../contract/record.js';
export {
  type AdoptedSession,
  type BadFilePolicy,
  type Bucket,
  type ChargeVerdict,
  type Clip,
  CREATE_CREDITS,
  type CreateAttempt,
  type FilePlace,
  type FileSource,
  type PaidAttempt,
  type Receipt,
  type Source,
  type StagedObject,
  type TimelineEntry,
  type TrainCustomModelInput,
  type TrainedModel,
  TRAINING_DEFAULTS,
  type TrainingOptions,
  type TrySong,
  type UploadPrice,
  type UrlSource,
} from '../contract/training.js';
