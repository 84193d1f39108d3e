/**
 * Drives a chaos run: starts the trainings of each wave, looks at their memos, lets the planned things happen when a
 * training has come so far, answers for its person, and hands everything to the audit.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { Correction } from '../../src/contract/correction.js';
import { CORRECT_UPDATE, TRAIN_CUSTOM_MODEL_WORKFLOW, TRAINING_MEMO } from '../../src/contract/messages.js';
import type { TrainingMemo } from '../../src/contract/progress.js';
import { RECORD_MEMO, recordIdFor, type TrainingRecord } from '../../src/contract/record.js';
import type { Receipt, TrainCustomModelInput, TrainedModel } from '../../src/contract/training.js';
import { Trainings } from '../../src/library/trainings.js';
import type { SandboxOptions } from '../../src/sandbox/index.js';
import { audit, type End, type Subject } from './audit.js';
import type { Break } from './broken.js';
import { storyOf } from './histories.js';
import { answerTo, type Decision } from './person.js';
import {
  type Disruption,
  firstSource,
  type Intervention,
  type Moment,
  planChaos,
  type TrainingPlan,
  type Wave,
} from './plan.js';
import { Chance } from './random.js';
import type { ChaosReport } from './report.js';
import { World } from './world.js';

export interface ChaosOptions {
  seed: number;
  size: number;
  /** Most trainings at once. */
  atOnce: number;
  /** Times faster than life, for the sandbox and the workflows alike. */
  speed: number;
  billingFaultsEvery: number;
  binary: { path: string; version: string };
  /** No process falls and the API stays up. */
  isCalm?: boolean;
  /** How long receipts have to be settled in the end, minutes of the service. Default 62. */
  settleMinutes?: number;
  /** How the sandbox deals with money. */
  profile?: NonNullable<SandboxOptions['profile']>;
  /** What is switched off in the build that runs. */
  broken?: Break;
  /** Gets one line now and then. */
  say: (line: string) => void;
  /** Histories of trainings that the audit complains of are given to it. */
  keep?: (name: string, text: string) => void;
  /** Of all trainings. */
  keepAll?: boolean;
}

/** Enough for any number of trainings, so that balance and limits never get in the way by themselves. */
const PLENTY = 1e9;
const LOOK_EVERY_MS = 250;
/** One call to the Temporal server, which may be down. */
const CALL_MS = 10_000;
const PATIENCE_MS = 120_000;
/** What moves for ever and never ends is stuck, too. */
const LONGEST_WAVE_MS = 45 * 60_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, size, speed, say } = options;
  const begunAt = new Date();
  const planned = planChaos(options);
  const waves = options.isCalm === true ? planned.map((wave) => ({ ...wave, disruptions: [] })) : planned;
  const world = await World.open({
    speed,
    seed,
    binary: options.binary,
    broken: options.broken,
    profile: { balance: PLENTY, modelLimit: PLENTY, ...options.profile },
  });
  const chaos = new Chaos(world, options);
  try {
    await chaos.warmUp();
    const waveMs: number[] = [];
    for (const [index, wave] of waves.entries()) {
      const at = performance.now();
      await chaos.run(wave);
      waveMs.push(Math.round(performance.now() - at));
      say(
        `Wave ${index + 1} of ${waves.length}: ${chaos.summary()}, ${Math.round((waveMs.at(-1) ?? 0) / 1_000)} s`,
      );
    }
    const settling = await chaos.settle();
    const subjects = await chaos.subjects();
    const sandbox = world.sandbox.report();
    const found = audit(sandbox, subjects);
    await chaos.keepHistories(
      (options.keepAll === true ? subjects : found.violations).map(({ workflowId }) => workflowId),
    );
    return {
      version: 1,
      seed,
      size,
      atOnce: options.atOnce,
      speed,
      profile: options.profile ?? {},
      ...(options.broken === undefined ? {} : { broken: options.broken }),
      begunAt: begunAt.toISOString(),
      tookMs: Date.now() - begunAt.getTime(),
      waveMs,
      settling,
      disruptions: chaos.disruptions,
      workerDeaths: world.workerDeaths,
      requests: sandbox.requests.counts,
      audit: found,
      subjects,
      waves: waves.map(({ faults, isBillingFaulty }) => ({
        isBillingFaulty,
        faults: faults.map(({ label }) => label),
      })),
    };
  } finally {
    await world.close();
  }
}

/** A training under way, and what was done to it. */
interface Running {
  plan: TrainingPlan;
  workflowId: string;
  isBillingFaulty: boolean;
  startedAt: number;
  decisions: Decision[];
  /** Attentions that are answered; one may be asked again after `keepWaiting`. */
  answered: Map<string, number>;
  intervention: Intervention | undefined;
  resets: number;
  isTerminated: boolean;
  isCancelled: boolean;
  isBusy: boolean;
  /** Moments that it has reached. */
  reached: Set<Moment>;
  end: End | undefined;
  endedAt: number;
  memo: TrainingMemo | undefined;
}

/** What happened to processes, when, and how far the training that it was bound to had come. */
export interface Happened {
  what: string;
  at: string;
  by: number;
}

class Chaos {
  readonly #world: World;
  readonly #options: ChaosOptions;
  readonly #all: Running[] = [];
  /** When something was last seen to move in this wave. */
  #changedAt = 0;
  readonly disruptions: Happened[] = [];

  constructor(world: World, options: ChaosOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** One smooth training: from then on it is known that charges appear early. */
  async warmUp(): Promise<void> {
    const plan: TrainingPlan = {
      number: 0,
      tag: 'c00000',
      files: 6,
      badFiles: [],
      onBadFile: 'ask',
      faults: [],
      isImpatient: false,
    };
    const running = await this.#start(plan, false);
    await this.#until('the first training is done', async () => {
      await this.#lookForEnd(running);
      return running.end !== undefined;
    });
    if (running.end?.kind !== 'done')
      throw new Error('The smooth training at the beginning did not end well.');
  }

  async run(wave: Wave): Promise<void> {
    const { sandbox } = this.#world;
    sandbox.addFaults([
      ...wave.trainings.flatMap(({ faults }) => faults.map(({ rule }) => rule)),
      ...wave.faults.map(({ rule }) => rule),
    ]);
    const begun = performance.now();
    const running = await Promise.all(wave.trainings.map((plan) => this.#start(plan, wave.isBillingFaulty)));
    this.#changedAt = performance.now();
    const pending = [...wave.disruptions];
    const tasks = new Set<Promise<void>>();
    const begin = (task: Promise<void>): void => {
      tasks.add(task);
      void task.finally(() => tasks.delete(task)).catch(() => undefined);
    };
    // Processes fall one after the other, outages beside them.
    let processes = Promise.resolve();
    const isOpen = (): Running[] => running.filter(({ end }) => end === undefined);
    while (isOpen().length > 0 || pending.length > 0 || tasks.size > 0) {
      await this.#look(isOpen());
      for (const one of isOpen()) {
        this.#note(one);
        begin(this.#act(one, performance.now() - begun > this.#patienceMs));
      }
      for (const disruption of pending.filter((one) => this.#isDue(one))) {
        pending.splice(pending.indexOf(disruption), 1);
        const happen = (): Promise<void> => this.#happen(disruption);
        if (disruption.what.kind === 'outage') begin(happen());
        else {
          processes = processes.then(happen);
          begin(processes);
        }
      }
      const stillMs = performance.now() - this.#changedAt;
      if (stillMs > this.#realMs(25) + PATIENCE_MS || performance.now() - begun > LONGEST_WAVE_MS) {
        this.#giveUpOn(isOpen());
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  summary(): string {
    const counts: Record<string, number> = {};
    for (const { end, plan } of this.#all) {
      if (plan.number > 0 && end !== undefined) counts[end.kind] = (counts[end.kind] ?? 0) + 1;
    }
    return Object.entries(counts)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ');
  }

  /** Waits until the registry has settled every receipt, or has looked once more after the time of all judgements. */
  async settle(): Promise<ChaosReport['settling']> {
    const begun = performance.now();
    const isOpen = async (one: Running): Promise<boolean> => {
      if (one.end?.kind === 'stuck') return false;
      const record = await this.#recordOf(one.workflowId);
      if (record === undefined) return false;
      const { attempts } = record.receipt.create;
      return attempts.some(({ verdict, provisional }) => verdict === 'unknown' || provisional === true);
    };
    // The registry looks 1, 6, 21, 41 and 61 min after the end, and then hours later.
    const limit = this.#realMs(this.#options.settleMinutes ?? 62) + 5_000;
    let open = this.#all;
    for (;;) {
      const still = await Promise.all(open.map(async (one) => ((await isOpen(one)) ? [one] : [])));
      open = still.flat();
      const isOver = performance.now() - begun > limit;
      if (open.length === 0 || isOver) {
        return {
          ms: Math.round(performance.now() - begun),
          open: open.map(({ workflowId }) => workflowId),
        };
      }
      await sleep(1_000);
    }
  }

  async subjects(): Promise<Subject[]> {
    const subjects: Subject[] = [];
    for (const one of this.#all) {
      const { plan, workflowId, decisions, resets, isTerminated, isCancelled, isBillingFaulty } = one;
      const story = await this.#stubborn(`the histories of ${workflowId}`, () =>
        storyOf(this.#world.client, workflowId),
      );
      const { memo } = await this.#describe(workflowId);
      const recorded: Receipt | undefined = (await this.#recordOf(workflowId))?.receipt;
      subjects.push({
        plan,
        workflowId,
        decisions,
        end: one.end ?? { kind: 'stuck', shows: 'nothing' },
        resets,
        isTerminated,
        isCancelled,
        isBillingFaulty,
        tookMs: Math.round(one.endedAt - one.startedAt),
        recorded,
        shown: (memo?.[TRAINING_MEMO] as TrainingMemo | undefined)?.receipt,
        story,
      });
    }
    return subjects;
  }

  async keepHistories(workflowIds: string[]): Promise<void> {
    const { keep } = this.#options;
    if (keep === undefined) return;
    const { client } = this.#world;
    const wanted = [...new Set(workflowIds)].filter((workflowId) => workflowId !== '');
    for (const workflowId of wanted.flatMap((id) => [id, recordIdFor(id)])) {
      for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
        const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
        keep(`${workflowId}.${runId}.json`, readable(events ?? []));
      }
    }
  }

  /** Until then people answer as they like; then everything is given up. */
  get #patienceMs(): number {
    return this.#realMs(75) + 5 * PATIENCE_MS;
  }

  /** Minutes of the service in real ms. */
  #realMs(minutes: number): number {
    return (minutes * 60_000) / this.#options.speed;
  }

  async #start(plan: TrainingPlan, isBillingFaulty: boolean): Promise<Running> {
    const { client, taskQueue, sandbox } = this.#world;
    const workflowId = `chaos-${plan.tag}`;
    const sources = Array.from({ length: plan.files }, (_, index) => {
      const file = index + 1;
      const bad = plan.badFiles.includes(file) ? 'bad.' : '';
      const url = this.#world.audioUrl(`${firstSource(plan.tag, file)}${bad}wav`);
      return { url, label: url };
    });
    const input: TrainCustomModelInput = {
      name: plan.tag,
      origin: sandbox.url,
      sources,
      onBadFile: plan.onBadFile,
      timeScale: 1 / this.#options.speed,
    };
    const startedAt = performance.now();
    await this.#stubborn(`start ${workflowId}`, async () => {
      try {
        await client.workflow.start(TRAIN_CUSTOM_MODEL_WORKFLOW, { workflowId, taskQueue, args: [input] });
      } catch (error) {
        // The answer to an earlier try was lost.
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    });
    const running: Running = {
      plan,
      workflowId,
      isBillingFaulty,
      startedAt,
      decisions: [],
      answered: new Map(),
      intervention: plan.intervention,
      resets: 0,
      isTerminated: false,
      isCancelled: false,
      isBusy: false,
      reached: new Set(),
      end: undefined,
      endedAt: startedAt,
      memo: undefined,
    };
    this.#all.push(running);
    return running;
  }

  /** Memos of all that run come in one answer; what is not in it may have ended. */
  async #look(open: Running[]): Promise<void> {
    const memos = await this.#stubborn('the list of trainings', async () => {
      const found = new Map<string, TrainingMemo | undefined>();
      const query = `WorkflowType = '${TRAIN_CUSTOM_MODEL_WORKFLOW}' AND ExecutionStatus = 'Running'`;
      for await (const { workflowId, memo } of this.#world.client.workflow.list({ query, pageSize: 500 })) {
        found.set(workflowId, memo?.[TRAINING_MEMO] as TrainingMemo | undefined);
      }
      return found;
    });
    for (const one of open) {
      const before = one.memo;
      if (memos.has(one.workflowId)) one.memo = memos.get(one.workflowId);
      else if (!one.isBusy) await this.#lookForEnd(one);
      // A busy machine is slow; nothing that moves is stuck.
      if (!isDeepStrictEqual(before, one.memo)) this.#changedAt = performance.now();
    }
  }

  async #lookForEnd(one: Running): Promise<void> {
    const { status, memo } = await this.#describe(one.workflowId);
    one.memo = memo?.[TRAINING_MEMO] as TrainingMemo | undefined;
    if (status.name === 'RUNNING') return;
    one.reached.add('ended');
    // A training that is over can be reset, too.
    if (one.intervention?.kind === 'reset' && !one.isBusy) {
      await this.#intervene(one, one.intervention);
      return;
    }
    one.end = await this.#endOf(one.workflowId, status.name);
    one.endedAt = performance.now();
  }

  async #endOf(workflowId: string, status: string): Promise<End> {
    switch (status) {
      case 'CANCELLED':
        return { kind: 'cancelled' };
      case 'TERMINATED':
        return { kind: 'terminated' };
      default:
    }
    return this.#stubborn(`the result of ${workflowId}`, async (): Promise<End> => {
      try {
        const result = (await this.#world.client.workflow.getHandle(workflowId).result()) as TrainedModel;
        return { kind: 'done', result };
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        const cause = error.cause as (Error & { type?: string }) | undefined;
        return { kind: 'failed', type: cause?.type ?? cause?.name ?? status, message: cause?.message ?? '' };
      }
    });
  }

  #note({ memo, reached }: Running): void {
    if (memo === undefined) return;
    const { phase, attention, receipt } = memo;
    const hasCreated = phase === 'creating' || phase === 'training';
    if (phase === 'uploading' || hasCreated) reached.add('uploading');
    if (hasCreated) reached.add('creating');
    if (receipt.create.sends > 0) reached.add('sent');
    if (attention?.kind === 'charge-unknown') reached.add('doubt');
    if (attention !== undefined && attention.nextTryAt === undefined) reached.add('parked');
    if (phase === 'training') reached.add('training');
  }

  #isDue({ by, at }: Disruption): boolean {
    const one = this.#all.find(({ plan }) => plan.number === by);
    return one === undefined || one.end !== undefined || one.reached.has(at) || one.reached.has('ended');
  }

  async #happen({ what, by }: Disruption): Promise<void> {
    const which = what.kind === 'kill workers' ? ` ${what.workers.join('+')}` : '';
    this.disruptions.push({ what: `${what.kind}${which}`, at: new Date().toISOString(), by });
    switch (what.kind) {
      case 'kill workers':
        await this.#world.killWorkers(what.workers, what.downMs);
        break;
      case 'kill server':
        await this.#world.killServer(what.downMs);
        break;
      case 'outage':
        await this.#world.outage(what.downMs);
        break;
    }
  }

  /** What people do to a training now, if anything. */
  async #act(one: Running, isTimeUp: boolean): Promise<void> {
    if (one.isBusy || one.end !== undefined) return;
    one.isBusy = true;
    try {
      const { intervention } = one;
      if (intervention !== undefined && one.reached.has(intervention.at)) {
        await this.#intervene(one, intervention);
        return;
      }
      await this.#answer(one, isTimeUp);
    } finally {
      one.isBusy = false;
    }
  }

  async #intervene(one: Running, intervention: Intervention): Promise<void> {
    const handle = this.#world.client.workflow.getHandle(one.workflowId);
    one.intervention = undefined;
    try {
      switch (intervention.kind) {
        case 'cancel':
          await this.#stubborn('cancel', () => handle.cancel());
          one.isCancelled = true;
          break;
        case 'terminate':
          await this.#stubborn('terminate', () => handle.terminate('chaos'));
          one.isTerminated = true;
          // Whoever looks closes the record, so that its receipt is settled as any other.
          await this.#stubborn('look', () => new Trainings(this.#world.client).look(one.workflowId));
          break;
        case 'reset':
          await this.#reset(one, intervention.point);
          break;
      }
    } catch (error) {
      // It ended just before.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  async #reset(one: Running, point: number): Promise<void> {
    const { client } = this.#world;
    const { workflowId } = one;
    const requestId = randomUUID();
    await this.#stubborn(`reset ${workflowId}`, async () => {
      const { runId } = await this.#describe(workflowId);
      const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      const boundaries = (events ?? []).filter(
        ({ workflowTaskCompletedEventAttributes: task }) => task !== undefined && task !== null,
      );
      const chosen = boundaries[Math.round(point * (boundaries.length - 1))];
      if (chosen === undefined) return;
      await client.workflowService.resetWorkflowExecution({
        namespace: 'default',
        workflowExecution: { workflowId, runId },
        reason: 'chaos',
        workflowTaskFinishEventId: chosen.eventId ?? null,
        requestId,
      });
      one.resets += 1;
      one.reached.delete('ended');
    });
  }

  async #answer(one: Running, isTimeUp: boolean): Promise<void> {
    const attention = one.memo?.attention;
    if (attention === undefined) return;
    const answeredAt = one.answered.get(attention.id);
    // After `keepWaiting` it says for a while when it looks next.
    if (answeredAt !== undefined) {
      if (attention.nextTryAt !== undefined) one.answered.set(attention.id, 0);
      const isForgotten = performance.now() - answeredAt > Math.max(15_000, this.#realMs(10));
      if (attention.nextTryAt !== undefined || !isForgotten) {
        if (!isTimeUp) return;
      }
    }
    const { seed } = this.#options;
    const correction = answerTo({
      seed,
      plan: one.plan,
      attention,
      decisions: one.decisions,
      isTimeUp,
      audioUrl: (path) => this.#world.audioUrl(path),
    });
    if (correction === undefined) return;
    const outcome = await this.#correct(one, correction);
    if (outcome === 'refused') return;
    one.answered.set(attention.id, performance.now());
    one.decisions.push({
      attentionId: attention.id,
      kind: attention.kind,
      action: correction.action,
      ...(attention.kind === 'charge-unknown' && attention.nextTryAt !== undefined && !isTimeUp
        ? { isImpatient: true as const }
        : {}),
      ...(outcome === 'unheard' ? { isUnheard: true as const } : {}),
    });
  }

  /** The same update id makes it one answer however often it is sent. */
  async #correct(one: Running, correction: Correction): Promise<'accepted' | 'refused' | 'unheard'> {
    const handle = this.#world.client.workflow.getHandle(one.workflowId);
    const updateId = randomUUID();
    try {
      await this.#stubborn(`answer ${one.workflowId}`, () =>
        handle.executeUpdate(CORRECT_UPDATE, { args: [correction], updateId }),
      );
      return 'accepted';
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowNotFoundError)
        return 'refused';
      return 'unheard';
    }
  }

  #giveUpOn(open: Running[]): void {
    for (const one of open) {
      one.end = { kind: 'stuck', shows: JSON.stringify(one.memo ?? null).slice(0, 2_000) };
      one.endedAt = performance.now();
    }
  }

  #describe(workflowId: string): Promise<Awaited<ReturnType<Handle['describe']>>> {
    return this.#stubborn(`describe ${workflowId}`, () =>
      this.#world.client.workflow.getHandle(workflowId).describe(),
    );
  }

  async #recordOf(workflowId: string): Promise<TrainingRecord | undefined> {
    try {
      const { memo } = await this.#describe(recordIdFor(workflowId));
      return memo?.[RECORD_MEMO] as TrainingRecord | undefined;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  /** Goes on while the Temporal server is down or busy. */
  async #stubborn<T>(what: string, call: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const pause = new Chance(this.#options.seed, what);
    for (;;) {
      try {
        return await this.#world.client.withDeadline(Date.now() + CALL_MS, call);
      } catch (error) {
        if (!isServerTrouble(error)) throw error;
        if (performance.now() - begun > PATIENCE_MS) {
          throw new Error(`Not within ${PATIENCE_MS} ms: ${what}`, { cause: error });
        }
        await sleep(pause.whole(200, 600));
      }
    }
  }

  async #until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    const begun = performance.now();
    while (!(await isTrue())) {
      if (performance.now() - begun > PATIENCE_MS) throw new Error(`Not within ${PATIENCE_MS} ms: ${what}`);
      await sleep(LOOK_EVERY_MS);
    }
  }
}

type Handle = ReturnType<World['client']['workflow']['getHandle']>;

/** It may be there again a moment later. */
function isServerTrouble(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError || error instanceof WorkflowFailedError) return false;
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  if (error instanceof ServiceError) return true;
  // gRPC: cancelled, deadline exceeded, resource exhausted, aborted, internal, unavailable.
  const { code } = error as { code?: unknown };
  return typeof code === 'number' && [1, 4, 8, 10, 13, 14].includes(code);
}

/** Events with their payloads as text. */
function readable(events: readonly object[]): string {
  return JSON.stringify(
    events,
    (key, value: unknown) => {
      if (key === 'eventId' || key.endsWith('EventId')) return Number(value);
      const data = (value as { data?: unknown } | null)?.data;
      if (data instanceof Uint8Array) return Buffer.from(data).toString('utf8');
      return value;
    },
    1,
  );
}
