/**
 * The processes of a chaos run, all real: a Temporal server on a file, two workers, the sandbox and an audio server (both
 * in this process). Workers run from a copy of dist/, so that a build meanwhile changes nothing; servers come back on
 * their ports.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  createWriteStream,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  type WriteStream,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { renderTrack } from '../../src/cli/demo/tracks.js';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.js';
import { localAddress, type OpenClient, openClient } from '../../src/temporal/connection.js';
import { taskQueueFor } from '../../src/temporal/identity.js';
import { type RunningServer, startServer } from '../../src/temporal/server.js';
import { ownPorts } from '../support/ownPorts.js';
import { type Break, breakBuild } from './broken.js';

const WORKERS = 2;
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

export interface WorldOptions {
  speed: number;
  seed: number;
  binary: { path: string; version: string };
  profile: NonNullable<SandboxOptions['profile']>;
  /** What is switched off in the build that runs. */
  broken?: Break | undefined;
}

export class World {
  readonly sandbox: Sandbox;
  readonly taskQueue: string;
  readonly #folder: string;
  readonly #binary: WorldOptions['binary'];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #audio: AudioServer;
  readonly #opened: OpenClient;
  readonly #workers: Supervised[];
  readonly #log: WriteStream;
  #server: RunningServer;

  private constructor(parts: {
    sandbox: Sandbox;
    folder: string;
    binary: WorldOptions['binary'];
    audio: AudioServer;
    opened: OpenClient;
    server: RunningServer;
    speed: number;
  }) {
    const { sandbox, server } = parts;
    this.sandbox = sandbox;
    this.taskQueue = taskQueueFor(sandbox.url);
    this.#folder = parts.folder;
    this.#binary = parts.binary;
    this.#audio = parts.audio;
    this.#opened = parts.opened;
    this.#server = server;
    this.#log = createWriteStream(join(parts.folder, 'workers.log'));
    this.#environment = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: server.address,
      MOUNTSEA_BASE_URL: sandbox.url,
      MOUNTSEA_BILLING_URL: sandbox.billingUrl,
      MOUNTSEA_API_KEY: sandbox.apiKey,
      TUNESMITH_ALLOW_PRIVATE_URLS: '1',
      TUNESMITH_TIME_SCALE: String(1 / parts.speed),
    };
    const program = join(parts.folder, 'build', 'dist', 'worker.js');
    this.#workers = Array.from(
      { length: WORKERS },
      () => new Supervised(program, this.#environment, this.#log),
    );
  }

  static async open({ speed, seed, binary, profile, broken }: WorldOptions): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'tunesmith-chaos-'));
    copyBuild(join(folder, 'build'));
    if (broken !== undefined) breakBuild(join(folder, 'build', 'dist'), broken);
    const server = await startServer({ ...serverOptions(folder, binary), ports: await ownPorts() });
    const sandbox = await startSandbox({ speed, seed, profile });
    const audio = await AudioServer.listen();
    const opened = await openClient(localAddress(server.address));
    const world = new World({ sandbox, folder, binary, audio, opened, server, speed });
    await Promise.all(world.#workers.map((worker) => worker.start()));
    return world;
  }

  get client(): Client {
    return this.#opened.client;
  }

  /** Workers that ended though nobody killed them; each was started again. */
  get workerDeaths(): number {
    return this.#workers.reduce((sum, { deaths }) => sum + deaths, 0);
  }

  /** Where what the workers and the server wrote is. */
  get folder(): string {
    return this.#folder;
  }

  /** @param path what follows the host; one with `bad` in it gives 404. */
  audioUrl(path: string): string {
    return `${this.#audio.url}${path}`;
  }

  async killWorkers(which: readonly number[], downMs: number): Promise<void> {
    const victims = which.flatMap((index) => this.#workers[index] ?? []);
    await Promise.all(victims.map((worker) => worker.kill()));
    await sleep(downMs);
    await Promise.all(victims.map((worker) => worker.start()));
  }

  async killServer(downMs: number): Promise<void> {
    const { port, uiPort, pid, ended } = this.#server;
    process.kill(pid, 'SIGKILL');
    await ended;
    await sleep(downMs);
    this.#server = await startServer({
      ...serverOptions(this.#folder, this.#binary),
      ports: { port, uiPort },
    });
    if (this.#server.port !== port) throw new Error(`The Temporal server did not get port ${port} again.`);
  }

  async outage(downMs: number): Promise<void> {
    await this.sandbox.setDown(true);
    await sleep(downMs);
    await this.sandbox.setDown(false);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    await this.#opened.close();
    await this.#server.stop();
    await this.sandbox.close();
    await this.#audio.close();
    this.#log.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function serverOptions(folder: string, binary: WorldOptions['binary']): Parameters<typeof startServer>[0] {
  return { binary, stateFile: join(folder, 'temporal.db'), logFile: join(folder, 'server.log') };
}

/** dist/ as it is now, with the packages it needs. */
function copyBuild(to: string): void {
  mkdirSync(to, { recursive: true });
  cpSync(join(REPOSITORY, 'dist'), join(to, 'dist'), { recursive: true });
  cpSync(join(REPOSITORY, 'package.json'), join(to, 'package.json'));
  symlinkSync(join(REPOSITORY, 'node_modules'), join(to, 'node_modules'));
}

/** A worker process that is started again when it ends by itself, as a service manager would. */
class Supervised {
  readonly #program: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #isWanted = false;
  deaths = 0;

  constructor(program: string, environment: NodeJS.ProcessEnv, log: WriteStream) {
    this.#program = program;
    this.#environment = environment;
    this.#log = log;
  }

  /** Resolves when it runs. */
  async start(): Promise<void> {
    this.#isWanted = true;
    for (;;) {
      const child = this.#spawn();
      if (await isRunning(child)) return;
      // It needs the Temporal server, which may be down just now.
      await sleep(300);
      if (!this.#wants()) return;
    }
  }

  async kill(): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  #spawn(): ChildProcess {
    const child = spawn(process.execPath, [this.#program], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    let hasRun = false;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      hasRun ||= text.includes('is running');
    });
    child.once('exit', () => {
      if (!this.#wants() || child !== this.#child || !hasRun) return;
      this.deaths += 1;
      void this.start();
    });
    return child;
  }

  // A method, since it changes while somebody waits.
  #wants(): boolean {
    return this.#isWanted;
  }
}

async function isRunning(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.once('exit', () => {
      resolve(false);
    });
    child.stderr?.on('data', (text: string) => {
      if (text.includes('is running')) resolve(true);
    });
  });
}

/** Any path is the same short track; one with `bad` in it is not there. */
class AudioServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<AudioServer> {
    const track = renderTrack(1).subarray(0, 8_000);
    const server = createServer((request, response) => {
      if (request.url?.includes('bad') === true) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'audio/wav' }).end(track);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new AudioServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }
}
