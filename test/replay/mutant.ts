/**
 * A workflow that is incompatible on purpose: it waits before it prepares. Replay must reject it.
 */
import { sleep } from '@temporalio/workflow';
import type { TrainCustomModelInput, TrainedModel } from '../../src/contract/training.js';
import { trainCustomModel as original } from '../../src/workflows/trainCustomModel.js';

export async function trainCustomModel(input: TrainCustomModelInput): Promise<TrainedModel> {
  await sleep(1_000);
  return original(input);
}
