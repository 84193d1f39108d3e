/**
 * Client side: the whole story on one machine with no key. Starts everything that a training needs (Temporal server,
 * sandbox, worker, audio files), runs the real `train` against it, and stops what it started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { TrainedModel } from '../../contract/training.js';
import { localAddress, openClient } from '../../temporal/connection.js';
import { trainingWorkflowId, urlIdentity } from '../../temporal/identity.js';
import { type RunningServer, startServer } from '../../temporal/server.js';
import { findServerBinary } from '../../temporal/serverBinary.js';
import { receiptWords } from '../draw.js';
import { serveTracks } from './tracks.js';

/** Uploads of 6 to 25 s and a training of 2 to 3 minutes become a demo of half a minute. */
const DEMO_SPEED = 8;
const MODEL_NAME = 'Night Drive';
/** One upload fails the first time, so that its recovery is seen. */
const FAULTS = [{ on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'the decoder gave up (demo)' } }];

export interface DemoOptions {
  /** Leave everything running, with the Web UI, until Ctrl-C. */
  keep: boolean;
  /** True durations instead of eight times faster. */
  realTime: boolean;
  cache: string;
  /** Runs a command line of ours, as `main` of the program does. */
  run: (argv: string[], env: NodeJS.ProcessEnv) => Promise<number>;
  /** Gets lines for people. */
  say: (line: string) => void;
  signal: AbortSignal;
}

/** @returns the exit code of the training. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { say, signal } = options;
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-demo-'));
  const cleanups: (() => Promise<void> | void)[] = [
    () => {
      rmSync(folder, { recursive: true, force: true });
    },
  ];
  try {
    const speed = options.realTime ? 1 : DEMO_SPEED;
    const server = await startTemporal(options, folder);
    cleanups.push(() => server.stop());
    const sandbox = await startSandboxProcess(folder, speed);
    cleanups.push(() => endChild(sandbox.process));
    const tracks = await serveTracks();
    cleanups.push(() => tracks.close());
    const env = demoEnvironment(server, sandbox, folder, speed);
    const worker = await startWorkerProcess(env);
    cleanups.push(() => endChild(worker));
    say(`Running: Temporal server (Web UI ${server.uiUrl}), sandbox ${sandbox.url}, one worker.`);
    if (options.realTime) say('True durations: this takes 3 to 4 minutes.');
    else say(`Durations are ${speed} times shorter than at Mountsea.`);

    const id = trainingWorkflowId({
      origin: new URL(sandbox.url).origin,
      name: MODEL_NAME,
      sources: tracks.urls.map(urlIdentity),
    });
    say(`This run in the Web UI: ${server.uiUrl}/namespaces/default/workflows/${id}`);
    const code = await options.run(['train', '--name', MODEL_NAME, '--yes', ...tracks.urls], env);
    if (code === 0) await tellTheEnd(server.address, id, sandbox.url, say);
    if (options.keep && !signal.aborted) {
      say(
        `The Web UI stays open: ${server.uiUrl}/namespaces/default/workflows/${id}  (Ctrl-C ends the demo)`,
      );
      await untilAborted(signal);
    }
    return code;
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

async function startTemporal({ cache, say, signal }: DemoOptions, folder: string): Promise<RunningServer> {
  const binary = await findServerBinary({ cache, env: process.env, say, signal });
  return startServer({ binary, logFile: join(folder, 'server.log'), signal });
}

interface SandboxProcess {
  url: string;
  billingUrl: string;
  apiKey: string;
  process: ChildProcess;
}

const readyLine = z.object({ url: z.string(), billingUrl: z.string(), apiKey: z.string() });

async function startSandboxProcess(folder: string, speed: number): Promise<SandboxProcess> {
  const faults = join(folder, 'faults.json');
  writeFileSync(faults, JSON.stringify(FAULTS));
  const child = startNode('../../sandbox/main.js', ['--json', '--speed', String(speed), '--faults', faults], {
    PATH: process.env['PATH'],
  });
  const line = await firstLine(child, 'stdout');
  return { ...readyLine.parse(JSON.parse(line)), process: child };
}

/** Nothing of the user's own configuration: neither a key nor a Temporal address may leak into the demo. */
function demoEnvironment(
  server: RunningServer,
  sandbox: SandboxProcess,
  folder: string,
  speed: number,
): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(MOUNTSEA|TEMPORAL|TUNESMITH)_/.test(name));
  return {
    ...Object.fromEntries(own),
    TUNESMITH_HOME: join(folder, 'home'),
    TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'),
    TEMPORAL_ADDRESS: server.address,
    MOUNTSEA_BASE_URL: sandbox.url,
    MOUNTSEA_BILLING_URL: sandbox.billingUrl,
    MOUNTSEA_API_KEY: sandbox.apiKey,
    TUNESMITH_ALLOW_PRIVATE_URLS: '1',
    TUNESMITH_TIME_SCALE: String(1 / speed),
  };
}

async function startWorkerProcess(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = startNode('../../worker.js', [], env);
  await firstLine(child, 'stderr');
  return child;
}

/** What it cost and how it went, from the result; and the sandbox's own ledger beside it. */
async function tellTheEnd(
  address: string,
  id: string,
  sandboxUrl: string,
  say: (line: string) => void,
): Promise<void> {
  const opened = await openClient(localAddress(address));
  try {
    const result = (await opened.client.workflow.getHandle(id).result()) as TrainedModel;
    const begun = Date.parse(result.startedAt);
    say('');
    say('How it went:');
    for (const { at, text } of result.timeline) {
      say(`  ${((Date.parse(at) - begun) / 1000).toFixed(1).padStart(6)} s  ${text}`);
    }
    say('');
    say(`Charged, says tunesmith: ${receiptWords(result.receipt)}.`);
    say(`Charged, says the sandbox's ledger: ${await ledgerSentence(sandboxUrl)}`);
    say('');
    say(
      'This model is known to the sandbox only, and goes with the demo. For one of yours, with an API key: `tunesmith login`, then `tunesmith train --name NAME FOLDER`.',
    );
  } finally {
    await opened.close();
  }
}

const ledgerReport = z.object({ ledger: z.array(z.object({ kind: z.string(), amount: z.number() })) });

async function ledgerSentence(sandboxUrl: string): Promise<string> {
  const response = await fetch(`${sandboxUrl}/_sandbox/report`);
  const { ledger } = ledgerReport.parse(await response.json());
  const kinds = [...new Set(ledger.map(({ kind }) => kind))];
  const parts = kinds.map((kind) => {
    const rows = ledger.filter((row) => row.kind === kind);
    return `${rows.length} × ${kind} = ${rows.reduce((sum, { amount }) => sum + amount, 0)}`;
  });
  return `${parts.join(', ')} credits.`;
}

function startNode(module: string, args: string[], env: NodeJS.ProcessEnv): ChildProcess {
  const path = fileURLToPath(new URL(module, import.meta.url));
  return spawn(process.execPath, [path, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C in the terminal must reach the demo first, which ends the others in order.
    detached: true,
  });
}

/** The first line that a process writes there. Everything after it is read and dropped, so that the pipe never fills. */
async function firstLine(child: ChildProcess, from: 'stdout' | 'stderr'): Promise<string> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)));
  if (from === 'stdout') child.stdout?.resume();
  const stream = child[from];
  if (stream === null) throw new Error('The process has no output.');
  const lines = createInterface({ input: stream });
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => String(text)),
    once(child, 'exit').then(() => undefined),
  ]);
  lines.close();
  stream.resume();
  if (line !== undefined) return line;
  throw new Error(`A process of the demo ended at once: ${said.trim()}`);
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await once(signal, 'abort');
}
