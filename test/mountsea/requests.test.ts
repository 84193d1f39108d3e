import { describe, expect, it } from 'vitest';
import { BillingNotConfiguredError, UnreadableAnswerError } from '../../src/mountsea/errors.js';
import { createMountsea } from '../../src/mountsea/client.js';
import { reply } from '../support/http.js';
import { against, answering, API_KEY, BILLING_KEY, CREATE, errorOf, SESSION } from './harness.js';

describe('what goes out', () => {
  it('sends prepare as a POST without a body that is not announced as JSON', async () => {
    const { mountsea, server } = await answering({ sessionId: SESSION }, 201);
    expect(await mountsea.prepare()).toEqual({
      sessionId: SESSION,
      raw: JSON.stringify({ sessionId: SESSION }),
    });
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/suno/v2/customModel/prepare',
      body: '',
    });
    expect(server.requests[0]?.headers['content-length']).toBe('0');
    expect(server.requests[0]?.headers['content-type']).toBeUndefined();
  });

  it('sends upload and create in camelCase with the key as a bearer token and in no URL', async () => {
    const { mountsea, server } = await answering({ taskId: 't1' }, 201);
    const upload = { sessionId: SESSION, audioUrl: 'https://files.example/a.mp3?sig=abc' };
    expect((await mountsea.upload(upload)).taskId).toBe('t1');
    expect((await mountsea.create(CREATE)).taskId).toBe('t1');
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /suno/v2/customModel/upload',
      'POST /suno/v2/customModel/create',
    ]);
    expect(server.requests.map(({ body }): unknown => JSON.parse(body))).toEqual([upload, CREATE]);
    for (const { headers, path } of server.requests) {
      expect(headers.authorization).toBe(`Bearer ${API_KEY}`);
      expect(headers['content-type']).toBe('application/json');
      expect(path).not.toContain(API_KEY);
    }
  });

  it('passes generate through in snake_case', async () => {
    const { mountsea, server } = await answering({ taskId: 't1' }, 201);
    const body = { task: 'create', model: 'chirp-custom:x', gpt_description_prompt: 'a song' } as const;
    await mountsea.generate(body);
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(body);
  });

  it('asks billing with its own header and key, and never shows it the API key', async () => {
    const { mountsea, server } = await answering({ credits: 10000 });
    expect(await mountsea.credits()).toBe(10000);
    expect(server.requests[0]).toMatchObject({ method: 'GET', path: '/api-user/credits' });
    expect(server.requests[0]?.headers['x-api-key']).toBe(BILLING_KEY);
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('escapes the task id in the query', async () => {
    const { mountsea, server } = await answering({ status: 'queued' });
    await mountsea.status('a b&c=d');
    expect(server.requests[0]?.path).toBe('/suno/v2/status?taskId=a+b%26c%3Dd');
  });

  it('keeps a path of the base URL as a prefix, and the origin without it', async () => {
    const { server } = await answering({ status: 'queued' });
    const mountsea = createMountsea({ baseUrl: `${server.url}/gateway/`, apiKey: () => API_KEY });
    await mountsea.status('t1');
    await mountsea.close();
    expect(server.requests[0]?.path).toBe('/gateway/suno/v2/status?taskId=t1');
    expect(mountsea.origin).toBe(server.url);
  });

  it('asks for the key again for each request, so that a rotated one is used', async () => {
    let key = 'first-key';
    const { mountsea, server } = await against(
      (_request, response) => {
        reply(response, 200, { status: 'queued' });
      },
      { apiKey: () => key },
    );
    await mountsea.status('t1');
    key = 'second-key';
    await mountsea.status('t1');
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first-key',
      'Bearer second-key',
    ]);
  });

  it.each(['nonsense', 'ftp://host', 'https://user:pass@host', 'https://host/?key=abc', 'https://host/#a'])(
    'refuses the base URL %s without repeating it',
    (baseUrl) => {
      expect(() => createMountsea({ baseUrl, apiKey: () => API_KEY })).toThrow(
        /^A base URL of the API must be a plain/,
      );
    },
  );
});

describe('connections', () => {
  it('shares connections among reads', async () => {
    const { mountsea, server } = await answering({ status: 'queued' });
    for (let i = 0; i < 10; i++) await mountsea.status('t1');
    // Not always 1: a connection is free again one turn of the event loop after its answer.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it('opens few connections for many reads at once', async () => {
    const { mountsea, server } = await answering({ status: 'queued' });
    await Promise.all(Array.from({ length: 40 }, (_, i) => mountsea.status(`t${i}`)));
    expect(server.requests).toHaveLength(40);
    expect(server.connections()).toBeLessThanOrEqual(8);
  });

  it('gives each create a connection of its own, also where one is idle', async () => {
    const { mountsea, server } = await answering({ taskId: SESSION, status: 'queued' });
    await mountsea.status('t1');
    await mountsea.create(CREATE);
    await mountsea.create(CREATE);
    expect(server.requests.map(({ connection }) => connection)).toEqual([1, 2, 3]);
    expect(server.requests[1]?.headers.connection).toBe('close');
  });

  it('waits at close for a create in flight and refuses new requests', async () => {
    let answer: () => void = () => undefined;
    const { mountsea, server } = await against((_request, response) => {
      answer = () => {
        reply(response, 201, { taskId: SESSION });
      };
    });
    const created = mountsea.create(CREATE);
    await server.received(1);
    const closed = mountsea.close();
    expect(await errorOf(mountsea.status('t1'))).toMatchObject({ name: 'NotSentError' });
    answer();
    expect((await created).taskId).toBe(SESSION);
    await closed;
    expect(server.requests).toHaveLength(1);
  });
});

describe('billing and schema', () => {
  it('says that billing is not configured instead of asking anybody', async () => {
    const { server } = await answering({ credits: 1 });
    const mountsea = createMountsea({ baseUrl: server.url, apiKey: () => API_KEY });
    expect(await errorOf(mountsea.credits())).toBeInstanceOf(BillingNotConfiguredError);
    expect(await errorOf(mountsea.searchPoints({ startMs: 0, endMs: 1 }))).toBeInstanceOf(
      BillingNotConfiguredError,
    );
    await mountsea.close();
    expect(server.requests).toHaveLength(0);
  });

  it('reads a balance that comes as text', async () => {
    const { mountsea } = await answering({ credits: '99.5' });
    expect(await mountsea.credits()).toBe(99.5);
  });

  it('never takes a missing balance for 0', async () => {
    const { mountsea } = await answering({ credits: null });
    expect(await errorOf(mountsea.credits())).toBeInstanceOf(UnreadableAnswerError);
  });

  const meta = { totalItems: 1, itemCount: 1, itemsPerPage: 10, totalPages: 1, currentPage: 1 };

  it('reads a page of the ledger', async () => {
    const row = { id: 7, apiPath: '/suno/v2/customModel/create', finalAmount: '100', beforeCredits: 500 };
    const { mountsea, server } = await answering({
      items: [{ ...row, afterCredits: null, traceId: 'x', createdAt: '2026-01-02T03:04:05.000Z' }],
      meta,
    });
    expect(await mountsea.searchPoints({ startMs: 1, endMs: 2, page: 3, limit: 50 })).toEqual({
      rows: [
        {
          id: '7',
          apiPath: '/suno/v2/customModel/create',
          finalAmount: 100,
          beforeCredits: 500,
          traceId: 'x',
          createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
        },
      ],
      totalItems: 1,
      totalPages: 1,
      currentPage: 1,
    });
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({
      dateRange: { start: 1, end: 2 },
      page: 3,
      limit: 50,
    });
  });

  it('fails the whole page where one row cannot be read, since a ledger with holes is no witness', async () => {
    const { mountsea } = await answering({ items: [{ id: '1', createdAt: 5 }], meta });
    const error = await errorOf(mountsea.searchPoints({ startMs: 1, endMs: 2 }));
    expect(error).toBeInstanceOf(UnreadableAnswerError);
    expect(String(error)).toContain('items.0.finalAmount');
  });

  it.each([
    ['one object', false],
    ['an array', true],
  ])("reads generate's schema from %s", async (_, isList) => {
    const schema = { task: 'create', description: 'd', required: [{ field: 'model', example: 1 }] };
    const { mountsea, server } = await answering(isList ? [schema] : schema);
    expect(await mountsea.generateSchema()).toEqual([{ ...schema, optional: [], notAllowed: [] }]);
    expect(server.requests[0]?.path).toBe('/suno/v2/generate/schema?task=create');
  });
});
