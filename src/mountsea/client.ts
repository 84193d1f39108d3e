/**
 * Worker side: the Mountsea API over HTTP. It says what an answer is and what is known where there is none; what to do
 * about it is decided in `activities/`. It repeats nothing: a repeated create costs 100 credits (docs/architecture.md).
 */
import type { z } from 'zod';
import { answerOf, parseJson } from './answer.js';
import { clockAhead } from './clock.js';
import { compact } from './compact.js';
import {
  AnsweredError,
  BillingNotConfiguredError,
  HeldBackError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from './errors.js';
import { type NotSent, notSent, type WireOutcome, type WireReply, type WireRequest } from './exchange.js';
import type { Limits } from './limit.js';
import { recordOf } from './recording.js';
import { createRedactor, type Redactor } from './redact.js';
import {
  creditsBody,
  generateSchemaBody,
  type GenerateSchemaBody,
  ledgerBody,
  type LedgerBody,
  preparedSession,
  startedTask,
  taskBody,
} from './schemas.js';
import { taskStatusOf } from './task.js';
import { createTransport, type Transport } from './transport.js';
import type {
  CreateOptions,
  CreateStep,
  GenerateSchema,
  LedgerPage,
  Mountsea,
  MountseaOptions,
  RecordedExchange,
  RequestOptions,
  StartedTask,
} from './types.js';

const READ_TIMEOUT_MS = 30_000;
const POST_TIMEOUT_MS = 60_000;

/**
 * @throws TypeError where a base URL is not plain http or https; one with a user name, a query or a fragment is refused,
 *   since such parts hold secrets and URLs end in logs.
 */
export function createMountsea(options: MountseaOptions): Mountsea {
  const redactor = createRedactor();
  const { onExchange } = options;
  const api = createHost('api', options.baseUrl, options.apiKey, redactor, onExchange);
  const billing =
    options.billing &&
    createHost('billing', options.billing.baseUrl, options.billing.apiKey, redactor, onExchange);

  const start = async (
    path: string,
    body: unknown,
    request: RequestOptions & { gate?: Gate } = {},
  ): Promise<StartedTask> => {
    const { value, reply } = await api.exchange(startedTask, { ...request, ...post(path, body) });
    return { taskId: value.taskId, raw: redactor.raw(reply.body) };
  };

  return {
    origin: api.origin,
    async prepare(request = {}) {
      const { value, reply } = await api.exchange(preparedSession, {
        ...request,
        ...post('/suno/v2/customModel/prepare'),
      });
      return { sessionId: value.sessionId, raw: redactor.raw(reply.body) };
    },
    upload: ({ sessionId, audioUrl }, request) =>
      start('/suno/v2/customModel/upload', { sessionId, audioUrl }, request),
    create: ({ sessionId, clipIds, name }, request) =>
      start('/suno/v2/customModel/create', { sessionId, clipIds, name }, gated(request)),
    generate: (body, request) => start('/suno/v2/generate', body, gated(request)),
    async status(taskId, request = {}) {
      const { value, json, reply } = await api.exchange(taskBody, {
        ...request,
        ...read('/suno/v2/status', { taskId }),
      });
      return taskStatusOf(taskId, value, json, reply.body, redactor);
    },
    async generateSchema(request = {}) {
      const { value } = await api.exchange(generateSchemaBody, {
        ...request,
        ...read('/suno/v2/generate/schema', { task: 'create' }),
      });
      return value.map(schemaOf);
    },
    async credits(request = {}) {
      const asked = { ...request, ...read('/api-user/credits') };
      const { value } = await configured(billing, asked).exchange(creditsBody, asked);
      return value.credits;
    },
    async searchPoints({ startMs, endMs, page = 1, limit = 10 }, request = {}) {
      const asked: Ask = {
        ...request,
        ...post('/api-user/points/search', { dateRange: { start: startMs, end: endMs }, page, limit }),
        // A read that happens to be a POST.
        ...READ,
      };
      const { value } = await configured(billing, asked).exchange(ledgerBody, asked);
      return ledgerPageOf(value);
    },
    async close() {
      await Promise.all([api.close(), billing?.close()]);
    },
  };
}

/** What may keep a request from being written, and who hears how far it came. */
type Gate = Pick<CreateOptions, 'beforeSend' | 'mayWrite' | 'onStep'>;

/** One request as a method of the client asks for it. */
interface Ask extends RequestOptions {
  method: 'GET' | 'POST';
  /** Below the base URL. */
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  ownConnection: boolean;
  /** For one that has a connection of its own. */
  gate?: Gate;
  defaultTimeoutMs: number;
}

const READ = { ownConnection: false, defaultTimeoutMs: READ_TIMEOUT_MS } as const;

function read(path: string, query?: Record<string, string>) {
  return { ...READ, method: 'GET', path, ...(query === undefined ? {} : { query }) } as const;
}

/** A POST has a connection of its own (see `Mountsea`). */
function post(path: string, body?: unknown) {
  return { method: 'POST', path, body, ownConnection: true, defaultTimeoutMs: POST_TIMEOUT_MS } as const;
}

/** Drops a signal that got in past the types: an abort would throw away the answer to a request that is paid for. */
function gated({ timeoutMs, beforeSend, mayWrite, onStep }: CreateOptions = {}): RequestOptions & {
  gate: Gate;
} {
  return { ...compact({ timeoutMs }), gate: compact({ beforeSend, mayWrite, onStep }) };
}

interface Host {
  origin: string;
  exchange<S extends z.ZodType>(
    schema: S,
    ask: Ask,
  ): Promise<{ value: z.output<S>; json: unknown; reply: WireReply }>;
  close(): Promise<void>;
}

function configured(billing: Host | undefined, { method, path }: Ask): Host {
  if (billing !== undefined) return billing;
  throw new BillingNotConfiguredError(`${method} ${path}`, 'No billing URL is set: credits are unknown.');
}

/** One of the two hosts. They differ in the header that carries the key. */
function createHost(
  kind: 'api' | 'billing',
  baseUrl: string,
  apiKey: () => string,
  redactor: Redactor,
  onExchange: ((exchange: RecordedExchange) => void) | undefined,
): Host {
  const { origin, prefix } = parseBaseUrl(baseUrl);
  const transport: Transport = createTransport(origin);

  const keyHeader = (request: string): Record<string, string> => {
    let key;
    try {
      key = apiKey();
    } catch (error) {
      throw new NotSentError(request, `${request} was not sent: no API key: ${redactor.line(String(error))}`);
    }
    redactor.learn(key);
    if (key === '') throw new NotSentError(request, `${request} was not sent: the API key is empty`);
    return kind === 'api' ? { authorization: `Bearer ${key}` } : { 'x-api-key': key };
  };

  return {
    origin,
    close: () => transport.close(),
    async exchange(schema, ask) {
      const { method, path, query, body, ownConnection, gate } = ask;
      const request = `${method} ${prefix}${path}`;
      const wire: WireRequest = {
        method,
        path: `${prefix}${path}${query === undefined ? '' : `?${new URLSearchParams(query).toString()}`}`,
        headers: {
          ...keyHeader(request),
          accept: 'application/json',
          // Some servers refuse an empty body that is announced as JSON.
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          'user-agent': 'tunesmith',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const limits = compact({ timeoutMs: ask.timeoutMs ?? ask.defaultTimeoutMs, signal: ask.signal });
      const at = new Date();
      const begun = performance.now();
      const record = (outcome: WireOutcome) => {
        const timing = { at, ms: Math.round(performance.now() - begun) };
        quietly(() => onExchange?.(recordOf(kind, wire, outcome, timing, redactor)));
      };
      let outcome: WireOutcome;
      try {
        outcome = await (ownConnection
          ? sendAlone(transport, wire, limits, gate)
          : transport.send(wire, limits));
      } catch (error) {
        record(notSent('the check before it failed'));
        throw error;
      }
      record(outcome);
      if (outcome.kind === 'answered') {
        const ahead = clockAhead(outcome.reply.headers, at.getTime(), performance.now() - begun);
        if (ahead !== undefined) quietly(() => ask.onClock?.(ahead));
      }
      return readOutcome(request, schema, outcome, redactor);
    },
  };
}

/**
 * Opens a connection, looks whether the request may go, and sends it there. Rejects with what `beforeSend` throws, and
 * only then.
 */
async function sendAlone(
  transport: Transport,
  wire: WireRequest,
  { timeoutMs, signal }: Limits,
  { beforeSend, mayWrite, onStep }: Gate = {},
): Promise<WireOutcome> {
  const step = (name: CreateStep) => {
    quietly(() => onStep?.(name));
  };
  step('connecting');
  const opened = await transport.connect(timeoutMs, signal);
  if (opened.kind === 'not-sent') return opened;
  const { connection } = opened;
  try {
    step('connected');
    if (beforeSend !== undefined) {
      // Nobody waits for a check that has not come back in time.
      const no = await Promise.race([beforeSend().then(heldBack), connection.over.then(notSent)]);
      if (no !== undefined) return no;
    }
    step('checked');
    const outcome = await connection.send(wire, {
      ...(mayWrite === undefined ? {} : { beforeWrite: mayWrite }),
      onWritten: () => {
        step('written');
      },
    });
    if (outcome.kind === 'answered') step('answered');
    return outcome;
  } finally {
    await connection.close();
  }
}

function heldBack(why: string | undefined): NotSent | undefined {
  return why === undefined ? undefined : { ...notSent(why), heldBack: true };
}

/** A listener is none of the request's business: it must not turn an answer into an error. */
function quietly(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}

function readOutcome<S extends z.ZodType>(
  request: string,
  schema: S,
  outcome: WireOutcome,
  redactor: Redactor,
): { value: z.output<S>; json: unknown; reply: WireReply } {
  switch (outcome.kind) {
    case 'not-sent': {
      const why = redactor.line(outcome.why);
      if (outcome.heldBack) throw new HeldBackError(request, why);
      throw new NotSentError(request, `${request} was not sent: ${why}`);
    }
    case 'possibly-sent': {
      const { why, partial } = outcome;
      const message = `${request} may have arrived: ${redactor.line(why)}`;
      if (partial === undefined) throw new PossiblySentError(request, message);
      throw new PossiblySentError(
        request,
        `${message} (an answer ${partial.status} had begun)`,
        answerOf(partial, redactor),
      );
    }
    case 'answered': {
      const { reply } = outcome;
      const answer = answerOf(reply, redactor);
      if (reply.status < 200 || reply.status > 299) throw new AnsweredError(request, answer);
      if (reply.overlong) throw new UnreadableAnswerError(request, answer, 'its body is longer than 1 MiB');
      if (reply.body.trim() === '') throw new UnreadableAnswerError(request, answer, 'its body is empty');
      const json = parseJson(reply.body);
      if (json === undefined) throw new UnreadableAnswerError(request, answer, 'its body is no JSON');
      const parsed = schema.safeParse(json);
      if (!parsed.success) throw new UnreadableAnswerError(request, answer, complaint(parsed.error));
      return { value: parsed.data, json, reply };
    }
  }
}

/** Names the field, never its value. */
function complaint({ issues: [issue] }: z.ZodError): string {
  const field = issue?.path.join('.') ?? '';
  return `its body is not as documented${field === '' ? '' : ` (${field})`}`;
}

function parseBaseUrl(baseUrl: string): { origin: string; prefix: string } {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const secretParts = url && `${url.username}${url.password}${url.search}${url.hash}`;
  if (url === undefined || !/^https?:$/.test(url.protocol) || secretParts !== '') {
    throw new TypeError(
      'A base URL of the API must be a plain http or https URL, without user name, query or #.',
    );
  }
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

function schemaOf(schema: GenerateSchemaBody[number]): GenerateSchema {
  const { task, description, required, optional, notAllowed } = schema;
  return compact({
    task,
    description,
    required: (required ?? []).map(compact),
    optional: (optional ?? []).map(compact),
    notAllowed: notAllowed ?? [],
  });
}

function ledgerPageOf({ items, meta }: LedgerBody): LedgerPage {
  return {
    ...meta,
    rows: items.map((row) =>
      compact({
        ...row,
        beforeCredits: row.beforeCredits ?? undefined,
        afterCredits: row.afterCredits ?? undefined,
      }),
    ),
  };
}
