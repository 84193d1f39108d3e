/** What the workflow makes of the end of a paid request. */
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { ActivityFailureType } from '../../src/contract/failures.js';
import { sent } from '../../src/workflows/failures.js';

function failed(cause: Error): Promise<{ taskId: string }> {
  return Promise.reject(
    new ActivityFailure('failed', 'submitSong', '1', 'RETRY_POLICY_NOT_SET', undefined, cause),
  );
}
const lostAfter = (heartbeat: object): Promise<{ taskId: string }> =>
  failed(new TimeoutFailure('no heartbeat', heartbeat, 'HEARTBEAT'));

describe('a paid request', () => {
  it('is accepted where it was answered, also where its worker was lost with the answer', async () => {
    expect(await sent('it', Promise.resolve({ taskId: 't' }))).toEqual({
      taskId: 't',
      proof: 'it was accepted as task t',
    });
    expect(await sent('it', lostAfter({ step: 'answered', answer: { taskId: 't' } }))).toEqual({
      taskId: 't',
      proof: 'it was accepted as task t; its worker was lost just after',
    });
  });

  it('is what its failure proves, and in doubt where that is nothing', async () => {
    const refused = ApplicationFailure.nonRetryable('bad name', ActivityFailureType.Refused, {
      status: 400,
    });
    expect(await sent('it', failed(refused))).toMatchObject({
      failure: { type: ActivityFailureType.Refused, details: { status: 400 }, isWorkerLost: false },
    });
    expect(await sent('it', lostAfter({ step: 'written' }))).toMatchObject({
      failure: { type: ActivityFailureType.Ambiguous, isWorkerLost: true },
    });
    expect(await sent('it', failed(new Error('what nobody knows')))).toMatchObject({
      failure: { type: ActivityFailureType.Ambiguous, isWorkerLost: false },
    });
  });

  it('is no doubt where nothing was ordered: a cancellation, a bug', async () => {
    await expect(sent('it', failed(new CancelledFailure('cancelled')))).rejects.toThrow(ActivityFailure);
    await expect(sent('it', Promise.reject(new TypeError('a bug')))).rejects.toThrow(TypeError);
  });
});
