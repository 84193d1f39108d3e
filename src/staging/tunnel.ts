/**
 * Staging: a read-only HTTP server for exactly the files that are being uploaded, behind the user's own tunnel command.
 * Lives in the worker that shares the user's disk; the tunnel is up while there is something to fetch, and no longer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StagingError } from './errors.js';
import { contentTypeOf, extensionOf, requireSame } from './localFile.js';
import type { LocalFile } from './s3.js';

export interface TunnelOptions {
  /** Shell command with `{port}` in it. It writes its public URL to stdout or stderr, and runs until it is stopped. */
  command: string;
  /** For a tunnel that ends on this machine, in tests: http is good enough. */
  allowPrivateUrls: boolean;
  /** How long it may take until its URL leads back here, ms. Default 60 000. */
  startMs?: number;
  /** How long it stays up with nothing to fetch, so that the next file finds it, ms. Default 15 000. */
  lingerMs?: number;
}

/** A file nobody took back, because its training was terminated, is not shown for ever. */
const LONGEST_MS = 6 * 3_600_000;
/** A name that is asked for before it exists is remembered as missing, for minutes. */
const NAME_DELAY_MS = 3_000;
const PROBE_EVERY_MS = 500;
const PROBE_TIMEOUT_MS = 5_000;
const OUTPUT_KEPT = 20_000;

/**
 * Runs the command and ends it with all its children as soon as its stdin closes: also when the worker is killed, since a
 * tunnel that outlives it would lead to whoever takes the port next.
 */
const GUARD = `
const { spawn } = require('node:child_process');
const isWindows = process.platform === 'win32';
const child = spawn(process.argv[1], { shell: true, detached: !isWindows, stdio: ['ignore', 'inherit', 'inherit'] });
const end = () => {
  try {
    if (isWindows) spawn('taskkill', ['/pid', String(child.pid), '/T', '/F']);
    else process.kill(-child.pid, 'SIGTERM');
  } catch {}
};
process.stdin.on('end', end).on('error', end).resume();
process.on('SIGINT', () => {}).on('SIGTERM', end);
child.on('exit', (code) => process.exit(code ?? 1));
`;

interface Served extends LocalFile {
  until: number;
}

export class Tunnel {
  readonly #options: TunnelOptions;
  /** By their random path. */
  readonly #files = new Map<string, Served>();
  #running: Promise<Running> | undefined;
  #lingering: NodeJS.Timeout | undefined;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  /**
   * A URL that the file can be fetched by until it is taken back. The same file keeps its URL while the tunnel lives.
   *
   * @throws StagingError where the file is not what it was, or the tunnel does not come up.
   */
  async urlOf(file: LocalFile): Promise<string> {
    await requireSame(file.path, file);
    clearTimeout(this.#lingering);
    const path = this.#pathOf(file) ?? `/${randomBytes(24).toString('base64url')}${extensionOf(file.path)}`;
    this.#files.set(path, { ...file, until: Date.now() + LONGEST_MS });
    try {
      const { publicUrl } = await this.#start();
      return `${publicUrl}${path}`;
    } catch (error) {
      this.takeBack(file);
      throw error;
    }
  }

  /** The file is not shown any more. With the last one the tunnel ends. */
  takeBack(file: Pick<LocalFile, 'path' | 'sha256'>): void {
    const path = this.#pathOf(file);
    if (path !== undefined) this.#files.delete(path);
    this.#endWhenIdle();
  }

  /** Ends it at once. */
  async close(): Promise<void> {
    this.#files.clear();
    clearTimeout(this.#lingering);
    const running = this.#running;
    this.#running = undefined;
    await running?.then(stop, () => undefined);
  }

  #pathOf({ path, sha256 }: Pick<LocalFile, 'path' | 'sha256'>): string | undefined {
    return [...this.#files].find(([, one]) => one.path === path && one.sha256 === sha256)?.[0];
  }

  #endWhenIdle(): void {
    const now = Date.now();
    for (const [path, { until }] of this.#files) if (until <= now) this.#files.delete(path);
    clearTimeout(this.#lingering);
    if (this.#files.size > 0) return;
    this.#lingering = setTimeout(() => {
      if (this.#files.size === 0) void this.close();
    }, this.#options.lingerMs ?? 15_000).unref();
  }

  #start(): Promise<Running> {
    if (this.#running !== undefined) return this.#running;
    const starting = start(this.#options, (request, response) => {
      void serve(this.#files, request, response);
    });
    this.#running = starting;
    const forget = (): void => {
      if (this.#running === starting) this.#running = undefined;
    };
    starting.then(({ child }) => child.once('exit', forget), forget);
    return starting;
  }
}

interface Running {
  server: Server;
  child: ChildProcess;
  /** Without a slash at its end. */
  publicUrl: string;
}

async function start(
  options: TunnelOptions,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Running> {
  const probe = `/${randomBytes(24).toString('base64url')}`;
  const server = createServer((request, response) => {
    if (request.url === probe) response.end(probe);
    else answer(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const child = spawn(process.execPath, ['-e', GUARD, options.command.replaceAll('{port}', String(port))], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let end: string | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-OUTPUT_KEPT)));
  }
  child.stdin.on('error', () => undefined);
  child
    .once('error', (error) => (end = error.message))
    .once('exit', (code) => (end ??= `code ${code ?? '?'}`));
  const running = { server, child, publicUrl: '' };
  try {
    const publicUrl = await findPublicUrl(
      probe,
      options,
      () => output,
      () => end,
    );
    server.unref();
    child.unref();
    return { ...running, publicUrl };
  } catch (error) {
    stop(running);
    throw error;
  }
}

function stop({ server, child }: Running): void {
  child.stdin?.end();
  server.close();
  server.closeAllConnections();
}

/** Of all URLs in its output, documentation and terms among them, the one that leads back to this server. */
async function findPublicUrl(
  probe: string,
  { allowPrivateUrls, startMs = 60_000 }: TunnelOptions,
  output: () => string,
  end: () => string | undefined,
): Promise<string> {
  const deadline = performance.now() + startMs;
  const firstSeen = new Map<string, number>();
  while (performance.now() < deadline) {
    const ended = end();
    if (ended !== undefined) throw new StagingError(`TUNESMITH_TUNNEL ended at once (${ended})`);
    for (const url of urlsIn(output(), allowPrivateUrls)) {
      const now = performance.now();
      if (!firstSeen.has(url)) firstSeen.set(url, now);
      const isName = !/^https?:\/\/[\d.:[\]]+$/.test(url);
      if (isName && now - (firstSeen.get(url) ?? now) < NAME_DELAY_MS) continue;
      if (await leadsHere(url, probe)) return url;
    }
    await sleep(firstSeen.size === 0 ? 50 : PROBE_EVERY_MS);
  }
  throw new StagingError(
    `no URL in what TUNESMITH_TUNNEL writes leads back to this machine within ${startMs / 1_000} s`,
    { mayPass: true },
  );
}

/** Origins alone: a tunnel begins at the root. */
function urlsIn(output: string, allowHttp: boolean): string[] {
  const found = output.match(allowHttp ? /https?:\/\/[\w.:[\]-]+/g : /https:\/\/[\w.:[\]-]+/g) ?? [];
  const origins = found.filter((url) => URL.canParse(url)).map((url) => new URL(url).origin);
  return [...new Set(origins)];
}

async function leadsHere(origin: string, probe: string): Promise<boolean> {
  try {
    const response = await fetch(`${origin}${probe}`, {
      redirect: 'error',
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    return (await response.text()) === probe;
  } catch {
    return false;
  }
}

/** Reads and nothing else; one range at a time, as players and fetchers ask for. */
async function serve(
  files: ReadonlyMap<string, Served>,
  { method = '', url = '', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const file = files.get(url);
  response.setHeader('cache-control', 'no-store');
  if (file === undefined || file.until <= Date.now()) {
    response.writeHead(404).end();
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const size = await stat(file.path).then(
    (found) => found.size,
    () => -1,
  );
  if (size !== file.bytes) {
    response.writeHead(410).end();
    return;
  }
  const range = rangeOf(headers.range, size);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const { from, to } = range ?? { from: 0, to: size - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': contentTypeOf(file.path),
    'content-length': to - from + 1,
    'accept-ranges': 'bytes',
    ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${size}` }),
  });
  if (method === 'HEAD') {
    response.end();
    return;
  }
  const stream = createReadStream(file.path, { start: from, end: to });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/** @returns undefined where all of it is wanted; what is no single range of bytes is answered with all of it. */
function rangeOf(
  header: string | undefined,
  size: number,
): { from: number; to: number } | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  return from > to || from >= size ? 'unsatisfiable' : { from, to };
}
