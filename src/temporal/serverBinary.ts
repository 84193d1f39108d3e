/**
 * Finds the Temporal CLI that carries the server: named by the user, kept from before, downloaded, on the PATH, or built
 * with Go. Whoever starts a server of our own calls it. Every way is tried in turn and says in one line why it fails;
 * nothing is believed before it has told its version.
 */
import { type SpawnOptions, execFile, spawn } from 'node:child_process';
import {
  constants,
  accessSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { lastLines, makePrivateFolder } from './files.js';
import { identify } from './processes.js';

/** The newest release that plain `go install` builds: later ones have a `replace` in their go.mod. */
export const PINNED_CLI = '1.5.1';
/** The server in that release. */
export const PINNED_SERVER = '1.29.1';
/** `h1` checksum of the module in the public checksum database. */
const MODULE = 'github.com/temporalio/cli';
const MODULE_SUM = 'h1:0RZMk14BWxz44Xg6ciDQvpfAMffoG3J7/K03ql80teY=';

const SUFFIX = process.platform === 'win32' ? '.exe' : '';
const BINARY = `temporal${SUFFIX}`;

export interface ServerBinary {
  path: string;
  /** Version of the server in it, e.g. `1.29.1`. A build by Go does not know the version of its CLI. */
  version: string;
  /** Which way it was found, for people. */
  from: string;
}

export interface BinarySearch {
  /** Folder where binaries are kept. */
  cache: string;
  env: NodeJS.ProcessEnv;
  /** Gets one line for each way that fails, and what takes long. */
  say: (line: string) => void;
  /** Version of the server that last wrote the state: an older one must not have it. */
  stateVersion?: string | undefined;
  /** Ends downloads and builds. */
  signal?: AbortSignal | undefined;
  /** Fetches and builds nothing: only what is on this machine already. Default false. */
  isOffline?: boolean;
  /** Puts the pinned CLI into a folder. Default: the SDK's cached download. */
  download?: Download;
  /** How often a build says that it goes on, ms. Default 20 000. */
  reportEveryMs?: number;
}

/** @returns the path of the binary it has put into `folder`. */
export type Download = (folder: string, search: BinarySearch) => Promise<string>;

/** @throws an Error that says what to do where no way leads to a server. */
export async function findServerBinary(search: BinarySearch): Promise<ServerBinary> {
  for (const way of WAYS) {
    if (search.isOffline === true && way.fetches === true) continue;
    search.signal?.throwIfAborted();
    try {
      const found = await way.find(search);
      if (found !== undefined) return { ...found, from: way.name };
    } catch (error) {
      search.signal?.throwIfAborted();
      search.say(`Temporal server, ${way.name}: ${firstLine(error)}`);
    }
  }
  throw new Error(
    'No Temporal server can be had. Install the Temporal CLI (https://docs.temporal.io/cli) or Go, ' +
      'or set TUNESMITH_TEMPORAL_CLI to the path of a `temporal` binary.',
  );
}

interface Found {
  path: string;
  version: string;
}

interface Way {
  name: string;
  /** Gets it from elsewhere, or makes it. */
  fetches?: true;
  /** Undefined where this way was not asked for; throws where it fails. */
  find: (search: BinarySearch) => Promise<Found | undefined>;
}

const WAYS: Way[] = [
  { name: 'TUNESMITH_TEMPORAL_CLI', find: namedByUser },
  { name: `cached ${PINNED_CLI}`, find: keptFromBefore },
  { name: `download of ${PINNED_CLI}`, fetches: true, find: downloaded },
  { name: '`temporal` on the PATH', find: onPath },
  { name: `go install of ${PINNED_CLI}`, fetches: true, find: built },
];

/** The user's own decision, so also an older one: the state is copied before another version gets it. */
async function namedByUser({ env, signal }: BinarySearch): Promise<Found | undefined> {
  const path = env['TUNESMITH_TEMPORAL_CLI']?.trim();
  if (path === undefined || path === '') return undefined;
  const absolute = resolve(path);
  return { path: absolute, version: await versionOf(absolute, signal) };
}

async function keptFromBefore(search: BinarySearch): Promise<Found | undefined> {
  const path = keptPath(search.cache);
  if (!existsSync(path)) return undefined;
  return pinned(path, search);
}

async function downloaded(search: BinarySearch): Promise<Found> {
  refuseOlder(PINNED_SERVER, search);
  return intoCache('download', search, search.download ?? downloadWithSdk);
}

async function onPath(search: BinarySearch): Promise<Found> {
  const path = whichIn(search.env, 'temporal');
  if (path === undefined) throw new Error('there is none');
  const version = await versionOf(path, search.signal);
  refuseOlder(version, search);
  return { path, version };
}

async function built(search: BinarySearch): Promise<Found> {
  refuseOlder(PINNED_SERVER, search);
  const go = whichIn(search.env, 'go');
  if (go === undefined) throw new Error('Go is not installed');
  return intoCache('build', search, (folder) => buildWithGo(go, folder, search));
}

async function pinned(path: string, search: BinarySearch): Promise<Found> {
  const version = await versionOf(path, search.signal);
  if (version !== PINNED_SERVER) throw new Error(`${path} holds server ${version}, not ${PINNED_SERVER}`);
  refuseOlder(version, search);
  return { path, version };
}

function refuseOlder(version: string, { stateVersion }: BinarySearch): void {
  if (stateVersion !== undefined && compareVersions(version, stateVersion) < 0) {
    throw new Error(`server ${version} is older than ${stateVersion}, which wrote the state`);
  }
}

/** Negative where `a` is older than `b`. */
function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/**
 * Makes a binary in a folder of its own and moves it into its place when it has told its version: two processes may do
 * this at once, and one that is killed halfway leaves nothing that looks like a binary.
 */
async function intoCache(
  what: string,
  search: BinarySearch,
  make: (folder: string, search: BinarySearch) => Promise<string>,
): Promise<Found> {
  makePrivateFolder(search.cache);
  sweepUnfinished(search.cache);
  const folder = mkdtempSync(join(search.cache, `unfinished-${what}-${process.pid}-`));
  try {
    const made = await make(folder, search);
    const { version } = await pinned(made, search);
    const path = keptPath(search.cache);
    makePrivateFolder(dirname(path));
    renameSync(made, path);
    return { path, version };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Removes what processes that were killed have left. */
function sweepUnfinished(cache: string): void {
  for (const name of readdirSync(cache)) {
    const pid = /^unfinished-[a-z]+-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || identify(Number(pid)) !== undefined) continue;
    rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function keptPath(cache: string): string {
  return join(cache, `temporal-cli-${PINNED_CLI}`, BINARY);
}

async function versionOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  // 250 MB from a cold disk take their time.
  const options = { timeout: 60_000, ...(signal === undefined ? {} : { signal }) };
  const { stdout } = await promisify(execFile)(path, ['--version'], options);
  const version = /\(Server (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${path} does not tell a server version`);
  return version;
}

/** Relative entries of the PATH are left out: they mean another folder in each working directory. */
/** An executable file on the PATH; absolute. */
export function whichIn(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, `${name}${SUFFIX}`))
    .find(isExecutableFile);
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The SDK downloads only as part of starting a server, and cannot be stopped from outside. So a process of its own does
 * it: it can be killed, and the SDK's runtime with its signal handlers stays out of the one that will run the worker.
 */
const DOWNLOAD_SCRIPT = `
  const { TestWorkflowEnvironment } = require(process.argv[1]);
  const executable = { type: 'cached-download', version: 'v${PINNED_CLI}', downloadDir: process.argv[2] };
  TestWorkflowEnvironment.createLocal({ server: { executable } })
    .then((environment) => environment.teardown())
    .catch((error) => { console.error(error.message); process.exitCode = 1; });
`;
const DOWNLOAD_STALLS_AFTER_MS = 30_000;

async function downloadWithSdk(folder: string, search: BinarySearch): Promise<string> {
  search.say(`Downloading the Temporal server (CLI ${PINNED_CLI}) from temporal.download.`);
  const sdk = createRequire(import.meta.url).resolve('@temporalio/testing');
  // Undocumented but stable: this is the name the SDK's core gives a download of a fixed version.
  const path = join(folder, `temporal-v${PINNED_CLI}${SUFFIX}`);
  const stalled = new AbortController();
  const stopWatching = watchForStall([`${path}.downloading`, path], () => {
    stalled.abort();
  });
  const signal =
    search.signal === undefined ? stalled.signal : AbortSignal.any([search.signal, stalled.signal]);
  try {
    // The SDK's runtime in it catches the gentler signals.
    const options = { cwd: folder, env: search.env, signal, killSignal: 'SIGKILL' as const };
    await run(process.execPath, ['-e', DOWNLOAD_SCRIPT, sdk, folder], options);
  } catch (error) {
    if (stalled.signal.aborted) throw new Error('no progress for 30 s');
    // The server it started with may have been too slow for the SDK's 5 s: the download is good all the same.
    if (!existsSync(path)) throw error;
  } finally {
    stopWatching();
  }
  return path;
}

/** Calls back when none of the files has changed in size for 30 s. @returns stops it. */
function watchForStall(files: string[], onStall: () => void): () => void {
  let last = '';
  let since = performance.now();
  const timer = setInterval(() => {
    const now = files.map((file) => (existsSync(file) ? statSync(file).size : -1)).join();
    if (now !== last) [last, since] = [now, performance.now()];
    else if (performance.now() - since > DOWNLOAD_STALLS_AFTER_MS) onStall();
  }, 1_000);
  return () => {
    clearInterval(timer);
  };
}

async function buildWithGo(go: string, folder: string, search: BinarySearch): Promise<string> {
  const { say, signal, reportEveryMs = 20_000 } = search;
  const env: NodeJS.ProcessEnv = { ...search.env, GOBIN: folder, CGO_ENABLED: '0' };
  // With these set for another target, `go install` refuses GOBIN.
  delete env['GOOS'];
  delete env['GOARCH'];
  // Go ends its compilers on SIGINT, not on SIGTERM.
  const options = { cwd: folder, env, signal, killSignal: 'SIGINT' as const };
  const begun = performance.now();
  say(`Building the Temporal server (CLI ${PINNED_CLI}) with Go, once: about 5 minutes and 250 MB.`);
  const report = setInterval(() => {
    const seconds = Math.round((performance.now() - begun) / 1_000);
    say(`Still building the Temporal server: ${seconds} s of about 300.`);
  }, reportEveryMs);
  try {
    const { stdout } = await run(go, ['mod', 'download', '-json', `${MODULE}@v${PINNED_CLI}`], options);
    refuseOtherSum(stdout);
    await run(go, ['install', `${MODULE}/cmd/temporal@v${PINNED_CLI}`], options);
  } finally {
    clearInterval(report);
  }
  return join(folder, BINARY);
}

function refuseOtherSum(moduleJson: string): void {
  const { Sum: sum } = JSON.parse(moduleJson) as { Sum?: string };
  if (sum !== MODULE_SUM) {
    throw new Error(`${MODULE} v${PINNED_CLI} has the checksum ${String(sum)} instead of ${MODULE_SUM}`);
  }
}

/** @throws an Error with the last line that the command wrote to stderr. */
async function run(
  command: string,
  commandArguments: string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'signal' | 'killSignal'>,
): Promise<{ stdout: string }> {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(command, commandArguments, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolvePromise({ stdout });
      else reject(new Error(lastLines(stderr, 1) || `ended with code ${String(code)}`));
    });
  });
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0] ?? '';
}
