/**
 * Activity side: tells the account workflow that a training has ended, with the ledger rows of its time, and gets back
 * which of them are its own.
 */
import {
  type Asker,
  CLOSE_TRAINING_UPDATE,
  type ClosedTraining,
  type CloseTraining,
} from '../contract/account.js';
import { asker, updateAccount } from './accountClient.js';
import type { ActivityDependencies } from './dependencies.js';

export type CloseTrainingInput = Omit<CloseTraining, keyof Asker>;

export function createCloseTraining({ accountWorkflowId }: ActivityDependencies) {
  return function closeTraining(input: CloseTrainingInput): Promise<ClosedTraining> {
    return updateAccount<ClosedTraining>(accountWorkflowId, CLOSE_TRAINING_UPDATE, {
      ...asker(),
      ...input,
    } satisfies CloseTraining);
  };
}
