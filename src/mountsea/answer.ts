/**
 * Worker side: reads what an answer says about itself when it is not the one hoped for. Nobody documented the error
 * bodies (mountsea-api, quirk 12), so every shape seen at such services is taken, and the raw text is kept.
 */
import { compact } from './compact.js';
import type { Answer } from './errors.js';
import type { Redactor } from './redact.js';
import { parseHttpDate, parseRetryAfter } from './retryAfter.js';
import { type ErrorBody, errorBody } from './schemas.js';
import type { WireReply } from './exchange.js';

/** Deeper than any answer with a meaning; everything that walks a body may then recurse without fear for the stack. */
const MAX_DEPTH = 100;

/** @returns the answer without secrets, short enough for an error and for the history. */
export function answerOf(reply: WireReply, redactor: Redactor): Answer {
  const { status, headers, body } = reply;
  const raw = redactor.raw(body);
  const said = errorBody.safeParse(parseJson(body));
  const { code, message } = said.success ? wordsOf(said.data) : {};
  const shown = message ?? redirect(reply) ?? textOf(raw);
  return compact({
    status,
    code: code === undefined ? undefined : redactor.line(code, 80),
    message: shown === undefined ? undefined : redactor.line(shown),
    retryAfterMs: parseRetryAfter(headers['retry-after'], parseHttpDate(headers['date']) ?? Date.now()),
    raw,
  });
}

/** @returns undefined for a text that is no JSON, or JSON nested deeper than 100. */
export function parseJson(text: string): unknown {
  if (depthOf(text) > MAX_DEPTH) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wordsOf(body: ErrorBody): { code?: string; message?: string } {
  const inner = typeof body.error === 'object' ? body.error : undefined;
  const error = typeof body.error === 'string' ? body.error : undefined;
  const message = body.message ?? inner?.message ?? body.errorMessage;
  // NestJS puts the HTTP phrase here ("Too Many Requests"), others a code ("insufficient_credits"). The phrase must not
  // speak louder than the message beside it, since the number may be the wrong one (quirk 13).
  const errorAsCode = message !== undefined && error !== undefined && !/\s/.test(error) ? error : undefined;
  return compact({
    code: body.code ?? inner?.code ?? errorAsCode ?? body.statusCode,
    message: message ?? error,
  });
}

function redirect({ status, headers }: WireReply): string | undefined {
  const location = headers['location'];
  return status >= 300 && status < 400 && location !== undefined
    ? `it redirects to ${location}, which is not followed`
    : undefined;
}

/** Of an HTML page what a person would read of it. */
function textOf(body: string): string | undefined {
  const text = /^\s*</.test(body)
    ? body.replace(/<(script|style)\b.*?<\/\1>/gis, ' ').replace(/<[^>]*>/g, ' ')
    : body;
  return text.trim() === '' ? undefined : text;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') deepest = Math.max(deepest, ++depth);
    else if (token === ']' || token === '}') depth--;
  }
  return deepest;
}
