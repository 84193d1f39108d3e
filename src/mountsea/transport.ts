/**
 * Worker side: carries HTTP requests, each written at most once, and says what is known of it afterwards. Knows nothing
 * of Mountsea, of keys or of JSON. No retry, no redirect, no HTTP/2, no cookie.
 */
import { Pool } from 'undici';
import { compact } from './compact.js';
import { NO_TIMEOUTS_BUT_OURS, openConnection, type Opened } from './connection.js';
import { notSent, sendOnce, type WireOutcome, type WireRequest } from './exchange.js';
import { Limit, type Limits } from './limit.js';

/** Reads in flight at a time for each host; more wait their turn within their time-out. */
const SHARED_CONNECTIONS = 8;
/** Polls are seconds apart: undici's own 4 s would open a connection for nearly each of them. */
const KEEP_ALIVE_MS = 30_000;
/** Frees a socket whose request has long been given up; the time-out of the request is what people see. */
const SHARED_CONNECT_TIMEOUT_MS = 30_000;

export interface Transport {
  /** Over one of a few connections that such requests share. Never rejects. */
  send(request: WireRequest, limits: Limits): Promise<WireOutcome>;
  /**
   * Opens a connection for one request, to be sent on it or not. Never rejects.
   *
   * @param timeoutMs from now to the last byte of the answer: it also holds for what the caller does in between, and
   *   closes the connection.
   */
  connect(timeoutMs: number, signal?: AbortSignal): Promise<Opened>;
  /** Refuses new requests and waits for those in flight; a connection is in flight until it is closed. */
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
  const inFlight = new Set<Promise<unknown>>();
  let closed = false;

  /** @param work never rejects. */
  const watch = (work: Promise<unknown>): void => {
    inFlight.add(work);
    void work.then(() => inFlight.delete(work));
  };

  return {
    async send(request, limits) {
      if (closed) return CLOSED;
      const outcome = sendOnce(shared, request, new Limit(limits), false);
      watch(outcome);
      return outcome;
    },
    async connect(timeoutMs, signal) {
      if (closed) return CLOSED;
      const opening = openConnection(origin, new Limit(compact({ timeoutMs, signal })));
      watch(opening.then((opened) => (opened.kind === 'connected' ? opened.connection.closed : undefined)));
      return opening;
    },
    async close() {
      closed = true;
      await Promise.all(inFlight);
      await shared.destroy();
    },
  };
}

const CLOSED = notSent('the client is closed');
