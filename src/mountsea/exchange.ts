/**
 * Worker side: one HTTP request over a dispatcher of undici, written at most once, and what is known of it afterwards.
 * Over `dispatch`, because only its handler shows when bytes are handed to a socket; `request` and `fetch` hide it.
 */
import type { Dispatcher } from 'undici';
import type { Limit } from './limit.js';

/** Answers of the API are a few kB; what is beyond this is not kept. */
const MAX_BODY_BYTES = 1024 * 1024;

export interface WireRequest {
  method: 'GET' | 'POST';
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
}

export interface WireReply {
  status: number;
  /** Lower-case names; of a repeated header the first. */
  headers: Record<string, string>;
  body: string;
  /** The body was longer than 1 MiB: this is its beginning. */
  overlong: boolean;
}

/** No byte of the request was handed to a socket, and none will be. */
export interface NotSent {
  kind: 'not-sent';
  why: string;
  /** It could have been written, but a check of the caller did not say yes. */
  heldBack?: true;
}

export type WireOutcome =
  | { kind: 'answered'; reply: WireReply }
  | NotSent
  /** `partial` is what had come of an answer that broke off. */
  | { kind: 'possibly-sent'; why: string; partial?: WireReply };

/** What the caller has to do with the moment of the write. */
export interface WriteHooks {
  /**
   * Asked synchronously with the connection at hand; the write follows in the same turn of the event loop. A string, or
   * an exception, holds the request back: no byte of it is written.
   */
  beforeWrite?: () => string | undefined;
  /** All bytes of the request were handed to the socket. */
  onWritten?: () => void;
}

/** @returns what is known of a request of which nothing was written. */
export function notSent(why: string): NotSent {
  return { kind: 'not-sent', why };
}

/**
 * Never rejects. Ends the limit.
 *
 * @param reset closes the connection afterwards.
 */
export function sendOnce(
  dispatcher: Dispatcher,
  request: WireRequest,
  limit: Limit,
  reset: boolean,
  hooks: WriteHooks = {},
): Promise<WireOutcome> {
  return new Promise((resolve) => {
    const exchange = new Exchange(limit, hooks, resolve);
    const why = limit.why();
    if (why !== undefined) {
      exchange.stop(why);
      return;
    }
    void limit.over.then((reason) => {
      exchange.stop(reason);
    });
    dispatcher.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body ?? null,
        // Never pipelined behind another request, and never taken for safe to repeat.
        idempotent: false,
        reset,
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
  readonly #limit: Limit;
  readonly #hooks: WriteHooks;
  readonly #resolve: (outcome: WireOutcome) => void;
  #settled = false;
  #handedOver = false;
  #controller: Dispatcher.DispatchController | undefined;
  #head: { status: number; headers: Record<string, string> } | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(limit: Limit, hooks: WriteHooks, resolve: (outcome: WireOutcome) => void) {
    this.#limit = limit;
    this.#hooks = hooks;
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
    const refused = this.#refused();
    if (refused !== undefined) {
      this.#settle(refused);
      controller.abort(new Error(refused.why));
      return;
    }
    this.#controller = controller;
    this.#handedOver = true;
    // undici tells a handler of this kind nothing about the write, but writes all of a body that is text before it
    // returns to the event loop; a microtask is the first moment after it.
    queueMicrotask(() => {
      if (!this.#settled) this.#hooks.onWritten?.();
    });
  }

  /** The last look before the write. */
  #refused(): NotSent | undefined {
    const over = this.#limit.why();
    if (over !== undefined) return notSent(over);
    let why;
    try {
      why = this.#hooks.beforeWrite?.();
    } catch (error) {
      why = `the check before the write failed: ${String(error)}`;
    }
    return why === undefined ? undefined : { kind: 'not-sent', why, heldBack: true };
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
      this.#settle(notSent(why));
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
    this.#limit.end();
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
export function describe(error: Error): string {
  const errors: unknown[] = error instanceof AggregateError && error.message === '' ? error.errors : [error];
  return errors
    .map((one) => (one instanceof Error ? `${one.message}${codeOf(one)}` : String(one)))
    .join('; ');
}

function codeOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code === '' || error.message.includes(code) ? '' : ` (${code})`;
}
