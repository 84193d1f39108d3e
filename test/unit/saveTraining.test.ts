import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { createSaveTraining } from '../../src/activities/saveTraining.js';
import type { TrainingRecord } from '../../src/contract/record.js';

it('a file of --save that cannot be written is told once and not tried for ever: the training is paid for', async () => {
  const saveTraining = createSaveTraining({ writesFiles: true } as Parameters<typeof createSaveTraining>[0]);
  const failure: unknown = await saveTraining({
    path: '/dev/null/saved.json',
    record: {} as TrainingRecord,
  }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ nonRetryable: true, type: 'SaveFailed' });
  expect((failure as Error).message).toContain('/dev/null/saved.json cannot be written');
});
