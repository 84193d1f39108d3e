/**
 * The activities over real HTTP, one at a time, outside any workflow.
 */
import type { ServerResponse } from 'node:http';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { type Activities, createActivities } from '../../src/activities/index.js';
import type { AccountReading } from '../../src/money/audit.js';
import { against, API_KEY, CREATE, errorOf, type Fixture, SESSION } from '../mountsea/harness.js';
import { type Handler, reply } from '../support/http.js';
import type { SubmitTrainingInput } from '../../src/activities/submitTraining.js';
import type { UploadClipInput } from '../../src/activities/uploadClip.js';

async function activitiesAgainst(handler: Handler): Promise<{ activities: Activities; fixture: Fixture }> {
  const fixture = await against(handler);
  const activities = createActivities({
    mountsea: fixture.mountsea,
    affinity: () => affinityOf(fixture),
    accountWorkflowId: 'account-test',
    identify: () => 'train-test',
    writesFiles: false,
    webhook: { secret: () => undefined, isRefused: () => false },
  });
  return { activities, fixture };
}

const RUN = { workflowId: 'train-test', runId: 'run-1' };

function affinityOf({ server }: Fixture): { origin: string; keyFingerprint: string } {
  return { origin: server.url, keyFingerprint: '0a1b2c3d' };
}

const upload = (fixture: Fixture, audioUrl = 'https://cdn.example/1.mp3'): UploadClipInput => ({
  affinity: affinityOf(fixture),
  sessionId: SESSION,
  firstRunId: RUN.runId,
  file: 1,
  label: '1.mp3',
  audioUrl,
  timeoutMs: 30_000,
  isFirstTry: true,
});

const submit = (fixture: Fixture, more: Partial<SubmitTrainingInput> = {}): SubmitTrainingInput => ({
  affinity: affinityOf(fixture),
  ...CREATE,
  baseline: { word: 'unknown-task', models: [] },
  notAfter: Date.now() + 60_000,
  timeoutMs: 30_000,
  grantedRunId: RUN.runId,
  ...more,
});

/** Answers `status` as a service that knows no such task, and create as the test says. */
function onCreate(handler: Handler): Handler {
  return (request, response) => {
    if (request.method === 'GET') reply(response, 404, { message: 'task not found' });
    else handler(request, response);
  };
}

const creates = ({ server }: Fixture): number =>
  server.requests.filter(({ path }) => path.includes('customModel/create')).length;

/** Runs an activity as a worker would. */
function run<I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> {
  return new MockActivityEnvironment({ workflowExecution: RUN }).run(activity, input);
}

async function failureOf(promise: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await errorOf(promise);
  if (error instanceof ApplicationFailure) return error;
  throw error;
}

/** Answers each path ending from a table; everything else 500. */
function byTask(answers: Record<string, (response: ServerResponse) => void>): Handler {
  return (request, response) => {
    const task = new URL(request.path, 'http://x').searchParams.get('taskId') ?? '';
    const answer = answers[task];
    if (answer === undefined) reply(response, 500, {});
    else answer(response);
  };
}

const status =
  (word: string, more: object = {}) =>
  (response: ServerResponse): void => {
    reply(response, 200, { taskId: 't', status: word, createdAt: '2026-01-01T00:00:00Z', ...more });
  };

describe('checkTasks', () => {
  it('gives an outcome for each task, whatever befell the others', async () => {
    const { activities, fixture } = await activitiesAgainst(
      byTask({
        running: status('running'),
        done: status('success', { data: { id: 'clip-1' } }),
        bad: status('failed', { failReason: 'not audio', failCode: 7 }),
        late: status('timeout'),
        odd: status('Polishing'),
        missing: (response) => {
          reply(response, 404, { message: 'no such task' });
        },
      }),
    );
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const taskIds = ['running', 'done', 'bad', 'late', 'odd', 'missing', 'down'];
    const outcomes = await run(activities.checkTasks, { affinity, taskIds });
    expect(outcomes).toMatchObject([
      { taskId: 'running', kind: 'pending', status: 'running', expected: true },
      { taskId: 'done', kind: 'succeeded', clipIds: ['clip-1'] },
      { taskId: 'bad', kind: 'failed', reason: 'not audio', code: '7' },
      { taskId: 'late', kind: 'failed', reason: 'timed out at Mountsea' },
      { taskId: 'odd', kind: 'pending', status: 'Polishing', expected: false },
      { taskId: 'missing', kind: 'pending', status: 'not found', expected: false },
      { taskId: 'down', kind: 'unseen' },
    ]);
  });

  it('throws a failure that Temporal may retry only when every look failed', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 503, {}, { 'retry-after': '9' });
    });
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const failure = await failureOf(run(activities.checkTasks, { affinity, taskIds: ['a', 'b'] }));
    expect(failure.nonRetryable).toBe(false);
    expect(failure.nextRetryDelay).toBe(9_000);
  });

  it('leaves a refused key to the workflow, which shows it', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 401, {});
    });
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const failure = await failureOf(run(activities.checkTasks, { affinity, taskIds: ['a'] }));
    expect(failure).toMatchObject({ type: 'Credentials', nonRetryable: true });
  });
});

describe('uploadClip', () => {
  it.each([
    ['a reset connection', (response: ServerResponse) => response.socket?.destroy()],
    [
      'a server error',
      (response: ServerResponse) => {
        reply(response, 500, {});
      },
    ],
    [
      'a body that cannot be read',
      (response: ServerResponse) => {
        reply(response, 201, '<html>');
      },
    ],
  ])('does not let Temporal send again after %s', async (_, answer) => {
    const { activities, fixture } = await activitiesAgainst((_request, response) => {
      answer(response);
    });
    const input = upload(fixture, 'https://cdn.example/1.mp3?sig=sesame');
    const failure = await failureOf(run(activities.uploadClip, input));
    expect(failure).toMatchObject({ type: 'Ambiguous', nonRetryable: true });
    expect(JSON.stringify([failure.message, failure.details])).not.toMatch(/sesame/);
    expect(fixture.server.requests).toHaveLength(1);
  });

  it('lets Temporal send again what was refused for now', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 429, {}, { 'retry-after': '3' });
    });
    const failure = await failureOf(run(activities.uploadClip, upload(fixture)));
    expect(failure).toMatchObject({ type: 'RateLimited', nonRetryable: false, nextRetryDelay: 3_000 });
  });
});

describe('submitTraining', () => {
  it('is never left to Temporal to repeat, whatever the answer', async () => {
    for (const code of [400, 401, 402, 429, 500]) {
      const { activities, fixture } = await activitiesAgainst(
        onCreate((_, response) => {
          reply(response, code, {});
        }),
      );
      const failure = await failureOf(run(activities.submitTraining, submit(fixture)));
      expect(failure.nonRetryable).toBe(true);
      expect(creates(fixture)).toBe(1);
    }
  });

  it('runs to its end when the training is cancelled, since an aborted answer would be lost', async () => {
    let answer: () => void = () => undefined;
    const { activities, fixture } = await activitiesAgainst(
      onCreate((_, response) => {
        answer = () => {
          reply(response, 201, { taskId: SESSION });
        };
      }),
    );
    const environment = new MockActivityEnvironment({ workflowExecution: RUN });
    const submitted = environment.run(activities.submitTraining, submit(fixture));
    await fixture.server.received(2);
    environment.cancel();
    answer();
    expect(await submitted).toMatchObject({ taskId: SESSION });
  });

  it('keeps a raw answer that it could not read: it may have cost 100 credits', async () => {
    const { activities, fixture } = await activitiesAgainst(
      onCreate((_, response) => {
        reply(response, 201, { job: 17 });
      }),
    );
    const failure = await failureOf(run(activities.submitTraining, submit(fixture)));
    expect(failure.details?.[0]).toMatchObject({ status: 201, raw: '{"job":17}' });
  });

  it('heartbeats the answer, so that a worker lost just after it leaves the proof behind', async () => {
    const { activities, fixture } = await activitiesAgainst(
      onCreate((_, response) => {
        reply(response, 201, { taskId: SESSION });
      }),
    );
    const environment = new MockActivityEnvironment({ workflowExecution: RUN });
    const beats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => beats.push(details));
    await environment.run(activities.submitTraining, submit(fixture));
    expect(beats.at(-1)).toMatchObject({ step: 'answered', answer: { taskId: SESSION } });
  });

  it.each([
    ['later than allowed', { notAfter: Date.now() - 1 }, 'HeldBack'],
    ['for another run than the one that was granted it', { grantedRunId: 'run-0' }, 'GrantElsewhere'],
    [
      'with another key than the one that looked before',
      { affinity: { origin: '', keyFingerprint: 'ffffffff' } },
      'HeldBack',
    ],
  ] satisfies [string, Partial<SubmitTrainingInput>, string][])(
    'writes nothing %s',
    async (_, more, type) => {
      const { activities, fixture } = await activitiesAgainst(
        onCreate((_request, response) => {
          reply(response, 201, { taskId: SESSION });
        }),
      );
      const input = submit(fixture, more);
      input.affinity.origin = fixture.server.url;
      expect(await failureOf(run(activities.submitTraining, input))).toMatchObject({
        type,
        nonRetryable: true,
      });
      expect(creates(fixture)).toBe(0);
    },
  );

  it('writes nothing where the session shows that a create has landed since it was looked at', async () => {
    const { activities, fixture } = await activitiesAgainst((request, response) => {
      if (request.method === 'GET') status('running')(response);
      else reply(response, 201, { taskId: SESSION });
    });
    const failure = await failureOf(run(activities.submitTraining, submit(fixture)));
    expect(failure.type).toBe('AlreadySent');
    expect(creates(fixture)).toBe(0);
  });

  it('writes nothing where the session cannot be looked at', async () => {
    const { activities, fixture } = await activitiesAgainst((request, response) => {
      reply(response, request.method === 'GET' ? 503 : 201, { taskId: SESSION });
    });
    expect((await failureOf(run(activities.submitTraining, submit(fixture)))).type).toBe('HeldBack');
    expect(creates(fixture)).toBe(0);
  });
});

describe('readWitnesses', () => {
  it.each([
    ['the session is unknown where a task that must be known is', true, 'unknown-task'],
    ['nothing of the session where no task is known at all', false, 'no task is known'],
  ])('tells that %s', async (_, isKnown, word) => {
    const control = 'an-upload';
    const { activities, fixture } = await activitiesAgainst((request, response) => {
      const isControl = request.path.includes(control);
      if (isKnown && isControl) reply(response, 200, { taskId: control, status: 'success' });
      else reply(response, 404, { message: 'Cannot GET', statusCode: 404 });
    });
    const { look } = await run(activities.readWitnesses, {
      affinity: affinityOf(fixture),
      sessionId: SESSION,
      controlTaskId: control,
      since: 0,
      withAccount: false,
    });
    expect(look.status.word).toBe(word);
  });
});

describe('readAccount', () => {
  /** Both hosts, each with a clock of its own. */
  const withClocks =
    (apiAheadMs: number, billingAheadMs: number): Handler =>
    ({ path }, response) => {
      const isBilling = path.startsWith('/api-user');
      const date = new Date(Date.now() + (isBilling ? billingAheadMs : apiAheadMs)).toUTCString();
      reply(response, isBilling ? 503 : 401, {}, { date });
    };
  const clockOf = async (handler: Handler): Promise<number | undefined> => {
    const { activities, fixture } = await activitiesAgainst(handler);
    const input = { origin: affinityOf(fixture).origin, since: Date.now(), checksKey: true };
    const reading = await new MockActivityEnvironment().run(activities.readAccount, input);
    return (reading as AccountReading).clockAheadMs;
  };

  it('says how far the clocks are apart, of the host that is off, whatever else it answers', async () => {
    // A minute this way or that is for a slow machine.
    const near = (ms: number | undefined, wanted: number): boolean => Math.abs((ms ?? 0) - wanted) < 60_000;
    expect(near(await clockOf(withClocks(-600_000, 0)), 600_000)).toBe(true);
    expect(near(await clockOf(withClocks(0, 600_000)), -600_000)).toBe(true);
    const silent: Handler = (_, response) => {
      response.sendDate = false;
      reply(response, 200, {});
    };
    expect(await clockOf(silent)).toBeUndefined();
  });
});

describe('every activity', () => {
  it('refuses a training of another API before it sends anything, so that another worker may take it', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 200, {});
    });
    const affinity = { origin: 'https://other.example', keyFingerprint: '' };
    const { checkTasks, prepareSession, submitTraining, uploadClip } = activities;
    const attempts = [
      run(prepareSession, { origin: 'https://other.example' }),
      run(uploadClip, { ...upload(fixture), affinity }),
      run(checkTasks, { affinity, taskIds: ['a'] }),
      run(submitTraining, submit(fixture, { affinity })),
    ];
    for (const attempt of attempts) {
      expect(await failureOf(attempt)).toMatchObject({ type: 'WrongOrigin', nonRetryable: false });
    }
    expect(fixture.server.requests).toEqual([]);
  });

  it('lets no key into a failure, even where the API echoes it', async () => {
    const { activities, fixture } = await activitiesAgainst(
      onCreate((_, response) => {
        reply(response, 400, { message: `bad key ${API_KEY}` });
      }),
    );
    const failure = await failureOf(run(activities.submitTraining, submit(fixture)));
    expect(JSON.stringify([failure.message, failure.details])).not.toContain(API_KEY);
  });
});
