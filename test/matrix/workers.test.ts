/**
 * Create × a worker that is lost in the middle of it: killed, or stopped for longer than every time-out and then woken.
 * And the proof that the matrix can fail: a worker that sends again what may have arrived.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../support/waitUntil.js';
import { objections } from './check.js';
import {
  chosen,
  createsOf,
  DONE,
  MODEL,
  observe,
  openWorld,
  type Row,
  useWorker,
  type WorldOptions,
} from './lab.js';
import { type Defect, type MatrixWorker, startMatrixWorker } from './workers.js';

type Loss = Extract<Defect, { step: string }>;

/** With a request of 5 s and its slack of 15 s, after which nobody waits for the activity any more. */
const LONGER_THAN_EVERY_TIMEOUT_MS = 21_000;

/** What a stopped create comes to when it is woken. */
const NOT_WRITTEN = /^(HeldBackError|NotSentError)/;
const WRITTEN = /^(answered|PossiblySentError)/;

/** Only the ledger speaks of create before its training has ended. */
const silent: WorldOptions = {
  profile: { sessionBeforeCreate: 'success', sessionDuringTraining: 'unchanged' },
};
/** As slow as a training must be for the one who is woken to find it under way, and nothing of it in the status. */
const hidden: WorldOptions = { profile: { sessionDuringTraining: 'unchanged' }, speed: 20 };

/** At whatever point it is lost, create is charged once and arrives once. */
const POINTS: [string, Loss['step'], woken: RegExp, WorldOptions][] = [
  ['after the last byte, the session silent', 'written', WRITTEN, silent],
  ['before it connects', 'connecting', NOT_WRITTEN, hidden],
  ['before the last look', 'connected', NOT_WRITTEN, hidden],
  ['before the first byte', 'checked', NOT_WRITTEN, hidden],
  ['after the last byte', 'written', WRITTEN, {}],
  ['after the answer', 'answered', WRITTEN, {}],
  ['before completion is reported', 'returned', WRITTEN, {}],
  ['before completion is reported, the session silent', 'returned', WRITTEN, silent],
];

interface LostRow extends Row {
  step: Loss['step'];
  signal: Loss['signal'];
  woken: RegExp;
}

const rows = POINTS.flatMap(([point, step, woken, world]) =>
  (['SIGKILL', 'SIGSTOP'] as const).map((signal): LostRow => {
    const what = signal === 'SIGKILL' ? `killed ${point},` : `stopped ${point}, and woken long after,`;
    return {
      title: `a worker that is ${what} has create charged once`,
      step,
      signal,
      woken,
      ...world,
      experience: 'charges are early',
      faults: [],
      outcomes: [DONE],
    };
  }),
);

describe('create with a worker that is lost', () => {
  const healthy = useWorker();
  const lost: MatrixWorker[] = [];
  afterAll(async () => {
    await Promise.all(lost.map((worker) => worker.kill()));
  });

  it.concurrent.each(chosen(rows, ({ signal }) => signal).map((row) => [row.title, row] as const))(
    '%s',
    async (_, row) => {
      const { step, signal, woken } = row;
      const worker = startMatrixWorker({ name: MODEL, step, signal });
      lost.push(worker);
      const world = await openWorld(worker, row);
      try {
        const training = await world.begin();
        const struckAt = await worker.struck();
        await healthy().serve(world.rig);
        if (signal === 'SIGSTOP') {
          await sleep(Math.max(0, struckAt + LONGER_THAN_EVERY_TIMEOUT_MS - Date.now()));
          // By then it is sent again, if it is at all: what is woken must not come on top of it.
          await waitUntil('a create has arrived', () => createsOf(MODEL, world.rig) > 0);
          expect(await worker.wake()).toMatch(woken);
        }
        expect(objections(row, await world.seen(training, ['done']))).toEqual([]);
      } finally {
        healthy().leave(world.rig);
        await world.close();
      }
    },
  );
});

describe('the matrix itself', () => {
  const repeating: MatrixWorker[] = [];
  afterAll(async () => {
    await Promise.all(repeating.map((worker) => worker.kill()));
  });

  it('catches a worker that sends create again when its answer proves nothing', async () => {
    const worker = startMatrixWorker({ repeats: true });
    repeating.push(worker);
    const row: Row = {
      title: 'lost',
      faults: [{ on: 'create', fault: { kind: 'lost' } }],
      outcomes: [DONE],
    };
    expect(objections(row, await observe(worker, row))).toContain(
      'create was charged 2 times for 1 decision(s) to spend',
    );
  });
});
