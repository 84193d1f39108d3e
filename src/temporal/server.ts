/**
 * Starts and stops a Temporal server of our own as a child process: for the background process with its state in a
 * file, for tests and the demo also in memory. Does not choose the binary (serverBinary.ts) and takes no lock (lock.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, copyFileSync, existsSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenClient, localAddress, openClient } from './connection.js';
import { lastLines, openLog, readIfThere, temporaryBeside, textSince, writeWhole } from './files.js';
import { keepHistory } from './namespace.js';
import type { ServerBinary } from './serverBinary.js';

/** Where a server listens, on 127.0.0.1. */
export interface ServerPorts {
  /** gRPC. */
  port: number;
  /** Web UI. */
  uiPort: number;
}

export interface ServerOptions {
  binary: Pick<ServerBinary, 'path' | 'version'>;
  /** SQLite file of the state; its folder must exist. Absent: in memory, gone with the server. */
  stateFile?: string;
  /** Tried first, so that a restart keeps its URLs; then 7233 and 8233, then the next free ones. */
  ports?: ServerPorts;
  /** The server's own output is appended here. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
  /** Called with each process before anything else can happen, so that a killed caller leaves a record of it. */
  onSpawn?: (pid: number, ports: ServerPorts) => void;
  /** Ends a start that is under way. */
  signal?: AbortSignal;
}

export interface RunningServer extends ServerPorts {
  /** gRPC, e.g. `127.0.0.1:7233`. */
  address: string;
  /** Web UI, e.g. `http://127.0.0.1:8233`. */
  uiUrl: string;
  pid: number;
  /** Resolves when the process is gone, with the last lines it wrote; never rejects. */
  ended: Promise<string>;
  /** SIGTERM, SIGKILL after 15 s; resolves when it is gone. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Tried first by a home that has had none. */
export const DEFAULT_PORTS: ServerPorts = { port: 7233, uiPort: 8233 };
const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * The stock server looks for due timers only once a second, so that short ones fire half a second late; lower values
 * than this make them later again. Nothing else of the server's limits is in the way of one machine's trainings.
 */
const TIMER_SETTING = 'history.timerProcessorMaxTimeShift="100ms"';

/** By these a server of ours on this state is told in the list of processes. */
export function stateFileArguments(stateFile: string): string[] {
  return ['start-dev', '--db-filename', stateFile, TIMER_SETTING];
}

/** Version of the server that last wrote this state; undefined where there is none. */
export function stateVersion(stateFile: string): string | undefined {
  return readIfThere(versionFile(stateFile))?.trim();
}

/**
 * Starts a server and waits until it answers and keeps history for 90 days or more.
 * @throws an Error with the last lines of its log where it dies or does not answer within 90 s.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { stateFile, binary } = options;
  if (stateFile !== undefined) keepStateOfOtherVersion(stateFile, binary.version);
  const tried: ServerPorts[] = [];
  for (;;) {
    options.signal?.throwIfAborted();
    const ports = await freePorts(options.ports, tried);
    tried.push(ports);
    try {
      return await startOn(ports, options);
    } catch (error) {
      // Somebody took the port between our look and the server's start.
      if (!(error instanceof PortTakenError) || tried.length >= 5) throw error;
    }
  }
}

class PortTakenError extends Error {
  override readonly name = 'PortTakenError';
}

async function startOn(ports: ServerPorts, options: ServerOptions): Promise<RunningServer> {
  const log = openLog(options.logFile);
  // A session of its own: a Ctrl-C in the terminal must not reach the server before the worker has drained.
  const child = spawn(options.binary.path, serverArguments(ports, options.stateFile), {
    detached: true,
    stdio: ['ignore', log.file, log.file],
    env: serverEnvironment(options.env ?? process.env),
  });
  if (child.pid !== undefined) options.onSpawn?.(child.pid, ports);
  closeSync(log.file);
  const output = (): string => textSince(options.logFile, log.size);
  const ended = endOf(child).then((how) =>
    [how, panicIn(output()), lastLines(output(), 15)].join('\n').trim(),
  );
  const server: RunningServer = {
    ...ports,
    address: `${HOST}:${ports.port}`,
    uiUrl: `http://${HOST}:${ports.uiPort}`,
    pid: child.pid ?? 0,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
  try {
    await Promise.race([untilReady(server, output, options.signal), failWhenItEnds(ended)]);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function serverArguments(ports: ServerPorts, stateFile: string | undefined): string[] {
  const listen = ['--ip', HOST, '--port', String(ports.port), '--ui-port', String(ports.uiPort)];
  const state = stateFile === undefined ? [] : ['--db-filename', stateFile];
  return [
    'server',
    'start-dev',
    ...listen,
    ...state,
    '--dynamic-config-value',
    TIMER_SETTING,
    '--log-level',
    'error',
  ];
}

/** No key for a process that needs none, and no profile of the user's for the CLI that the server is part of. */
function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(MOUNTSEA|TEMPORAL)_/.test(name)));
}

async function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(`cannot be started: ${error.message}`);
    });
    child.once('exit', (code, signal) => {
      resolve(signal === null ? `ended with code ${String(code)}` : `ended by ${signal}`);
    });
  });
}

/** A panic says what is wrong in its first line, and then a page of where. */
function panicIn(output: string): string {
  return /^panic: .*$/m.exec(output)?.[0] ?? '';
}

async function failWhenItEnds(ended: Promise<string>): Promise<never> {
  const how = await ended;
  const message = `The Temporal server ${how}`;
  // It looks for ports of its own as well, and panics where somebody else was faster; on a busy machine by a nil pointer.
  throw /address already in use|(free|ephemeral) port|nil pointer/i.test(how)
    ? new PortTakenError(message)
    : new Error(message);
}

async function untilReady(
  server: RunningServer,
  output: () => string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const begun = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const elapsed = performance.now() - begun;
    // What answers on the port may be a stranger who took it just before: only ours writes its line into our log.
    // Should a later version write no such line, then a server that has lived this long has its port.
    const announced = /^Server:/m.test(output()) || elapsed > 10_000;
    if (announced && (await answersAndKeepsHistory(server.address))) return;
    if (elapsed > START_TIMEOUT_MS) {
      throw new Error(`The Temporal server did not answer within 90 s.\n${lastLines(output(), 15)}`.trim());
    }
    await sleep(100);
  }
}

async function answersAndKeepsHistory(address: string): Promise<boolean> {
  let open: OpenClient | undefined;
  try {
    open = await openClient(localAddress(address), 2_000);
    // The dev server forgets closed runs after a day.
    await keepHistory(open.client, 'default');
    return true;
  } catch {
    // Not yet: the namespace comes a moment after the port.
    return false;
  } finally {
    await open?.close();
  }
}

/** An upgrade changes the state for good, so the old server's is kept beside it: `temporal.db.written-by-1.29.1`. */
function keepStateOfOtherVersion(stateFile: string, version: string): void {
  const last = stateVersion(stateFile);
  if (last === version) return;
  if (last !== undefined && existsSync(stateFile)) {
    for (const suffix of ['', '-wal', '-shm']) {
      copyIfThere(`${stateFile}${suffix}`, `${stateFile}.written-by-${last}${suffix}`);
    }
  }
  writeWhole(versionFile(stateFile), `${version}\n`);
}

function copyIfThere(from: string, to: string): void {
  if (!existsSync(from)) return;
  const temporary = temporaryBeside(to);
  copyFileSync(from, temporary, constants.COPYFILE_FICLONE);
  renameSync(temporary, to);
}

function versionFile(stateFile: string): string {
  return `${stateFile}.version`;
}

async function freePorts(preferred: ServerPorts | undefined, tried: ServerPorts[]): Promise<ServerPorts> {
  const usual = Array.from({ length: 100 }, (_, step) => ({
    port: DEFAULT_PORTS.port + step,
    uiPort: DEFAULT_PORTS.uiPort + step,
  }));
  for (const ports of [...(preferred === undefined ? [] : [preferred]), ...usual]) {
    if (tried.some(({ port }) => port === ports.port)) continue;
    if ((await isFree(ports.port)) && (await isFree(ports.uiPort))) return ports;
  }
  throw new Error(`No free ports from ${DEFAULT_PORTS.port} and ${DEFAULT_PORTS.uiPort} on.`);
}

/** Whether nobody listens there on this machine's loopback address. */
export async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen({ host: HOST, port, exclusive: true }, () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}
