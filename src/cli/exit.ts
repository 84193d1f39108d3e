/**
 * Client side: how a command ends. One table for exit codes (design, section 7), one class for what a person did wrong.
 */
import type { ChargeVerdict } from '../contract/training.js';
import { TunesmithError } from '../library/errors.js';

export const Exit = {
  done: 0,
  unexpected: 1,
  usage: 2,
  endedNotCharged: 3,
  endedCharged: 4,
  parked: 5,
  chargeUnknown: 6,
  stillRunning: 7,
  interrupted: 130,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

export { UsageError } from '../library/errors.js';

/** A command cannot do what it is for, and says why in a sentence. */
export class CommandError extends TunesmithError {
  override readonly name = 'CommandError';
  readonly code = 'COMMAND_FAILED';
}

/** Somebody left a question unanswered. Nothing was done; exit code 130. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** Exit code of a training that ended without a model. */
export function exitOfEnd(verdict: ChargeVerdict): Exit {
  switch (verdict) {
    case 'not-charged':
      return Exit.endedNotCharged;
    case 'charged':
      return Exit.endedCharged;
    case 'unknown':
      return Exit.chargeUnknown;
  }
}

/** Exit code of a training that waits for a person. */
export function exitOfPark(verdict: ChargeVerdict): Exit {
  return verdict === 'unknown' ? Exit.chargeUnknown : Exit.parked;
}
