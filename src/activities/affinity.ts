/**
 * Activity side: a training belongs to one API origin. A worker of another one must not touch it.
 */
import { ApplicationFailure } from '@temporalio/activity';
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
