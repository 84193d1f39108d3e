/**
 * What nobody has documented about money, either way: each profile of the sandbox over real HTTP.
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { serveTracks, type TrackServer } from '../../src/cli/demo/tracks.js';
import type { ProfileChange, Sandbox, SandboxOptions } from '../../src/sandbox/index.js';
import { waitUntil } from '../support/waitUntil.js';
import { type Api, type Body, type Row, SPEED, startApi as startApiWith } from './api.js';

const MINUTE = 60_000;
/** For what happens by itself. */
const OFTEN = 20_000;
const CREATE_PATH = '/suno/v2/customModel/create';
let tracks: TrackServer;

beforeAll(async () => {
  tracks = await serveTracks();
});

afterAll(async () => {
  await tracks.close();
});

const startApi = (options?: SandboxOptions): Promise<Api> => startApiWith(tracks, options);

type Ledger = ReturnType<Sandbox['report']>['ledger'];
const rowsOf = ({ sandbox }: Api, kind: Ledger[number]['kind']): Ledger =>
  sandbox.report().ledger.filter((row) => row.kind === kind);
const trainingsOf = ({ sandbox }: Api): Body[] =>
  sandbox.report().sessions.flatMap(({ trainings }) => trainings as unknown as Body[]);
const stateOf = (api: Api): unknown => trainingsOf(api).at(-1)?.['state'];
const hasEnded = (api: Api): boolean => /success|failed/.test(String(stateOf(api)));

/** A session with six clips. */
async function readySession(api: Api): Promise<{ sessionId: string; clips: string[] }> {
  const sessionId = await api.session();
  return { sessionId, clips: await api.clips(sessionId) };
}

/** Whether each row begins with the balance that the one before left. */
const isClosed = (rows: Row[]): boolean =>
  rows.every(({ beforeCredits }, index) => index === 0 || beforeCredits === rows[index - 1]?.afterCredits);

const setProfile = (api: Api, change: unknown): Promise<Response> =>
  fetch(`${api.sandbox.url}/_sandbox/profile`, { method: 'POST', body: JSON.stringify(change) });

/** Waits by what happens meanwhile in another sandbox: time enough for five foreign creates. */
async function fiveForeignCreatesElsewhere(everyMs: number): Promise<void> {
  const clock = await startApi({ profile: { foreignCreateEveryMs: everyMs } });
  await clock.session();
  await waitUntil('five foreign creates', () => rowsOf(clock, 'create').length >= 5);
}

describe('the status of a session that trains', () => {
  it('shows the training by default', async () => {
    const api = await startApi({ faults: [{ on: 'create', fault: { kind: 'neverFinish' } }] });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await waitUntil('it shows', async () => (await api.status(sessionId))['status'] === 'running');
  });

  it.each(['404', 'success'] as const)(
    'unchanged, goes on saying what a session says before its create (%s), then shows the end',
    async (sessionBeforeCreate) => {
      const api = await startApi({ profile: { sessionBeforeCreate, sessionDuringTraining: 'unchanged' } });
      const { sessionId, clips } = await readySession(api);
      const before = await api.status(sessionId);
      await api.create(sessionId, clips);
      const looks = await looksUntilEnd(api, sessionId);
      expect(looks.length).toBeGreaterThan(0);
      expect(looks).toEqual(looks.map(() => before));
      expect(await api.status(sessionId)).toMatchObject({
        status: 'success',
        data: { modelId: expect.stringMatching(/^chirp-custom:/) as unknown },
      });
    },
  );

  it('unchanged, goes on showing the earlier attempt that failed, then shows the end of the new one', async () => {
    const api = await startApi({
      profile: { sessionDuringTraining: 'unchanged' },
      faults: [{ on: 'create', fault: { kind: 'failTask', reason: 'no' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    const failed = await api.ended(sessionId);
    expect(failed).toMatchObject({ status: 'failed', failReason: 'no' });
    await api.create(sessionId, clips);
    const looks = await looksUntilEnd(api, sessionId);
    expect(looks.length).toBeGreaterThan(0);
    expect(looks).toEqual(looks.map(() => failed));
    expect((await api.status(sessionId))['status']).toBe('success');
  });

  it('unchanged, says so for ever where the training never ends', async () => {
    const api = await startApi({
      profile: { sessionDuringTraining: 'unchanged' },
      faults: [{ on: 'create', fault: { kind: 'neverFinish' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await waitUntil('it has begun', () => stateOf(api) === 'never');
    expect(await api.status(sessionId)).toMatchObject({ statusCode: 404 });
  });

  it('unchanged, can be stale as well: after the end it says once more what it said before', async () => {
    const api = await startApi({ profile: { sessionDuringTraining: 'unchanged' } });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    const before = await api.status(sessionId);
    expect(before).toMatchObject({ statusCode: 404 });
    await waitUntil('it has ended', () => hasEnded(api));
    api.sandbox.addFaults([{ on: 'status', fault: { kind: 'staleStatus' } }]);
    expect(await api.status(sessionId)).toEqual(before);
    expect((await api.status(sessionId))['status']).toBe('success');
  });

  it('unchanged, notes a client that polls it too fast', async () => {
    const api = await startApi({
      profile: { sessionDuringTraining: 'unchanged' },
      faults: [{ on: 'create', fault: { kind: 'neverFinish' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await waitUntil('it is noted', async () => {
      await Promise.all([api.status(sessionId), api.status(sessionId)]);
      return api.sandbox.report().brokenRules.some(({ detail }) => detail.startsWith(sessionId));
    });
  });

  /** What `status` said while the training had certainly not ended. */
  async function looksUntilEnd(api: Api, sessionId: string): Promise<Body[]> {
    const looks: Body[] = [];
    await waitUntil('it has ended', async () => {
      const look = await api.status(sessionId);
      if (hasEnded(api)) return true;
      looks.push(look);
      return false;
    });
    return looks;
  }
});

describe('a create that lands late', () => {
  const late = { on: 'create', fault: { kind: 'late', afterMs: MINUTE } } as const;

  it('resets the connection at once, and trains and charges that much later', async () => {
    const api = await startApi({ faults: [{ ...late, fault: { kind: 'late', afterMs: 5 * MINUTE } }] });
    const { sessionId, clips } = await readySession(api);
    const sent = Date.now();
    await expect(api.create(sessionId, clips)).rejects.toThrow();
    expect(Date.now() - sent).toBeLessThan((5 * MINUTE) / SPEED);
    expect(rowsOf(api, 'create')).toEqual([]);
    expect(await api.status(sessionId)).toMatchObject({ statusCode: 404 });
    expect(await api.ended(sessionId)).toMatchObject({ status: 'success' });
    const [row] = rowsOf(api, 'create');
    // Timers may be a millisecond early.
    expect(row?.at).toBeGreaterThanOrEqual(sent + (5 * MINUTE) / SPEED - 1);
  });

  it('has no effect where it is refused by then', async () => {
    const api = await startApi({ faults: [late], profile: { secondCreate: 'refuse' } });
    const { sessionId, clips } = await readySession(api);
    await expect(api.create(sessionId, clips)).rejects.toThrow();
    await api.create(sessionId, clips, 'another');
    // A training takes two minutes at least.
    await api.ended(sessionId);
    expect(trainingsOf(api)).toMatchObject([{ name: 'another' }]);
    expect(rowsOf(api, 'create')).toHaveLength(1);
  });

  it('is judged by the service as it is when it lands', async () => {
    const api = await startApi({ faults: [late], profile: { secondCreate: 'refuse' } });
    const { sessionId, clips } = await readySession(api);
    await expect(api.create(sessionId, clips)).rejects.toThrow();
    api.sandbox.addFaults([{ on: 'create', fault: { kind: 'neverFinish' } }]);
    await api.create(sessionId, clips);
    expect(rowsOf(api, 'create')).toHaveLength(1);
    api.sandbox.setProfile({ secondCreate: 'accept' });
    await waitUntil('it lands', () => rowsOf(api, 'create').length === 2);
  });
});

describe('a second create on one session', () => {
  it.each([
    ['refuse', 400, 'a model of this session exists'],
    ['conflict', 409, 'a model of this session exists already'],
  ] as const)(
    'can be a %s: %i, uncharged, while it trains and afterwards',
    async (secondCreate, status, message) => {
      const api = await startApi({ profile: { secondCreate } });
      const { sessionId, clips } = await readySession(api);
      expect((await api.create(sessionId, clips)).status).toBe(201);
      expect(await api.create(sessionId, clips)).toMatchObject({ status, body: { message } });
      await api.ended(sessionId);
      expect(await api.create(sessionId, clips)).toMatchObject({ status, body: { message } });
      expect(rowsOf(api, 'create')).toHaveLength(1);
      expect(api.sandbox.report().brokenRules.map(({ rule }) => rule)).not.toContain(
        'second paid create for one session',
      );
    },
  );

  it('is welcome where the first training failed', async () => {
    const api = await startApi({
      profile: { secondCreate: 'conflict' },
      faults: [{ on: 'create', fault: { kind: 'failTask' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await api.ended(sessionId);
    expect((await api.create(sessionId, clips)).status).toBe(201);
  });
});

describe('somebody else with the same key', () => {
  it('is charged for a create every so often, from the first request of the key', async () => {
    const api = await startApi({
      apiKeys: ['used', 'unused'],
      profile: { foreignCreateEveryMs: OFTEN, prices: { create: 70 } },
    });
    await fiveForeignCreatesElsewhere(OFTEN);
    expect(api.sandbox.report().ledger).toEqual([]);
    const begun = Date.now();
    await api.session();
    await waitUntil('three creates', () => rowsOf(api, 'create').length >= 3);
    expect(Date.now() - begun).toBeGreaterThanOrEqual((3 * OFTEN) / SPEED - 3);
    const { ledger, sessions } = api.sandbox.report();
    expect(ledger[0]).toMatchObject({ kind: 'create', amount: 70, key: 'used', foreign: true });
    expect(ledger[0]).not.toHaveProperty('sessionId');
    expect(new Set(ledger.map(({ key }) => key))).toEqual(new Set(['used']));
    expect(sessions).toMatchObject([{ creates: 0, trainings: [] }]);
    expect((await api.rows())[0]).toMatchObject({
      serviceName: 'suno',
      apiPath: CREATE_PATH,
      finalAmount: 70,
      beforeCredits: 10_000,
      afterCredits: 9_930,
    });
  });

  it('is nobody by default', async () => {
    const api = await startApi();
    await api.session();
    await fiveForeignCreatesElsewhere(OFTEN);
    expect(api.sandbox.report().ledger).toEqual([]);
  });

  it('takes no money that is not there', async () => {
    const api = await startApi({ profile: { foreignCreateEveryMs: OFTEN, balance: 250 } });
    await api.session();
    await fiveForeignCreatesElsewhere(OFTEN);
    expect(rowsOf(api, 'create')).toHaveLength(2);
    expect(await api.credits()).toBe(50);
  });

  it('stops when the sandbox closes, when it is reset, and when the profile says so', async () => {
    const intervals = vi.spyOn(globalThis, 'setInterval');
    onTestFinished(() => {
      intervals.mockRestore();
    });
    const profile = { foreignCreateEveryMs: OFTEN };
    const [closed, reset, changed] = [
      await startApi({ profile }),
      await startApi({ profile }),
      await startApi({ profile }),
    ];
    for (const api of [closed, reset, changed]) {
      await api.session();
      await waitUntil('it has begun', () => rowsOf(api, 'create').length > 0);
    }
    expect(intervals.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual(
      intervals.mock.results.map(() => false),
    );
    await closed.sandbox.close();
    reset.sandbox.reset();
    changed.sandbox.setProfile({ foreignCreateEveryMs: 0 });
    const counts = (): number[] => [closed, reset, changed].map((api) => rowsOf(api, 'create').length);
    const before = counts();
    await fiveForeignCreatesElsewhere(OFTEN);
    expect(counts()).toEqual(before);
  });
});

describe('a top-up', () => {
  const topUp = { everyMs: OFTEN, amount: 500 };

  it('comes every so often with a row of its own, so that each row goes on from the one before', async () => {
    const api = await startApi({ profile: { topUp } });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await waitUntil('two top-ups', () => rowsOf(api, 'topUp').length >= 2);
    const rows = await api.rows();
    expect(isClosed(rows)).toBe(true);
    expect(rows[0]?.beforeCredits).toBe(10_000);
    const row = rows.find(({ apiPath }) => apiPath === '/api-user/topup');
    expect(row).toMatchObject({ serviceName: 'billing', finalAmount: -500 });
    expect((row?.afterCredits ?? 0) - (row?.beforeCredits ?? 0)).toBe(500);
    const [reported] = rowsOf(api, 'topUp');
    expect(reported).toMatchObject({ kind: 'topUp', amount: -500, id: row?.id });
    expect(reported).not.toHaveProperty('sessionId');
  });

  it('can come without a row: the balance jumps, and the ledger has a gap', async () => {
    const api = await startApi({ profile: { topUp, topUpRow: false } });
    const sessionId = await api.session();
    await api.upload(sessionId, tracks.urls[0] ?? '');
    const left = 9_995;
    const jumped = await waitUntil('the balance jumps', async () => {
      const credits = await api.credits();
      return credits > left && credits;
    });
    expect((jumped - left) % 500).toBe(0);
    expect(rowsOf(api, 'topUp')).toEqual([]);
    await api.upload(sessionId, tracks.urls[0] ?? '');
    const rows = await api.rows();
    expect(rows).toHaveLength(2);
    expect(isClosed(rows)).toBe(false);
  });

  it('stops when the sandbox closes', async () => {
    const api = await startApi({ profile: { topUp } });
    await api.session();
    await waitUntil('it has begun', () => rowsOf(api, 'topUp').length > 0);
    await api.sandbox.close();
    const before = rowsOf(api, 'topUp').length;
    await fiveForeignCreatesElsewhere(OFTEN);
    expect(rowsOf(api, 'topUp')).toHaveLength(before);
  });
});

describe('the credits of a training that failed', () => {
  async function failedTraining(profile: ProfileChange): Promise<Api> {
    const api = await startApi({
      profile,
      faults: [{ on: 'create', fault: { kind: 'failTask' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    expect((await api.ended(sessionId))['status']).toBe('failed');
    return api;
  }

  it('stay away by default', async () => {
    const api = await failedTraining({});
    expect(rowsOf(api, 'refund')).toEqual([]);
    expect(await api.credits()).toBe(9_870);
  });

  it.each(['send', 'start'] as const)(
    'charged at %s, can come back with a row that has the path and the trace of the charge',
    async (chargeAt) => {
      const api = await failedTraining({ refundFailed: 'row', chargeAt });
      const sessionIds = api.sandbox.report().sessions.map(({ sessionId }) => sessionId);
      expect(rowsOf(api, 'refund')).toMatchObject([{ amount: -100, sessionId: sessionIds[0] }]);
      const rows = await api.rows();
      expect(isClosed(rows)).toBe(true);
      const [charge, refund, ...more] = rows.filter(({ apiPath }) => apiPath === CREATE_PATH);
      expect(more).toEqual([]);
      expect(refund).toMatchObject({
        serviceName: 'suno',
        finalAmount: -100,
        beforeCredits: charge?.afterCredits,
        afterCredits: charge?.beforeCredits,
        traceId: charge?.traceId,
      });
      expect(refund?.id).not.toBe(charge?.id);
      expect(await api.credits()).toBe(9_970);
    },
  );

  it('come back as they were charged, whatever a create costs by then', async () => {
    const api = await startApi({
      profile: { refundFailed: 'row' },
      faults: [{ on: 'create', fault: { kind: 'failTask' } }],
    });
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    api.sandbox.setProfile({ prices: { create: 120 } });
    await api.ended(sessionId);
    expect(rowsOf(api, 'refund')).toMatchObject([{ amount: -100 }]);
  });

  it('are not given back where nothing was charged, and an upload that failed is not paid back', async () => {
    const api = await failedTraining({ refundFailed: 'row', chargeAt: 'completion' });
    api.sandbox.addFaults([{ on: 'upload', fault: { kind: 'failTask' } }]);
    const failed = await api.ended(await api.upload(await api.session(), tracks.urls[0] ?? ''));
    expect(failed['status']).toBe('failed');
    expect(api.sandbox.report().ledger.map(({ kind }) => kind)).toEqual(Array<string>(7).fill('upload'));
  });
});

describe('a ledger that lags', () => {
  it('shows its rows in the order of the charges, each after the lag, while the balance moves at once', async () => {
    const lag = MINUTE / SPEED;
    const api = await startApi({ profile: { ledgerLagMs: MINUTE } });
    const sessionId = await api.session();
    for (let upload = 1; upload <= 4; upload++) {
      await api.upload(sessionId, tracks.urls[0] ?? '');
      expect(await api.credits()).toBe(10_000 - 5 * upload);
    }
    const charged = api.sandbox.report().ledger.map(({ id }) => id);
    const looks: { rows: Row[]; seenAt: number }[] = [];
    await waitUntil('the rows appear', async () => {
      const rows = await api.rows();
      looks.push({ rows, seenAt: Date.now() });
      return rows.length === 4;
    });
    for (const { rows, seenAt } of looks) {
      expect(rows.map(({ id }) => id)).toEqual(charged.slice(0, rows.length));
      expect(rows.filter(({ createdAt }) => Date.parse(createdAt) + lag > seenAt)).toEqual([]);
    }
  });
});

describe('ids', () => {
  /** All ids of a training: session, uploads, clips, model, rows. */
  async function idsOfOneTraining(api: Api): Promise<string[]> {
    const { sessionId, clips } = await readySession(api);
    await api.create(sessionId, clips);
    await api.ended(sessionId);
    const { ledger, sessions } = api.sandbox.report();
    const uploads = sessions.flatMap((session) => session.uploads.map(({ taskId }) => taskId));
    const models = sessions.flatMap(({ modelIds }) => modelIds);
    return [sessionId, ...uploads, ...clips, ...models, ...ledger.map(({ id }) => id)].sort();
  }

  it('never repeat after a reset, and are the same again in another run with the same seed', async () => {
    const run = async (): Promise<string[][]> => {
      const api = await startApi({ seed: 7 });
      const first = await idsOfOneTraining(api);
      api.sandbox.reset();
      return [first, await idsOfOneTraining(api)];
    };
    const [first = [], second = []] = await run();
    expect(first).toHaveLength(21);
    expect(new Set([...first, ...second]).size).toBe(42);
    expect(await run()).toEqual([first, second]);
  });

  it('of sessions are the same again, whatever somebody else did meanwhile', async () => {
    const calm = await startApi({ seed: 7 });
    const busy = await startApi({ seed: 7, profile: { foreignCreateEveryMs: OFTEN } });
    expect(await busy.session()).toBe(await calm.session());
    await waitUntil('somebody else', () => rowsOf(busy, 'create').length > 0);
    expect(await busy.session()).toBe(await calm.session());
  });
});

describe('the report', () => {
  it('names the rows as the ledger does', async () => {
    const api = await startApi();
    await api.clips(await api.session());
    expect(api.sandbox.report().ledger.map(({ id }) => id)).toEqual((await api.rows()).map(({ id }) => id));
  });

  it('lists what each accepted create started, in order', async () => {
    const api = await startApi({ faults: [{ on: 'create', fault: { kind: 'failTask' } }] });
    const { sessionId, clips } = await readySession(api);
    const begun = Date.now();
    await api.create(sessionId, clips, 'one');
    await api.ended(sessionId);
    await api.create(sessionId, clips.slice(1), 'refused');
    await api.create(sessionId, clips, 'two');
    await api.ended(sessionId);
    expect(api.sandbox.report().sessions).toMatchObject([
      {
        creates: 2,
        trainings: [
          { taskId: sessionId, name: 'one', state: 'failed' },
          { taskId: sessionId, name: 'two', state: 'success' },
        ],
      },
    ]);
    const times = trainingsOf(api).map(({ createdAt }) => Date.parse(String(createdAt)));
    expect(times[0]).toBeGreaterThanOrEqual(begun);
    expect(times[1]).toBeGreaterThan(times[0] ?? 0);
    expect(trainingsOf(api)[0]?.['createdAt']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });
});

describe('the profile of a running sandbox', () => {
  const priceOfUpload = async (api: Api): Promise<number | undefined> => {
    await api.upload(await api.session(), tracks.urls[0] ?? '');
    return api.sandbox.report().ledger.at(-1)?.amount;
  };

  it('can be changed by request and by call; what is not named stays; a reset goes back to the start', async () => {
    const api = await startApi({ profile: { prices: { upload: 2, generate: 33 } } });
    expect(await priceOfUpload(api)).toBe(2);
    expect((await setProfile(api, { prices: { upload: 3 } })).status).toBe(200);
    expect(await priceOfUpload(api)).toBe(3);
    api.sandbox.setProfile({ sessionBeforeCreate: 'success' });
    expect(await api.status(await api.session())).toMatchObject({ status: 'success' });
    expect(await priceOfUpload(api)).toBe(3);
    await api.post('generate', { model: 'chirp-v5' });
    expect(rowsOf(api, 'generate')).toMatchObject([{ amount: 33 }]);
    api.sandbox.reset();
    expect(await priceOfUpload(api)).toBe(2);
    expect(await api.status(await api.session())).toMatchObject({ statusCode: 404 });
  });

  it('starts what happens by itself for the keys that are there', async () => {
    const api = await startApi();
    await api.session();
    await setProfile(api, { foreignCreateEveryMs: OFTEN, topUp: { everyMs: OFTEN } });
    await waitUntil('both', () => rowsOf(api, 'create').length > 0 && rowsOf(api, 'topUp').length > 0);
    expect(rowsOf(api, 'topUp')[0]).toMatchObject({ amount: -1_000 });
  });

  it.each([
    ['a field nobody knows', { prices: { upload: 1 }, colour: 'blue' }],
    ['one inside another', { prices: { upload: 1 }, topUp: { colour: 'blue' } }],
    ['a value nobody knows', { prices: { upload: 1 }, chargeAt: 'never' }],
    ['a number where fields belong', { prices: 3 }],
    ['a list', ['refuse']],
    ['what holds at the start only', { prices: { upload: 1 }, balance: 3 }],
  ])('refuses %s and stays as it was', async (_, change) => {
    const api = await startApi();
    expect((await setProfile(api, change)).status).toBe(400);
    expect(() => {
      api.sandbox.setProfile(change as ProfileChange);
    }).toThrow();
    expect(await priceOfUpload(api)).toBe(5);
  });
});

describe('the sandbox as a process', () => {
  it('takes the profile from its command line, nested fields with a dot', async () => {
    const sandbox = await startMain([
      ...['--profile', 'prices.upload=3', '--profile', 'topUp.everyMs=600', '--profile', 'topUp.amount=50'],
      ...['--profile', 'topUpRow=false', '--profile', 'sessionBeforeCreate=404', '--profile', 'balance=100'],
    ]);
    const headers = { authorization: 'Bearer sandbox-key', 'content-type': 'application/json' };
    const post = async (path: string, body: object): Promise<Body> =>
      (await (
        await fetch(`${sandbox.url}/suno/v2/customModel/${path}`, {
          method: 'POST',
          headers,
          body: JSON.stringify(body),
        })
      ).json()) as Body;
    const { sessionId } = await post('prepare', {});
    await post('upload', { sessionId, audioUrl: tracks.urls[0] });
    const report = await (await fetch(`${sandbox.url}/_sandbox/report`)).json();
    expect(report).toMatchObject({ ledger: [{ kind: 'upload', amount: 3 }] });
    await waitUntil('a top-up', async () => {
      const response = await fetch(`${sandbox.billingUrl}/api-user/credits`, {
        headers: { 'x-api-key': 'sandbox-key' },
      });
      const { credits } = (await response.json()) as { credits: number };
      return credits > 100 && (credits - 97) % 50 === 0;
    });
  });

  /** The command line in this process, since dist/ is not built for these tests. Closed when the test has ended. */
  async function startMain(argv: string[]): Promise<{ url: string; billingUrl: string }> {
    const before = process.argv;
    const listeners = process.listeners('SIGTERM');
    process.argv = [...before.slice(0, 2), '--json', ...argv];
    const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await import('../../src/sandbox/main.js');
      const line = await waitUntil('it listens', () =>
        written.mock.calls.map(([text]) => String(text)).find((text) => text.startsWith('{"url"')),
      );
      onTestFinished(() => {
        const [end] = process.listeners('SIGTERM').filter((listener) => !listeners.includes(listener));
        end?.('SIGTERM');
      });
      return JSON.parse(line) as { url: string; billingUrl: string };
    } finally {
      written.mockRestore();
      process.argv = before;
    }
  }
});
