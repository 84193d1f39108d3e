/**
 * Every request that a training makes × every fault of the sandbox, as documented otherwise. `generate` and `schema` are
 * none of a training's requests.
 */
import { describe, expect, it } from 'vitest';
import type { Fault, FaultRule, Sandbox } from '../../src/sandbox/index.js';
import { waitUntil } from '../support/waitUntil.js';
import { objections } from './check.js';
import {
  chosen,
  DONE,
  DONE_AGAIN,
  observe,
  openWorld,
  type Outcome,
  parked,
  type Row,
  SESSION,
  useWorker,
} from './lab.js';

/** Which of a training's requests a fault befalls: each time the first one. */
const COLUMNS = {
  prepare: { on: 'prepare' },
  upload: { on: 'upload' },
  'the look at an upload': { on: 'status' },
  'the look before create': { on: 'status', match: { taskId: SESSION }, nth: 1 },
  'the look inside the send': { on: 'status', match: { taskId: SESSION }, nth: 2 },
  'the look at the training': { on: 'status', match: { taskId: SESSION }, nth: 3 },
  'the balance before create': { on: 'credits' },
  'the ledger before create': { on: 'points' },
  create: { on: 'create' },
} as const satisfies Record<string, Omit<FaultRule, 'fault'>>;
type Column = keyof typeof COLUMNS;

const status = (code: number, body?: unknown): Fault => ({ kind: 'status', status: code, body });
const after = (code: number, body?: unknown): Fault => ({
  kind: 'status',
  status: code,
  body,
  when: 'after',
});

const ok = DONE;
const again = DONE_AGAIN;
const files = parked('bad-files', 0, 0);
const refused = parked('create-rejected', 0, 1);
const failed: Outcome = { end: 'failed', charges: 0, creates: 0 };
/** Of no request of this kind. */
const none = undefined;

type Line = [string, Fault, ...(Outcome | undefined)[]];

// prettier-ignore
const TABLE: Line[] = [
  //                                                                                   prepare upload look   before inside train. balance ledger create
  ['is reset before its effect',     { kind: 'refuse' },                               ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is reset after its effect',      { kind: 'lost' },                                 ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    ok],
  ['is answered 500',                status(500),                                      ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered 502 after its effect', after(502),                                     ok,     ok,    none,  none,  none,  none,  none,   none,  ok],
  ['is answered 400',                status(400),                                      failed, files, ok,    ok,    ok,    ok,    ok,     ok,    refused],
  ['is answered 401',                status(401),                                      ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered 402',                status(402),                                      ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered 404',                status(404),                                      failed, files, ok,    ok,    ok,    ok,    ok,     ok,    refused],
  ['is answered 409',                status(409),                                      ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered 429, in seconds',    { kind: 'rateLimit', retryAfterSeconds: 1 },      ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered 429, with a date',   { kind: 'rateLimit', retryAfterSeconds: 1, form: 'date' }, ok, ok, ok,  ok,    ok,    ok,    ok,     ok,    again],
  ['is redirected',                  { kind: 'redirect' },                             ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['is answered with a page',        { kind: 'garbage' },                              ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    ok],
  ['breaks off in its answer',       { kind: 'truncated' },                            ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    ok],
  ['hangs before its effect',        { kind: 'hang', when: 'before' },                 ok,     ok,    ok,    ok,    ok,    ok,    ok,     ok,    again],
  ['hangs after its effect',         { kind: 'hang', when: 'after' },                  ok,     ok,    none,  none,  none,  none,  none,   none,  ok],
];

/** Answers that only one of the requests can get. */
const SPECIAL: [Column, string, Fault, Outcome][] = [
  ['upload', 'whose task fails', { kind: 'failTask' }, ok],
  ['upload', 'whose task never ends', { kind: 'neverFinish' }, files],
  ['upload', 'that lands late', { kind: 'late', afterMs: 60_000 }, ok],
  ['the look at an upload', 'that is stale', { kind: 'staleStatus' }, ok],
  ['the look at an upload', 'that shows an unknown word', { kind: 'unknownStatus' }, ok],
  ['the look at the training', 'that is stale', { kind: 'staleStatus' }, ok],
  ['the look at the training', 'that shows an unknown word', { kind: 'unknownStatus' }, ok],
  ['the look at the training', 'that does not find it at first', { kind: 'notFoundAtFirst' }, ok],
  ['create', 'that lands 5 min after its connection broke', { kind: 'late', afterMs: 300_000 }, ok],
  ['create', 'whose answer is slow', { kind: 'slow', delayMs: 1_000 }, ok],
  ['create', 'whose answer is slower than its time-out', { kind: 'slow', delayMs: 7_000 }, ok],
  ['create', 'whose training fails', { kind: 'failTask' }, parked('training-failed', 1, 1)],
  ['create', 'whose training never ends', { kind: 'neverFinish' }, parked('training-overdue', 1, 1)],
  ['create', 'that gives no model', { kind: 'successWithoutModel' }, parked('answer-unclear', 1, 1)],
  ['create', 'that is answered 422', status(422), refused],
  ['create', 'that is answered 403', status(403), again],
  ['create', 'that is answered 408', status(408), again],
  ['create', 'that is answered 409 after its effect', after(409), ok],
  ['create', 'that is answered 418', status(418), again],
  ['create', 'that is answered 503', status(503), again],
  ['create', 'that is answered 504 after its effect', after(504), ok],
  ['create', 'that is answered 201 with nothing, without effect', status(201, ''), again],
  ['create', 'that is answered 201 without a task, after its effect', after(201, {}), ok],
  ['create', 'that is too frequent', status(430, { message: 'request too frequent' }), again],
  ['create', 'for which credits are missing', status(429, { message: 'insufficient credits' }), again],
  [
    'create',
    'beyond the model limit',
    status(400, { message: 'model limit reached' }),
    parked('account-limit', 0, 1),
  ],
];

function rowOf(column: Column, what: string, fault: Fault, outcome: Outcome): Row {
  return {
    title: `${column} ${what}: ${outcome.end}`,
    faults: [{ ...COLUMNS[column], fault }],
    outcomes: [outcome],
    // Without it nothing is ever proved to have had no effect.
    experience: outcome === again ? 'charges are early' : 'none',
  };
}

const columns = Object.keys(COLUMNS) as Column[];
const rows = [
  ...TABLE.flatMap(([what, fault, ...cells]) =>
    columns.flatMap((column, index) => {
      const outcome = cells[index];
      return outcome === undefined ? [] : [rowOf(column, `that ${what}`, fault, outcome)];
    }),
  ),
  ...SPECIAL.map(([column, what, fault, outcome]) => rowOf(column, what, fault, outcome)),
];

describe('whatever befalls a request, create is charged once at most, and the receipt tells what it cost', () => {
  const worker = useWorker();
  /** Of create each end, of the others each kind. */
  const classOf = ({ faults: [rule], outcomes: [outcome] }: Row): string =>
    rule?.on === 'create'
      ? [outcome?.end, outcome?.creates, rule.fault.kind === 'rateLimit' ? 'for now' : ''].join()
      : (rule?.on ?? '');

  it.concurrent.each(chosen(rows, classOf).map((row) => [row.title, row] as const))('%s', async (_, row) => {
    expect(objections(row, await observe(worker(), row))).toEqual([]);
  });

  it.concurrent(
    'a create that lands between the look before it and the send is found by the send',
    async () => {
      const row: Row = {
        title: 'landed in between',
        faults: [{ on: 'credits', fault: { kind: 'slow', delayMs: 3_000 } }],
        outcomes: [{ end: 'done', charges: 1, creates: 0 }],
      };
      const world = await openWorld(worker());
      try {
        const training = await world.begin(row.faults);
        const { sandbox } = world.rig;
        // The status was read by then; the look goes on for as long as the balance takes.
        await waitUntil(
          'the look before create is under way',
          () => sandbox.report().requests.counts.credits,
        );
        await createByAnother(sandbox);
        expect(objections(row, await world.seen(training, ['done']))).toEqual([]);
      } finally {
        await world.close();
      }
    },
  );
});

/** As another run of the training would, of which this one knows nothing. */
async function createByAnother(sandbox: Sandbox): Promise<void> {
  const { url, apiKey } = sandbox;
  const [session] = sandbox.report().sessions;
  const body = {
    sessionId: session?.sessionId,
    clipIds: session?.uploads.map(({ clipId }) => clipId),
    name: 'Another run',
  };
  const { status: answered } = await fetch(`${url}/suno/v2/customModel/create`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answered).toBe(201);
}
