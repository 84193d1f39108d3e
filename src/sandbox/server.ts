/**
 * Sandbox: the two hosts over HTTP, with faults down to the socket. Routes are thin: they read a request, ask the service,
 * and let the wire shape the answer. On node:http, since a framework would tidy up what is broken on purpose.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { Faults, type Subject } from './faults.js';
import {
  type Fault,
  faultRule,
  profile as profileSchema,
  profileWith,
  type RequestKind,
  type SandboxOptions,
  type SandboxReport,
  type Shapes,
  shapes as shapesSchema,
} from './options.js';
import { Replay } from './replay.js';
import { Refusal, Service, type SongAsk, type Task, type TaskFate } from './service.js';
import { errorBody, taskBody } from './wire.js';

const LOG_LIMIT = 2_000;
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_LEDGER_RANGE_MS = 90 * 24 * 3_600_000;

/** What a route makes of a request. */
interface Reply {
  status: number;
  body: unknown;
}

interface Call {
  kind: RequestKind;
  host: 'api' | 'billing';
  key: string;
  body: Record<string, unknown>;
  query: URLSearchParams;
  subject: Subject;
  fault: Fault | undefined;
  /** Where this client reaches the sandbox. */
  base: string;
}

export class SandboxServer {
  readonly #options: SandboxOptions;
  readonly #keys: string[];
  readonly #speed: number;
  readonly #faults = new Faults();
  readonly #replay: Replay | undefined;
  readonly #api: Server;
  readonly #billing: Server;
  /** What `status` said last of each task, for stale answers. */
  readonly #shown = new Map<string, Reply>();
  #shapes: Shapes;
  #service: Service;
  /** How often it was reset. */
  #generation = 0;
  #counts: Partial<Record<RequestKind, number>> = {};
  #log: SandboxReport['requests']['log'] = [];
  #ports: { api: number; billing: number } = { api: 0, billing: 0 };

  /** @throws ZodError or Error where the options cannot be used. */
  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#keys = options.apiKeys ?? ['sandbox-key'];
    this.#speed = options.speed ?? 1;
    this.#shapes = shapesSchema.parse(options.shapes ?? {});
    this.#replay = options.replayDir === undefined ? undefined : new Replay(options.replayDir);
    this.#faults.add(z.array(faultRule).parse(options.faults ?? []));
    this.#service = this.#newService();
    this.#api = this.#listener('api');
    this.#billing = this.#listener('billing');
  }

  get apiKey(): string {
    return this.#keys[0] ?? '';
  }

  get urls(): { api: string; billing: string } {
    const { host = '127.0.0.1' } = this.#options;
    const name = host === '0.0.0.0' ? '127.0.0.1' : host;
    return { api: `http://${name}:${this.#ports.api}`, billing: `http://${name}:${this.#ports.billing}` };
  }

  async listen(): Promise<void> {
    const { port = 0, billingPort = 0 } = this.#options;
    this.#ports.api = await this.#open(this.#api, this.#ports.api || port);
    this.#ports.billing = await this.#open(this.#billing, this.#ports.billing || billingPort);
  }

  /** Closes the doors: connections are refused until `listen`. */
  async shut(): Promise<void> {
    await Promise.all([this.#api, this.#billing].map(closeServer));
  }

  async close(): Promise<void> {
    this.#service.end();
    await this.shut();
  }

  /** @returns what takes these rules, and no others, back. */
  addFaults(rules: unknown): () => void {
    return this.#faults.add(z.array(faultRule).parse(rules));
  }

  setShapes(shapes: unknown): void {
    this.#shapes = shapesSchema.parse(shapes);
  }

  /** @throws ZodError or Error where it is no part of a profile, or changes what holds at the start only. */
  setProfile(change: unknown): void {
    const { profile } = this.#service;
    const next = profileWith(profile, change);
    for (const field of ['accounts', 'balance'] as const) {
      if (next[field] !== profile[field]) throw new Error(`${field} holds at the start only`);
    }
    this.#service.setProfile(next);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /** As it was at the start, without faults; shapes stay. */
  reset(): void {
    this.#service.end();
    this.#generation += 1;
    this.#service = this.#newService();
    this.#faults.clear();
    this.#shown.clear();
    this.#counts = {};
    this.#log = [];
  }

  report(): SandboxReport {
    return { requests: { counts: { ...this.#counts }, log: [...this.#log] }, ...this.#service.report() };
  }

  #newService(): Service {
    const profile = profileSchema.parse(this.#options.profile ?? {});
    return new Service(this.#keys, profile, this.#speed, this.#options.seed ?? 1, this.#generation);
  }

  async #open(server: Server, port: number): Promise<number> {
    if (server.listening) return (server.address() as AddressInfo).port;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, this.#options.host ?? '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
    return (server.address() as AddressInfo).port;
  }

  #listener(host: 'api' | 'billing'): Server {
    return createServer((request, response) => {
      this.#handle(host, request, response).catch((error: unknown) => {
        // A client that went away, or a bug of ours: the sandbox goes on.
        if (!response.headersSent) send(response, 500, { statusCode: 500, message: String(error) });
        else response.destroy();
      });
    });
  }

  async #handle(host: 'api' | 'billing', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const text = await bodyOf(request);
    if (url.pathname.startsWith('/_sandbox/')) {
      this.#control(request.method ?? '', url.pathname.slice('/_sandbox/'.length), text, response);
      return;
    }
    if (url.searchParams.has('key')) this.#service.noteKeyInUrl(url.pathname);
    const kind = kindOf(host, request.method ?? '', url.pathname);
    if (kind === undefined) {
      this.#error(response, 404, `Cannot ${request.method ?? ''} ${url.pathname}`);
      return;
    }
    const body = objectIn(text);
    const taskId = url.searchParams.get('taskId') ?? undefined;
    const task = taskId === undefined ? undefined : this.#service.about(taskId);
    const subject: Subject = {
      audioUrl: textIn(body?.['audioUrl']) ?? task?.audioUrl,
      name: textIn(body?.['name']) ?? task?.name,
      taskId,
    };
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    const note = (outcome: string): void => {
      const about = subject.taskId ?? subject.name;
      this.#log.push({
        at: new Date().toISOString(),
        kind,
        outcome,
        ...(about === undefined ? {} : { subject: about }),
      });
      if (this.#log.length > LOG_LIMIT) this.#log.shift();
    };
    if (this.#replay !== undefined) {
      this.#answerFromReplay(this.#replay, host, request.method ?? '', request.url ?? '', response);
      note('replayed');
      return;
    }
    const fault = this.#faults.take(kind, subject) ?? faultInHeader(request);
    const key = keyIn(host, request);
    const base = `http://${request.headers.host ?? new URL(this.urls.api).host}`;
    const call = { kind, host, key, body: body ?? {}, query: url.searchParams, subject, fault, base };
    const reply = (): Reply => this.#reply(call, body === undefined && text !== '');
    note(await this.#answer(call, reply, response));
  }

  /** Answers, or does what the fault says instead. @returns what happened, for the report. */
  async #answer({ fault, subject }: Call, reply: () => Reply, response: ServerResponse): Promise<string> {
    switch (fault?.kind) {
      case undefined:
      case 'failTask':
      case 'neverFinish':
      case 'successWithoutModel': {
        const { status, body } = reply();
        if (subject.taskId !== undefined) this.#shown.set(subject.taskId, { status, body });
        this.#send(response, { status, body });
        return String(status);
      }
      case 'refuse':
        response.socket?.resetAndDestroy();
        return fault.kind;
      case 'lost':
        reply();
        response.socket?.resetAndDestroy();
        return fault.kind;
      case 'late':
        this.#service.after(fault.afterMs, reply);
        response.socket?.resetAndDestroy();
        return fault.kind;
      case 'hang':
        if (fault.when !== 'before') reply();
        return fault.kind;
      case 'slow': {
        const late = reply();
        await new Promise((resolve) => setTimeout(resolve, fault.delayMs).unref());
        this.#send(response, late);
        return fault.kind;
      }
      case 'status': {
        if (fault.when === 'after') reply();
        const { status, body = { statusCode: status, message: `fault ${status}` }, headers } = fault;
        send(response, status, body, headers);
        return `${fault.kind} ${status}`;
      }
      case 'rateLimit': {
        const { retryAfterSeconds, form = 'seconds' } = fault;
        const date = new Date(Math.ceil((Date.now() + retryAfterSeconds * 1_000) / 1_000) * 1_000);
        const retryAfter = form === 'seconds' ? String(retryAfterSeconds) : date.toUTCString();
        this.#error(response, 429, 'ThrottlerException: Too Many Requests', { 'retry-after': retryAfter });
        return fault.kind;
      }
      case 'redirect':
        response.writeHead(302, { location: '/elsewhere' }).end();
        return fault.kind;
      case 'garbage':
        reply();
        response.writeHead(201, { 'content-type': 'text/html' }).end('<html><body>It works!</body></html>');
        return fault.kind;
      case 'truncated': {
        const { status, body } = reply();
        const text = JSON.stringify(body);
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length });
        response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
        return fault.kind;
      }
      case 'staleStatus':
        this.#send(response, this.#shown.get(subject.taskId ?? '') ?? reply());
        return fault.kind;
      case 'unknownStatus': {
        const { status, body } = reply();
        const word = fault.word ?? 'polishing';
        this.#send(response, {
          status,
          body: { ...(body as object), status: word, data: undefined, result: undefined },
        });
        return fault.kind;
      }
      case 'notFoundAtFirst':
        this.#error(response, 404, 'task not found');
        return fault.kind;
    }
  }

  #reply(call: Call, isUnreadable: boolean): Reply {
    try {
      if (isUnreadable) throw new Refusal(400, 'the body is no JSON object');
      this.#service.admit(call.key);
      return this.#route(call);
    } catch (error) {
      if (error instanceof Refusal) return { status: error.status, body: error };
      throw error;
    }
  }

  #route({ kind, key, body, query, fault, base }: Call): Reply {
    const { postStatus } = this.#shapes;
    const started = ({ taskId }: Task): Reply => ({ status: postStatus, body: { taskId } });
    const text = (field: string): string => {
      const value = body[field];
      if (typeof value === 'string') return value;
      throw new Refusal(400, `${field} must be a string`);
    };
    switch (kind) {
      case 'prepare':
        return { status: postStatus, body: { sessionId: this.#service.prepare(key) } };
      case 'upload':
        return started(this.#service.upload(key, text('sessionId'), text('audioUrl'), fateOf(fault)));
      case 'create': {
        const clipIds = z.array(z.string()).safeParse(body['clipIds']);
        if (!clipIds.success) throw new Refusal(400, 'clipIds must be an array of strings');
        const name = text('name');
        return started(this.#service.create(key, text('sessionId'), clipIds.data, name, fateOf(fault)));
      }
      case 'status': {
        const task = this.#service.look(key, query.get('taskId') ?? '');
        if (task === undefined) throw new Refusal(404, 'task not found');
        return { status: 200, body: taskBody(task, this.#shapes, base) };
      }
      case 'generate':
        refuseStrayFields(body);
        return started(this.#service.generate(key, songIn(text('model'), body), fateOf(fault)));
      case 'schema':
        return { status: 200, body: GENERATE_SCHEMA };
      case 'credits':
        return { status: 200, body: { credits: this.#service.balance(key) } };
      case 'points':
        return { status: postStatus, body: this.#ledgerPage(key, body) };
    }
  }

  #ledgerPage(key: string, body: Record<string, unknown>): object {
    const asked = z
      .object({
        dateRange: z.object({ start: z.number(), end: z.number() }),
        page: z.number().int().positive().default(1),
        limit: z.number().int().positive().max(100).default(10),
      })
      .safeParse(body);
    if (!asked.success) throw new Refusal(400, 'dateRange is required; page and limit are positive');
    const { dateRange, page, limit } = asked.data;
    if (dateRange.end - dateRange.start > MAX_LEDGER_RANGE_MS) throw new Refusal(400, 'at most 90 days');
    const rows = this.#service.rows(key, dateRange.start, dateRange.end);
    const items = rows.slice((page - 1) * limit, page * limit);
    return {
      items,
      meta: {
        totalItems: rows.length,
        itemCount: items.length,
        itemsPerPage: limit,
        totalPages: Math.ceil(rows.length / limit),
        currentPage: page,
      },
    };
  }

  #answerFromReplay(
    replay: Replay,
    host: 'api' | 'billing',
    method: string,
    path: string,
    response: ServerResponse,
  ): void {
    const outcome = replay.next(host, method, path);
    if (outcome === undefined) this.#error(response, 501, `Nothing was recorded for ${method} ${path}.`);
    else if (outcome.kind === 'error') response.socket?.resetAndDestroy();
    else {
      const { 'content-type': type = 'application/json', 'retry-after': retryAfter } = outcome.headers;
      send(response, outcome.status, outcome.body, {
        'content-type': type,
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
    }
  }

  /** Requests about the sandbox itself. */
  #control(method: string, what: string, text: string, response: ServerResponse): void {
    try {
      switch (`${method} ${what}`) {
        case 'GET health':
          send(response, 200, { status: 'ok' });
          return;
        case 'GET report':
          send(response, 200, this.report());
          return;
        case 'POST faults':
          this.addFaults(JSON.parse(text));
          break;
        case 'POST shapes':
          this.setShapes(JSON.parse(text));
          break;
        case 'POST profile':
          this.setProfile(JSON.parse(text));
          break;
        case 'POST reset':
          this.reset();
          break;
        default:
          if (method === 'GET' && what.startsWith('audio/')) {
            response
              .writeHead(200, { 'content-type': 'audio/wav', 'content-length': SILENCE.length })
              .end(SILENCE);
          } else send(response, 404, { message: `No /_sandbox/${what}.` });
          return;
      }
      send(response, 200, { status: 'ok' });
    } catch (error) {
      send(response, 400, { message: error instanceof z.ZodError ? z.prettifyError(error) : String(error) });
    }
  }

  #send(response: ServerResponse, { status, body }: Reply): void {
    if (body instanceof Refusal) this.#error(response, status, body.message);
    else send(response, status, body);
  }

  #error(
    response: ServerResponse,
    status: number,
    message: string,
    headers: Record<string, string> = {},
  ): void {
    const { type, body } = errorBody(status, message, this.#shapes);
    send(response, status, body, { 'content-type': type, ...headers });
  }
}

const ROUTES: Record<string, RequestKind> = {
  'api POST /suno/v2/customModel/prepare': 'prepare',
  'api POST /suno/v2/customModel/upload': 'upload',
  'api POST /suno/v2/customModel/create': 'create',
  'api GET /suno/v2/status': 'status',
  'api POST /suno/v2/generate': 'generate',
  'api GET /suno/v2/generate/schema': 'schema',
  'billing GET /api-user/credits': 'credits',
  'billing POST /api-user/points/search': 'points',
};

const GENERATE_SCHEMA = {
  task: 'create',
  description: 'Creates a song.',
  required: [
    { field: 'task', description: 'What to do', example: 'create', type: 'string' },
    { field: 'model', description: 'Model to use', example: 'chirp-custom:…', type: 'string' },
  ],
  optional: [
    { field: 'prompt', description: 'Lyrics', example: 'La la la', type: 'string' },
    { field: 'gpt_description_prompt', description: 'What it is about', example: 'a drive', type: 'string' },
    { field: 'tags', description: 'Style', example: 'synthwave', type: 'string' },
    { field: 'title', description: 'Title', example: 'Night Drive', type: 'string' },
    { field: 'make_instrumental', description: 'Without a voice', example: false, type: 'boolean' },
    { field: 'negative_tags', description: 'Styles to keep away from', example: 'metal', type: 'string' },
    { field: 'vocal_gender', description: 'm or f', example: 'f', type: 'string' },
    { field: 'controls', description: 'Weights from 0 to 1', example: { style_weight: 0.7 }, type: 'object' },
  ],
  notAllowed: ['clip_id', 'continue_at', 'persona_id'],
  example: { task: 'create', model: 'chirp-custom:…', prompt: 'La la la' },
};

function refuseStrayFields(body: Record<string, unknown>): void {
  const stray = GENERATE_SCHEMA.notAllowed.find((field) => body[field] !== undefined);
  if (stray !== undefined) throw new Refusal(400, `${stray} is not allowed for task create`);
}

function songIn(model: string, { title, tags }: Record<string, unknown>): SongAsk {
  return { model, title: textIn(title), tags: textIn(tags) };
}

/** Two seconds of silence: a WAV file, 8 bit mono at 8 kHz. */
const SILENCE = wavOf(Buffer.alloc(16_000, 128));

function wavOf(samples: Buffer): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(8_000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

function kindOf(host: string, method: string, path: string): RequestKind | undefined {
  return ROUTES[`${host} ${method} ${path}`];
}

/** Each host has a header of its own; the other one's is no key here. */
function keyIn(host: 'api' | 'billing', { headers }: IncomingMessage): string {
  if (host === 'billing') return textIn(headers['x-api-key']) ?? '';
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
}

/** A single request may ask for its own fault. */
function faultInHeader({ headers }: IncomingMessage): Fault | undefined {
  const header = textIn(headers['x-sandbox-fault']);
  if (header === undefined) return undefined;
  const parsed = faultRule.shape.fault.safeParse(objectIn(header));
  return parsed.success
    ? parsed.data
    : { kind: 'status', status: 400, body: { message: `x-sandbox-fault: ${z.prettifyError(parsed.error)}` } };
}

function fateOf(fault: Fault | undefined): TaskFate {
  switch (fault?.kind) {
    case 'failTask':
      return { fails: { reason: fault.reason ?? 'the task failed', code: fault.code ?? 'TASK_FAILED' } };
    case 'neverFinish':
      return { neverEnds: fault.at ?? 'running' };
    case 'successWithoutModel':
      return { withoutModel: true };
    default:
      return {};
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(text);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}
