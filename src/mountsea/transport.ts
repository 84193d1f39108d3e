/**
 * Worker side: writes one HTTP request at most once and says what is known of it afterwards. Knows nothing of Mountsea,
 * of keys or of JSON. Over undici's `dispatch`, because only its handler shows when bytes are handed to a socket;
 * `request` and `fetch` hide it. No retry, no redirect, no HTTP/2, no cookie.
 */
import { Client, type Dispatcher, Pool } from 'undici';

/** Answers of the API are a few kB; what is beyond this is not kept. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Reads in flight at a time for each host; more wait their turn within their time-out. */
const SHARED_CONNECTIONS = 8;
/** Polls are seconds apart: undici's own 4 s would open a connection for nearly each of them. */
const KEEP_ALIVE_MS = 30_000;
/** Frees a socket whose request has long been given up; the time-out of the request is what people see. */
const SHARED_CONNECT_TIMEOUT_MS = 30_000;

export interface WireRequest {
  method: 'GET' | 'POST';
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** From connect to last byte, ms. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** Opens a connection for this request alone and closes it afterwards. */
  ownConnection: boolean;
}

export interface WireReply {
  status: number;
  /** Lower-case names; of a repeated header the first. */
  headers: Record<string, string>;
  body: string;
  /** The body was longer than 1 MiB: this is its beginning. */
  overlong: boolean;
}

export type WireOutcome =
  | { kind: 'answered'; reply: WireReply }
  /** No byte of the request was handed to a socket, and none will be. */
  | { kind: 'not-sent'; why: string }
  /** `partial` is what had come of an answer that broke off. */
  | { kind: 'possibly-sent'; why: string; partial?: WireReply };

export interface Transport {
  /** Never rejects. */
  send(request: WireRequest): Promise<WireOutcome>;
  /** Refuses new requests and waits for those in flight. */
  close(): Promise<void>;
}

/** @param origin `https://host:port`, without a path. */
export function createTransport(origin: string): Transport {
  const shared = new Pool(origin, {
    ...NO_TIMEOUTS_BUT_OURS,
    connections: SHARED_CONNECTIONS,
    connectTimeout: SHARED_CONNECT_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  const inFlight = new Set<Promise<WireOutcome>>();
  let closed = false;

  const dispatch = async (request: WireRequest): Promise<WireOutcome> => {
    if (!request.ownConnection) return sendOnce(shared, request);
    const own = new Client(origin, { ...NO_TIMEOUTS_BUT_OURS, connectTimeout: request.timeoutMs });
    try {
      return await sendOnce(own, request);
    } finally {
      await own.destroy();
    }
  };

  return {
    async send(request) {
      if (closed) return { kind: 'not-sent', why: 'the client is closed' };
      const outcome = dispatch(request);
      inFlight.add(outcome);
      try {
        return await outcome;
      } finally {
        inFlight.delete(outcome);
      }
    },
    async close() {
      closed = true;
      await Promise.all(inFlight);
      await shared.destroy();
    },
  };
}

const NO_TIMEOUTS_BUT_OURS = { headersTimeout: 0, bodyTimeout: 0 } as const;

function sendOnce(dispatcher: Dispatcher, request: WireRequest): Promise<WireOutcome> {
  return new Promise((resolve) => {
    const exchange = new Exchange(resolve);
    const timer = setTimeout(() => {
      exchange.stop(`no answer within ${request.timeoutMs} ms`);
    }, request.timeoutMs);
    const abort = () => {
      exchange.stop('it was aborted');
    };
    exchange.onSettled = () => {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', abort);
    };
    request.signal?.addEventListener('abort', abort);
    if (request.signal?.aborted) {
      abort();
      return;
    }
    dispatcher.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body ?? null,
        // Never pipelined behind another request, and never taken for safe to repeat.
        idempotent: false,
        reset: request.ownConnection,
      },
      exchange,
    );
  });
}

/**
 * One request on its way. `handedOver` turns true in the one place after which undici writes: from then on nothing
 * proves any more that the request was not sent.
 */
class Exchange implements Dispatcher.DispatchHandler {
  onSettled: () => void = () => undefined;
  readonly #resolve: (outcome: WireOutcome) => void;
  #settled = false;
  #handedOver = false;
  #controller: Dispatcher.DispatchController | undefined;
  #head: { status: number; headers: Record<string, string> } | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(resolve: (outcome: WireOutcome) => void) {
    this.#resolve = resolve;
  }

  /** Gives the request up. One that is still waiting for a connection will never be written. */
  stop(why: string): void {
    this.#fail(why);
    this.#controller?.abort(new Error(why));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Called synchronously before the write, and `abort` in here leaves no byte on the wire. It comes late for a
    // request that was given up while it waited, and a second time should undici ever put a request that was already
    // written back into its queue.
    if (this.#settled || this.#handedOver) {
      controller.abort(new Error('given up, or written before'));
      return;
    }
    this.#controller = controller;
    this.#handedOver = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#head = { status, headers: firstOfEach(headers) };
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = MAX_BODY_BYTES - this.#size;
    this.#chunks.push(chunk.subarray(0, room));
    this.#size += chunk.length;
    if (chunk.length <= room) return;
    this.#answer(true);
    controller.abort(new Error('the body is too long'));
  }

  onResponseEnd(): void {
    this.#answer(false);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(describe(error));
  }

  #answer(overlong: boolean): void {
    const reply = this.#received(overlong);
    if (reply !== undefined) this.#settle({ kind: 'answered', reply });
  }

  #fail(why: string): void {
    if (!this.#handedOver) {
      this.#settle({ kind: 'not-sent', why });
      return;
    }
    const partial = this.#received(false);
    this.#settle({ kind: 'possibly-sent', why, ...(partial === undefined ? {} : { partial }) });
  }

  #received(overlong: boolean): WireReply | undefined {
    if (this.#head === undefined) return undefined;
    return { ...this.#head, body: new TextDecoder().decode(Buffer.concat(this.#chunks)), overlong };
  }

  #settle(outcome: WireOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onSettled();
    this.#resolve(outcome);
  }
}

function firstOfEach(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const first: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const text = Array.isArray(value) ? value[0] : value;
    if (text !== undefined) first[name.toLowerCase()] = text;
  }
  return first;
}

/** `ECONNREFUSED` and its kind; where several addresses were tried the error itself has no message. */
function describe(error: Error): string {
  const errors: unknown[] = error instanceof AggregateError && error.message === '' ? error.errors : [error];
  return errors
    .map((one) => (one instanceof Error ? `${one.message}${codeOf(one)}` : String(one)))
    .join('; ');
}

function codeOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code === '' || error.message.includes(code) ? '' : ` (${code})`;
}
