/**
 * Shapes that `MountseaClient` gives, after every quirk of the wire has been taken off (mountsea-api, section 5).
 */
import type { SongClip, SongRequest } from '../contract/song.js';

/** The words the API documents for a task, lower case. */
export type TaskWord =
  'queued' | 'ready' | 'running' | 'stream' | 'awaiting' | 'success' | 'failed' | 'timeout';

/** Answer of `status`. */
export interface TaskStatus {
  taskId: string;
  /** Lower case; `unknown` where the API sent a word that is not documented (see `statusText`). */
  status: TaskWord | 'unknown';
  /** The word as it was sent, at most 80 characters. */
  statusText: string;
  /** As sent. */
  createdAt?: string;
  finishedAt?: string;
  failReason?: string;
  failCode?: string;
  /** Distinct clip ids found in the payload, in order. More than one: the caller must not guess. */
  clipIds: string[];
  /** Takes of a song: what in the payload has an id and an address of audio, in order. */
  songs: SongClip[];
  /** Distinct `chirp-custom:<uuid>` found anywhere in the body, in order, each with the name beside it. */
  models: { modelId: string; name?: string }[];
  /** The whole body as text, redacted, at most 8192 characters. */
  raw: string;
}

/** Answer of a POST that starts a task. */
export interface StartedTask {
  taskId: string;
  /** The body as text, redacted, at most 8192 characters. */
  raw: string;
}

export interface RequestOptions {
  /** Aborts the request. `create` and `generate` take none. */
  signal?: AbortSignal;
  /** From connect to last byte, ms. Default 60 000 for a POST, 30 000 for a read. */
  timeoutMs?: number;
  /** Gets how far ahead of the answering host's clock this machine's is, ms, where the answer's `Date` tells. */
  onClock?: (aheadMs: number) => void;
}

/** How far a create, or a generate, has come. In this order, each at most once. */
export type CreateStep =
  | 'connecting'
  /** A fresh connection is open; not a byte of the request is on it. */
  | 'connected'
  /** `beforeSend` had no objection. */
  | 'checked'
  /** All bytes of the request were handed to the socket, and nothing proves any more that they did not arrive. */
  | 'written'
  /** The whole answer is there, whatever it says; the first 1 MiB of one that is longer. */
  | 'answered';

/**
 * What create, and generate likewise, does between opening its connection and writing. A step may be told too late to be of use to anybody, so
 * none of them proves that a request was not sent; an error does.
 */
export interface CreateOptions {
  /** From connect to last byte, the time of `beforeSend` included, ms. Default 60 000. */
  timeoutMs?: number;
  /**
   * Called when the connection is open. Nothing is written where it gives a string (`HeldBackError` with that reason) or
   * throws: its error is then the one of create, as it is, so one that speaks of another request needs a translation.
   */
  beforeSend?: () => Promise<string | undefined>;
  /**
   * The last look, for what changes with time: called synchronously just before the write. Nothing is written where it
   * gives a string or throws: `HeldBackError`.
   */
  mayWrite?: () => string | undefined;
  /** May throw: that does not harm the request. */
  onStep?: (step: CreateStep) => void;
}

/** One row of the credit ledger (`points/search`). */
export interface LedgerRow {
  id: string;
  serviceName?: string;
  apiPath?: string;
  apiMethod?: string;
  finalAmount: number;
  beforeCredits?: number;
  afterCredits?: number;
  traceId?: string;
  /** ms since 1970. */
  createdAt: number;
}

export interface LedgerPage {
  rows: LedgerRow[];
  totalItems: number;
  totalPages: number;
  currentPage: number;
}

/** One field of `generate`'s schema. */
export interface SchemaField {
  field: string;
  description?: string;
  type?: string;
  example?: unknown;
}

export interface GenerateSchema {
  task: string;
  description?: string;
  required: SchemaField[];
  optional: SchemaField[];
  notAllowed: string[];
}

/** snake_case on the wire (mountsea-api, section 2); passed through as it is. */
export interface GenerateRequest extends SongRequest {
  task: 'create';
}

/**
 * The Mountsea API as tunesmith sees it. Writes each request at most once: no retry, no redirect. A request that asks
 * for something to be done has a connection of its own, since on a reused one a close by the server and our request
 * may cross, and then nobody knows; reads share a few.
 *
 * Every method throws a `MountseaError` (see `errors.ts`) where it has no usable answer.
 */
export interface Mountsea {
  /** Origin of the API, e.g. `https://api.mountsea.ai`. */
  readonly origin: string;
  prepare(options?: RequestOptions): Promise<{ sessionId: string; raw: string }>;
  upload(body: { sessionId: string; audioUrl: string }, options?: RequestOptions): Promise<StartedTask>;
  /**
   * Costs 100 credits. Takes no signal: once begun it runs to its end.
   *
   * @throws `HeldBackError` where a check of the options did not say yes: not one byte of the request was written.
   */
  create(
    body: { sessionId: string; clipIds: string[]; name: string },
    options?: CreateOptions,
  ): Promise<StartedTask>;
  status(taskId: string, options?: RequestOptions): Promise<TaskStatus>;
  /** Costs about 40 credits, and is sent as `create` is. Its task is not known before it answers. */
  generate(body: GenerateRequest, options?: CreateOptions): Promise<StartedTask>;
  generateSchema(options?: RequestOptions): Promise<GenerateSchema[]>;
  /** Balance of the billing key. @throws `BillingNotConfiguredError` where no billing host is set. */
  credits(options?: RequestOptions): Promise<number>;
  searchPoints(
    query: { startMs: number; endMs: number; page?: number; limit?: number },
    options?: RequestOptions,
  ): Promise<LedgerPage>;
  /**
   * Refuses new requests, waits for those in flight (each has its time-out) and gives up the connections. A create is in
   * flight from the start; what its `beforeSend` asks of this client is a new request.
   */
  close(): Promise<void>;
}

/** What the client needs of its surroundings. Keys are functions so that a rotated key file is read again. */
export interface MountseaOptions {
  /** e.g. `https://api.mountsea.ai`; a path is kept as a prefix. */
  baseUrl: string;
  /** Called for each request. */
  apiKey: () => string;
  /** Without it `credits` and `searchPoints` throw `BillingNotConfiguredError`. */
  billing?: { baseUrl: string; apiKey: () => string };
  /** Called after each exchange, with everything secret removed (see `recording.ts`). */
  onExchange?: (exchange: RecordedExchange) => void;
}

/** One exchange with the API as `--record` keeps it and the sandbox replays it. Redacted: see `docs/sandbox.md`. */
export interface RecordedExchange {
  version: 1;
  /** ISO 8601. */
  at: string;
  host: 'api' | 'billing';
  method: string;
  /** Path and query; ids are kept, secrets are not. */
  path: string;
  requestBody?: unknown;
  /** What came back, or what went wrong. A `body` is the parsed JSON, else the text. `ms` from connect to last byte. */
  outcome:
    | { kind: 'answer'; status: number; headers: Record<string, string>; body: unknown; ms: number }
    | {
        kind: 'error';
        proof: 'not-sent' | 'possibly-sent';
        message: string;
        /** What had come of an answer that broke off. */
        partial?: { status: number; headers: Record<string, string>; body: unknown };
        ms: number;
      };
}
