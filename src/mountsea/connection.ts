/**
 * Worker side: a connection for one request, opened before it is known whether the request will be sent. What is looked
 * at in between is then younger than the slow part, and only the write is left (docs/architecture.md).
 */
import type { Socket } from 'node:net';
import { buildConnector, Client } from 'undici';
import {
  describe,
  type NotSent,
  notSent,
  sendOnce,
  type WireOutcome,
  type WireRequest,
  type WriteHooks,
} from './exchange.js';
import type { Limit } from './limit.js';

/** For `Client` and `Pool`: the time-out of a request is ours and covers all of it. */
export const NO_TIMEOUTS_BUT_OURS = { headersTimeout: 0, bodyTimeout: 0 } as const;

/** An open connection that carries one request or none. */
export interface Connection {
  /** Resolves with the reason when the time is over or the signal has come before `close`. */
  readonly over: Promise<string>;
  /** Resolves when it is closed, whoever did it. */
  readonly closed: Promise<void>;
  /**
   * Writes the request on this connection or not at all, and closes it. Good for one call. Never rejects.
   *
   * Where the server closed the connection meanwhile, or spoke unasked, nothing is written.
   */
  send(request: WireRequest, hooks?: WriteHooks): Promise<WireOutcome>;
  /** Idempotent. Leaves no byte of a request that was not sent. */
  close(): Promise<void>;
}

export type Opened = { kind: 'connected'; connection: Connection } | NotSent;

/**
 * Opens the socket as undici's `Client` would, TLS included. Never rejects.
 *
 * @param limit of the whole request; it is ended when the connection is closed.
 */
export async function openConnection(origin: string, limit: Limit): Promise<Opened> {
  const giveUp = new AbortController();
  const opened = limit.why() ?? (await Promise.race([openSocket(origin, giveUp.signal), limit.over]));
  if (typeof opened !== 'string' && !(opened instanceof Error)) {
    return { kind: 'connected', connection: new OwnConnection(origin, opened, limit) };
  }
  limit.end();
  giveUp.abort();
  return notSent(typeof opened === 'string' ? opened : describe(opened));
}

/** @param signal destroys the socket, also while it connects. */
function openSocket(origin: string, signal: AbortSignal): Promise<Socket | Error> {
  const { protocol, host, hostname, port } = new URL(origin);
  return new Promise((resolve) => {
    // No time-out of its own: the signal is more punctual.
    const connect = buildConnector({ timeout: 0, signal });
    const bareHostname = hostname.replace(/^\[(.*)\]$/, '$1');
    connect({ protocol, host, hostname: bareHostname, port }, (error, socket) => {
      resolve(error ?? socket);
    });
  });
}

class OwnConnection implements Connection {
  readonly over: Promise<string>;
  readonly closed: Promise<void>;
  readonly #origin: string;
  readonly #socket: Socket;
  readonly #limit: Limit;
  #used = false;
  #handedOver = false;

  constructor(origin: string, socket: Socket, limit: Limit) {
    this.#origin = origin;
    this.#socket = socket;
    this.#limit = limit;
    this.over = limit.over;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
    // One that nobody uses any more. With a request under way the request comes first, since it says what is known.
    void limit.over.then(() => {
      if (!this.#used) void this.close();
    });
  }

  async send(request: WireRequest, hooks: WriteHooks = {}): Promise<WireOutcome> {
    if (this.#used) return notSent('its connection was used before');
    this.#used = true;
    const client = new Client(this.#origin, { ...NO_TIMEOUTS_BUT_OURS, connect: this.#handOver });
    const before = this.#socket.bytesWritten;
    try {
      return await sendOnce(client, request, this.#limit, true, {
        ...hooks,
        onWritten: () => {
          // Counts what waits in the socket, too.
          if (this.#socket.bytesWritten > before) hooks.onWritten?.();
        },
      });
    } finally {
      await client.destroy();
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#limit.end();
    this.#socket.destroy();
    return this.closed;
  }

  /**
   * Stands in for undici's way to open a connection. It asks a second time where the first one broke before the write: a
   * second connection would be one that nobody has checked.
   */
  readonly #handOver: buildConnector.connector = (_options, callback) => {
    // Not at once, since undici only goes on when its own call has returned; and first everything is read that the server
    // has done up to now.
    afterPoll(() => {
      const why = this.#handedOver ? CLOSED : whyUnusable(this.#socket);
      if (why !== undefined) {
        callback(new Error(why), null);
        return;
      }
      this.#handedOver = true;
      callback(null, this.#socket);
    });
  };
}

/** One immediate may come before the sockets are looked at again, two cannot. */
function afterPoll(then: () => void): void {
  setImmediate(() => setImmediate(then));
}

const CLOSED = 'the connection was closed before anything was written';

function whyUnusable(socket: Socket): string | undefined {
  if (socket.errored !== null) return `${CLOSED}: ${describe(socket.errored)}`;
  if (socket.destroyed || socket.readableEnded || !socket.writable) return CLOSED;
  // A load balancer that tires of waiting says 408 and hangs up.
  if (socket.readableLength > 0) return 'the server spoke before anything was written';
  return undefined;
}
