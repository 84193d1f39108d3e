/**
 * Tests: a real HTTP server on a free port that counts what reaches it. It answers whatever the test says, however
 * wrong, down to the socket.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface SeenRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** Number of the connection it came on, from 1. */
  connection: number;
}

/** Gets the request when its body is whole. `response.socket` is there for those who want to break things. */
export type Handler = (request: SeenRequest, response: ServerResponse) => void;

export interface TestServer {
  /** `http://127.0.0.1:<port>`. */
  url: string;
  port: number;
  /** Each request whose head arrived, in order; `body` is filled as it comes. */
  requests: SeenRequest[];
  /** Resolves when `count` requests have arrived with their bodies. */
  received(count: number): Promise<void>;
  /** Connections accepted so far. */
  connections(): number;
  close(): Promise<void>;
}

export async function startServer(handler: Handler): Promise<TestServer> {
  const requests: SeenRequest[] = [];
  const numbers = new WeakMap<Socket, number>();
  const waiting = new Set<{ count: number; resolve: () => void }>();
  let connections = 0;
  let complete = 0;

  const server = createServer((request, response) => {
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: '',
      connection: numbers.get(request.socket) ?? 0,
    };
    requests.push(seen);
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (seen.body += chunk));
    request.on('end', () => {
      complete++;
      for (const waiter of waiting) if (complete >= waiter.count) waiter.resolve();
      handler(seen, response);
    });
  });
  server.on('connection', (socket) => {
    connections++;
    numbers.set(socket, connections);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    connections: () => connections,
    received: (count) =>
      new Promise((resolve) => {
        if (complete >= count) resolve();
        else waiting.add({ count, resolve });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** Answers with JSON, or with text as it is. */
export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
