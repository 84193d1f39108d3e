/**
 * Activity side: the one request that costs 100 credits. It is sent once: its profile has `maximumAttempts: 1`, the
 * client below has no retry, and it takes no cancellation signal, so that an answer on its way is never thrown away.
 */
import type { Affinity } from '../contract/affinity.js';
import { requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import { withHeartbeat } from './heartbeat.js';
import type { ActivityDependencies } from './dependencies.js';

const TIMEOUT_MS = 60_000;

export interface SubmitTrainingInput {
  affinity: Affinity;
  sessionId: string;
  clipIds: string[];
  name: string;
}

/** `raw` stays in the history: it is an answer that cost money. */
export interface SubmittedTraining {
  taskId: string;
  raw: string;
}

export function createSubmitTraining({ mountsea, affinity }: ActivityDependencies) {
  return async function submitTraining(input: SubmitTrainingInput): Promise<SubmittedTraining> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const { sessionId, clipIds, name } = input;
    try {
      return await withHeartbeat('create', () =>
        mountsea.create({ sessionId, clipIds, name }, { timeoutMs: TIMEOUT_MS }),
      );
    } catch (error) {
      throw failureOf(error, []);
    }
  };
}
