/**
 * What is known of a request that has no usable answer. These are the grounds on which somebody decides later whether
 * 100 credits may be sent again, so each is tried on a real socket, and requests are counted at the server.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  AnsweredError,
  MountseaError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from '../../src/mountsea/errors.js';
import type { Mountsea } from '../../src/mountsea/types.js';
import { freePort, reply, type SeenRequest } from '../support/http.js';
import { against, answering, API_KEY, clientOf, CREATE, errorOf, SESSION } from './harness.js';

/** Both kinds of connection: that of a create and the shared one of a read. */
const kinds: [string, (mountsea: Mountsea, timeoutMs?: number) => Promise<unknown>][] = [
  ['create', (mountsea, timeoutMs) => mountsea.create(CREATE, withTimeout(timeoutMs))],
  ['status', (mountsea, timeoutMs) => mountsea.status(SESSION, withTimeout(timeoutMs))],
];

function withTimeout(timeoutMs: number | undefined) {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

describe.each(kinds)('%s', (_, send) => {
  it('was certainly not sent where the port refuses', async () => {
    const error = await errorOf(send(clientOf(`http://127.0.0.1:${await freePort()}`)));
    expect(error).toBeInstanceOf(NotSentError);
    expect(String(error)).toContain('ECONNREFUSED');
  });

  it('was certainly not sent where the name is unknown', async () => {
    const error = await errorOf(send(clientOf('http://mountsea.invalid')));
    expect(error).toBeInstanceOf(NotSentError);
    expect(String(error)).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  it('was certainly not sent where TLS fails', async () => {
    const { server } = await answering({ taskId: 't1', status: 'queued' });
    const error = await errorOf(send(clientOf(server.url.replace('http:', 'https:'))));
    expect(error).toBeInstanceOf(NotSentError);
    expect(server.requests).toHaveLength(0);
  });

  it('was certainly not sent where the time-out ends the connecting, and is not sent afterwards', async () => {
    // Accepts TCP and never speaks: the TLS handshake hangs.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    let bytes = '';
    const connected = new Promise<void>((resolve) => {
      server.on('connection', (socket) => {
        socket.on('data', (data) => (bytes += data.toString('latin1'))).on('error', () => undefined);
        resolve();
      });
    });
    const error = await errorOf(send(clientOf(`https://127.0.0.1:${port}`), 100));
    await connected;
    expect(error).toBeInstanceOf(NotSentError);
    expect(String(error)).toContain('no answer within 100 ms');
    expect(bytes).not.toContain('HTTP/1.1');
    server.close();
  });

  it('was certainly not sent where there is no key', async () => {
    const { server } = await answering({ taskId: 't1', status: 'queued' });
    const unreadable = () => {
      throw new Error('no such file');
    };
    for (const apiKey of [unreadable, () => '', () => 'a\nb']) {
      expect(await errorOf(send(clientOf(server.url, { apiKey })))).toBeInstanceOf(NotSentError);
    }
    expect(server.requests).toHaveLength(0);
  });

  it('may have arrived where the connection is reset before the answer, and was written once', async () => {
    const { mountsea, server } = await against((_request, response) => {
      response.socket?.resetAndDestroy();
    });
    const error = await errorOf(send(mountsea));
    expect(error).toBeInstanceOf(PossiblySentError);
    expect((error as PossiblySentError).answer).toBeUndefined();
    await mountsea.close();
    expect(server.requests).toHaveLength(1);
    expect(server.connections()).toBe(1);
  });

  it('may have arrived where the connection is closed without a word', async () => {
    const { mountsea, server } = await against((_request, response) => {
      response.socket?.end();
    });
    expect(await errorOf(send(mountsea))).toBeInstanceOf(PossiblySentError);
    expect(server.requests).toHaveLength(1);
  });

  it('may have arrived where no answer comes in time', async () => {
    const { mountsea, server } = await against(() => undefined);
    const error = await errorOf(send(mountsea, 200));
    expect(error).toBeInstanceOf(PossiblySentError);
    expect(String(error)).toContain('no answer within 200 ms');
    expect(server.requests.length).toBeLessThanOrEqual(1);
  });

  it('has one time-out for the whole exchange: an answer that drips does not prolong it', async () => {
    const { mountsea } = await against((_request, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => {
        clearInterval(drip);
      });
    });
    const error = await errorOf(send(mountsea, 300));
    expect(error).toBeInstanceOf(PossiblySentError);
  });

  it.each([200, 400, 429])(
    'proves nothing where an answer %i breaks off, but what came is kept',
    async (status) => {
      const { mountsea, server } = await against((_request, response) => {
        response.writeHead(status, { 'content-length': '1000', 'retry-after': '7' });
        response.write('{"taskId":"t1","mess', () => response.socket?.resetAndDestroy());
      });
      const error = await errorOf(send(mountsea));
      expect(error).toBeInstanceOf(PossiblySentError);
      const { answer } = error as PossiblySentError;
      expect(answer).toMatchObject({ status, retryAfterMs: 7000 });
      // A reset may overtake bytes that were on their way.
      expect('{"taskId":"t1","mess').toContain(answer?.raw);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('keeps all of a body that ended too early', async () => {
    const { mountsea } = await against((_request, response) => {
      response.writeHead(201, { 'content-length': '1000' });
      response.write('{"taskId":"t1","mess', () => response.socket?.end());
    });
    expect(await errorOf(send(mountsea))).toMatchObject({
      name: 'PossiblySentError',
      answer: { status: 201, raw: '{"taskId":"t1","mess' },
    });
  });

  it.each([301, 302, 307, 308])('does not follow a redirect %i', async (status) => {
    const { mountsea, server } = await answering('', status, {
      location: 'https://elsewhere.example/x?key=abc',
    });
    const error = await errorOf(send(mountsea));
    expect(error).toBeInstanceOf(AnsweredError);
    expect(error).toMatchObject({
      answer: { status, message: 'it redirects to https://elsewhere.example/x, which is not followed' },
    });
    expect(server.requests).toHaveLength(1);
  });

  it.each([408, 409, 425, 429, 500, 502, 503, 504])('is not repeated by itself after %i', async (status) => {
    const { mountsea, server } = await answering({ message: 'later' }, status, { 'retry-after': '0' });
    expect(await errorOf(send(mountsea))).toMatchObject({
      name: 'AnsweredError',
      answer: { status, retryAfterMs: 0 },
    });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['empty', '', 'its body is empty'],
    ['HTML', '<html><body>Welcome</body></html>', 'its body is no JSON'],
    ['half of JSON', '{"taskId":', 'its body is no JSON'],
    ['a list', '[]', 'its body is not as documented'],
    ['null', 'null', 'its body is not as documented'],
    ['an error', '{"code":402,"message":"Insufficient credits"}', 'its body is not as documented'],
  ])('has an unreadable answer where a 2xx is %s, and keeps it', async (_what, body, why) => {
    const { mountsea } = await answering(body, 201);
    const error = await errorOf(send(mountsea));
    expect(error).toBeInstanceOf(UnreadableAnswerError);
    expect(error).toMatchObject({ answer: { status: 201, raw: body } });
    expect(String(error)).toContain(why);
  });

  it('reads no more than 1 MiB of a body and says so', async () => {
    let closed: Promise<void> | undefined;
    const { mountsea } = await against((_request, response) => {
      closed = new Promise((resolve) => response.on('close', resolve));
      response.writeHead(201, { 'content-type': 'application/json' });
      const flood = () => {
        while (response.write('a'.repeat(65_536)));
      };
      response.on('drain', flood);
      flood();
    });
    const error = await errorOf(send(mountsea));
    expect(error).toBeInstanceOf(UnreadableAnswerError);
    expect(String(error)).toContain('longer than 1 MiB');
    expect((error as UnreadableAnswerError).answer.raw).toHaveLength(8192);
    await closed;
  });

  it('never shows a key, neither in a message nor in a raw answer that echoes it', async () => {
    const echo = (request: SeenRequest) =>
      `key ${API_KEY} header ${request.headers.authorization ?? ''} json ${JSON.stringify(request.headers)}`;
    for (const status of [201, 401, 500]) {
      const { mountsea } = await against((request, response) => {
        reply(response, status, { message: echo(request), echo: request.headers });
      });
      const error = await errorOf(send(mountsea));
      expect(error).toBeInstanceOf(MountseaError);
      const everything = `${String(error)} ${(error as Error).stack ?? ''} ${JSON.stringify(error)}`;
      expect(everything).toContain('[removed]');
      expect(everything).not.toContain(API_KEY);
    }
  });

  it('names the request without its query', async () => {
    const { mountsea } = await answering({}, 500);
    expect(await errorOf(send(mountsea))).toMatchObject({
      request: expect.stringMatching(/^(POST|GET) \/suno\/v2\/[\w/]+$/) as string,
    });
  });
});

describe('a reused connection', () => {
  const page = { items: [], meta: { totalItems: 0, totalPages: 0, currentPage: 1 } };
  const search = (mountsea: Mountsea) => mountsea.searchPoints({ startMs: 0, endMs: 1 });

  it.each([
    ['GET', (mountsea: Mountsea) => mountsea.status('t1')],
    ['POST', search],
  ])('that the server closes on receiving a %s has written it once', async (_, again) => {
    const { mountsea, server } = await against((request, response) => {
      const isSecond = server.requests.length > 1;
      if (isSecond) response.socket?.resetAndDestroy();
      else reply(response, 200, { ...page, status: 'queued', connection: request.connection });
    });
    await again(mountsea);
    // One turn of the event loop, so that the connection is free to be taken again.
    await new Promise((resolve) => setImmediate(resolve));
    expect(await errorOf(again(mountsea))).toBeInstanceOf(PossiblySentError);
    await mountsea.close();
    expect(server.requests.map(({ connection }) => connection)).toEqual([1, 1]);
  });

  it('that the server closes at any moment never carries a POST twice', async () => {
    const { mountsea, server } = await against((_request, response) => {
      const { socket } = response;
      // Says keep-alive and hangs up.
      reply(response, 200, page, { connection: 'keep-alive', 'keep-alive': 'timeout=60' });
      response.on('finish', () => socket?.end());
    });
    const rounds = 50;
    let lost = 0;
    for (let i = 0; i < rounds; i++) {
      const before = server.requests.length;
      const error: unknown = await search(mountsea).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const arrived = server.requests.length - before;
      if (error === undefined) expect(arrived).toBe(1);
      else {
        lost++;
        expect(error).toBeInstanceOf(MountseaError);
        expect(arrived).toBeLessThanOrEqual(1);
        if (error instanceof NotSentError) expect(arrived).toBe(0);
      }
    }
    expect(lost).toBeLessThan(rounds);
  });
});

describe('a signal', () => {
  it('that is aborted already keeps a request from being sent', async () => {
    const { mountsea, server } = await answering({ status: 'queued', taskId: 't1' });
    const signal = AbortSignal.abort();
    expect(await errorOf(mountsea.status('t1', { signal }))).toBeInstanceOf(NotSentError);
    expect(
      await errorOf(mountsea.upload({ sessionId: SESSION, audioUrl: 'https://a.example/b' }, { signal })),
    ).toBeInstanceOf(NotSentError);
    await mountsea.close();
    expect(server.requests).toHaveLength(0);
    expect(server.connections()).toBe(0);
  });

  it('that comes while a read waits for a connection keeps it from being sent, also later', async () => {
    const held: (() => void)[] = [];
    const { mountsea, server } = await against((_request, response) => {
      held.push(() => {
        reply(response, 200, { status: 'queued' });
      });
    });
    const busy = Array.from({ length: 8 }, (_, i) => mountsea.status(`busy${i}`));
    await server.received(8);
    const controller = new AbortController();
    const waiting = errorOf(mountsea.status('waiting', { signal: controller.signal }));
    controller.abort();
    expect(await waiting).toBeInstanceOf(NotSentError);
    for (const release of held) release();
    await Promise.all(busy);
    const next = mountsea.status('next');
    await server.received(9);
    held.at(-1)?.();
    await next;
    expect(server.requests.map(({ path }) => path).join()).not.toContain('waiting');
  });

  it.each([
    ['read', (mountsea: Mountsea, signal: AbortSignal) => mountsea.status('t1', { signal })],
    [
      'upload',
      (mountsea: Mountsea, signal: AbortSignal) =>
        mountsea.upload({ sessionId: SESSION, audioUrl: 'https://a.example/b' }, { signal }),
    ],
  ])('that comes after the request leaves a %s that may have arrived', async (_, send) => {
    const { mountsea, server } = await against(() => undefined);
    const controller = new AbortController();
    const failed = errorOf(send(mountsea, controller.signal));
    await server.received(1);
    controller.abort();
    const error = await failed;
    expect(error).toBeInstanceOf(PossiblySentError);
    expect(String(error)).toContain('aborted');
  });

  it('is not obeyed by create, whatever a caller smuggles in', async () => {
    const controller = new AbortController();
    const { mountsea } = await against((_request, response) => {
      controller.abort();
      setImmediate(() => {
        reply(response, 201, { taskId: SESSION });
      });
    });
    const smuggled: { timeoutMs?: number } = { signal: controller.signal } as object;
    expect((await mountsea.create(CREATE, smuggled)).taskId).toBe(SESSION);
  });
});

describe('a listener', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('that throws does not turn an answer into an error', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { mountsea } = await against(
      (_request, response) => {
        reply(response, 201, { taskId: SESSION });
      },
      {
        onExchange: () => {
          throw new Error('disk full');
        },
      },
    );
    expect((await mountsea.create(CREATE)).taskId).toBe(SESSION);
    expect(warned).toHaveBeenCalledOnce();
  });
});

describe('Retry-After', () => {
  it('is read as seconds', async () => {
    const { mountsea } = await answering({ message: 'slow down' }, 429, { 'retry-after': '12' });
    expect(await errorOf(mountsea.create(CREATE))).toMatchObject({
      answer: { status: 429, retryAfterMs: 12_000 },
    });
  });

  it('is read as a date, by the clock of the server that sent it', async () => {
    const { mountsea } = await answering({ message: 'slow down' }, 429, {
      date: 'Wed, 21 Oct 2015 07:28:00 GMT',
      'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT',
    });
    expect(await errorOf(mountsea.create(CREATE))).toMatchObject({ answer: { retryAfterMs: 30_000 } });
  });

  it('is left out where it makes no sense', async () => {
    const { mountsea } = await answering({ message: 'slow down' }, 429, { 'retry-after': 'soon' });
    const error = await errorOf(mountsea.create(CREATE));
    expect((error as AnsweredError).answer).not.toHaveProperty('retryAfterMs');
  });
});
