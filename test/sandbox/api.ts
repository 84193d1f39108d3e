/**
 * A client of the sandbox over real HTTP, as a user would write one.
 */
import { onTestFinished } from 'vitest';
import type { TrackServer } from '../../src/cli/demo/tracks.js';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.js';
import { waitUntil } from '../support/waitUntil.js';

export const SPEED = 200;

/** A row of the ledger on the wire. */
export interface Row {
  id: string;
  serviceName: string;
  apiPath: string;
  finalAmount: number;
  beforeCredits: number;
  afterCredits: number;
  traceId: string;
  createdAt: string;
}

export type Body = Record<string, unknown>;

/** A sandbox, and what a client does with it. */
export interface Api {
  sandbox: Sandbox;
  post(
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Body; headers: Headers }>;
  status(taskId: string): Promise<Body>;
  /** Waits until a task has ended. Looks no more than once a second of the service's time. */
  ended(taskId: string): Promise<Body>;
  session(): Promise<string>;
  upload(sessionId: string, audioUrl: string): Promise<string>;
  /** Six clips in a session. */
  clips(sessionId: string): Promise<string[]>;
  create(sessionId: string, clipIds: string[], name?: string): Promise<{ status: number; body: Body }>;
  /** Balance of the first key. */
  credits(): Promise<number>;
  /** What the ledger shows of the first key by now, oldest first. */
  rows(): Promise<Row[]>;
}

/** Closed when the test has ended. */
export async function startApi(tracks: TrackServer, options: SandboxOptions = {}): Promise<Api> {
  const sandbox = await startSandbox({ speed: SPEED, ...options });
  onTestFinished(() => sandbox.close());
  const headers = { authorization: `Bearer ${sandbox.apiKey}`, 'content-type': 'application/json' };
  const post: Api['post'] = async (path, body, more = {}) => {
    const response = await fetch(`${sandbox.url}/suno/v2/${path}`, {
      method: 'POST',
      headers: { ...headers, ...more },
      redirect: 'manual',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: jsonIn(text), headers: response.headers };
  };
  const status: Api['status'] = async (taskId) =>
    jsonIn(await (await fetch(`${sandbox.url}/suno/v2/status?taskId=${taskId}`, { headers })).text());
  const ended: Api['ended'] = (taskId) =>
    waitUntil(`${taskId} ends`, async () => {
      const task = await status(taskId);
      return /^(success|failed)$/i.test(String(task['status'])) && task;
    });
  const session = async (): Promise<string> => String((await post('customModel/prepare')).body['sessionId']);
  const upload: Api['upload'] = async (sessionId, audioUrl) =>
    String((await post('customModel/upload', { sessionId, audioUrl })).body['taskId']);
  const billing = async (path: string, body?: object): Promise<Body> => {
    const response = await fetch(`${sandbox.billingUrl}/api-user/${path}`, {
      headers: { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    return jsonIn(await response.text());
  };
  return {
    sandbox,
    post,
    status,
    ended,
    session,
    upload,
    clips: async (sessionId) => {
      const taskIds = await Promise.all(tracks.urls.slice(0, 6).map((url) => upload(sessionId, url)));
      const tasks = await Promise.all(taskIds.map((taskId) => ended(taskId)));
      return tasks.map((task) => String((task['data'] as Body)['id']));
    },
    create: (sessionId, clipIds, name = 'mine') => post('customModel/create', { sessionId, clipIds, name }),
    credits: async () => Number((await billing('credits'))['credits']),
    rows: async () => {
      const dateRange = { start: Date.now() - 3_600_000, end: Date.now() + 3_600_000 };
      return ((await billing('points/search', { dateRange, limit: 100 }))['items'] as Row[]).reverse();
    },
  };
}

function jsonIn(text: string): Body {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return { text };
  }
}
