/**
 * Contract: what goes into a training and what comes out. Read by every process; imports nothing but this room.
 * Everything here is stored in Temporal's history, so a field added later must be optional.
 */
import type { SongRequest } from './song.js';
import type { NotifyTarget } from './notification.js';

/** What becomes of the training when a file has used up its tries. `ask` parks it for a person. */
export type BadFilePolicy = 'ask' | 'drop' | 'fail';

/** One audio file of the training. Files are numbered from 1 in the order of `TrainCustomModelInput.sources`. */
export type Source = UrlSource | FileSource;

/** A URL that the user typed. */
export interface UrlSource {
  /** What Mountsea fetches. May carry a signature in its query, so it is never shown, logged or put in the memo. */
  url: string;
  /** What people see instead: the URL without query and fragment. */
  label: string;
}

/** A local file: it is its bytes, whatever it is called and wherever they lie. */
export interface FileSource {
  /** The path as the user typed it, or as it was found in a folder that the user typed; with `/` on every system. */
  label: string;
  /** SHA-256 of its bytes, 64 lower-case hex digits. */
  sha256: string;
  /** Its size. */
  bytes: number;
  at: FilePlace;
}

/** Where the bytes of a local file are for the worker (docs/local-files.md). */
export type FilePlace =
  | {
      kind: 'path';
      /** Absolute, on a disk that only the worker of `TUNESMITH_HOME` shares with the user. */
      path: string;
      /** How that worker makes a URL of it. Absent until that is decided, which is before the start. */
      via?: { kind: 's3'; bucket: Bucket } | { kind: 'tunnel' };
    }
  | {
      kind: 'object';
      object: StagedObject;
      /** Where no worker can sign: a URL that the client signed. It ends; ISO 8601. Never shown, like every source URL. */
      signed?: { url: string; expiresAt: string };
    };

/** An S3-compatible bucket. Credentials are no part of it: each process has its own. */
export interface Bucket {
  bucket: string;
  /** Key of everything that is staged begins with it; empty, or ends with `/`. */
  prefix: string;
  /** Absent: as the process that uses it is configured. */
  region?: string;
  /** http or https URL; absent: AWS itself, or as the process that uses it is configured. */
  endpoint?: string;
}

/** One object in a bucket, made of one local file. */
export interface StagedObject extends Bucket {
  /** Whole, with the prefix. */
  key: string;
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
  /** Most credits that this training may have spent, unknown counted as spent; a send that would pass it waits. Default: no limit. */
  maxCredits?: number;
  /** Price of an upload where the ledger has not shown one, credits. Default 5, an assumption. */
  uploadCredits?: number;
  /** Send create once more by itself after a failed training whose refund the ledger proves. Default false. */
  retryRefunded?: boolean;
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
  uploadCredits: 5,
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
  /** A session begun elsewhere, to be gone on with. Its create counts as sent at an unknown time (design, section 5, point 7). */
  session?: AdoptedSession;
  /** Absolute path that the worker keeps current (`--save`); only the worker that `TUNESMITH_HOME` started writes files. */
  saveFile?: string;
  /** A song with the model when it is ready (`--try`): a workflow of its own, which outlives the training. */
  song?: TrySong;
  /** Who is told by a signed webhook when it is done, needs a person, or ended otherwise (`--notify`). */
  notify?: NotifyTarget;
}

/** A song that is ordered together with its model. */
export interface TrySong {
  /** Without the model, which is not there yet. */
  request: Omit<SongRequest, 'model'>;
  /** Price that the budget counts with, credits. Default `GENERATE_CREDITS`. */
  credits?: number;
}

/** A session that another training, or another program, opened. */
export interface AdoptedSession {
  sessionId: string;
  /** Clips that are there already, by number of the file. */
  clips: { file: number; clipId: string }[];
  /** Uploads that were under way, by number of the file: they are paid for, and may end well. */
  tasks?: { file: number; taskId: string }[];
  /** When the session was opened, ISO 8601, where that is known. */
  openedAt?: string;
}

/** Documented price of create (mountsea-api, section 2). */
export const CREATE_CREDITS = 100;

/** One clip of the trained model and the source it was made from. */
export interface Clip {
  clipId: string;
  /** Number of the file, from 1. */
  file: number;
  /** `Source.label`. */
  source: string;
  /** Of a local file: what its bytes were. */
  sha256?: string;
}

/** Whether create cost its credits. `unknown` is said as such and never as 0. */
export type ChargeVerdict = 'charged' | 'not-charged' | 'unknown';

/** One paid request that may have left a worker. */
export interface PaidAttempt {
  /** The decision to spend that allowed it: `first`, or the id of an attention; `+` behind it for a proven second send. */
  decision: string;
  /** ISO 8601. */
  sentAt: string;
  verdict: ChargeVerdict;
  /** Where the verdict is `charged`. */
  credits?: number;
  /** Its ledger row. */
  rowId?: string;
  /** The ledger row that gave it back; the verdict is then `not-charged`. */
  refundRowId?: string;
  /** Charged, but the ledger has not shown it yet. */
  provisional?: boolean;
  /**
   * What its task came to where that gave nothing: `failed`, or `unclear`, a success without what it should give. Absent
   * while it runs, as far as is known, and where it gave what it should.
   */
  ended?: 'failed' | 'unclear';
  /** The last moment at which a byte of it could leave; ISO 8601. */
  sentBy?: string;
  /** Balance just before it was sent, credits. */
  balanceBefore?: number;
  /** Sentences that say where the verdict comes from. */
  evidence: string[];
}

/** One create request that may have left a worker. */
export interface CreateAttempt extends PaidAttempt {
  /** The session that it was sent in: another one than the training's where a person gave that up. */
  sessionId: string;
  /** What it was answered with, where that is not the session. */
  taskId?: string;
  /** The model that it made in a session that was given up. */
  modelId?: string;
}

/** What a training cost so far, as far as it is known. */
export interface Receipt {
  create: {
    /** Of all attempts together: `unknown` where one of them is. */
    verdict: ChargeVerdict;
    /** Credits of those that were charged; absent where the verdict is `not-charged`. */
    credits?: number;
    /** Create requests that may have left a worker. */
    sends: number;
    /** The ledger has not shown every charge yet; the registry looks after it. */
    provisional?: boolean;
    /** Of the newest attempt. */
    evidence: string[];
    /** Oldest first, at most the last 20. */
    attempts: CreateAttempt[];
  };
  uploads: {
    /** Upload requests that may have left a worker; each may cost credits. */
    calls: number;
    /** What the ledger shows for them; `unknown` where it cannot tell. */
    credits: number | 'unknown';
  };
}

/** What an upload counts as until the ledger has shown what it cost. */
export interface UploadPrice {
  /** Of one upload. */
  credits: number;
  /** `ledger`: the dearest that was seen for this API; `said`: by the user (`uploadCredits`); else nobody knows. */
  basis: 'ledger' | 'said' | 'assumption';
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
  /** Workflow id of the song that was ordered with it. */
  songId?: string;
  /** ISO 8601. */
  startedAt: string;
  finishedAt: string;
}
