/**
 * Contract: the update `correct`, by which a person answers a parked training.
 */

/** Actions of this release; the design (section 4) reserves `rename`, `replaceFiles`, `dropFiles`, `resendCreate`, `newSession`. */
export type CorrectionAction = 'retry' | 'keepWaiting' | 'giveUp';

/** Argument of the update `correct`. */
export interface Correction {
  /** `Attention.id` that this answers; any other is refused, so that a late click harms nothing. */
  attentionId: string;
  action: CorrectionAction;
}

/** Answer of the update `correct`. */
export interface CorrectionAccepted {
  attentionId: string;
  action: CorrectionAction;
}
