import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { recordTo } from '../../src/mountsea/recording.js';
import type { RecordedExchange } from '../../src/mountsea/types.js';
import { reply } from '../support/http.js';
import { against, answering, API_KEY, BILLING_KEY, CREATE, errorOf, SESSION } from './harness.js';

function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'tunesmith-recording-'));
  onTestFinished(() => {
    rmSync(dir, { recursive: true });
  });
  return dir;
}

const EXCHANGE: RecordedExchange = {
  version: 1,
  at: '2026-01-01T00:00:00.000Z',
  host: 'api',
  method: 'GET',
  path: '/',
  outcome: { kind: 'error', proof: 'not-sent', message: 'refused', ms: 1 },
};

describe('a recorded exchange', () => {
  it('has what was asked and what was answered, and no secret of either', async () => {
    const { mountsea, exchanges } = await against((request, response) => {
      reply(
        response,
        201,
        { taskId: 't1', echo: request.headers, url: 'https://cdn.example/x.mp3?sig=s3cret' },
        { 'set-cookie': 'sid=s3cret', 'x-request-id': 'r1', 'x-ratelimit-remaining': '9' },
      );
    });
    await mountsea.upload({
      sessionId: SESSION,
      audioUrl: 'https://files.example/a.mp3?X-Amz-Signature=s3cret',
    });
    expect(exchanges).toHaveLength(1);
    expect(exchanges[0]).toMatchObject({
      version: 1,
      host: 'api',
      method: 'POST',
      path: '/suno/v2/customModel/upload',
      requestBody: { sessionId: SESSION, audioUrl: 'https://files.example/a.mp3' },
      outcome: {
        kind: 'answer',
        status: 201,
        headers: { 'content-type': 'application/json', 'x-request-id': 'r1', 'x-ratelimit-remaining': '9' },
        body: { taskId: 't1', url: 'https://cdn.example/x.mp3' },
        ms: expect.any(Number) as number,
      },
    });
    const text = JSON.stringify(exchanges);
    expect(text).not.toContain('s3cret');
    expect(text).not.toContain(API_KEY);
    expect(text).not.toContain('set-cookie');
    expect(exchanges[0]).not.toHaveProperty('headers');
  });

  it('keeps task ids in the path', async () => {
    const { mountsea, exchanges } = await answering({ status: 'queued' });
    await mountsea.status(SESSION);
    expect(exchanges[0]?.path).toBe(`/suno/v2/status?taskId=${SESSION}`);
    expect(exchanges[0]).not.toHaveProperty('requestBody');
  });

  it('says which host, without the billing key', async () => {
    const { mountsea, exchanges } = await against((request, response) => {
      reply(response, 200, { credits: 5, you: request.headers['x-api-key'] });
    });
    await mountsea.credits();
    expect(exchanges[0]).toMatchObject({
      host: 'billing',
      outcome: { body: { credits: 5, you: '[removed]' } },
    });
    expect(JSON.stringify(exchanges)).not.toContain(BILLING_KEY);
  });

  it('keeps a body that is no JSON as text', async () => {
    const { mountsea, exchanges } = await answering('<html>busy</html>', 503);
    await errorOf(mountsea.create(CREATE));
    expect(exchanges[0]?.outcome).toMatchObject({ kind: 'answer', status: 503, body: '<html>busy</html>' });
  });

  it('says what is known of a request without an answer', async () => {
    const { mountsea, exchanges } = await against((_request, response) => {
      response.socket?.resetAndDestroy();
    });
    await errorOf(mountsea.create(CREATE));
    await errorOf(mountsea.status('t1', { signal: AbortSignal.abort() }));
    expect(exchanges.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'error', proof: 'possibly-sent' },
      { kind: 'error', proof: 'not-sent', message: 'it was aborted' },
    ]);
    expect(exchanges[0]?.outcome).not.toHaveProperty('partial');
  });

  it('keeps what had come of an answer that broke off', async () => {
    const { mountsea, exchanges } = await against((_request, response) => {
      response.writeHead(201, { 'content-length': '100' });
      response.write('{"task', () => response.socket?.end());
    });
    await errorOf(mountsea.create(CREATE));
    expect(exchanges[0]?.outcome).toMatchObject({
      proof: 'possibly-sent',
      partial: { status: 201, body: '{"task' },
    });
  });
});

describe('recordTo', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('appends a line for each exchange to a file that only its owner reads', () => {
    const dir = join(temporaryDirectory(), 'a', 'b');
    const record = recordTo(dir);
    record(EXCHANGE);
    record({ ...EXCHANGE, method: 'POST' });
    expect(readdirSync(dir)).toEqual([`exchanges-${process.pid}.ndjson`]);
    const file = join(dir, `exchanges-${process.pid}.ndjson`);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      EXCHANGE,
      { ...EXCHANGE, method: 'POST' },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('warns once on stderr and never throws where it cannot write', () => {
    const blocked = join(temporaryDirectory(), 'file');
    writeFileSync(blocked, '');
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const record = recordTo(join(blocked, 'dir'));
    record(EXCHANGE);
    record(EXCHANGE);
    expect(stderr).toHaveBeenCalledOnce();
    expect(stderr.mock.calls[0]?.[0]).toContain('are not recorded');
  });
});
