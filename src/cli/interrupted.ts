/**
 * Client side: Ctrl-C while something is followed or fetched.
 */

/** The first Ctrl-C (or SIGTERM) ends the following; a second one ends the process at once, as usual. */
export function untilInterrupted(signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM']): {
  signal: AbortSignal;
  dispose: () => void;
} {
  const controller = new AbortController();
  const stop = (): void => {
    controller.abort();
    // Not at once: what restores the cursor ends the process when it finds itself the only listener.
    setImmediate(dispose);
  };
  const dispose = (): void => {
    for (const signal of signals) process.off(signal, stop);
  };
  for (const signal of signals) process.on(signal, stop);
  return { signal: controller.signal, dispose };
}
