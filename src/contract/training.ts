/**
 * Contract: what goes into a training and what comes out. Read by every process; imports nothing but this room.
 * Everything here is stored in Temporal's history, so a field added later must be optional.
 */

/** What becomes of the training when a file has used up its tries. `ask` parks it for a person. */
export type BadFilePolicy = 'ask' | 'drop' | 'fail';

/** One audio file of the training. Files are numbered from 1 in the order of `TrainCustomModelInput.sources`. */
export interface Source {
  /** What Mountsea fetches. May carry a signature in its query, so it is never shown, logged or put in the memo. */
  url: string;
  /** What people see instead: the URL without query and fragment, or the file name the user typed. */
  label: string;
}

/** How a training is to be run; what is trained is in `TrainCustomModelInput`. */
export interface TrainingOptions {
  /** Upload tasks in flight at a time. Default 4. */
  concurrency?: number;
  /** Uploads of one file before it counts as bad. Default 3. */
  tries?: number;
  /** Fewest clips to train with; never under 6, the API's own minimum (mountsea-api: create). Default 6. */
  minClips?: number;
  /** Default `ask`. */
  onBadFile?: BadFilePolicy;
  /** How long a parked training waits for a person, ms. Default: without limit. */
  parkForMs?: number;
  /**
   * Factor on every duration of the workflow (polls, back-off, deadlines); 1 is real time. Only for a sandbox that
   * runs at the inverse speed. Default 1.
   */
  timeScale?: number;
}

/** What holds where an option is not given. `minClips` is also the API's own minimum (mountsea-api: create). */
export const TRAINING_DEFAULTS = {
  concurrency: 4,
  tries: 3,
  minClips: 6,
  onBadFile: 'ask',
  timeScale: 1,
} as const satisfies TrainingOptions;

/** Input of the workflow `trainCustomModel`. */
export interface TrainCustomModelInput extends TrainingOptions {
  /** Name of the model at Mountsea. */
  name: string;
  /** At least `minClips`; clips keep this order. */
  sources: Source[];
  /** API origin this training is meant for, e.g. `https://api.mountsea.ai`; a worker of another origin refuses it. */
  origin: string;
}

/** One clip of the trained model and the source it was made from. */
export interface Clip {
  clipId: string;
  /** Number of the file, from 1. */
  file: number;
  /** `Source.label`. */
  source: string;
}

/** Whether create cost its credits. `unknown` is said as such and never as 0. */
export type ChargeVerdict = 'charged' | 'not-charged' | 'unknown';

/** What a training cost so far, as far as it is known. */
export interface Receipt {
  create: {
    verdict: ChargeVerdict;
    /** Credits, where the verdict is `charged`. */
    credits?: number;
    /** Create requests that may have left a worker. */
    sends: number;
    /** Sentences that say where the verdict comes from. */
    evidence: string[];
  };
  uploads: {
    /** Upload requests that may have left a worker; each may cost credits. */
    calls: number;
    /** `unknown` while no ledger has been read. */
    credits: number | 'unknown';
  };
}

/** One line of a training's story. */
export interface TimelineEntry {
  /** ISO 8601. */
  at: string;
  text: string;
}

/** Result of the workflow `trainCustomModel`. */
export interface TrainedModel {
  /** `chirp-custom:<uuid>`, to be used as `model` in generate. */
  modelId: string;
  name: string;
  sessionId: string;
  origin: string;
  /** In the order of the sources. */
  clips: Clip[];
  receipt: Receipt;
  timeline: TimelineEntry[];
  /** ISO 8601. */
  startedAt: string;
  finishedAt: string;
}
