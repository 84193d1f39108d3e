/**
 * The sandbox over real HTTP, as a user's own code would meet it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { serveTracks, type TrackServer } from '../../src/cli/demo/tracks.js';
import type { SandboxOptions } from '../../src/sandbox/index.js';
import { waitUntil } from '../support/waitUntil.js';
import { type Api, type Body, startApi as startApiWith } from './api.js';

const ANY_TEXT: unknown = expect.any(String);
const textContaining = (part: string): unknown => expect.stringContaining(part);
const textMatching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
let tracks: TrackServer;

beforeAll(async () => {
  tracks = await serveTracks();
});

afterAll(async () => {
  await tracks.close();
});

const startApi = (options?: SandboxOptions): Promise<Api> => startApiWith(tracks, options);

describe('the documented service', () => {
  it('trains a model from six clips of one session and charges what it says', async () => {
    const api = await startApi();
    const sessionId = await api.session();
    const created = await api.create(sessionId, await api.clips(sessionId));
    expect(created).toMatchObject({ status: 201, body: { taskId: sessionId } });
    expect((await api.ended(sessionId))['data']).toMatchObject({
      modelId: textMatching(/^chirp-custom:/),
    });
    const { ledger, brokenRules } = api.sandbox.report();
    expect(ledger.map(({ kind, amount }) => `${kind} ${amount}`).sort()).toEqual([
      'create 100',
      ...Array<string>(6).fill('upload 5'),
    ]);
    expect(brokenRules.filter(({ rule }) => rule !== 'polled faster than once a second')).toEqual([]);
  });

  it('refuses fewer than six clips, a clip of another session and an empty name, uncharged', async () => {
    const api = await startApi();
    const [one, two] = [await api.session(), await api.session()];
    const clips = await api.clips(one);
    expect((await api.create(one, clips.slice(1))).status).toBe(400);
    expect((await api.create(two, clips)).status).toBe(400);
    expect((await api.post('customModel/create', { sessionId: one, clipIds: clips, name: ' ' })).status).toBe(
      400,
    );
    const { ledger, brokenRules } = api.sandbox.report();
    expect(ledger.filter(({ kind }) => kind === 'create')).toEqual([]);
    expect(brokenRules.map(({ rule }) => rule)).toContain('clip of another session');
  });

  it('resets a session whose create failed, and reports a second paid create on one that did not', async () => {
    const api = await startApi({ faults: [{ on: 'create', fault: { kind: 'failTask', reason: 'no' } }] });
    const sessionId = await api.session();
    const clips = await api.clips(sessionId);
    await api.create(sessionId, clips);
    expect(await api.ended(sessionId)).toMatchObject({ status: 'failed', failReason: 'no' });
    expect((await api.create(sessionId, clips)).status).toBe(201);
    expect(api.sandbox.report().brokenRules.map(({ rule }) => rule)).not.toContain(
      'second paid create for one session',
    );
    await api.ended(sessionId);
    await api.create(sessionId, clips);
    expect(api.sandbox.report().brokenRules.map(({ rule }) => rule)).toContain(
      'second paid create for one session',
    );
  });

  it('really fetches the audio: 404, HTML and a closed port are failed tasks', async () => {
    const api = await startApi();
    const html = createServer((_, response) => response.end('<html>log in</html>'));
    await new Promise<void>((resolve) => html.listen(0, '127.0.0.1', resolve));
    const { port } = html.address() as AddressInfo;
    const sessionId = await api.session();
    const reasons = [];
    for (const url of [
      `${tracks.urls[0] ?? ''}.missing`,
      `http://127.0.0.1:${port}/a.mp3`,
      'http://127.0.0.1:9/a.mp3',
    ]) {
      reasons.push((await api.ended(await api.upload(sessionId, url)))['failReason']);
    }
    html.close();
    expect(reasons).toEqual([
      textContaining('404'),
      'the file is no audio',
      textContaining('cannot be fetched'),
    ]);
  });

  it('knows keys by the header of each host, and notes a key in a URL', async () => {
    const api = await startApi();
    const { url, billingUrl, apiKey } = api.sandbox;
    const prepare = `${url}/suno/v2/customModel/prepare`;
    expect((await fetch(prepare, { method: 'POST' })).status).toBe(401);
    expect((await fetch(prepare, { method: 'POST', headers: { 'x-api-key': apiKey } })).status).toBe(401);
    expect((await fetch(`${billingUrl}/api-user/credits?key=${apiKey}`)).status).toBe(401);
    const balance = await fetch(`${billingUrl}/api-user/credits`, { headers: { 'x-api-key': apiKey } });
    expect(await balance.json()).toEqual({ credits: 10_000 });
    expect(api.sandbox.report().brokenRules).toEqual([{ rule: 'key in a URL', detail: '/api-user/credits' }]);
  });

  it('pages its ledger, newest first, each row continuing the balance of the one before', async () => {
    const api = await startApi();
    await api.clips(await api.session());
    const search = async (body: object): Promise<{ status: number; body: Body }> => {
      const response = await fetch(`${api.sandbox.billingUrl}/api-user/points/search`, {
        method: 'POST',
        headers: { 'x-api-key': api.sandbox.apiKey, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Body };
    };
    const dateRange = { start: Date.now() - 60_000, end: Date.now() + 60_000 };
    const page = await search({ dateRange, page: 2, limit: 4 });
    expect(page.body['meta']).toEqual({
      totalItems: 6,
      itemCount: 2,
      itemsPerPage: 4,
      totalPages: 2,
      currentPage: 2,
    });
    expect(page.body['items']).toMatchObject([
      { beforeCredits: 9_995, afterCredits: 9_990, apiPath: '/suno/v2/customModel/upload' },
      { beforeCredits: 10_000, afterCredits: 9_995 },
    ]);
    expect((await search({})).status).toBe(400);
    expect((await search({ dateRange: { start: 0, end: Date.now() } })).status).toBe(400);
  });

  it('generates with a model that it made, and with no custom model that it did not', async () => {
    const api = await startApi();
    const sessionId = await api.session();
    await api.create(sessionId, await api.clips(sessionId));
    const { modelId } = (await api.ended(sessionId))['data'] as { modelId: string };
    const started = await api.post('generate', { task: 'create', model: modelId, prompt: 'la' });
    expect((await api.ended(String(started.body['taskId'])))['data']).toMatchObject([
      { audio_url: ANY_TEXT },
      { audio_url: ANY_TEXT },
    ]);
    expect((await api.post('generate', { task: 'create', model: 'chirp-custom:nobody' })).status).toBe(400);
  });

  it('takes no money that is not there, and no model beyond the limit', async () => {
    const poor = await startApi({ profile: { balance: 30 } });
    const session = await poor.session();
    const clips = await poor.clips(session);
    expect(await poor.create(session, clips)).toMatchObject({
      status: 402,
      body: { message: 'insufficient credits' },
    });
    const full = await startApi({ profile: { modelLimit: 1, accounts: 1 } });
    for (const expected of [201, 400]) {
      const sessionId = await full.session();
      expect((await full.create(sessionId, await full.clips(sessionId))).status).toBe(expected);
      if (expected === 201) await full.ended(sessionId);
    }
  });

  it('does the same with the same seed', async () => {
    const ids = async (seed: number): Promise<string> => (await startApi({ seed })).session();
    expect(await ids(7)).toBe(await ids(7));
    expect(await ids(7)).not.toBe(await ids(8));
  });
});

describe('shapes of the wire', () => {
  it.each([
    [{ payloadKey: 'result' }, { result: { id: ANY_TEXT } }],
    [{ payloadForm: 'array' }, { data: [{ id: ANY_TEXT }] }],
    [{ clipIdField: 'clip_id' }, { data: { clip_id: ANY_TEXT } }],
    [{ clipIdField: 'clips' }, { data: { clips: [{ id: ANY_TEXT }] } }],
    [{ statusCase: 'upper' }, { status: 'SUCCESS' }],
  ] as const)('can be %o', async (shapes, expected) => {
    const api = await startApi({ shapes });
    const task = await api.ended(await api.upload(await api.session(), tracks.urls[0] ?? ''));
    expect(task).toMatchObject(expected);
  });

  it.each([
    ['messages', { message: ['clipIds must contain at least 6 elements'] }],
    ['errorObject', { error: { message: ANY_TEXT } }],
    ['errorText', { error: ANY_TEXT }],
    ['errorMessage', { errorMessage: ANY_TEXT }],
    ['html', { text: textContaining('<html>') }],
    ['empty', { text: '' }],
  ] as const)('can give errors as %s', async (errorBody, expected) => {
    const api = await startApi({ shapes: { errorBody } });
    expect(await api.create(await api.session(), [])).toMatchObject({ status: 400, body: expected });
  });

  it('can be changed while it runs, and a shape nobody knows is refused', async () => {
    const api = await startApi();
    const change = (shapes: object): Promise<Response> =>
      fetch(`${api.sandbox.url}/_sandbox/shapes`, { method: 'POST', body: JSON.stringify(shapes) });
    expect((await change({ postStatus: 200 })).status).toBe(200);
    expect((await api.post('customModel/prepare')).status).toBe(200);
    expect((await change({ colour: 'blue' })).status).toBe(400);
  });
});

describe('faults', () => {
  it('befall the looks at a task by what it was started with, until these rules alone are taken back', async () => {
    const api = await startApi({
      faults: [
        { on: 'status', match: { audioUrl: 'track-02' }, times: 9, fault: { kind: 'notFoundAtFirst' } },
      ],
    });
    const release = api.sandbox.addFaults([
      { on: 'status', match: { audioUrl: 'track-01' }, times: 1e9, fault: { kind: 'unknownStatus' } },
    ]);
    const session = await api.session();
    const [one, two] = [
      await api.upload(session, tracks.urls[0] ?? ''),
      await api.upload(session, tracks.urls[1] ?? ''),
    ];
    await waitUntil('it has ended', () =>
      api.sandbox.report().sessions.some(({ uploads }) => uploads[0]?.state === 'success'),
    );
    expect((await api.status(one))['status']).toBe('polishing');
    release();
    expect((await api.status(one))['status']).toBe('success');
    expect(await api.status(two)).toMatchObject({ statusCode: 404 });
  });

  it('befall the request that the rule names, as often as it says, and no other', async () => {
    const api = await startApi({
      faults: [{ on: 'prepare', nth: 2, times: 2, fault: { kind: 'status', status: 503 } }],
    });
    const statuses = [];
    for (let call = 0; call < 4; call++) statuses.push((await api.post('customModel/prepare')).status);
    expect(statuses).toEqual([201, 503, 503, 201]);
  });

  it.each([
    ['refuse', { kind: 'refuse' }, 0],
    ['lost', { kind: 'lost' }, 1],
    ['truncated', { kind: 'truncated' }, 1],
  ] as const)('%s breaks the connection, with %i effects', async (_, fault, effects) => {
    const api = await startApi();
    const sessionId = await api.session();
    api.sandbox.addFaults([{ on: 'upload', fault }]);
    await expect(api.upload(sessionId, tracks.urls[0] ?? '')).rejects.toThrow();
    expect(api.sandbox.report().ledger).toHaveLength(effects);
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('a server error %s the effect leaves %i charges', async (when, charges) => {
    const api = await startApi({ faults: [{ on: 'upload', fault: { kind: 'status', status: 500, when } }] });
    const sessionId = await api.session();
    await api.upload(sessionId, tracks.urls[0] ?? '');
    expect(api.sandbox.report().ledger).toHaveLength(charges);
  });

  it('hang keeps the connection open and silent, and does not keep the sandbox from closing', async () => {
    const api = await startApi({ faults: [{ on: 'prepare', fault: { kind: 'hang' } }] });
    const silent = api.post('customModel/prepare');
    await waitUntil('it arrived', () => api.sandbox.report().requests.counts.prepare === 1);
    const closed = expect(silent).rejects.toThrow();
    await api.sandbox.close();
    await closed;
  });

  it.each([
    ['seconds', '7'],
    ['date', textMatching(/GMT$/)],
  ] as const)('429 says when to come back in %s', async (form, expected) => {
    const api = await startApi({
      faults: [{ on: 'prepare', fault: { kind: 'rateLimit', retryAfterSeconds: 7, form } }],
    });
    const { status, headers } = await api.post('customModel/prepare');
    expect([status, headers.get('retry-after')]).toEqual([429, expected]);
  });

  it('of a status: stale, unknown, not found at first', async () => {
    const api = await startApi();
    const taskId = await api.upload(await api.session(), tracks.urls[0] ?? '');
    const first = await api.status(taskId);
    api.sandbox.addFaults([
      { on: 'status', fault: { kind: 'notFoundAtFirst' } },
      { on: 'status', nth: 2, fault: { kind: 'unknownStatus', word: 'polishing' } },
    ]);
    expect(await api.status(taskId)).toMatchObject({ statusCode: 404 });
    expect(await api.status(taskId)).toMatchObject({ status: 'polishing' });
    const last = await api.ended(taskId);
    expect(last['status']).toBe('success');
    api.sandbox.addFaults([{ on: 'status', times: 1, fault: { kind: 'staleStatus' } }]);
    expect(await api.status(taskId)).toEqual(last);
    expect(first['status']).not.toBe('success');
  });

  it('can be asked for by a single request, and a fault nobody knows is answered with why', async () => {
    const api = await startApi();
    const wanted = await api.post('customModel/prepare', undefined, {
      'x-sandbox-fault': '{"kind":"redirect"}',
    });
    expect(wanted.status).toBe(302);
    const unknown = await api.post('customModel/prepare', undefined, {
      'x-sandbox-fault': '{"kind":"moon"}',
    });
    expect(unknown).toMatchObject({
      status: 400,
      body: { message: textContaining('x-sandbox-fault') },
    });
  });

  it('down means refused, and up again means the same address', async () => {
    const api = await startApi();
    await api.sandbox.setDown(true);
    await expect(api.session()).rejects.toThrow();
    await api.sandbox.setDown(false);
    expect(await api.session()).toBeTruthy();
  });
});

describe('what is unknown about money', () => {
  it.each(['send', 'start', 'completion'] as const)('create can be charged at %s', async (chargeAt) => {
    const api = await startApi({ profile: { chargeAt } });
    const sessionId = await api.session();
    const clips = await api.clips(sessionId);
    const charges = (): number => api.sandbox.report().ledger.filter(({ kind }) => kind === 'create').length;
    await api.create(sessionId, clips);
    expect(charges()).toBe(chargeAt === 'send' ? 1 : 0);
    await api.ended(sessionId);
    expect(charges()).toBe(1);
  });

  it('a session can look like success from birth', async () => {
    const api = await startApi({ profile: { sessionBeforeCreate: 'success' } });
    const task = await api.status(await api.session());
    expect(task['status']).toBe('success');
    expect(task['data']).toBeUndefined();
  });
});

describe('replay', () => {
  it('answers as recorded, in order, and 501 to what was not; a broken line is named at the start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tunesmith-replay-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    const exchange = (status: string): string =>
      JSON.stringify({
        version: 1,
        at: '2026-01-01T00:00:00Z',
        host: 'api',
        method: 'GET',
        path: '/suno/v2/status?taskId=t',
        outcome: { kind: 'answer', status: 200, headers: {}, body: { status }, ms: 3 },
      });
    writeFileSync(join(folder, 'exchanges-1.ndjson'), `${exchange('running')}\n${exchange('success')}\n`);
    const api = await startApi({ replayDir: folder });
    const seen = [];
    for (let look = 0; look < 3; look++) seen.push((await api.status('t'))['status']);
    expect(seen).toEqual(['running', 'success', 'success']);
    expect(await api.status('other')).toMatchObject({ statusCode: 501 });
    writeFileSync(join(folder, 'exchanges-1.ndjson'), `${exchange('running')}\n{oops\n`);
    await expect(startApi({ replayDir: folder })).rejects.toThrow('exchanges-1.ndjson, line 2 is no JSON');
  });
});
