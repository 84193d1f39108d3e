/**
 * Activity side: lets the server notice within seconds that a worker died in the middle of a request.
 */
import { heartbeat } from '@temporalio/activity';

const HEARTBEAT_INTERVAL_MS = 3_000;

/** Runs a request and heartbeats until it ends. `step` is shown to people and proves nothing. */
export async function withHeartbeat<T>(step: string, request: () => Promise<T>): Promise<T> {
  heartbeat(step);
  const timer = setInterval(() => {
    heartbeat(step);
  }, HEARTBEAT_INTERVAL_MS);
  try {
    return await request();
  } finally {
    clearInterval(timer);
  }
}
