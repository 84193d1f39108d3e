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

export type TaskState = 'queued' | 'running' | 'stream' | 'success' | 'failed' | 'never';

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
  /** Of a song. */
  song?: Song;
  name?: string;
  modelId?: string;
  failReason?: string;
  failCode?: string | number;
  lastLookAt?: number;
  /** The row that was charged for it. */
  row?: Row;
}

/** What a song is made of. */
export interface Song {
  title: string;
  tags: string;
  /** Its takes. */
  clipIds: string[];
}

/** What a fault makes of the task that a request starts. */
export interface TaskFate {
  fails?: { reason: string; code: string | number };
  neverEnds?: 'running' | 'stream';
  withoutModel?: boolean;
}

interface Session {
  sessionId: string;
  key: string;
  account: string;
  clips: Set<string>;
  uploads: Task[];
  /** One for each accepted create, in order. */
  trainings: Task[];
  modelIds: string[];
  createdAt: Date;
}

/** A song as it is asked for. */
export interface SongAsk {
  model: string;
  title?: string | undefined;
  tags?: string | undefined;
}

/** A row of the ledger, with what only the wire shows of it. */
interface Row {
  charge: Charge;
  before: number;
  after: number;
  traceId: string;
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
/** What the ledger calls each kind of row. A refund has create's own path: nothing but its sign tells it apart. */
const PATHS = {
  upload: '/suno/v2/customModel/upload',
  create: '/suno/v2/customModel/create',
  generate: '/suno/v2/generate',
  refund: '/suno/v2/customModel/create',
  topUp: '/api-user/topup',
} as const;
/** Part of its time after which a song can be heard. */
const STREAMS_AFTER = 0.5;
const MINIMUM_CLIPS = 6;
const POLL_GAP_MS = 1_000;

export class Service {
  readonly #speed: number;
  readonly #random: () => number;
  /** What all its ids are made of. */
  readonly #origin: string;
  readonly #accounts = new Map<string, Account[]>();
  readonly #balances = new Map<string, number>();
  readonly #sessions = new Map<string, Session>();
  readonly #tasks = new Map<string, Task>();
  readonly #rows: Row[] = [];
  readonly #broken: BrokenRule[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  /** What happens to balances by itself, for the keys that have made a request. */
  readonly #intervals = new Set<NodeJS.Timeout>();
  readonly #admitted = new Set<string>();
  readonly #ended = new AbortController();
  /** How many ids of each kind there are. */
  readonly #ids = new Map<string, number>();
  #profile: Profile;
  #maxOpenUploads = 0;

  /** @param generation - Of the services with one seed: their durations are the same, their ids never. */
  constructor(keys: string[], profile: Profile, speed: number, seed: number, generation: number) {
    this.#profile = profile;
    this.#speed = speed;
    this.#random = randomFrom(seed);
    this.#origin = `${seed}-${generation}`;
    for (const key of keys) {
      this.#balances.set(key, profile.balance);
      this.#accounts.set(
        key,
        Array.from({ length: profile.accounts }, (_, index) => ({
          id: `${this.#uuid('account')}-${index}`,
          models: 0,
        })),
      );
    }
  }

  get profile(): Profile {
    return this.#profile;
  }

  /** From now on. What happens by itself begins a new interval. */
  setProfile(profile: Profile): void {
    this.#profile = profile;
    this.#clearIntervals();
    for (const key of this.#admitted) this.#beginIntervals(key);
  }

  /**
   * Lets a request of a key in. With the first one begins what happens to its balance by itself.
   *
   * @throws Refusal where the service does not know the key.
   */
  admit(key: string): void {
    if (!this.#balances.has(key)) throw new Refusal(401, 'Unauthorized');
    if (this.#admitted.has(key)) return;
    this.#admitted.add(key);
    this.#beginIntervals(key);
  }

  prepare(key: string): string {
    const accounts = this.#accounts.get(key) ?? [];
    const account = accounts[Math.floor(this.#random() * accounts.length)];
    if (account === undefined) throw new Refusal(503, 'no account is free');
    const sessionId = this.#uuid('session');
    this.#sessions.set(sessionId, {
      sessionId,
      key,
      account: account.id,
      clips: new Set(),
      uploads: [],
      trainings: [],
      modelIds: [],
      createdAt: new Date(),
    });
    return sessionId;
  }

  upload(key: string, sessionId: string, audioUrl: string, fate: TaskFate): Task {
    const session = this.#session(key, sessionId);
    if (!URL.canParse(audioUrl)) throw new Refusal(400, 'audioUrl must be a URL');
    this.#afford(key, this.#profile.prices.upload);
    const task = this.#start('upload', key, { taskId: this.#uuid('task'), sessionId, audioUrl });
    session.uploads.push(task);
    this.#charge('upload', task);
    this.#maxOpenUploads = Math.max(this.#maxOpenUploads, this.#openUploads());
    this.#run(task, fate, async () => {
      const why = await whyNotAudio(audioUrl, this.#ended.signal);
      if (why !== undefined) {
        fail(task, why, 'AUDIO_FETCH_FAILED');
        return;
      }
      task.clipId = this.#uuid('clip');
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
    const earlier = session.trainings.at(-1);
    if (earlier !== undefined && earlier.state !== 'failed') {
      const { secondCreate } = this.#profile;
      if (secondCreate === 'refuse') throw new Refusal(400, 'a model of this session exists');
      if (secondCreate === 'conflict') throw new Refusal(409, 'a model of this session exists already');
      this.#broken.push({ rule: 'second paid create for one session', detail: sessionId });
    }
    // The session state is reset, as documented: a new create replaces what the task showed before.
    const { chargeAt, createTask } = this.#profile;
    const taskId = createTask === 'session' ? sessionId : this.#uuid('task');
    const task = this.#start('training', key, { taskId, sessionId, name });
    session.trainings.push(task);
    if (chargeAt === 'send') this.#charge('create', task);
    this.#run(
      task,
      fate,
      () => {
        if (fate.withoutModel !== true) {
          task.modelId = `chirp-custom:${this.#uuid('model')}`;
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

  /** @param song what is asked for; a part of it, in the words of the wire. */
  generate(key: string, { model, title, tags }: SongAsk, fate: TaskFate): Task {
    const isKnown = [...this.#sessions.values()].some(({ modelIds }) => modelIds.includes(model));
    if (model.startsWith('chirp-custom:') && !isKnown) throw new Refusal(400, 'unknown custom model');
    this.#afford(key, this.#profile.prices.generate);
    const clipIds = [this.#uuid('clip'), this.#uuid('clip')];
    const song: Song = { title: title ?? 'sandbox song', tags: tags ?? 'sandbox', clipIds };
    const task = this.#start('generate', key, { taskId: this.#uuid('task'), song });
    this.#charge('generate', task);
    this.#run(task, fate, () => {
      succeed(task);
    });
    return task;
  }

  /** @returns undefined where the service knows no such task; `success` from birth where the profile says so. */
  look(key: string, taskId: string): Task | undefined {
    const { sessionBeforeCreate, sessionDuringTraining } = this.#profile;
    const task = this.#tasks.get(taskId);
    if (task?.key === key) {
      this.#noteLook(task);
      if (task.kind !== 'training' || sessionDuringTraining === 'live') return task;
    }
    const session = this.#sessions.get(taskId);
    if (session?.key !== key) return undefined;
    const ended = session.trainings.filter((one) => one.taskId === taskId).findLast(hasEnded);
    if (ended !== undefined || sessionBeforeCreate === '404') return ended;
    return { taskId, kind: 'training', key, createdAt: session.createdAt, state: 'success' };
  }

  /** What a task was started with. Nobody is taken to have looked. */
  about(taskId: string): Pick<Task, 'audioUrl' | 'name'> | undefined {
    return this.#tasks.get(taskId);
  }

  balance(key: string): number {
    return this.#balances.get(key) ?? 0;
  }

  /** Rows of a key that the ledger shows by now, newest first. */
  rows(key: string, start: number, end: number): object[] {
    const visible = Date.now() - this.#profile.ledgerLagMs / this.#speed;
    return this.#rows
      .filter(({ charge }) => charge.key === key)
      .filter(({ charge: { at } }) => at <= visible && at >= start && at <= end)
      .reverse()
      .map(({ charge: { id, kind, amount, at }, before, after, traceId }) => ({
        id,
        serviceName: kind === 'topUp' ? 'billing' : 'suno',
        apiPath: PATHS[kind],
        apiMethod: 'POST',
        finalAmount: amount,
        beforeCredits: before,
        afterCredits: after,
        traceId,
        createdAt: new Date(at).toISOString(),
      }));
  }

  noteKeyInUrl(path: string): void {
    this.#broken.push({ rule: 'key in a URL', detail: path });
  }

  report(): Omit<SandboxReport, 'requests'> {
    return {
      maxConcurrentUploads: this.#maxOpenUploads,
      ledger: this.#rows.map(({ charge }) => ({ ...charge })),
      sessions: [...this.#sessions.values()].map(({ sessionId, account, trainings, modelIds, uploads }) => ({
        sessionId,
        account,
        creates: trainings.length,
        trainings: trainings.map(({ taskId, name = '', state, createdAt }) => ({
          taskId,
          name,
          state,
          createdAt: createdAt.toISOString(),
        })),
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
    this.#clearIntervals();
  }

  /** Does something after that much of the service's time, if the service has not ended by then. */
  after(ms: number, act: () => void): void {
    if (this.#ended.signal.aborted) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms / this.#speed);
    this.#timers.add(timer);
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
    const duration = shortest + this.#random() * (longest - shortest);
    this.after(duration * 0.15, () => {
      task.state = fate.neverEnds === 'running' ? 'never' : 'running';
      begin?.();
    });
    if (fate.neverEnds === 'running') return;
    if (task.kind === 'generate' && fate.fails === undefined) {
      // The first sound comes long before the end.
      this.after(duration * STREAMS_AFTER, () => {
        task.state = 'stream';
      });
    }
    if (fate.neverEnds === 'stream') return;
    this.after(duration, () => {
      if (fate.fails === undefined) void finish();
      else {
        fail(task, fate.fails.reason, fate.fails.code);
        if (task.kind === 'training') this.#refund(task);
      }
    });
  }

  #beginIntervals(key: string): void {
    const { foreignCreateEveryMs, topUp } = this.#profile;
    this.#every(foreignCreateEveryMs, () => {
      const amount = this.#profile.prices.create;
      if (this.balance(key) >= amount) this.#book({ kind: 'create', amount, key, foreign: true });
    });
    this.#every(topUp.everyMs, () => {
      const { topUpRow } = this.#profile;
      if (topUpRow) this.#book({ kind: 'topUp', amount: -topUp.amount, key });
      else this.#balances.set(key, this.balance(key) + topUp.amount);
    });
  }

  #every(ms: number, act: () => void): void {
    if (ms === 0 || this.#ended.signal.aborted) return;
    this.#intervals.add(setInterval(act, ms / this.#speed).unref());
  }

  #clearIntervals(): void {
    for (const interval of this.#intervals) clearInterval(interval);
    this.#intervals.clear();
  }

  #afford(key: string, amount: number): void {
    if (this.balance(key) < amount) throw new Refusal(402, 'insufficient credits');
  }

  #charge(kind: 'upload' | 'create' | 'generate', task: Task): void {
    const { key, sessionId } = task;
    const about = sessionId === undefined ? {} : { sessionId };
    task.row = this.#book({ kind, amount: this.#profile.prices[kind], key, ...about });
  }

  /** Gives back what a failed training was charged, where the profile says so. */
  #refund({ row }: Task): void {
    if (row === undefined || this.#profile.refundFailed === 'never') return;
    const { charge, traceId } = row;
    this.#book({ ...charge, kind: 'refund', amount: -charge.amount }, traceId);
  }

  /** Moves credits and writes the row. A refund has the trace of its charge. */
  #book(entry: Omit<Charge, 'id' | 'at'>, trace?: string): Row {
    const before = this.balance(entry.key);
    const after = before - entry.amount;
    this.#balances.set(entry.key, after);
    const id = this.#uuid('row');
    const charge = { ...entry, id, at: Date.now() };
    const row = { charge, before, after, traceId: trace ?? `trace-${id}` };
    this.#rows.push(row);
    return row;
  }

  /** Notes a client that polls too fast. */
  #noteLook(task: Task): void {
    const now = performance.now();
    if (task.lastLookAt !== undefined && now - task.lastLookAt < POLL_GAP_MS / this.#speed) {
      const gap = Math.round((now - task.lastLookAt) * this.#speed);
      this.#broken.push({
        rule: 'polled faster than once a second',
        detail: `${task.taskId}: after ${gap} ms`,
      });
    }
    task.lastLookAt = now;
  }

  #openUploads(): number {
    const uploads = [...this.#sessions.values()].flatMap((session) => session.uploads);
    return uploads.filter((task) => !hasEnded(task)).length;
  }

  /**
   * Of the seed and the order among its own kind, so that a run can be repeated: what happens by itself at an uncertain
   * moment takes an id of another kind and no random number.
   */
  #uuid(kind: 'account' | 'session' | 'task' | 'clip' | 'model' | 'row'): string {
    const nth = (this.#ids.get(kind) ?? 0) + 1;
    this.#ids.set(kind, nth);
    const hex = createHash('sha256').update(`${this.#origin}-${kind}-${nth}`).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }
}

function hasEnded({ state }: Task): boolean {
  return state === 'success' || state === 'failed';
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
