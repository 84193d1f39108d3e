/**
 * Activity side: a training belongs to one API origin, and what is said about money to one key.
 */
import { ApplicationFailure } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';

/**
 * @throws a retryable failure where this worker serves another origin, so that the server offers the task again,
 *   perhaps to a worker that serves the right one.
 */
export function requireOrigin(wanted: string, served: string): void {
  if (wanted === served) return;
  throw ApplicationFailure.create({
    type: ActivityFailureType.WrongOrigin,
    message: `This training is for ${wanted}, but this worker serves ${served}.`,
    nextRetryDelay: '5s',
  });
}

/**
 * The API and the key of this worker, as they are now.
 *
 * @throws a failure that the workflow shows where there is no key just now: a key file may be gone while it is changed.
 */
export function currentAffinity(affinity: () => Affinity): Affinity {
  try {
    return affinity();
  } catch {
    // What went wrong may name a path of this machine.
    throw ApplicationFailure.create({
      type: ActivityFailureType.Credentials,
      message: 'the worker has no API key just now',
      nonRetryable: true,
      details: [{}],
    });
  }
}

/** Another key may read on (rotation), but its balance and ledger say nothing about this training. */
export function isSameKey(a: Affinity, b: Affinity): boolean {
  return a.origin === b.origin && a.keyFingerprint === b.keyFingerprint;
}
