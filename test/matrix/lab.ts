/**
 * The laboratory of the matrix. Each row has a world of its own: a sandbox with its ledger, a task queue, one training
 * that something befalls. So no row can be explained by another one. What is seen of it comes from the other side, the
 * sandbox; our side is judged by it.
 */
import { afterAll, beforeAll } from 'vitest';
import { TRAINING_MEMO } from '../../src/contract/messages.js';
import type { AttentionKind, TrainingMemo } from '../../src/contract/progress.js';
import type { FaultRule, ProfileChange, SandboxReport } from '../../src/sandbox/index.js';
import { factsOf } from '../support/account.js';
import { createRig, type Rig, SPEED, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';
import { type MatrixWorker, startMatrixWorker } from './workers.js';

/** `failed`: the workflow has ended without a model. An attention kind: it waits for a person. */
export type End = 'done' | 'failed' | AttentionKind;

/** What a training comes to. Charges and creates are those that the sandbox counted for its session. */
export interface Outcome {
  end: End;
  charges: number;
  creates: number;
}

/** The request that was sent has bought the model, answered or not. */
export const DONE: Outcome = { end: 'done', charges: 1, creates: 1 };
/** Create was sent twice, the first time without effect. */
export const DONE_AGAIN: Outcome = { end: 'done', charges: 1, creates: 2 };
/** Nobody can tell what became of create, and it had no effect. */
export const IN_DOUBT: Outcome = { end: 'charge-unknown', charges: 0, creates: 1 };

export function parked(kind: AttentionKind, charges: number, creates: number): Outcome {
  return { end: kind, charges, creates };
}

export interface WorldOptions {
  profile?: ProfileChange;
  /** Of the service alone. Default: as fast as the workflow. */
  speed?: number;
  /**
   * What an earlier training taught: nothing, what it could (`once`), or that charges appear early, without which no
   * create is ever proved to have had no effect.
   */
  experience?: 'none' | 'once' | 'charges are early';
}

export interface Row extends WorldOptions {
  title: string;
  faults: FaultRule[];
  /** More than one where the service alone does not settle it: the money of each of them is right. */
  outcomes: Outcome[];
  /** A person sends create again while it is in doubt, and accepts a second charge. */
  isResent?: true;
  /** Another training is charged and refunded while this one is in doubt. */
  hasRefundBeside?: true;
}

/** What came of a training, seen from both sides. */
export interface Seen extends Outcome {
  /** Charges that were given back. */
  refunds: number;
  uploads: number;
  memo: TrainingMemo;
  /** Why it failed. */
  why?: string;
  report: SandboxReport;
}

export interface World {
  rig: Rig;
  /** Begins the training of the row; from then on the faults befall the requests of this world. */
  begin(faults?: FaultRule[]): Promise<Training>;
  /** Waits until the training has come to one of the ends, to an end that is none of them, or until it is too long. */
  seen(training: Training, ends: readonly End[]): Promise<Seen>;
  close(): Promise<void>;
}

/** In a rule: the id of the session, which gets to be known on the way. */
export const SESSION = 'the session';
/** Name of the training of a row. */
export const MODEL = 'Matrix';
const TRACKS = 6;
const LOOK_MS = 200;
/** A doubt in which the witnesses may tell yet is an end only if it lasts. */
const DOUBT_LASTS_MS = 3_000;
const LONGEST_MS = 120_000;

export async function openWorld(worker: MatrixWorker, options: WorldOptions = {}): Promise<World> {
  const { profile = {}, speed = SPEED, experience = 'none' } = options;
  const rig = await createRig({ speed, profile: { balance: 1_000_000, ...profile } });
  await worker.serve(rig);
  if (experience !== 'none') await teach(rig, experience);
  return {
    rig,
    begin: (faults = []) => begin(rig, MODEL, faults),
    seen: (training, ends) => seen(rig, training, ends),
    close: async () => {
      worker.leave(rig);
      await rig.close();
    },
  };
}

async function teach(rig: Rig, experience: 'once' | 'charges are early'): Promise<void> {
  await rig.learn();
  if (experience === 'charges are early' && !(await factsOf(rig)).charges.areEarly) {
    throw new Error('The training before did not show that charges appear early.');
  }
}

async function begin(rig: Rig, name: string, faults: FaultRule[]): Promise<Training> {
  const { sandbox, tracks } = rig;
  const isOfSession = ({ match }: FaultRule): boolean => match?.taskId === SESSION;
  sandbox.addFaults(faults.filter((rule) => !isOfSession(rule)));
  const known = new Set(sandbox.report().sessions.map(({ sessionId }) => sessionId));
  const sources = tracks.urls.slice(0, TRACKS).map((url) => ({ url, label: url }));
  const training = await rig.train({ name, sources });
  if (faults.some(isOfSession)) {
    const { sessionId } = await waitUntil('its session is open', () =>
      sandbox.report().sessions.find((session) => !known.has(session.sessionId)),
    );
    sandbox.addFaults(faults.filter(isOfSession).map((rule) => ({ ...rule, match: { taskId: sessionId } })));
  }
  return training;
}

async function seen(rig: Rig, { handle, input }: Training, ends: readonly End[]): Promise<Seen> {
  const { end, memo, why } = await untilEnd(handle, ends);
  const report = rig.sandbox.report();
  const rows = report.ledger.filter(({ sessionId }) => sessionId === memo.sessionId);
  const count = (kind: string): number => rows.filter((row) => row.kind === kind).length;
  return {
    end,
    charges: count('create'),
    creates: createsOf(input.name, rig),
    refunds: count('refund'),
    uploads: count('upload'),
    memo,
    ...(why === undefined ? {} : { why }),
    report,
  };
}

/** Create requests for the model of that name that reached the sandbox. */
export function createsOf(name: string, { sandbox }: Rig): number {
  const { log } = sandbox.report().requests;
  return log.filter(({ kind, subject }) => kind === 'create' && subject === name).length;
}

function whyFailed(handle: Training['handle']): Promise<string> {
  return handle.result().then(
    () => '',
    (error: unknown) => String((error as Error).cause ?? error),
  );
}

async function untilEnd(
  handle: Training['handle'],
  ends: readonly End[],
): Promise<{ end: End; memo: TrainingMemo; why?: string }> {
  const giveUpAt = Date.now() + LONGEST_MS;
  let waitsFor: { id: string; since: number } | undefined;
  for (;;) {
    const { status, memo: memos } = await handle.describe();
    const memo = memos?.[TRAINING_MEMO] as TrainingMemo | undefined;
    const attention = memo?.attention;
    if (memo !== undefined) {
      if (status.name === 'COMPLETED') return { end: 'done', memo };
      if (status.name !== 'RUNNING') return { end: 'failed', memo, why: await whyFailed(handle) };
      // What tries again by itself is no end.
      const kind = attention?.nextTryAt === undefined ? attention?.kind : undefined;
      if (attention === undefined || kind === undefined) waitsFor = undefined;
      else if (waitsFor?.id !== attention.id) waitsFor = { id: attention.id, since: Date.now() };
      const lastsFor = waitsFor === undefined ? 0 : Date.now() - waitsFor.since;
      const isEnd = kind === 'charge-unknown' ? lastsFor > DOUBT_LASTS_MS : true;
      if (kind !== undefined && isEnd && ends.includes(kind)) return { end: kind, memo };
      if (Date.now() > giveUpAt) {
        if (kind !== undefined) return { end: kind, memo };
        throw new Error(`It came to no end within ${LONGEST_MS / 1_000} s: ${JSON.stringify(memo)}`);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A healthy worker process for the rows of a test file. */
export function useWorker(): () => MatrixWorker {
  let worker: MatrixWorker | undefined;
  beforeAll(() => {
    worker = startMatrixWorker();
  });
  afterAll(async () => {
    await worker?.kill();
  });
  return () => {
    if (worker === undefined) throw new Error('The worker runs while tests do.');
    return worker;
  };
}

/** Lets a row happen. */
export async function observe(worker: MatrixWorker, row: Row): Promise<Seen> {
  const world = await openWorld(worker, row);
  try {
    const training = await world.begin(row.faults);
    if (row.isResent) await resend(training);
    if (row.hasRefundBeside) await refundBeside(world.rig, training);
    // It is in the log once it is answered, which may be after the training has ended without that.
    if (row.faults.some(({ on, fault }) => on === 'create' && fault.kind === 'slow')) {
      await waitUntil('the slow answer is in the log', () => createsOf(MODEL, world.rig) > 0);
    }
    return await world.seen(
      training,
      row.outcomes.map(({ end }) => end),
    );
  } finally {
    await world.close();
  }
}

async function resend(training: Training): Promise<void> {
  const attentionId = await doubtOf(training);
  await training.correct({ attentionId, action: 'resendCreate', acceptSecondCharge: true });
}

async function refundBeside(rig: Rig, training: Training): Promise<void> {
  await doubtOf(training);
  const name = 'Beside';
  await begin(rig, name, [{ on: 'create', match: { name }, fault: { kind: 'failTask' } }]);
}

async function doubtOf(training: Training): Promise<string> {
  return waitUntil('create is in doubt', async () => {
    const { attention } = await training.memo();
    return attention?.kind === 'charge-unknown' && attention.id;
  });
}

const isWhole = process.env['MATRIX'] === 'all';

/** All rows, or one of each class: `npm run matrix` or `npm test`. */
export function chosen<T>(rows: readonly T[], classOf: (row: T) => string): T[] {
  if (isWhole) return [...rows];
  return [...new Map(rows.toReversed().map((row) => [classOf(row), row])).values()].toReversed();
}
