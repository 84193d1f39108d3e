/**
 * The sandbox's service without sockets: the client's own parsing and the activities' own looks over it, in the virtual
 * time of fake timers. What a fault does is what `src/sandbox/server.ts` does.
 */
import { vi } from 'vitest';
import { whatItProves, type Proof } from '../../src/activities/classify.js';
import { lookAtLedger, sessionStatus } from '../../src/activities/readWitnesses.js';
import type { LedgerLook, SessionStatus, Witnesses } from '../../src/contract/money.js';
import { answerOf } from '../../src/mountsea/answer.js';
import { compact } from '../../src/mountsea/compact.js';
import { AnsweredError, PossiblySentError } from '../../src/mountsea/errors.js';
import { createRedactor } from '../../src/mountsea/redact.js';
import { ledgerBody, taskBody } from '../../src/mountsea/schemas.js';
import { taskStatusOf } from '../../src/mountsea/task.js';
import type { LedgerRow, Mountsea, TaskStatus } from '../../src/mountsea/types.js';
import { profile, type ProfileChange, shapes } from '../../src/sandbox/options.js';
import { Refusal, Service, type TaskFate } from '../../src/sandbox/service.js';
import { errorBody, taskBody as wireTask } from '../../src/sandbox/wire.js';

const KEY = 'key';
export const AFFINITY = { origin: 'https://api.mountsea.ai', keyFingerprint: '0a1b2c3d' };
const CREATE = 'POST /suno/v2/customModel/create';
const TIMEOUT_MS = 60_000;
const HEARTBEAT_MS = 20_000;
const redactor = createRedactor();
const documented = shapes.parse({});

/** What befalls one create. */
export type CreateFault =
  | 'none'
  | 'lost after the effect'
  | 'reset before the effect'
  | 'reset, lands 5 min late'
  | '500 after the effect'
  | '500 before the effect'
  | 'hang after the effect'
  | '409 before the effect'
  | 'worker lost after the effect';

/** What a create request came to. */
export type Sent = { kind: 'accepted' } | { kind: 'failed'; proof: Proof; isWorkerLost: boolean };

/** From here on all time is virtual. Signals are stubbed: one that never fires is all that thousands of looks need. */
export function stopTime(): void {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  const never = new AbortController().signal;
  vi.stubGlobal('AbortSignal', { timeout: () => never, any: () => never });
}

export interface Truth {
  /** Creates that came to the service, of all sessions. */
  arrived: number;
  /** Of the session. */
  accepted: number;
  charged: number;
}

export class VirtualService {
  readonly service: Service;
  readonly #mountsea: Mountsea;
  readonly #cancelled = new AbortController().signal;
  /** Creates that came to the service, whatever it made of them. */
  #arrived = 0;

  constructor(change: ProfileChange, seed: number) {
    this.service = new Service([KEY], profile.parse(change), 1, seed, 0);
    this.service.admit(KEY);
    this.#mountsea = mountseaOver(this.service);
  }

  /** Time goes by for the service and for whoever waits. */
  async pass(ms: number): Promise<void> {
    vi.advanceTimersByTime(ms);
    await Promise.resolve();
  }

  /** @returns a session with six clips. */
  async openSession(): Promise<{ sessionId: string; clipIds: string[] }> {
    const sessionId = this.service.prepare(KEY);
    const tasks = Array.from({ length: 6 }, (_, index) =>
      this.service.upload(KEY, sessionId, `https://cdn.example/${index}.mp3`, {}),
    );
    await this.pass(30_000);
    for (let turns = 0; turns < 10; turns += 1) await Promise.resolve();
    return { sessionId, clipIds: tasks.map(({ clipId = '' }) => clipId) };
  }

  status(sessionId: string): Promise<SessionStatus> {
    return sessionStatus(this.#mountsea, sessionId, { timeoutMs: TIMEOUT_MS });
  }

  async look(sessionId: string, since: number, anchor?: number): Promise<Witnesses> {
    const status = await this.status(sessionId);
    const at = Date.now();
    return { at, status, ...(await this.ledger(since, anchor)) };
  }

  ledger(since: number, anchor?: number): Promise<{ ledger?: LedgerLook; ledgerMissing?: string }> {
    const input = { affinity: AFFINITY, since, ...(anchor === undefined ? {} : { anchor }) };
    return lookAtLedger(this.#mountsea, AFFINITY, this.#cancelled, input);
  }

  /** Sends create. Comes back when a worker, or the server in its place, knows how it ended. */
  async create(
    { sessionId, clipIds }: { sessionId: string; clipIds: string[] },
    fault: CreateFault,
    fate: TaskFate,
  ): Promise<Sent> {
    const reply = (): number => {
      this.#arrived += 1;
      try {
        this.service.create(KEY, sessionId, clipIds, 'model', fate);
        return 201;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusal = error;
        return error.status;
      }
    };
    let refusal: Refusal | undefined;
    const failed = (error: Error, isWorkerLost = false): Sent => ({
      kind: 'failed',
      proof: whatItProves(error),
      isWorkerLost,
    });
    const answered = (status: number, message: string): Sent => failed(answeredError(status, message));
    const broken = (): Sent => failed(new PossiblySentError(CREATE, 'the connection was reset'));
    switch (fault) {
      case 'none': {
        const status = reply();
        return refusal === undefined ? { kind: 'accepted' } : answered(status, refusal.message);
      }
      case 'lost after the effect':
        reply();
        return broken();
      case 'reset before the effect':
        return broken();
      case 'reset, lands 5 min late':
        this.service.after(5 * 60_000, reply);
        return broken();
      case '500 after the effect':
        reply();
        return answered(500, 'fault 500');
      case '500 before the effect':
        return answered(500, 'fault 500');
      case 'hang after the effect':
        reply();
        await this.pass(TIMEOUT_MS);
        return failed(new PossiblySentError(CREATE, 'it took too long'));
      case '409 before the effect':
        return answered(409, 'a model of this session exists already');
      case 'worker lost after the effect':
        reply();
        await this.pass(HEARTBEAT_MS);
        // What the server says of it; `provenFailure` takes every time-out for ambiguous.
        return failed(new PossiblySentError(CREATE, 'the worker was lost'), true);
    }
  }

  /** The service's own books of one session. */
  truth(sessionId: string): Truth {
    const { ledger, sessions } = this.service.report();
    return {
      arrived: this.#arrived,
      accepted: sessions.find((session) => session.sessionId === sessionId)?.creates ?? 0,
      charged: ledger.filter((row) => row.sessionId === sessionId && row.kind === 'create').length,
    };
  }

  end(): void {
    this.service.end();
  }
}

function answeredError(status: number, message: string, request = CREATE): AnsweredError {
  const { type, body } = errorBody(status, message, documented);
  const headers = { 'content-type': type };
  return new AnsweredError(request, answerOf({ status, headers, body, overlong: false }, redactor));
}

/** The reads that the witnesses need. Everything a decision rests on goes through the client's own schemas, once. */
function mountseaOver(service: Service): Mountsea {
  const parsed = new Map<string, LedgerRow>();
  const shown = new Map<string, TaskStatus>();
  const unknown = answeredError(404, 'task not found', 'GET /suno/v2/status');
  const no = (): never => {
    throw new Error('not a read of the witnesses');
  };
  return {
    origin: AFFINITY.origin,
    prepare: no,
    upload: no,
    create: no,
    generate: no,
    generateSchema: no,
    close: no,
    status: (taskId) => {
      const task = service.look(KEY, taskId);
      if (task === undefined) return Promise.reject(unknown);
      const text = JSON.stringify(wireTask(task, documented, 'http://sandbox'));
      const status = shown.get(text) ?? statusIn(taskId, text);
      shown.set(text, status);
      return Promise.resolve(status);
    },
    credits: () => Promise.resolve(service.balance(KEY)),
    searchPoints: ({ startMs, endMs, page = 1, limit = 10 }) => {
      const rows = service.rows(KEY, startMs, endMs) as { id: string }[];
      const items = rows.slice((page - 1) * limit, page * limit).map((row) => {
        const known = parsed.get(row.id) ?? rowIn(row);
        parsed.set(row.id, known);
        return known;
      });
      const totalPages = Math.ceil(rows.length / limit);
      return Promise.resolve({ rows: items, totalItems: rows.length, totalPages, currentPage: page });
    },
  };
}

function statusIn(taskId: string, text: string): TaskStatus {
  const json: unknown = JSON.parse(text);
  return taskStatusOf(taskId, taskBody.parse(json), json, text, redactor);
}

function rowIn(row: object): LedgerRow {
  const meta = { totalItems: 1, totalPages: 1, currentPage: 1 };
  const [item] = ledgerBody.parse({ items: [row], meta }).items;
  if (item === undefined) throw new Error('no row');
  return compact({
    ...item,
    beforeCredits: item.beforeCredits ?? undefined,
    afterCredits: item.afterCredits ?? undefined,
  });
}
