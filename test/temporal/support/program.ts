/**
 * A program in plain JavaScript around the real src/temporal, for tests that need processes of their own. Its worker is
 * a stand-in; lock, server and host are the real ones.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { stopBackground } from '../../../src/temporal/background.js';
import { readLock } from '../../../src/temporal/lock.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface Program {
  /** Script that knows `up`, `ensure`, `claim` and `contend`. */
  entry: string;
  remove(): void;
}

/** Compiles only the rooms it needs, without type checks: lint and tsc have their own run. */
export function buildProgram(): Program {
  mkdirSync(join(root, 'node_modules', '.tmp'), { recursive: true });
  // Inside the project, so that its packages are found.
  const folder = mkdtempSync(join(root, 'node_modules', '.tmp', 'program-'));
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  for (const room of ['temporal', 'contract']) {
    mkdirSync(join(folder, 'dist', room), { recursive: true });
    for (const name of readdirSync(join(root, 'src', room))) {
      const source = readFileSync(join(root, 'src', room, name), 'utf8');
      const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
      const { outputText } = ts.transpileModule(source, { compilerOptions });
      writeFileSync(join(folder, 'dist', room, name.replace(/\.ts$/, '.js')), outputText);
    }
  }
  const entry = join(folder, 'dist', 'client.js');
  writeFileSync(entry, ENTRY);
  return {
    entry,
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const ENTRY = `
import { appendFileSync, closeSync, existsSync, openSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings, keyFingerprint } from './temporal/settings.js';

const [command, ...rest] = process.argv.slice(2);
const settings = readSettings();
const entry = fileURLToPath(import.meta.url);

async function startWorker({ address, recordDir }) {
  const fault = process.env.FAKE_WORKER;
  if (fault === 'no-start') throw new Error('the worker cannot start');
  let finish, fail;
  const done = new Promise((resolve, reject) => { finish = resolve; fail = reject; });
  if (fault === 'dies') setTimeout(() => fail(new Error('the worker broke')), 500);
  let draining = false;
  const shutdown = () => {
    if (draining) return;
    draining = true;
    const mayEnd = () => fault !== 'drains-when-told' || existsSync(join(settings.home, 'may-drain'));
    const looks = setInterval(() => {
      if (!mayEnd()) return;
      clearInterval(looks);
      const [host, port] = address.connectionOptions.address.split(':');
      const socket = connect(Number(port), host);
      const tell = (what) => {
        appendFileSync(join(settings.home, 'story'), what + '\\n');
        socket.destroy();
        finish();
      };
      socket.once('connect', () => tell('drained')).once('error', () => tell('drained without its server'));
    }, 300);
  };
  process.once('SIGTERM', shutdown).once('SIGINT', shutdown);
  if (recordDir) appendFileSync(join(settings.home, 'story'), 'records to ' + recordDir + '\\n');
  const affinity = { origin: settings.origin, keyFingerprint: keyFingerprint(settings.origin, settings.apiKey()) };
  return { affinity, done, shutdown };
}

if (command === 'up') {
  const { runHost } = await import('./temporal/host.js');
  const at = rest.indexOf('--record');
  const mode = rest.includes('--background') ? 'background' : 'foreground';
  try {
    await runHost(settings, { mode, startWorker, say: console.log, ...(at < 0 ? {} : { recordDir: rest[at + 1] }) });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
} else if (command === 'ensure') {
  const { ensureBackground } = await import('./temporal/background.js');
  const background = await ensureBackground(settings, { when: 'needed', say: console.error, entry });
  console.log(JSON.stringify(background));
  if (rest.includes('--hold')) setInterval(() => undefined, 1000);
} else if (command === 'claim') {
  const { claimOnce } = await import('./temporal/lock.js');
  console.log(claimOnce(rest[0]) === undefined ? 'refused' : 'claimed');
  setInterval(() => undefined, 1000);
} else if (command === 'contend') {
  const { claimOnce } = await import('./temporal/lock.js');
  const [folder, inside, turns] = rest;
  for (let won = 0; won < Number(turns); ) {
    const claim = claimOnce(folder);
    if (claim === undefined) continue;
    // Fails where another process is inside.
    closeSync(openSync(inside, 'wx'));
    unlinkSync(inside);
    claim.release();
    won += 1;
  }
}
`;

/** A home of its own for one test, with everything in it ended afterwards. */
export interface TestHome {
  home: string;
  /** Environment with this home and no configured server. */
  env: NodeJS.ProcessEnv;
  end(): Promise<void>;
}

export function testHome(extra: NodeJS.ProcessEnv = {}): TestHome {
  const home = mkdtempSync(join(tmpdir(), 'tunesmith-home-'));
  const own = Object.entries(process.env).filter(([name]) => !/^(MOUNTSEA|TEMPORAL|TUNESMITH)_/.test(name));
  const cli = process.env['TUNESMITH_TEMPORAL_CLI'];
  return {
    home,
    env: {
      ...Object.fromEntries(own),
      ...(cli === undefined ? {} : { TUNESMITH_TEMPORAL_CLI: cli }),
      TUNESMITH_HOME: home,
      MOUNTSEA_API_KEY: 'test-key',
      ...extra,
    },
    end: async () => {
      await stopBackground({ home });
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program in a process and collects what it writes. */
export function runProgram(
  program: Program,
  args: string[],
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; ended: Promise<Ended>; stdout: () => string; stderr: () => string } {
  const child = spawn(process.execPath, [program.entry, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
  return { child, ended, stdout: () => stdout, stderr: () => stderr };
}

/** What the fake worker has told of itself. */
export function story(home: string): string {
  try {
    return readFileSync(join(home, 'story'), 'utf8');
  } catch {
    return '';
  }
}

/** The record; throws where there is none. */
export function recordOf(home: string): NonNullable<ReturnType<typeof readLock>> {
  const record = readLock(home);
  if (record === undefined) throw new Error('There is no lock record.');
  return record;
}
