/**
 * What lies between opening the connection of a create and writing it. "Not one byte" is meant literally, so bytes are
 * counted on bare sockets.
 */
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AnsweredError,
  HeldBackError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from '../../src/mountsea/errors.js';
import type { CreateOptions, CreateStep, RecordedExchange } from '../../src/mountsea/types.js';
import { reply } from '../support/http.js';
import { SELF_SIGNED } from './certificate.js';
import { against, answering, API_KEY, clientOf, CREATE, errorOf, SESSION } from './harness.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

interface BareServer {
  port: number;
  /** Resolves with the first connection. */
  first: Promise<Socket>;
  /** Resolves when the first connection is closed, and all that came on it was counted. */
  gone: Promise<void>;
  /** That came on any connection. */
  bytes(): number;
  /** Connections accepted, those that still wait to be accepted included. */
  connections(): Promise<number>;
}

/** Accepts TCP, counts, and says only what the test makes it say. */
async function bareServer(): Promise<BareServer> {
  const sockets: Socket[] = [];
  let bytes = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('data', (data) => (bytes += data.length)).on('error', () => undefined);
    socket.on('end', () => socket.end());
  });
  const first = once(server, 'connection').then(([socket]) => socket as Socket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port,
    first,
    gone: first.then(
      (socket) =>
        new Promise((resolve) =>
          socket.once('close', () => {
            resolve();
          }),
        ),
    ),
    bytes: () => bytes,
    async connections() {
      // Connections are accepted in order: when this one is, all before it were.
      const accepted = once(server, 'connection');
      const probe = connect(port, '127.0.0.1');
      let [last] = (await accepted) as [Socket];
      await once(probe, 'connect');
      while (last.remotePort !== probe.localPort) [last] = (await once(server, 'connection')) as [Socket];
      probe.destroy();
      return sockets.length - 1;
    },
  };
}

/** Options that note what happens, in order. */
function noting(options: Partial<CreateOptions> = {}): { options: CreateOptions; notes: string[] } {
  const notes: string[] = [];
  const { beforeSend, mayWrite } = options;
  return {
    notes,
    options: {
      ...options,
      onStep: (step) => notes.push(step),
      beforeSend: () => {
        notes.push('beforeSend');
        return beforeSend?.() ?? Promise.resolve(undefined);
      },
      mayWrite: () => {
        notes.push('mayWrite');
        return mayWrite?.();
      },
    },
  };
}

function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('the steps of create', () => {
  it('come in order, and the checks between them', async () => {
    const { options, notes } = noting();
    const { mountsea, server, exchanges } = await against((_request, response) => {
      notes.push('request');
      reply(response, 201, { taskId: SESSION });
    });
    expect((await mountsea.create(CREATE, options)).taskId).toBe(SESSION);
    expect(notes).toEqual([
      'connecting',
      'connected',
      'beforeSend',
      'checked',
      'mayWrite',
      'written',
      'request',
      'answered',
    ]);
    expect(server.connections()).toBe(1);
    expect(server.requests.map(({ body }): unknown => JSON.parse(body))).toEqual([CREATE]);
    expect(exchanges).toHaveLength(1);
  });

  it('come in order over TLS, too', async () => {
    // The client trusts no certificate of a test; this is the only way to make it.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { options, notes } = noting();
    const server = createHttpsServer(SELF_SIGNED, (_request, response) => {
      notes.push('request');
      reply(response, 201, { taskId: SESSION });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const mountsea = clientOf(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect((await mountsea.create(CREATE, options)).taskId).toBe(SESSION);
    expect(notes.slice(-4)).toEqual(['mayWrite', 'written', 'request', 'answered']);
  });

  it.each([
    ['a refusal', 402, '{"message":"Insufficient credits"}', AnsweredError],
    ['nonsense', 201, '<html>', UnreadableAnswerError],
  ])('end with the answer also where it is %s', async (_, status, body, kind) => {
    const { options, notes } = noting();
    const { mountsea } = await answering(body, status);
    expect(await errorOf(mountsea.create(CREATE, options))).toBeInstanceOf(kind);
    expect(notes.at(-1)).toBe('answered');
  });

  it('do no harm where the listener throws', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const steps: CreateStep[] = [];
    const { mountsea, server } = await answering({ taskId: SESSION }, 201);
    const onStep = (step: CreateStep) => {
      steps.push(step);
      throw new Error('no heartbeat');
    };
    expect((await mountsea.create(CREATE, { onStep })).taskId).toBe(SESSION);
    expect(steps).toEqual(['connecting', 'connected', 'checked', 'written', 'answered']);
    expect(warned).toHaveBeenCalledTimes(5);
    expect(server.requests).toHaveLength(1);
  });
});

describe('a check of create', () => {
  it('that says no when the connection is open leaves no byte', async () => {
    const server = await bareServer();
    const exchanges: RecordedExchange[] = [];
    const mountsea = clientOf(`http://127.0.0.1:${server.port}`, { onExchange: (it) => exchanges.push(it) });
    const { options, notes } = noting({
      beforeSend: () => Promise.resolve('the session has a task already'),
    });
    const error = await errorOf(mountsea.create(CREATE, options));
    expect(error).toBeInstanceOf(HeldBackError);
    expect(error).toBeInstanceOf(NotSentError);
    expect(error).toMatchObject({
      name: 'HeldBackError',
      reason: 'the session has a task already',
      message: 'POST /suno/v2/customModel/create was held back: the session has a task already',
    });
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(await server.connections()).toBe(1);
    expect(notes).toEqual(['connecting', 'connected', 'beforeSend']);
    expect(exchanges.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'error', proof: 'not-sent', message: 'the session has a task already' },
    ]);
  });

  it.each([
    ['says no', () => 'too late', 'too late'],
    [
      'throws',
      () => {
        throw new Error('no clock');
      },
      'the check before the write failed: Error: no clock',
    ],
  ])('that %s just before the write leaves no byte', async (_, mayWrite, reason) => {
    const server = await bareServer();
    const { options, notes } = noting({ mayWrite });
    const mountsea = clientOf(`http://127.0.0.1:${server.port}`);
    expect(await errorOf(mountsea.create(CREATE, options))).toMatchObject({ name: 'HeldBackError', reason });
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(await server.connections()).toBe(1);
    expect(notes).toEqual(['connecting', 'connected', 'beforeSend', 'checked', 'mayWrite']);
  });

  it('that throws when the connection is open leaves no byte, and its error is the one of create', async () => {
    const server = await bareServer();
    const exchanges: RecordedExchange[] = [];
    const mountsea = clientOf(`http://127.0.0.1:${server.port}`, { onExchange: (it) => exchanges.push(it) });
    const mine = new Error('mine');
    for (const beforeSend of [
      () => Promise.reject(mine),
      () => {
        throw mine;
      },
    ]) {
      expect(await errorOf(mountsea.create(CREATE, { beforeSend }))).toBe(mine);
    }
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(await server.connections()).toBe(2);
    expect(exchanges.map(({ outcome }) => outcome)).toMatchObject([
      { proof: 'not-sent' },
      { proof: 'not-sent' },
    ]);
  });

  it('that says nothing counts as no', async () => {
    const { mountsea, server } = await answering({ taskId: SESSION }, 201);
    expect(await errorOf(mountsea.create(CREATE, { mayWrite: () => '' }))).toBeInstanceOf(HeldBackError);
    expect(await errorOf(mountsea.create(CREATE, { beforeSend: () => Promise.resolve('') }))).toBeInstanceOf(
      HeldBackError,
    );
    expect(server.requests).toHaveLength(0);
  });

  it('does not show a key that is in its reason', async () => {
    const { mountsea } = await answering({ taskId: SESSION }, 201);
    const error = await errorOf(mountsea.create(CREATE, { mayWrite: () => `with ${API_KEY}` }));
    expect(error).toMatchObject({ reason: 'with [removed]' });
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(API_KEY);
  });

  it('reads the status over another connection while that of create is open', async () => {
    const { mountsea, server } = await against((_request, response) => {
      reply(response, 200, { taskId: SESSION, status: 'ready' });
    });
    let open = 0;
    const beforeSend = async () => {
      open = server.connections();
      expect((await mountsea.status(SESSION)).status).toBe('ready');
      return undefined;
    };
    await mountsea.create(CREATE, { beforeSend });
    expect(open).toBe(1);
    expect(server.requests.map(({ method, connection }) => [method, connection])).toEqual([
      ['GET', 2],
      ['POST', 1],
    ]);
    expect(server.connections()).toBe(2);
  });

  it('is waited for at close, and create goes on after it', async () => {
    const { mountsea, server } = await answering({ taskId: SESSION }, 201);
    let closed: Promise<void> | undefined;
    let isClosed = false;
    const beforeSend = async () => {
      closed = mountsea.close().then(() => {
        isClosed = true;
      });
      // Some turns of the event loop, in which a close that did not wait would have ended.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      return isClosed ? 'closed under way' : undefined;
    };
    expect((await mountsea.create(CREATE, { beforeSend })).taskId).toBe(SESSION);
    await closed;
    expect(server.requests).toHaveLength(1);
  });
});

describe('a connection that the server gives up during the check', () => {
  const closed = 'the connection was closed before anything was written';

  it.each([
    ['closes', closed, (socket: Socket) => once(socket.end(), 'finish')],
    ['resets', `${closed}: read ECONNRESET`, (socket: Socket) => once(socket.resetAndDestroy(), 'close')],
    [
      'says 408 on',
      'the server spoke before anything was written',
      (socket: Socket) =>
        new Promise((resolve) => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n', resolve)),
    ],
  ])('as it %s it: the request was not sent, and there is no second connection', async (_, why, giveUp) => {
    const server = await bareServer();
    const { options, notes } = noting({
      beforeSend: async () => {
        await giveUp(await server.first);
        return undefined;
      },
    });
    const error = await errorOf(clientOf(`http://127.0.0.1:${server.port}`).create(CREATE, options));
    expect(error).toMatchObject({
      name: 'NotSentError',
      message: `POST /suno/v2/customModel/create was not sent: ${why}`,
    });
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(await server.connections()).toBe(1);
    expect(notes).toEqual(['connecting', 'connected', 'beforeSend', 'checked']);
  });
});

describe('the time-out of create', () => {
  it('closes a connection that is being opened', async () => {
    // Accepts TCP and never speaks: the TLS handshake hangs.
    const server = await bareServer();
    const { options, notes } = noting({ timeoutMs: 100 });
    const error = await errorOf(clientOf(`https://127.0.0.1:${server.port}`).create(CREATE, options));
    expect(error).toMatchObject({ name: 'NotSentError' });
    expect(String(error)).toContain('no answer within 100 ms');
    await server.gone;
    expect(notes).toEqual(['connecting']);
  });

  it('does not wait for a check that does not come back', async () => {
    const server = await bareServer();
    const { options, notes } = noting({ timeoutMs: 100, beforeSend: () => new Promise(() => undefined) });
    const error = await errorOf(clientOf(`http://127.0.0.1:${server.port}`).create(CREATE, options));
    expect(error).toMatchObject({ name: 'NotSentError' });
    expect(String(error)).toContain('no answer within 100 ms');
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(await server.connections()).toBe(1);
    expect(notes).toEqual(['connecting', 'connected', 'beforeSend']);
  });

  it.each<[string, (holdUpForLong: () => void) => void]>([
    [
      'counts what the check takes',
      (holdUpForLong) => {
        holdUpForLong();
      },
    ],
    [
      'is seen before the write also where its timer is late',
      (holdUpForLong) => {
        // Comes between the last look at the timers and the write.
        setImmediate(() => setImmediate(holdUpForLong));
      },
    ],
  ])('%s', async (_, check) => {
    const server = await bareServer();
    const { options, notes } = noting({
      timeoutMs: 100,
      beforeSend: () => {
        check(() => {
          holdUp(150);
        });
        return Promise.resolve(undefined);
      },
    });
    const error = await errorOf(clientOf(`http://127.0.0.1:${server.port}`).create(CREATE, options));
    expect(error).toMatchObject({ name: 'NotSentError' });
    await server.gone;
    expect(server.bytes()).toBe(0);
    expect(notes).not.toContain('mayWrite');
  });

  it('after the write leaves a request that may have arrived', async () => {
    const { options, notes } = noting({ timeoutMs: 300 });
    const { mountsea, server } = await against(() => undefined);
    const error = await errorOf(mountsea.create(CREATE, options));
    expect(error).toBeInstanceOf(PossiblySentError);
    expect(String(error)).toContain('no answer within 300 ms');
    expect(notes.at(-1)).toBe('written');
    expect(server.requests).toHaveLength(1);
  });
});

describe('create with checks', () => {
  it('was not sent where the port refuses, and no check is made', async () => {
    const { server } = await answering({});
    await server.close();
    const { options, notes } = noting();
    const error = await errorOf(clientOf(server.url).create(CREATE, options));
    expect(error).toMatchObject({ name: 'NotSentError' });
    expect(String(error)).toContain('ECONNREFUSED');
    expect(notes).toEqual(['connecting']);
  });

  it('was not sent where nobody signed the certificate', async () => {
    let bytes = 0;
    const server = createHttpsServer(SELF_SIGNED, () => undefined);
    server.on('secureConnection', (socket) => {
      socket.prependListener('data', (data: Buffer) => (bytes += data.length));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gone = once(server, 'connection').then(([socket]) => once(socket as Socket, 'close'));
    onTestFinished(() => {
      server.close();
    });
    const { options, notes } = noting();
    const { port } = server.address() as AddressInfo;
    const error = await errorOf(clientOf(`https://127.0.0.1:${port}`).create(CREATE, options));
    expect(error).toMatchObject({ name: 'NotSentError' });
    expect(String(error)).toContain('self-signed');
    await gone;
    expect(bytes).toBe(0);
    expect(notes).toEqual(['connecting']);
  });

  it('may have arrived where the connection is reset after the bytes, and was written once', async () => {
    const { options, notes } = noting();
    const { mountsea, server } = await against((_request, response) => {
      response.socket?.resetAndDestroy();
    });
    expect(await errorOf(mountsea.create(CREATE, options))).toBeInstanceOf(PossiblySentError);
    await mountsea.close();
    expect(notes.slice(-2)).toEqual(['mayWrite', 'written']);
    expect(server.requests).toHaveLength(1);
    expect(server.connections()).toBe(1);
  });
});
