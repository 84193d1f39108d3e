/**
 * Activity side: lets the server notice within seconds that a worker died in the middle of a request.
 */
import { heartbeat } from '@temporalio/activity';

const HEARTBEAT_INTERVAL_MS = 1_000;

/** Runs a request and heartbeats until it ends. What the details say of a step is for people and proves nothing. */
export async function withHeartbeat<T>(details: () => unknown, request: () => Promise<T>): Promise<T> {
  heartbeat(details());
  const timer = setInterval(() => {
    heartbeat(details());
  }, HEARTBEAT_INTERVAL_MS);
  try {
    return await request();
  } finally {
    clearInterval(timer);
  }
}
