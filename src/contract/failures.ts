/**
 * Contract: types of the failures that cross a process border (`ApplicationFailure.type`). Classes do not survive the
 * wire; these strings do.
 */
import type { Receipt, TimelineEntry } from './training.js';

/** What an activity proved about a request that did not succeed (design, section 5, point 4). */
export const ActivityFailureType = {
  /** No byte of the request was handed to the socket. */
  NotSent: 'NotSent',
  /** Refused for now: 429 or "too frequent". */
  RateLimited: 'RateLimited',
  /** Refused: parameters (400, 404, 422). */
  Refused: 'Refused',
  /** Refused: the key. */
  Credentials: 'Credentials',
  /** Refused: the balance. */
  InsufficientCredits: 'InsufficientCredits',
  /** Refused: the account has all the models it may have. */
  AccountLimit: 'AccountLimit',
  /** Nothing is proved: the request may have had its effect. */
  Ambiguous: 'Ambiguous',
  /** A check just before the write said no; nothing was written. */
  HeldBack: 'HeldBack',
  /** The session shows already what only a create can cause, so nothing was written. */
  AlreadySent: 'AlreadySent',
  /** The grant to send belongs to another run of this training (a reset); nothing was written. */
  GrantElsewhere: 'GrantElsewhere',
  /** This worker serves another API origin. */
  WrongOrigin: 'WrongOrigin',
  /** The session belongs to another training. */
  SessionTaken: 'SessionTaken',
  /** A local file has no URL, so nothing was sent. */
  NotStaged: 'NotStaged',
  /** This worker does not read the user's files. */
  NoFilesHere: 'NoFilesHere',
} as const;
export type ActivityFailureType = (typeof ActivityFailureType)[keyof typeof ActivityFailureType];

/** `details[0]` of an activity's failure. */
export interface ActivityFailureDetails {
  /** HTTP status, where there was an answer. */
  status?: number;
  /** Error code in the body. */
  code?: string;
  /** What the API said, redacted and cut. */
  said?: string;
  /** What the API asked for, ms. */
  retryAfterMs?: number;
  /** A raw answer that may have cost money: redacted, cut at 8 kB, never thrown away. */
  raw?: string;
}

/** How `trainCustomModel` itself fails. */
export const TrainingFailureType = {
  GivenUp: 'GivenUp',
  UploadRejected: 'UploadRejected',
  ParkExpired: 'ParkExpired',
  InvalidInput: 'InvalidInput',
  /** An adopted session belongs to another training. */
  SessionTaken: 'SessionTaken',
} as const;
export type TrainingFailureType = (typeof TrainingFailureType)[keyof typeof TrainingFailureType];

/** `details[0]` of a training's failure: what it cost, and what is left to go on from. */
export interface TrainingFailureDetails {
  receipt: Receipt;
  sessionId?: string;
  timeline: TimelineEntry[];
}
