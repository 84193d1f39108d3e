/**
 * Sandbox: the simulated service itself, without HTTP. Accounts, sessions, tasks that take time, clips, models, money.
 * What is documented is done as documented; what is not is a field of the profile.
 */
import { createHash } from 'node:crypto';
import { whyNotAudio } from './audio.js';
import type { BrokenRule, Charge, Profile, SandboxReport } from './options.js';

/** A refusal as the service would give it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type TaskState = 'queued' | 'running' | 'success' | 'failed' | 'never';

export interface Task {
  taskId: string;
  kind: 'upload' | 'training' | 'generate';
  key: string;
  sessionId?: string;
  createdAt: Date;
  finishedAt?: Date;
  state: TaskState;
  audioUrl?: string;
  clipId?: string;
  name?: string;
  modelId?: string;
  failReason?: string;
  failCode?: string | number;
  lastLookAt?: number;
}

/** What a fault makes of the task that a request starts. */
export interface TaskFate {
  fails?: { reason: string; code: string | number };
  neverEnds?: boolean;
  withoutModel?: boolean;
}

interface Session {
  sessionId: string;
  key: string;
  account: string;
  clips: Set<string>;
  uploads: Task[];
  creates: number;
  modelIds: string[];
  training?: Task;
  createdAt: Date;
}

interface Account {
  id: string;
  models: number;
}

/** Durations of the real service, ms (mountsea-api, section 2). */
const DURATIONS = {
  upload: [6_000, 25_000],
  training: [120_000, 180_000],
  generate: [20_000, 60_000],
} as const;
const MINIMUM_CLIPS = 6;
const POLL_GAP_MS = 1_000;

export class Service {
  readonly #profile: Profile;
  readonly #speed: number;
  readonly #random: () => number;
  readonly #accounts = new Map<string, Account[]>();
  readonly #balances = new Map<string, number>();
  readonly #sessions = new Map<string, Session>();
  readonly #tasks = new Map<string, Task>();
  readonly #charges: (Charge & { before: number; after: number; id: string; path: string })[] = [];
  readonly #broken: BrokenRule[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #ended = new AbortController();
  #maxOpenUploads = 0;
  #ids = 0;

  constructor(keys: string[], profile: Profile, speed: number, seed: number) {
    this.#profile = profile;
    this.#speed = speed;
    this.#random = randomFrom(seed);
    for (const key of keys) {
      this.#balances.set(key, profile.balance);
      this.#accounts.set(
        key,
        Array.from({ length: profile.accounts }, (_, index) => ({
          id: `${this.#uuid()}-${index}`,
          models: 0,
        })),
      );
    }
  }

  knows(key: string): boolean {
    return this.#balances.has(key);
  }

  prepare(key: string): string {
    const accounts = this.#accounts.get(key) ?? [];
    const account = accounts[Math.floor(this.#random() * accounts.length)];
    if (account === undefined) throw new Refusal(503, 'no account is free');
    const sessionId = this.#uuid();
    this.#sessions.set(sessionId, {
      sessionId,
      key,
      account: account.id,
      clips: new Set(),
      uploads: [],
      creates: 0,
      modelIds: [],
      createdAt: new Date(),
    });
    return sessionId;
  }

  upload(key: string, sessionId: string, audioUrl: string, fate: TaskFate): Task {
    const session = this.#session(key, sessionId);
    if (!URL.canParse(audioUrl)) throw new Refusal(400, 'audioUrl must be a URL');
    this.#afford(key, this.#profile.prices.upload);
    const task = this.#start('upload', key, { taskId: this.#uuid(), sessionId, audioUrl });
    session.uploads.push(task);
    this.#charge('upload', task);
    this.#maxOpenUploads = Math.max(this.#maxOpenUploads, this.#openUploads());
    this.#run(task, fate, async () => {
      const why = await whyNotAudio(audioUrl, this.#ended.signal);
      if (why !== undefined) {
        fail(task, why, 'AUDIO_FETCH_FAILED');
        return;
      }
      task.clipId = this.#uuid();
      session.clips.add(task.clipId);
      succeed(task);
    });
    return task;
  }

  create(key: string, sessionId: string, clipIds: string[], name: string, fate: TaskFate): Task {
    const session = this.#session(key, sessionId);
    if (name.trim() === '') throw new Refusal(400, 'name should not be empty');
    if (clipIds.length < MINIMUM_CLIPS) {
      throw new Refusal(400, `clipIds must contain at least ${MINIMUM_CLIPS} elements`);
    }
    const foreign = clipIds.find((clipId) => !session.clips.has(clipId));
    if (foreign !== undefined) {
      this.#broken.push({ rule: 'clip of another session', detail: `${foreign} in ${sessionId}` });
      throw new Refusal(400, `clip ${foreign} does not belong to this session`);
    }
    const account = (this.#accounts.get(key) ?? []).find(({ id }) => id === session.account);
    if (account === undefined || account.models >= this.#profile.modelLimit) {
      throw new Refusal(400, 'the account has reached its model limit');
    }
    this.#afford(key, this.#profile.prices.create);
    const earlier = session.training;
    if (earlier !== undefined && earlier.state !== 'failed') {
      if (this.#profile.secondCreate === 'refuse') throw new Refusal(400, 'a model of this session exists');
      this.#broken.push({ rule: 'second paid create for one session', detail: sessionId });
    }
    session.creates += 1;
    // The session state is reset, as documented: a new create replaces what the task showed before.
    const task = this.#start('training', key, { taskId: sessionId, sessionId, name });
    session.training = task;
    const { chargeAt } = this.#profile;
    if (chargeAt === 'send') this.#charge('create', task);
    this.#run(
      task,
      fate,
      () => {
        if (fate.withoutModel !== true) {
          task.modelId = `chirp-custom:${this.#uuid()}`;
          session.modelIds.push(task.modelId);
          account.models += 1;
        }
        if (chargeAt === 'completion') this.#charge('create', task);
        succeed(task);
      },
      () => {
        if (chargeAt === 'start') this.#charge('create', task);
      },
    );
    return task;
  }

  generate(key: string, model: string): Task {
    const isKnown = [...this.#sessions.values()].some(({ modelIds }) => modelIds.includes(model));
    if (model.startsWith('chirp-custom:') && !isKnown) throw new Refusal(400, 'unknown custom model');
    this.#afford(key, this.#profile.prices.generate);
    const task = this.#start('generate', key, { taskId: this.#uuid() });
    this.#charge('generate', task);
    this.#run(task, {}, () => {
      task.clipId = this.#uuid();
      succeed(task);
    });
    return task;
  }

  /** @returns undefined where the service knows no such task; `success` from birth where the profile says so. */
  look(key: string, taskId: string): Task | undefined {
    const task = this.#tasks.get(taskId);
    if (task?.key === key) {
      const now = performance.now();
      if (task.lastLookAt !== undefined && now - task.lastLookAt < POLL_GAP_MS / this.#speed) {
        const gap = Math.round((now - task.lastLookAt) * this.#speed);
        this.#broken.push({ rule: 'polled faster than once a second', detail: `${taskId}: after ${gap} ms` });
      }
      task.lastLookAt = now;
      return task;
    }
    const session = this.#sessions.get(taskId);
    if (session?.key !== key || this.#profile.sessionBeforeCreate === '404') return undefined;
    return { taskId, kind: 'training', key, createdAt: session.createdAt, state: 'success' };
  }

  balance(key: string): number {
    return this.#balances.get(key) ?? 0;
  }

  /** Rows of a key that the ledger shows by now, newest first. */
  rows(key: string, start: number, end: number): object[] {
    const visible = Date.now() - this.#profile.ledgerLagMs / this.#speed;
    return this.#charges
      .filter(
        (charge) => charge.key === key && charge.at <= visible && charge.at >= start && charge.at <= end,
      )
      .reverse()
      .map(({ id, path, amount, before, after, at }) => ({
        id,
        serviceName: 'suno',
        apiPath: path,
        apiMethod: 'POST',
        finalAmount: amount,
        beforeCredits: before,
        afterCredits: after,
        traceId: `trace-${id}`,
        createdAt: new Date(at).toISOString(),
      }));
  }

  noteKeyInUrl(path: string): void {
    this.#broken.push({ rule: 'key in a URL', detail: path });
  }

  report(): Omit<SandboxReport, 'requests'> {
    return {
      maxConcurrentUploads: this.#maxOpenUploads,
      ledger: this.#charges.map(({ kind, amount, key, at, sessionId }) => ({
        kind,
        amount,
        key,
        at,
        ...(sessionId === undefined ? {} : { sessionId }),
      })),
      sessions: [...this.#sessions.values()].map(({ sessionId, account, creates, modelIds, uploads }) => ({
        sessionId,
        account,
        creates,
        modelIds,
        uploads: uploads.map(({ taskId, audioUrl = '', state, clipId }) => ({
          taskId,
          audioUrl,
          state,
          ...(clipId === undefined ? {} : { clipId }),
        })),
      })),
      brokenRules: [...this.#broken],
    };
  }

  /** Ends every task's time. */
  end(): void {
    this.#ended.abort();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #session(key: string, sessionId: string): Session {
    const session = this.#sessions.get(sessionId);
    if (session?.key !== key) throw new Refusal(404, 'session not found');
    return session;
  }

  #start(kind: Task['kind'], key: string, more: Pick<Task, 'taskId'> & Partial<Task>): Task {
    const task: Task = { kind, key, createdAt: new Date(), state: 'queued', ...more };
    this.#tasks.set(task.taskId, task);
    return task;
  }

  /** Lets a task take its time: queued, running, then what `finish` makes of it. */
  #run(task: Task, fate: TaskFate, finish: () => void | Promise<void>, begin?: () => void): void {
    const [shortest, longest] = DURATIONS[task.kind];
    const duration = (shortest + this.#random() * (longest - shortest)) / this.#speed;
    this.#after(duration * 0.15, () => {
      task.state = fate.neverEnds === true ? 'never' : 'running';
      begin?.();
    });
    if (fate.neverEnds === true) return;
    this.#after(duration, () => {
      if (fate.fails !== undefined) fail(task, fate.fails.reason, fate.fails.code);
      else void finish();
    });
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #afford(key: string, amount: number): void {
    if (this.balance(key) < amount) throw new Refusal(402, 'insufficient credits');
  }

  #charge(kind: Charge['kind'], { key, sessionId }: Task): void {
    const amount = this.#profile.prices[kind];
    const before = this.balance(key);
    const after = before - amount;
    this.#balances.set(key, after);
    const path = kind === 'generate' ? '/suno/v2/generate' : `/suno/v2/customModel/${kind}`;
    this.#charges.push({
      kind,
      amount,
      key,
      ...(sessionId === undefined ? {} : { sessionId }),
      at: Date.now(),
      before,
      after,
      id: this.#uuid(),
      path,
    });
  }

  #openUploads(): number {
    const open = [...this.#sessions.values()].flatMap(({ uploads }) => uploads);
    return open.filter(({ state }) => state !== 'success' && state !== 'failed').length;
  }

  /** Of the seed and the order, so that a run can be repeated. */
  #uuid(): string {
    const hex = createHash('sha256').update(`${this.#random()}-${++this.#ids}`).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }
}

function succeed(task: Task): void {
  task.state = 'success';
  task.finishedAt = new Date();
}

function fail(task: Task, reason: string, code: string | number): void {
  task.state = 'failed';
  task.failReason = reason;
  task.failCode = code;
  task.finishedAt = new Date();
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
