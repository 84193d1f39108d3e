/**
 * Activity side: asks Mountsea to fetch one file into a session. Each call may cost credits, so Temporal repeats it only
 * where it provably had no effect; everything else goes back to the workflow, which counts it as a try.
 */
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import { requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import { withHeartbeat } from './heartbeat.js';
import type { ActivityDependencies } from './dependencies.js';

const TIMEOUT_MS = 60_000;
const REPEATABLE = [ActivityFailureType.NotSent, ActivityFailureType.RateLimited] as const;

export interface UploadClipInput {
  affinity: Affinity;
  sessionId: string;
  audioUrl: string;
}

export function createUploadClip({ mountsea, affinity }: ActivityDependencies) {
  return async function uploadClip(input: UploadClipInput): Promise<{ taskId: string }> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const { sessionId, audioUrl } = input;
    try {
      // No cancellation signal: an aborted request may have been charged all the same, and then nobody would know
      // its task. It ends by itself within the time-out (docs/decisions/0001).
      const { taskId } = await withHeartbeat('upload', () =>
        mountsea.upload({ sessionId, audioUrl }, { timeoutMs: TIMEOUT_MS }),
      );
      return { taskId };
    } catch (error) {
      throw failureOf(error, REPEATABLE);
    }
  };
}
