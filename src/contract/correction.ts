/**
 * Contract: the update `correct`, by which a person answers a parked training (design, section 4).
 */
import type { Source } from './training.js';

export type CorrectionAction =
  | 'rename'
  | 'replaceFiles'
  | 'dropFiles'
  | 'retry'
  | 'resendCreate'
  | 'keepWaiting'
  | 'newSession'
  | 'giveUp';

/**
 * Argument of the update `correct`. What an action needs beside its name is a field here; a field that the action does
 * not use is refused, since it would be a wish that nobody fulfils.
 */
export interface Correction {
  /** `Attention.id` that this answers; any other is refused, so that a late click harms nothing. */
  attentionId: string;
  action: CorrectionAction;
  /** `rename`: the new name of the model. */
  name?: string;
  /** `replaceFiles`: the new source of each file, by number from 1. */
  replacements?: { file: number; source: Source }[];
  /** `dropFiles`: numbers of the files to leave out, from 1. */
  files?: number[];
  /** `retry` of a training that its own budget stopped: the new budget, credits. */
  maxCredits?: number;
  /**
   * `resendCreate` and `newSession`, and `retry` of a song, while the charge is unknown: the person accepts that it may be
   * paid twice.
   */
  acceptSecondCharge?: boolean;
}

/** Answer of the update `correct`. */
export interface CorrectionAccepted {
  attentionId: string;
  action: CorrectionAction;
}
