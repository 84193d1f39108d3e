/**
 * Preflight: fetches the beginning of a URL as Mountsea's side would: a plain GET, no cookie, no credential. It runs on the
 * user's machine, so it is careful where it goes: every hop is looked at again, and the address that was looked at is
 * the address that is connected to.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Agent, type Dispatcher, request } from 'undici';

/** Enough for the header of nearly every format, and for telling two files apart. */
const HEAD_BYTES = 256 * 1024;
const MAX_REDIRECTS = 10;
/** Of what is read to explain a refusal. */
const ERROR_BODY_BYTES = 4 * 1024;
const SECOND_TRY_MS = 500;
const USER_AGENT = 'tunesmith (looks at the file before it is uploaded)';

export interface FetchRules {
  /** Whether a host name or address is this machine or a private network; absent: everything may be fetched. */
  isPrivateHost?: (host: string) => boolean;
  /** For one source, ms. */
  timeoutMs: number;
  /** Default: the system's. */
  lookup?: typeof systemLookup;
}

/** What became of the fetch. */
export type Fetched = Unfetched | ({ hops: string[]; kind: 'answered' } & Answer);

/** A file that is to be read to its end. */
export type Opened =
  Unfetched | { hops: string[]; kind: 'opened'; body: Readable; size?: number; contentType?: string };

/** Why there is nothing. */
export type Unfetched = { hops: string[] } &
  /** The server said something else than 2xx. */
  (
    | { kind: 'refused'; status: number; /** `Code` of an S3 error. */ code?: string }
    | { kind: 'private'; host: string }
    | { kind: 'redirects'; why: string }
    | { kind: 'unknown-host'; host: string }
    | { kind: 'unreachable'; host: string; why: string }
  );

export interface Answer {
  /** The first bytes, at most 256 kB, unpacked where the server had packed them. */
  head: Buffer;
  /** `head` is the whole file. */
  isWhole: boolean;
  /** The time was over before `head` was full. */
  isSlow: boolean;
  /** Of the whole file, bytes. */
  size?: number;
  contentType?: string;
  etag?: string;
  /** More bytes of the same file; absent where the server gives no parts. `from` and `to` count from 0, `to` is not included. */
  more?: (from: number, to: number) => Promise<Buffer>;
}

export class Fetcher {
  readonly #agent: Agent;
  readonly #rules: FetchRules;

  constructor(rules: FetchRules) {
    this.#rules = rules;
    this.#agent = new Agent({
      connect: { lookup: this.#lookup, timeout: rules.timeoutMs },
      // The signal covers all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 64 * 1024,
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Never rejects. Asks twice where the first answer may have been bad luck. */
  async fetch(url: string): Promise<Fetched> {
    const deadline = Date.now() + this.#rules.timeoutMs;
    const first = await this.#follow(url, deadline);
    const isBadLuck =
      first.kind === 'unreachable' ||
      (first.kind === 'refused' && (first.status >= 500 || first.status === 429));
    if (!isBadLuck || Date.now() + SECOND_TRY_MS >= deadline) return first;
    await sleep(SECOND_TRY_MS);
    return this.#follow(url, deadline);
  }

  /** All of a file, once, as it comes. Never rejects; the body may break off, or when the time is over. */
  async open(url: string): Promise<Opened> {
    const deadline = Date.now() + this.#rules.timeoutMs;
    const reached = await this.#reach(url, (current) => this.#get(current, deadline));
    if (!('answer' in reached)) return reached;
    const { answer, hops } = reached;
    const { statusCode, headers, body } = answer.response;
    if (statusCode < 200 || statusCode > 299) {
      try {
        return { ...(await refusalOf(answer)), hops };
      } catch (error) {
        return { ...whyFailed(error, reached.at.hostname), hops };
      }
    }
    return {
      kind: 'opened',
      body,
      hops,
      ...optional('size', numberIn(text(headers['content-length']))),
      ...optional('contentType', text(headers['content-type'])),
    };
  }

  async #follow(url: string, deadline: number): Promise<Fetched> {
    const reached = await this.#reach(url, (current) => this.#ask(current, deadline));
    if (!('answer' in reached)) return reached;
    const { answer, at, hops } = reached;
    const { statusCode: status } = answer.response;
    try {
      if (status < 200 || status > 299) return { ...(await refusalOf(answer)), hops };
      return { kind: 'answered', ...(await this.#answerOf(answer, at, deadline)), hops };
    } catch (error) {
      return { ...whyFailed(error, at.hostname), hops };
    }
  }

  /** Goes where redirects lead, and looks at each hop before it is asked. */
  async #reach(url: string, ask: (url: URL) => Promise<Response>): Promise<Reached | Unfetched> {
    const hops: string[] = [url];
    for (let current = new URL(url); ;) {
      // A fragment is not sent.
      current.hash = '';
      const { hostname } = current;
      if (this.#rules.isPrivateHost?.(hostname.replace(/\.$/, '')) === true) {
        return { kind: 'private', host: hostname, hops };
      }
      let answer: Response;
      try {
        answer = await ask(current);
      } catch (error) {
        return { ...whyFailed(error, hostname), hops };
      }
      const { response } = answer;
      const { statusCode: status, headers } = response;
      const { location } = headers;
      if ([301, 302, 303, 307, 308].includes(status) && typeof location === 'string') {
        response.body.destroy();
        const next = URL.canParse(location, current.href) ? new URL(location, current) : undefined;
        if (next === undefined || !/^https?:$/.test(next.protocol)) {
          return { kind: 'redirects', why: 'to something that is no http or https URL', hops };
        }
        if (hops.includes(next.href)) return { kind: 'redirects', why: 'in a circle', hops };
        if (hops.length > MAX_REDIRECTS) {
          return { kind: 'redirects', why: `more than ${MAX_REDIRECTS} times`, hops };
        }
        hops.push(next.href);
        current = next;
        continue;
      }
      return { answer, at: current, hops };
    }
  }

  /** Some servers refuse HEAD, some a Range; a GET of the first bytes that stops reading works with all of them. */
  async #ask(url: URL, deadline: number, range = `bytes=0-${HEAD_BYTES - 1}`): Promise<Response> {
    const asked = await this.#get(url, deadline, range);
    // An empty file has no first bytes.
    if (asked.response.statusCode !== 416) return asked;
    asked.response.body.destroy();
    return this.#get(url, deadline);
  }

  async #get(url: URL, deadline: number, range?: string): Promise<Response> {
    const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
    const response = await request(url, {
      dispatcher: this.#agent,
      signal,
      headers: {
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': USER_AGENT,
        ...(range === undefined ? {} : { range }),
      },
    });
    // Broken off later, by us or by the signal.
    response.body.on('error', () => undefined);
    return { response, signal };
  }

  async #answerOf(answer: Response, url: URL, deadline: number): Promise<Answer> {
    const { statusCode, headers } = answer.response;
    const { bytes, isEnd, isSlow } = await readUpTo(answer, HEAD_BYTES);
    const packing = text(headers['content-encoding']);
    const isPacked = packing !== undefined && packing !== 'identity';
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text(headers['content-range']) ?? '');
    const isPart = statusCode === 206 && range?.[1] === '0';
    const length = numberIn(text(headers['content-length']));
    const total = isPart ? Number(range[3]) : length;
    // The length of a packed body is not that of the file.
    const size = isPacked ? undefined : (total ?? (isEnd ? bytes.length : undefined));
    const isWhole = isEnd && !isSlow && (size === undefined || size <= bytes.length);
    return {
      head: isPacked ? await unpacked(bytes, packing) : bytes,
      isWhole,
      isSlow,
      ...(size === undefined ? {} : { size }),
      ...optional('contentType', text(headers['content-type'])),
      ...optional('etag', strongEtag(text(headers['etag']))),
      ...(isPart && !isPacked && !isWhole
        ? { more: (from: number, to: number) => this.#part(url, from, to, deadline) }
        : {}),
    };
  }

  async #part(url: URL, from: number, to: number, deadline: number): Promise<Buffer> {
    const answer = await this.#get(url, deadline, `bytes=${from}-${to - 1}`);
    const { statusCode, headers } = answer.response;
    if (statusCode !== 206 || !text(headers['content-range'])?.startsWith(`bytes ${from}-`)) {
      answer.response.body.destroy();
      throw new Error('the server gave another part than was asked for');
    }
    return (await readUpTo(answer, to - from)).bytes;
  }

  /** A name that leads to a private address is refused here, and what passes is what the socket connects to. */
  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    const { isPrivateHost, lookup = systemLookup } = this.#rules;
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const addresses = found as LookupAddress[] | undefined;
      const [first] = addresses ?? [];
      if (error !== null || addresses === undefined || first === undefined) {
        callback(error ?? new Error('no address'), '', 0);
      } else if (isPrivateHost !== undefined && addresses.some(({ address }) => isPrivateHost(address))) {
        callback(new PrivateAddressError(hostname), '', 0);
      } else if (options.all === true) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

class PrivateAddressError extends Error {
  readonly code = 'PRIVATE_ADDRESS';
}

/** An answer that is no redirect. */
interface Reached {
  answer: Response;
  at: URL;
  hops: string[];
}

interface Response {
  response: Dispatcher.ResponseData;
  signal: AbortSignal;
}

interface Read {
  bytes: Buffer;
  /** The body ended. */
  isEnd: boolean;
  /** The time was over first. */
  isSlow: boolean;
}

/** Stops reading at the limit and closes the connection: some servers send the whole file whatever was asked for. */
async function readUpTo({ response: { body }, signal }: Response, limit: number): Promise<Read> {
  const chunks: Buffer[] = [];
  let length = 0;
  let isEnd = true;
  let isSlow = false;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= limit) {
        isEnd = false;
        break;
      }
    }
  } catch (error) {
    // What came until then may say enough.
    isSlow = signal.aborted;
    if (!isSlow || length === 0) throw error;
    isEnd = false;
  } finally {
    body.destroy();
  }
  return { bytes: Buffer.concat(chunks).subarray(0, limit), isEnd, isSlow };
}

async function refusalOf(answer: Response): Promise<{ kind: 'refused'; status: number; code?: string }> {
  const status = answer.response.statusCode;
  const { bytes } = await readUpTo(answer, ERROR_BODY_BYTES);
  const [, code] = /<Code>(\w{1,40})<\/Code>/.exec(bytes.toString('utf8')) ?? [];
  return { kind: 'refused', status, ...optional('code', code) };
}

function whyFailed(
  error: unknown,
  host: string,
): { kind: 'private' | 'unknown-host'; host: string } | { kind: 'unreachable'; host: string; why: string } {
  const code = codeOf(error);
  if (code === 'PRIVATE_ADDRESS') return { kind: 'private', host };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') {
    return { kind: 'unknown-host', host };
  }
  return { kind: 'unreachable', host, why: WHY[code] ?? (code === '' ? 'it broke off' : code) };
}

const WHY: Partial<Record<string, string>> = {
  ECONNREFUSED: 'it refuses the connection',
  ECONNRESET: 'it broke off',
  UND_ERR_SOCKET: 'it broke off',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  TimeoutError: 'no answer in time',
  ETIMEDOUT: 'no connection in time',
  ENETUNREACH: 'no way to it from here',
  EHOSTUNREACH: 'no way to it from here',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate cannot be verified',
};

/** Of the error or of what it wraps. Codes and names only: a message may repeat the URL. */
function codeOf(error: unknown): string {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth++) {
    if (inner.name === 'TimeoutError') return inner.name;
    const first: unknown = inner instanceof AggregateError ? inner.errors[0] : undefined;
    const { code } = (first ?? inner) as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return '';
}

const UNPACK_LIMIT = 4 * HEAD_BYTES;

/** As far as the bytes go: only their beginning is there. What cannot be unpacked is given as it is. */
async function unpacked(bytes: Buffer, packing: string): Promise<Buffer> {
  const { Z_SYNC_FLUSH: finishFlush, BROTLI_OPERATION_FLUSH: brotliFlush } = zlib.constants;
  try {
    if (packing === 'br') {
      return await promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)(bytes, {
        finishFlush: brotliFlush,
        maxOutputLength: UNPACK_LIMIT,
      });
    }
    const unpack = packing === 'deflate' ? zlib.inflate : zlib.gunzip;
    return await promisify<Buffer, zlib.ZlibOptions, Buffer>(unpack)(bytes, {
      finishFlush,
      maxOutputLength: UNPACK_LIMIT,
    });
  } catch {
    return bytes;
  }
}

/** One that begins with `W/` may be the same for other bytes. */
function strongEtag(etag: string | undefined): string | undefined {
  return etag?.startsWith('"') === true ? etag : undefined;
}

function text(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function numberIn(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
