/**
 * A notification over real HTTP, outside any workflow; signatures are checked with the receivers' own library.
 */
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createDeliverNotification,
  type DeliverNotificationInput,
  type WebhookRules,
} from '../../src/activities/deliverNotification.js';
import { emptyReceipt } from '../../src/money/receipt.js';
import { type Handler, reply, startServer, type TestServer } from '../support/http.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let server: TestServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function deliver(
  handler: Handler,
  { url = '/hook?token=sesame', ...rules }: Partial<WebhookRules> & { url?: string } = {},
): Promise<unknown> {
  server ??= await startServer(handler);
  const target = new URL(url, server.url).href.replace('//127.0.0.1', `//${HOST}`);
  const input: DeliverNotificationInput = {
    target: { url: target, label: 'the receiver' },
    webhookId: 'train-night-done-1',
    payload: {
      type: 'training.done',
      version: 1,
      timestamp: new Date().toISOString(),
      data: {
        workflowId: 'train-night',
        name: 'Night',
        origin: 'https://api.example',
        message: 'Ready.',
        receipt: emptyReceipt(),
      },
    },
  };
  const activity = createDeliverNotification({
    webhook: { secret: () => SECRET, isRefused: () => false, ...rules },
  });
  return new MockActivityEnvironment().run(activity, input).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A name, so that what it resolves to is looked at when the connection is made. */
const HOST = 'localhost';
const taken: Handler = (_, response) => {
  reply(response, 200, '');
};
const answers =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_, response) => {
    reply(response, status, 'token=sesame', headers);
  };
const requests = (): TestServer['requests'] => server?.requests ?? [];

describe('a notification', () => {
  it('is signed so that the Standard Webhooks library takes it, and has the same id at each try', async () => {
    expect(await deliver(taken)).toBeUndefined();
    expect(await deliver(taken)).toBeUndefined();
    const ids = requests().map(({ headers, body }) => {
      const payload = new Webhook(SECRET).verify(body, headers as Record<string, string>);
      expect(payload).toMatchObject({ type: 'training.done', version: 1, data: { name: 'Night' } });
      return headers['webhook-id'];
    });
    expect(ids).toEqual(['train-night-done-1', 'train-night-done-1']);
    expect(requests()[0]?.path).toBe('/hook?token=sesame');
  });

  it('is tried again where it was not taken, as late as the receiver asks', async () => {
    const failed = await deliver(answers(503, { 'retry-after': '120' }));
    expect(failed).toMatchObject({ message: 'HTTP 503', nonRetryable: false, nextRetryDelay: 120_000 });
  });

  it('follows no redirect', async () => {
    const failed = await deliver(answers(307, { location: '/elsewhere' }));
    expect(failed).toMatchObject({ message: 'HTTP 307, a redirect', nonRetryable: false });
    expect(requests()).toHaveLength(1);
  });

  it('is given up where the receiver is gone for good', async () => {
    expect(await deliver(answers(410))).toMatchObject({ nonRetryable: true });
  });

  it.each([
    ['there is none', (): undefined => undefined],
    [
      'it cannot be read',
      (): never => {
        throw new Error('/home/ann/secret: no such file');
      },
    ],
  ])(
    'is never sent unsigned: without a secret it waits for a worker that has one (%s)',
    async (_, secret) => {
      const failed = await deliver(taken, { secret });
      expect(failed).toMatchObject({ nonRetryable: false });
      expect(String(failed)).toContain('TUNESMITH_WEBHOOK_SECRET');
      expect(String(failed)).not.toContain('/home/ann');
      expect(requests()).toHaveLength(0);
    },
  );

  it.each([
    ['by its name', (host: string): boolean => host === HOST],
    ['by what its name resolves to', (host: string): boolean => host === '127.0.0.1' || host === '::1'],
  ])('does not reach a private address, refused %s', async (_, isRefused) => {
    const failed = await deliver(taken, { isRefused });
    expect(failed).toMatchObject({ nonRetryable: true });
    expect(String(failed)).toContain('private or loopback');
    expect(server?.connections()).toBe(0);
  });

  it('says what went wrong without the query of the URL', async () => {
    const failed = await deliver((_, response) => response.socket?.destroy());
    expect(failed).toBeInstanceOf(ApplicationFailure);
    expect(failed).toMatchObject({ message: 'UND_ERR_SOCKET', nonRetryable: false });
    expect(JSON.stringify(failed)).not.toContain('sesame');
  });
});
