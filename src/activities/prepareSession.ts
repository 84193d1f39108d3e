/**
 * Activity side: opens a session, which binds a Suno account. No charge is documented (mountsea-api, section 2), so a
 * lost answer is simply asked for again: it leaves an unused session behind.
 */
import { cancellationSignal } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import { requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';

const TIMEOUT_MS = 30_000;
const REPEATABLE = [
  ActivityFailureType.NotSent,
  ActivityFailureType.RateLimited,
  ActivityFailureType.Ambiguous,
] as const;

export interface PreparedSession extends Affinity {
  sessionId: string;
}

export function createPrepareSession({ mountsea, affinity }: ActivityDependencies) {
  return async function prepareSession(input: { origin: string }): Promise<PreparedSession> {
    const own = affinity();
    requireOrigin(input.origin, own.origin);
    try {
      const { sessionId } = await mountsea.prepare({ signal: cancellationSignal(), timeoutMs: TIMEOUT_MS });
      return { sessionId, ...own };
    } catch (error) {
      throw failureOf(error, REPEATABLE);
    }
  };
}
