/**
 * The activities over real HTTP, one at a time, outside any workflow.
 */
import type { ServerResponse } from 'node:http';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { type Activities, createActivities } from '../../src/activities/index.js';
import { against, API_KEY, CREATE, errorOf, type Fixture, SESSION } from '../mountsea/harness.js';
import { type Handler, reply } from '../support/http.js';

async function activitiesAgainst(handler: Handler): Promise<{ activities: Activities; fixture: Fixture }> {
  const fixture = await against(handler);
  const activities = createActivities({
    mountsea: fixture.mountsea,
    affinity: () => ({ origin: fixture.server.url, keyFingerprint: '0a1b2c3d' }),
  });
  return { activities, fixture };
}

/** Runs an activity as a worker would. */
function run<I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> {
  return new MockActivityEnvironment().run(activity, input);
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
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const input = { affinity, sessionId: SESSION, audioUrl: 'https://cdn.example/1.mp3?sig=sesame' };
    const failure = await failureOf(run(activities.uploadClip, input));
    expect(failure).toMatchObject({ type: 'Ambiguous', nonRetryable: true });
    expect(JSON.stringify([failure.message, failure.details])).not.toMatch(/sesame/);
    expect(fixture.server.requests).toHaveLength(1);
  });

  it('lets Temporal send again what was refused for now', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 429, {}, { 'retry-after': '3' });
    });
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const failure = await failureOf(
      run(activities.uploadClip, { affinity, sessionId: SESSION, audioUrl: 'https://cdn.example/1.mp3' }),
    );
    expect(failure).toMatchObject({ type: 'RateLimited', nonRetryable: false, nextRetryDelay: 3_000 });
  });
});

describe('submitTraining', () => {
  it('is never left to Temporal to repeat, whatever the answer', async () => {
    for (const code of [400, 401, 402, 429, 500]) {
      const { activities, fixture } = await activitiesAgainst((_, response) => {
        reply(response, code, {});
      });
      const affinity = { origin: fixture.server.url, keyFingerprint: '' };
      const failure = await failureOf(run(activities.submitTraining, { affinity, ...CREATE }));
      expect(failure.nonRetryable).toBe(true);
      expect(fixture.server.requests).toHaveLength(1);
    }
  });

  it('runs to its end when the training is cancelled, since an aborted answer would be lost', async () => {
    let answer: () => void = () => undefined;
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      answer = () => {
        reply(response, 201, { taskId: SESSION });
      };
    });
    const environment = new MockActivityEnvironment();
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const submitted = environment.run(activities.submitTraining, { affinity, ...CREATE });
    await fixture.server.received(1);
    environment.cancel();
    answer();
    expect(await submitted).toMatchObject({ taskId: SESSION });
  });

  it('keeps a raw answer that it could not read: it may have cost 100 credits', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 201, { job: 17 });
    });
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const failure = await failureOf(run(activities.submitTraining, { affinity, ...CREATE }));
    expect(failure.details?.[0]).toMatchObject({ status: 201, raw: '{"job":17}' });
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
      run(uploadClip, { affinity, sessionId: SESSION, audioUrl: 'https://x.example/1.mp3' }),
      run(checkTasks, { affinity, taskIds: ['a'] }),
      run(submitTraining, { affinity, ...CREATE }),
    ];
    for (const attempt of attempts) {
      expect(await failureOf(attempt)).toMatchObject({ type: 'WrongOrigin', nonRetryable: false });
    }
    expect(fixture.server.requests).toEqual([]);
  });

  it('lets no key into a failure, even where the API echoes it', async () => {
    const { activities, fixture } = await activitiesAgainst((_, response) => {
      reply(response, 400, { message: `bad key ${API_KEY}` });
    });
    const affinity = { origin: fixture.server.url, keyFingerprint: '' };
    const failure = await failureOf(run(activities.submitTraining, { affinity, ...CREATE }));
    expect(JSON.stringify([failure.message, failure.details])).not.toContain(API_KEY);
  });
});
