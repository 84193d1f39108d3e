/**
 * The process that has the home: runs the Temporal server and, where there is a key, the worker. It is `tunesmith up`,
 * in the foreground or started in the background by another command. The worker comes in from outside, so that nothing
 * here loads its native module.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { type TemporalAddress, localAddress, openClient } from './connection.js';
import { homePaths } from './files.js';
import { type IdleWatch, idleSeconds, watchIdle } from './idle.js';
import { type HeldLock, takeLock } from './lock.js';
import { identify } from './processes.js';
import { type RunningServer, startServer, stateVersion } from './server.js';
import { findServerBinary } from './serverBinary.js';
import type { Settings } from './settings.js';
import { type RunningWorker, TendedWorker } from './tending.js';

export type { RunningWorker } from './tending.js';

export type StartWorker = (options: {
  address: TemporalAddress;
  settings: Settings;
  recordDir?: string;
  /** The worker shares its disk with whoever starts trainings: it keeps their `--save` files. Default false. */
  writesFiles?: boolean;
}) => Promise<RunningWorker>;

export interface HostOptions {
  /** In the background it also ends when there has been nothing to do for 10 minutes. */
  mode: 'foreground' | 'background';
  startWorker: StartWorker;
  /** Where the worker keeps redacted exchanges with the API. */
  recordDir?: string;
  /** Gets what happens, a line each. */
  say: (line: string) => void;
  /** Default: that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** The worker drains for 75 s at most; one that cannot reach its server is not waited for much longer. */
const DRAIN_TIMEOUT_MS = 90_000;

/**
 * Runs until a signal, the end of the work (background only) or an error. On the way out the worker drains first, then
 * the server stops, then the home is free.
 * @throws HomeInUseError where another process has the home, and an Error where server or worker fail.
 */
export async function runHost(settings: Settings, options: HostOptions): Promise<void> {
  // The server makes its state file itself, also in a home that others may enter; it holds source URLs.
  process.umask(0o077);
  const lock = await takeLock(settings.home, options.mode);
  const stop = listenForStop(options.mode, () => {
    tellStopping(lock);
  });
  let failure: string | undefined;
  const say = (line: string): void => {
    lock.update({ progress: [...lock.record.progress, line] });
    options.say(line);
  };
  try {
    await serve({ settings, options, lock, stop: stop.signal, say });
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return;
    failure = error instanceof Error ? error.message : String(error);
    throw error;
  } finally {
    stop.dispose();
    lock.release(failure);
  }
}

/** What every step of a run needs. */
interface Run {
  settings: Settings;
  options: HostOptions;
  lock: HeldLock;
  /** Aborted by the first signal that asks it to stop. */
  stop: AbortSignal;
  say: (line: string) => void;
}

async function serve(run: Run): Promise<void> {
  const { settings, options, lock, stop, say } = run;
  const { env = process.env } = options;
  const { stateFile, serverLog } = homePaths(settings.home);
  const binary = await findServerBinary({
    cache: settings.cache,
    env,
    say,
    stateVersion: stateVersion(stateFile),
    signal: stop,
  });
  const server = await startServer({
    binary,
    stateFile,
    logFile: serverLog,
    env,
    signal: stop,
    ...(lock.record.ports === undefined ? {} : { ports: lock.record.ports }),
    onSpawn: (pid, ports) => {
      const id = identify(pid);
      lock.update({ ports, serverVersion: binary.version, ...(id === undefined ? {} : { server: id }) });
    },
  });
  try {
    say(`Temporal server ${binary.version} (${binary.from}) is up. Web UI: ${server.uiUrl}`);
    await work(run, server);
  } finally {
    await server.stop();
  }
}

async function work(run: Run, server: RunningServer): Promise<void> {
  const { settings, options, lock, stop, say } = run;
  const address = localAddress(server.address);
  const open = await openClient(address);
  try {
    const tended = new TendedWorker({
      settings,
      lock,
      client: open.client,
      say,
      start: () =>
        options.startWorker({
          address,
          settings,
          writesFiles: true,
          ...(options.recordDir === undefined ? {} : { recordDir: options.recordDir }),
        }),
    });
    await tended.begin();
    const ending = new AbortController();
    const ends = [untilAborted(stop), serverEnd(server)];
    if (!stop.aborted) {
      const { recordDir } = options;
      lock.update({ phase: 'ready', ...(recordDir === undefined ? {} : { recordDir }) });
      if (options.mode === 'foreground') options.say(runningWords(tended.worker));
      const signal = AbortSignal.any([stop, ending.signal]);
      ends.push(tended.tend(signal));
      if (options.mode === 'background') ends.push(idle(run, open.client, signal));
    }
    const [end] = await Promise.allSettled([Promise.race(ends)]);
    ending.abort();
    tellStopping(lock);
    const { worker } = tended;
    const [drained] = await Promise.allSettled([worker === undefined ? undefined : drain(worker)]);
    // What ended it is the reason; that the worker then failed to drain is only its consequence.
    for (const outcome of [end, drained]) if (outcome.status === 'rejected') throw outcome.reason;
  } finally {
    await open.close();
  }
}

/** For who started it in the foreground. */
function runningWords(worker: RunningWorker | undefined): string {
  const end = 'Ctrl-C ends it; trainings go on when it is back.';
  if (worker === undefined) return end;
  const { origin, keyFingerprint } = worker.affinity;
  return `A worker for ${origin} (key ${keyFingerprint}) runs with it. ${end}`;
}

/** So that no further command attaches. */
function tellStopping(lock: HeldLock): void {
  try {
    lock.update({ phase: 'stopping' });
  } catch {
    // A full disk must not keep the worker from draining.
  }
}

async function serverEnd(server: RunningServer): Promise<never> {
  throw new Error(`The Temporal server ended by itself: ${await server.ended}`);
}

async function drain(worker: RunningWorker): Promise<void> {
  worker.shutdown();
  const timer = new AbortController();
  const tooLong = sleep(DRAIN_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`The worker did not drain within ${DRAIN_TIMEOUT_MS / 1_000} s.`);
  });
  try {
    await Promise.race([worker.done, tooLong]);
  } finally {
    timer.abort();
  }
}

/** Resolves when there has been nothing to do for long enough and nobody came in the last moment. Rejects when told to end. */
async function idle({ settings, options, lock }: Run, client: Client, signal: AbortSignal): Promise<void> {
  const watch = watchIdle(client, settings.home, idleSeconds(options.env ?? process.env));
  await untilIdle(watch, lock, signal);
}

async function untilIdle(watch: IdleWatch, lock: HeldLock, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(watch.lookEveryMs, undefined, { signal });
    const isIdle = await watch.look();
    signal.throwIfAborted();
    if (!isIdle) continue;
    // A command marks its use before it reads the record. So one that still read `ready` has left its mark by now, and
    // one that reads `stopping` waits for what comes of it.
    lock.update({ phase: 'stopping' });
    if (!watch.isNeededAgain()) return;
    lock.update({ phase: 'ready' });
  }
}

/**
 * The SDK drains a worker on the first signal and then takes its handlers away, so that a second one would end the
 * process while a paid request is out. These stay until everything is down.
 */
function listenForStop(
  mode: HostOptions['mode'],
  onStop: () => void,
): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) return;
    controller.abort();
    onStop();
  };
  // The background process has no terminal that could close.
  const hangUp = mode === 'foreground' ? stop : (): void => undefined;
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', hangUp);
  return {
    signal: controller.signal,
    dispose: () => {
      process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', hangUp);
    },
  };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
