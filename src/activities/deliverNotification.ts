/**
 * Activity side: posts one notification to the receiver of `--notify`, signed as Standard Webhooks
 * (https://www.standardwebhooks.com) say. It may be repeated: the id in its header stays the same.
 */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { ApplicationFailure, cancellationSignal } from '@temporalio/activity';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import type { NotificationInput } from '../contract/notification.js';
import { parseRetryAfter } from '../mountsea/retryAfter.js';
import type { ActivityDependencies } from './dependencies.js';

/** From connect to the end of the answer. */
const TIMEOUT_MS = 15_000;
/** What a receiver says is not read; it is taken off the line up to here. */
const MOST_ANSWER = 64 * 1_024;
/** A receiver that asks for more patience than this is asked again all the same. */
const LONGEST_WAIT_MS = 60 * 60_000;

export interface WebhookRules {
  /**
   * `whsec_…`, as it is now; undefined where there is none.
   *
   * @throws where it cannot be read.
   */
  secret: () => string | undefined;
  /** Whether a host name or an address is this machine or a private network, and so no receiver. */
  isRefused: (host: string) => boolean;
}

export type DeliverNotificationInput = Pick<NotificationInput, 'target' | 'webhookId' | 'payload'>;

export function createDeliverNotification({
  webhook: { secret, isRefused },
}: Pick<ActivityDependencies, 'webhook'>) {
  /** @throws a failure whose message names the receiver without its query. */
  return async function deliverNotification({
    target,
    webhookId,
    payload,
  }: DeliverNotificationInput): Promise<void> {
    const sign = signer(secret);
    const url = new URL(target.url);
    if (isRefused(hostOf(url))) throw refusedAddress();
    const dispatcher = new Agent({ connect: { lookup: lookupUnless(isRefused), timeout: TIMEOUT_MS } });
    const body = JSON.stringify(payload);
    const at = new Date();
    try {
      const answer = await request(url, {
        dispatcher,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'tunesmith',
          'webhook-id': webhookId,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
          'webhook-signature': sign(webhookId, at, body),
        },
        body,
        signal: AbortSignal.any([cancellationSignal(), AbortSignal.timeout(TIMEOUT_MS)]),
      });
      await answer.body.dump({ limit: MOST_ANSWER });
      requireTaken(answer.statusCode, answer.headers['retry-after']);
    } catch (error) {
      throw error instanceof ApplicationFailure ? error : notDelivered(whyOf(error));
    } finally {
      await dispatcher.destroy();
    }
  };
}

function requireTaken(status: number, retryAfter: string | string[] | undefined): void {
  if (status >= 200 && status < 300) return;
  // The receiver says that it is gone for good.
  if (status === 410) throw ApplicationFailure.nonRetryable('HTTP 410, it is gone for good', NOT_DELIVERED);
  const what = status >= 300 && status < 400 ? `HTTP ${status}, a redirect` : `HTTP ${status}`;
  const asked = typeof retryAfter === 'string' ? parseRetryAfter(retryAfter, Date.now()) : undefined;
  throw notDelivered(what, asked);
}

function signer(secret: WebhookRules['secret']): Webhook['sign'] {
  let webhook: Webhook;
  try {
    const whsec = secret();
    if (whsec === undefined) throw new Error('none');
    webhook = new Webhook(whsec);
  } catch {
    // What went wrong may name a path of this machine, or the secret. Another worker may have one.
    throw notDelivered('this worker has no TUNESMITH_WEBHOOK_SECRET, and unsigned nothing is sent');
  }
  return (id, at, body) => webhook.sign(id, at, body);
}

const NOT_DELIVERED = 'NotDelivered';

function notDelivered(message: string, retryAfterMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: NOT_DELIVERED,
    message,
    ...(retryAfterMs === undefined
      ? {}
      : { nextRetryDelay: Math.min(Math.max(retryAfterMs, 1), LONGEST_WAIT_MS) }),
  });
}

function refusedAddress(): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    'it is on a private or loopback address, which this worker refuses',
    NOT_DELIVERED,
  );
}

/** Looked at when the connection is made: a name that was public a moment ago may be another one now. */
function lookupUnless(isRefused: WebhookRules['isRefused']): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      const found: string[] =
        typeof address === 'string'
          ? [address]
          : (address as { address: string }[]).map((one) => one.address);
      const refused = error === null && found.some(isRefused);
      callback(refused ? new RefusedAddressError() : error, address, family);
    });
  };
}

class RefusedAddressError extends Error {
  readonly code = 'REFUSED_ADDRESS';
}

/** Codes only: a message may repeat the URL. */
function whyOf(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof RefusedAddressError) throw refusedAddress();
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    if (cause.name === 'TimeoutError') return `no answer in ${TIMEOUT_MS / 1_000} s`;
  }
  return 'the request failed';
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '');
}
