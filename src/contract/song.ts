/**
 * Contract: what goes into a song and what comes out, and what it shows of itself. Read by every process; imports nothing
 * but this room. Everything here is stored in Temporal's history, so a field added later must be optional.
 */
import type { Attention } from './progress.js';
import type { PaidAttempt, Receipt, TimelineEntry } from './training.js';

export const GENERATE_SONG_WORKFLOW = 'generateSong';
/** Key of the memo field that holds a `SongMemo`. */
export const SONG_MEMO = 'song';

/** What one song was seen to cost, credits (mountsea-api, section 2: observed, not documented). */
export const GENERATE_CREDITS = 40;

/**
 * What is asked of Mountsea, in the words of the wire (snake_case), since its own schema speaks of these fields. Without
 * `task`, which is always `create`.
 */
export interface SongRequest {
  /** `chirp-custom:<uuid>`, or one of Suno's own. */
  model: string;
  /** Lyrics. */
  prompt?: string;
  /** What the song is about, where Suno writes the lyrics. */
  gpt_description_prompt?: string;
  /** Styles. */
  tags?: string;
  title?: string;
  make_instrumental?: boolean;
  /** Styles to keep away from. */
  negative_tags?: string;
  vocal_gender?: 'm' | 'f';
  /** Each from 0 to 1. */
  controls?: { style_weight?: number; audio_weight?: number; weirdness_constraint?: number };
}

/** How a song is to be run. */
export interface SongOptions {
  /** Most credits that this song may have spent, unknown counted as spent; a send that would pass it waits. Default: no limit. */
  maxCredits?: number;
  /** How long it waits for a person when parked, ms. Default: without limit. */
  parkForMs?: number;
  /** Factor on every duration of the workflow; 1 is real time. Only for a sandbox that runs at the inverse speed. Default 1. */
  timeScale?: number;
}

/** Input of the workflow `generateSong`. */
export interface GenerateSongInput extends SongOptions {
  request: SongRequest;
  /** API origin this song is meant for; a worker of another origin refuses it. */
  origin: string;
  /** Name of the model, where it is one of ours. */
  modelName?: string;
  /** Price that the budget counts with, credits. Default `GENERATE_CREDITS`. */
  credits?: number;
}

/** One of the takes that a song comes in. */
export interface SongClip {
  id: string;
  /** Where the audio is. Public, and good for as long as Suno keeps it. */
  audioUrl?: string;
  imageUrl?: string;
  title?: string;
  /** Styles. */
  tags?: string;
  /** Seconds. */
  duration?: number;
}

/** `sending` the paid request is ahead or its outcome unknown · `generating` Mountsea works on the task */
export type SongPhase = 'sending' | 'generating' | 'done' | 'failed' | 'cancelled';

/** One request that may have left a worker. */
export interface SongAttempt extends PaidAttempt {
  /** Its task, where it was accepted. */
  taskId?: string;
}

/** What a song cost so far, as far as it is known. */
export interface SongReceipt {
  /** As `Receipt.create`. */
  generate: Omit<Receipt['create'], 'attempts'> & {
    /** Oldest first, at most the last 20. */
    attempts: SongAttempt[];
  };
}

/** What the query and the memo both say. */
export interface SongFacts {
  /** `title` of the request, else the beginning of its prompt, at most 80 characters. */
  title: string;
  model: string;
  modelName?: string;
  origin: string;
  /** Of the key that it was sent with. */
  keyFingerprint?: string;
  phase: SongPhase;
  /** ISO 8601. */
  startedAt: string;
  phaseSince: string;
  taskId?: string;
  /** Takes that are there. Before the end (`stream`) they may play already and still grow. */
  clips: SongClip[];
  receipt: SongReceipt;
  attention?: Attention;
}

/** Answer of the query `progress` of a song. */
export interface SongProgress extends SongFacts {
  version: 1;
  workflowId: string;
  runId: string;
  /** Status that Mountsea gave last; absent before the first look. */
  taskStatus?: string;
  /** When the task is asked next; ISO 8601. */
  nextCheckAt?: string;
  timeline: TimelineEntry[];
}

/** Memo of a song, kept current so that `status` needs no worker. Under 64 kB. */
export interface SongMemo extends SongFacts {
  finishedAt?: string;
}

/** Result of the workflow `generateSong`. */
export interface GeneratedSong {
  clips: SongClip[];
  taskId: string;
  title: string;
  model: string;
  modelName?: string;
  request: SongRequest;
  origin: string;
  receipt: SongReceipt;
  timeline: TimelineEntry[];
  /** ISO 8601. */
  startedAt: string;
  finishedAt: string;
}

/** `details[0]` of a song's failure: what it cost, and what is left of it. */
export interface SongFailureDetails {
  receipt: SongReceipt;
  taskId?: string;
  clips: SongClip[];
  timeline: TimelineEntry[];
}

/** Workflow id of the song that is ordered together with a model: the same however often the training is reset. */
export function songIdOf(trainingWorkflowId: string): string {
  return `${trainingWorkflowId}-song`;
}

/** A short workflow by which a client, which has no key, asks a worker what it must know before it orders a song. */
export const READ_SONG_TERMS_WORKFLOW = 'readSongTerms';

export interface ReadSongTermsInput {
  /** API origin that the client means; a worker of another one refuses. */
  origin: string;
}

/** What a worker says before a song is ordered. */
export interface SongTerms {
  /** Of the worker's key. */
  keyFingerprint: string;
  /** What Mountsea takes; any one of them. Absent where it did not answer. */
  schemas?: SongSchema[];
  schemasMissing?: string;
  balance?: number;
  balanceMissing?: string;
  /** Dearest song among the newest rows of the ledger, credits. */
  seenCredits?: number;
}

/** One form that `generate` takes, by fields of the wire. */
export interface SongSchema {
  description?: string;
  required: string[];
  optional: string[];
  notAllowed: string[];
}
