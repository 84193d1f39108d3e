/**
 * Contract: what a client asks a worker before it starts a training of local files (docs/local-files.md).
 */
import type { StagedObject } from './training.js';

export const READ_STAGING_WORKFLOW = 'readStaging';

/** Input of the workflow `readStaging`. */
export interface ReadStagingInput {
  /** API origin of the training. */
  origin: string;
  /** Only a worker that reads the user's files may answer. */
  wantsFiles?: boolean;
  /** `hasCredentials` is wanted too; finding that there are none may take seconds. */
  wantsCredentials?: boolean;
  /** An object that is staged already: can this worker read it, and so sign URLs that work? */
  staged?: { object: StagedObject; sha256: string; bytes: number };
}

/** What the worker that answered can do. */
export interface StagingAbilities {
  /** It shares its disk with the user. */
  readsFiles: boolean;
  hasTunnel: boolean;
  /** The AWS SDK finds credentials there; false where that was not asked. Whether they are good for a bucket is another question. */
  hasCredentials: boolean;
  /** Answer to `staged`. */
  canRead?: boolean;
}

/** Details of the heartbeat of the activity `stageFile`: shown while it runs. */
export interface StagingProgress {
  /** Number of the file. */
  file: number;
  /** Bytes that have arrived. */
  sent: number;
  total: number;
}
