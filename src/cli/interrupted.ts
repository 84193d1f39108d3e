/**
 * Client side: Ctrl-C while something is followed or fetched.
 */
import { Exit } from './exit.js';

/**
 * The first Ctrl-C (or SIGTERM) ends the following; a second one ends the process at once.
 *
 * @param last is done before it ends so.
 */
export function untilInterrupted(
  signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'],
  last = (): void => undefined,
): {
  signal: AbortSignal;
  dispose: () => void;
} {
  const controller = new AbortController();
  const stop = (): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      return;
    }
    last();
    process.exit(Exit.interrupted);
  };
  for (const signal of signals) process.on(signal, stop);
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
