/**
 * What commands know of the background server: find it, start it, compare it, stop it. Runs in the CLI; what it starts
 * is `tunesmith up --background` (host.ts), which lives on when the command and its terminal are gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Affinity } from '../contract/affinity.js';
import { localAddress, openClient } from './connection.js';
import { homePaths, lastLines, makePrivateFolder, openLog, textSince } from './files.js';
import { hasFollowers, noteUse } from './followers.js';
import { type LockRecord, claimOnce, leftServers, lockHolder, readLock, takeLock } from './lock.js';
import {
  type ProcessId,
  identify,
  isRunning,
  isSameProcess,
  signalProcess,
  waitForEnd,
} from './processes.js';
import { type KeySource, type Settings, keyFingerprint } from './settings.js';

export { attachFollower } from './followers.js';

/** The server of a home, up and answering. */
export interface Background {
  /** gRPC, e.g. `127.0.0.1:7233`. */
  address: string;
  /** Web UI, e.g. `http://127.0.0.1:8233`. */
  uiUrl: string;
  /** Of the node process. */
  pid: number;
  /** Whose work its worker does now; absent where it has no key, and so no worker that could do any. */
  worker?: Affinity;
  /** Of the secret that its worker signs notifications with; absent where it has none. */
  webhookFingerprint?: string;
  /** Where its worker's key comes from. */
  keySource?: KeySource;
  /** Where its worker keeps redacted exchanges with the API; absent where it keeps none. */
  recordDir?: string;
  /** This very call has started it. */
  startedNow: boolean;
}

export interface EnsureOptions {
  /** Gets what happens while it starts, a line each. */
  say: (line: string) => void;
  /** `needed`: start it if it is not there. `if-state`: only where this home has state; undefined else. */
  when: 'needed' | 'if-state';
  /** For `up --record`, where this call starts it; absolute. */
  recordDir?: string;
  /** Environment of the process it starts; keys go this way only. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
  /** Script of the process it starts. Default: our own `client.js`. */
  entry?: string;
}

const OWN_ENTRY = fileURLToPath(new URL('../client.js', import.meta.url));
const LOOK_EVERY_MS = 100;
/** The worker's process looks for another key twice a second (tending.ts). */
const KEY_SEEN_WITHIN_MS = 3_000;
/** A process that says it is ready and does not answer for this long is no use. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A worker drains for 75 s at most, its server takes 15 s at most. */
const STOP_TIMEOUT_MS = 110_000;

/** The running server of this home, in the background or by `up`; undefined where none answers. */
export async function findBackground({ home }: Pick<Settings, 'home'>): Promise<Background | undefined> {
  const record = readLock(home);
  if (record?.phase !== 'ready' || record.ports === undefined) return undefined;
  if (!isRunning(record.node) || !isRunning(record.server)) return undefined;
  const address = `127.0.0.1:${record.ports.port}`;
  // It may have been killed just before: looked at again when the answer has taken its time.
  if (!(await answers(address)) || !isRunning(record.node)) return undefined;
  return {
    address,
    uiUrl: `http://127.0.0.1:${record.ports.uiPort}`,
    pid: record.node.pid,
    ...(record.worker === undefined ? {} : { worker: record.worker }),
    ...(record.webhookFingerprint === undefined ? {} : { webhookFingerprint: record.webhookFingerprint }),
    ...(record.keySource === undefined ? {} : { keySource: record.keySource }),
    ...(record.recordDir === undefined ? {} : { recordDir: record.recordDir }),
    startedNow: false,
  };
}

/** Whether this home has state, or a process that is about to have some; else nothing was ever started here. */
export function hasBackground({ home }: Pick<Settings, 'home'>): boolean {
  return existsSync(homePaths(home).stateFile) || lockHolder(home) !== undefined;
}

/** Whether a command follows, which brings the server back when it has ended. */
export function isFollowed({ home }: Pick<Settings, 'home'>): boolean {
  return existsSync(homePaths(home).followers) && hasFollowers(home);
}

/**
 * Whether what answers at its address is still the server that was found. Its port may be another one's by now, which knows
 * nothing of our trainings.
 */
export function isStillThere({ home }: Pick<Settings, 'home'>, { pid }: Pick<Background, 'pid'>): boolean {
  const record = readLock(home);
  return record?.phase === 'ready' && record.node.pid === pid && isRunning(record.server);
}

/**
 * Attaches to the running server of this home, or starts it and waits until it is up. Of many commands at once one
 * starts it and the others attach.
 * @throws an Error with the reason where it does not come up.
 */
export async function ensureBackground(
  settings: Settings,
  options: EnsureOptions & { when: 'needed' },
): Promise<Background>;
export async function ensureBackground(
  settings: Settings,
  options: EnsureOptions,
): Promise<Background | undefined>;
export async function ensureBackground(
  settings: Settings,
  options: EnsureOptions,
): Promise<Background | undefined> {
  const { home } = settings;
  if (options.when === 'if-state' && !hasBackground(settings)) return undefined;
  makePrivateFolder(home);
  // Before the first look at the record: see `untilIdle` in host.ts.
  noteUse(home);
  const before = endedBefore(home);
  const relay = relayProgress(options.say);
  const patience = limitOfPatience(home);
  let start: Start | undefined;
  try {
    for (;;) {
      const found = await findBackground(settings);
      const record = readLock(home);
      const isNew = record !== undefined && !isSameProcess(record.node, before);
      if (isNew) relay(record);
      if (found !== undefined) {
        return await withCurrentKey({ ...found, startedNow: start?.id?.pid === found.pid }, settings);
      }
      if (lockHolder(home) !== undefined) {
        patience(record);
      } else if (start !== undefined) {
        if (start.hasEnded()) throw new Error(start.whyItEnded(record));
      } else if (isNew && record.failure !== undefined) {
        throw new Error(`The background server did not start: ${record.failure}`);
      } else {
        start = startUnlessAnotherDoes(home, options);
      }
      await sleep(LOOK_EVERY_MS);
    }
  } finally {
    start?.release();
  }
}

/** The running worker, as soon as it has seen a key that was changed just now. */
async function withCurrentKey(background: Background, settings: Settings): Promise<Background> {
  const deadline = performance.now() + KEY_SEEN_WITHIN_MS;
  let seen = background;
  while (seesSoon(seen, settings) && performance.now() < deadline) {
    await sleep(LOOK_EVERY_MS);
    const found = await findBackground(settings);
    if (found === undefined) break;
    seen = { ...found, startedNow: background.startedNow };
  }
  return seen;
}

/** Whether it has another key than ours and will read ours, since it comes from a file that both read. */
function seesSoon({ worker, keySource }: Background, settings: Settings): boolean {
  const [key, source] = [settings.apiKey(), settings.keySource()];
  if (key === undefined || source === undefined || source === 'MOUNTSEA_API_KEY') return false;
  if (worker === undefined) return source === 'login';
  return (
    keySource === source &&
    worker.origin === settings.origin &&
    worker.keyFingerprint !== keyFingerprint(settings.origin, key)
  );
}

/** The node process whose end is old news: what it said and why it failed is not for this command. */
function endedBefore(home: string): ProcessId | undefined {
  const record = readLock(home);
  const isStarting = record?.phase === 'starting' && isRunning(record.node);
  return isStarting ? undefined : record?.node;
}

/** What differs between the running server and what the caller would have, and what to do; undefined where nothing does. */
export function describeMismatch(
  { worker, keySource }: Pick<Background, 'worker' | 'keySource'>,
  settings: Pick<Settings, 'origin' | 'apiKey' | 'keySource'>,
): string | undefined {
  const key = settings.apiKey();
  const remedy = 'run `tunesmith down`, then this command again.';
  if (worker === undefined) {
    if (key === undefined) return undefined;
    return `The background server has no worker, since it has no API key. To start one with yours: ${remedy}`;
  }
  if (worker.origin !== settings.origin) {
    return `The background worker serves ${worker.origin}, not ${settings.origin}. To change that: ${remedy}`;
  }
  if (key !== undefined && keyFingerprint(settings.origin, key) !== worker.keyFingerprint) {
    return `The background worker uses another API key (${sourceWords(keySource)}) than yours (${sourceWords(settings.keySource())}). To change that: ${remedy}`;
  }
  return undefined;
}

/** Where a key comes from, in a few words. */
export function sourceWords(source: KeySource | undefined): string {
  return source === 'login' ? 'kept by login' : `from ${source ?? 'its environment'}`;
}

/**
 * Ends the server and the worker of this home, and waits for both: up to 75 s while a paid request is out. Also ends a
 * server whose node process was killed.
 */
export async function stopBackground({ home }: Pick<Settings, 'home'>): Promise<'stopped' | 'not-running'> {
  const holder = lockHolder(home);
  if (holder !== undefined) {
    signalProcess(holder, 'SIGTERM');
    if (!(await waitForEnd(holder, STOP_TIMEOUT_MS))) {
      signalProcess(holder, 'SIGKILL');
      await waitForEnd(holder, STOP_TIMEOUT_MS);
    }
  }
  if (leftServers(home).length === 0) return holder === undefined ? 'not-running' : 'stopped';
  const lock = await takeLock(home, 'background');
  lock.release();
  return 'stopped';
}

async function answers(address: string): Promise<boolean> {
  try {
    const open = await openClient(localAddress(address), 2_000);
    await open.close();
    return true;
  } catch {
    return false;
  }
}

/** A start by this call. */
interface Start {
  id: ProcessId | undefined;
  hasEnded: () => boolean;
  whyItEnded: (record: LockRecord | undefined) => string;
  /** Lets another command start it. */
  release: () => void;
}

/** Twenty commands at once shall not load twenty workers for one to win, so the right to start has a claim of its own. */
function startUnlessAnotherDoes(home: string, options: EnsureOptions): Start | undefined {
  const claim = claimOnce(homePaths(home).starting);
  if (claim === undefined) return undefined;
  // Between our look at the lock and our claim another command may have started it and gone.
  if (lockHolder(home) !== undefined) {
    claim.release();
    return undefined;
  }
  const { backgroundLog } = homePaths(home);
  const log = openLog(backgroundLog);
  const child = spawnDetached(home, options, log.file);
  closeSync(log.file);
  let end: string | undefined;
  child.once('error', (error) => (end = error.message));
  child.once('exit', (code, signal) => (end = `it ended with ${signal ?? `code ${String(code)}`}`));
  child.unref();
  const id = child.pid === undefined ? undefined : identify(child.pid);
  return {
    id,
    hasEnded: () => end !== undefined,
    whyItEnded: (record) => {
      const own = record !== undefined && isSameProcess(record.node, id) ? record.failure : undefined;
      const reason = own ?? [end, lastLines(textSince(backgroundLog, log.size), 10)].join('\n').trim();
      return `The background server did not start: ${reason}\nIts log: ${backgroundLog}`;
    },
    release: () => {
      claim.release();
    },
  };
}

function spawnDetached(home: string, options: EnsureOptions, log: number): ChildProcess {
  const record = options.recordDir === undefined ? [] : ['--record', options.recordDir];
  return spawn(process.execPath, [options.entry ?? OWN_ENTRY, 'up', '--background', ...record], {
    // A session of its own: no signal of this terminal reaches it, and closing the terminal does it no harm.
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...(options.env ?? process.env), TUNESMITH_HOME: home },
  });
}

/** Passes on each line of a start once, whichever command has begun it. */
function relayProgress(say: (line: string) => void): (record: LockRecord) => void {
  let node: ProcessId | undefined;
  let told = 0;
  return (record) => {
    if (!isSameProcess(record.node, node)) [node, told] = [record.node, 0];
    for (const line of record.progress.slice(told)) say(line);
    told = record.progress.length;
  };
}

/** Starting may take as long as it likes, since each step of it is limited; being ready or stopping may not. */
function limitOfPatience(home: string): (record: LockRecord | undefined) => void {
  let phase: string | undefined;
  let since = performance.now();
  return (record) => {
    if (record?.phase !== phase) [phase, since] = [record?.phase, performance.now()];
    const limit =
      phase === 'starting' ? Infinity : phase === 'stopping' ? STOP_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
    if (performance.now() - since > limit) {
      throw new Error(
        `The background server of ${home} runs but does not answer: run \`tunesmith down\`, then this command again.`,
      );
    }
  };
}
