/**
 * Tests of the HTTP client: a client against a server of the test's own, both closed when the test ends.
 */
import { onTestFinished } from 'vitest';
import { createMountsea } from '../../src/mountsea/client.js';
import type { Mountsea, MountseaOptions, RecordedExchange } from '../../src/mountsea/types.js';
import { type Handler, reply, startServer, type TestServer } from '../support/http.js';

export const API_KEY = 'ms-key-4f1d0c7e55aa';
export const BILLING_KEY = 'billing-key-93b2';
export const SESSION = 'a1b2c3d4-e5f6-7890-abcd-ef1234567890';
export const MODEL = 'chirp-custom:11111111-2222-3333-4444-555555555555';
export const CREATE = { sessionId: SESSION, clipIds: ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'], name: 'mine' };

export interface Fixture {
  server: TestServer;
  mountsea: Mountsea;
  exchanges: RecordedExchange[];
}

export async function against(handler: Handler, options: Partial<MountseaOptions> = {}): Promise<Fixture> {
  const server = await startServer(handler);
  const exchanges: RecordedExchange[] = [];
  const mountsea = clientOf(server.url, { onExchange: (exchange) => exchanges.push(exchange), ...options });
  onTestFinished(() => server.close());
  return { server, mountsea, exchanges };
}

/** A client of whatever listens, or does not listen, at `url`. */
export function clientOf(url: string, options: Partial<MountseaOptions> = {}): Mountsea {
  const mountsea = createMountsea({
    baseUrl: url,
    apiKey: () => API_KEY,
    billing: { baseUrl: url, apiKey: () => BILLING_KEY },
    ...options,
  });
  onTestFinished(() => mountsea.close());
  return mountsea;
}

/** A server that gives each request the same JSON or text. */
export function answering(
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Promise<Fixture> {
  return against((_request, response) => {
    reply(response, status, body, headers);
  });
}

/** What a promise is rejected with. Fails where it is not. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('It was expected to fail.');
}
