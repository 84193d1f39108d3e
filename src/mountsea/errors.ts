/**
 * Errors of the HTTP client, split by what is known about the request. None of them says what to do: that is
 * `activities/classify.ts`. None of them holds a key, a header or the query of a URL.
 */

/** A request that has no usable answer. */
export abstract class MountseaError extends Error {
  abstract override readonly name: string;
  /** `POST /suno/v2/customModel/create`: method and path, never the query. */
  readonly request: string;

  // No `cause`: an error of the HTTP library may hold raw bytes, and causes end in Temporal's history and in logs.
  constructor(request: string, message: string) {
    super(message);
    this.request = request;
  }
}

/** Our own code saw that no byte of the request was handed to a socket: refused, no name, TLS failure, aborted before. */
export class NotSentError extends MountseaError {
  override readonly name: string = 'NotSentError';
}

/**
 * As `NotSentError`, but the connection was open: a check of the caller did not let the request be written
 * (`CreateOptions`). Trying again by itself makes no sense here; what the check saw has to be looked at.
 */
export class HeldBackError extends NotSentError {
  override readonly name = 'HeldBackError';
  /** What the check said. Redacted, one line, at most 500 characters. */
  readonly reason: string;

  constructor(request: string, reason: string) {
    super(request, `${request} was held back: ${reason}`);
    this.reason = reason;
  }
}

/** `credits` or `searchPoints` was called, but no billing host is set. Nothing was sent, and waiting will not help. */
export class BillingNotConfiguredError extends MountseaError {
  override readonly name = 'BillingNotConfiguredError';
}

/**
 * The request may have arrived and had its effect: time-out, reset, connection closed before the answer was whole. A
 * time-out proves nothing about what happened at the other end.
 *
 * An answer that broke off belongs here whatever its status: the words that would have said what a 429 means may be
 * the ones that are missing. `answer` keeps what had come.
 */
export class PossiblySentError extends MountseaError {
  override readonly name = 'PossiblySentError';
  /** Head and beginning of an answer that broke off. */
  readonly answer: Answer | undefined;

  constructor(request: string, message: string, answer?: Answer) {
    super(request, message);
    this.answer = answer;
  }
}

/** What an HTTP answer said, body before number (mountsea-api, quirks 12 and 13). */
export interface Answer {
  status: number;
  /** Error code in the body, as text. */
  code?: string;
  /** Message in the body, or the start of the text of a body that is no JSON. Redacted, one line, at most 500 characters. */
  message?: string;
  /** `Retry-After` in either form, ms from now, never negative; absent where the value makes no sense. */
  retryAfterMs?: number;
  /** The body as text, redacted, at most 8192 characters. */
  raw: string;
}

/** The API answered with a status outside 2xx. Also for 3xx: no redirect is followed. */
export class AnsweredError extends MountseaError {
  override readonly name = 'AnsweredError';
  readonly answer: Answer;

  constructor(request: string, answer: Answer) {
    super(request, `${request} was answered ${answer.status}${answer.message ? `: ${answer.message}` : ''}`);
    this.answer = answer;
  }
}

/**
 * The API answered 2xx, but the body is not what the documentation says. For a request that costs money this is no
 * refusal; `answer.raw` keeps what came.
 */
export class UnreadableAnswerError extends MountseaError {
  override readonly name = 'UnreadableAnswerError';
  readonly answer: Answer;

  constructor(request: string, answer: Answer, why: string) {
    super(request, `${request} was answered ${answer.status}, but ${why}`);
    this.answer = answer;
  }
}
