/**
 * Worker side: keeps what the API really answers (`--record`), so that what is only inferred about it can be corrected
 * and the sandbox can replay it. A recording is made to be sent to somebody: nothing secret may be in it.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from './answer.js';
import { compact } from './compact.js';
import type { Redactor } from './redact.js';
import type { WireOutcome, WireReply, WireRequest } from './exchange.js';
import type { RecordedExchange } from './types.js';

/** Response headers worth keeping. A list of what is allowed: cookies and unknown ones may hold anything. */
const KEPT_HEADERS =
  /^(content-type|content-length|transfer-encoding|connection|keep-alive|date|server|retry-after|location|x-request-id|x-trace-id|cf-ray|(x-)?ratelimit-[\w-]+)$/;

/** @param ms from connect to last byte. */
export function recordOf(
  host: 'api' | 'billing',
  request: WireRequest,
  outcome: WireOutcome,
  timing: { at: Date; ms: number },
  redactor: Redactor,
): RecordedExchange {
  return compact({
    version: 1 as const,
    at: timing.at.toISOString(),
    host,
    method: request.method,
    path: redactor.text(request.path),
    requestBody: request.body === undefined ? undefined : bodyOf(request.body, redactor),
    outcome: outcomeOf(outcome, timing.ms, redactor),
  });
}

/**
 * @returns a function that appends one JSON line for each exchange to `<dir>/exchanges-<pid>.ndjson` (mode 0600; `dir` is
 *   made). It never throws: a full disk must not harm a training, so the first failure is told on stderr and that is all.
 */
export function recordTo(dir: string): (exchange: RecordedExchange) => void {
  const file = join(dir, `exchanges-${process.pid}.ndjson`);
  let warned = false;
  return (exchange) => {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      appendFileSync(file, `${JSON.stringify(exchange)}\n`, { mode: 0o600 });
    } catch (error) {
      if (warned) return;
      warned = true;
      process.stderr.write(`Exchanges with the API are not recorded: ${String(error)}\n`);
    }
  };
}

function outcomeOf(outcome: WireOutcome, ms: number, redactor: Redactor): RecordedExchange['outcome'] {
  if (outcome.kind === 'answered') {
    return { kind: 'answer', ...replyOf(outcome.reply, redactor), ms };
  }
  const partial = outcome.kind === 'possibly-sent' ? outcome.partial : undefined;
  return compact({
    kind: 'error' as const,
    proof: outcome.kind,
    message: redactor.line(outcome.why),
    partial: partial === undefined ? undefined : replyOf(partial, redactor),
    ms,
  });
}

function replyOf({ status, headers, body }: WireReply, redactor: Redactor) {
  const kept = Object.entries(headers).filter(([name]) => KEPT_HEADERS.test(name));
  return {
    status,
    headers: Object.fromEntries(kept.map(([name, value]) => [name, redactor.text(value)])),
    body: bodyOf(body, redactor),
  };
}

function bodyOf(text: string, redactor: Redactor): unknown {
  return redactor.json(parseJson(text) ?? text);
}
