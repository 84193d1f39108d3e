/**
 * Activity side: the registry (contract/record.ts). A record is written before create is sent, and again whenever a
 * training ends; all of it may be repeated.
 */
import { activityInfo, Context } from '@temporalio/activity';
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import {
  ALIAS_MEMO,
  RECORD_MEMO,
  RECORD_SIGNAL,
  RECORD_WORKFLOW,
  recordIdFor,
  recordStart,
  type RecordInput,
  type TrainingRecord,
} from '../contract/record.js';
import type { Source } from '../contract/training.js';
import { TRAINING_MEMO } from '../contract/messages.js';
import type { TrainingMemo } from '../contract/progress.js';
import type { ActivityDependencies } from './dependencies.js';

export interface RecordTrainingInput {
  record: TrainingRecord;
  /** Name and sources after a correction: they find this training from now on too. */
  alias?: { name: string; sources: Source[] };
  timeScale?: number;
}

export function createRecordTraining({ identify }: ActivityDependencies) {
  return async function recordTraining({ record, alias, timeScale }: RecordTrainingInput): Promise<void> {
    const { client } = Context.current();
    const { taskQueue } = activityInfo();
    await client.workflow.signalWithStart(RECORD_WORKFLOW, {
      ...recordStart(record, timeScale),
      taskQueue,
      signal: RECORD_SIGNAL,
      signalArgs: [record],
    });
    if (alias === undefined) return;
    const aliasId = identify(alias);
    if (aliasId === record.workflowId) return;
    try {
      await client.workflow.start(RECORD_WORKFLOW, {
        workflowId: recordIdFor(aliasId),
        taskQueue,
        args: [{ aliasOf: record.workflowId } satisfies RecordInput],
        memo: { [ALIAS_MEMO]: record.workflowId },
        staticSummary: `Another name of ${record.workflowId}`.slice(0, 190),
      });
    } catch (error) {
      // That identity has a training, or an alias, of its own: it keeps it.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
}

/** How a training ended that could not say so: its memo, where the server still has it. */
export interface EndedFromOutside {
  memo?: TrainingMemo;
}

/** Looks whether a training was terminated or deleted. @returns undefined where it was not. */
export async function lookForEnd({
  workflowId,
}: {
  workflowId: string;
}): Promise<EndedFromOutside | undefined> {
  try {
    const { status, memo } = await Context.current().client.workflow.getHandle(workflowId).describe();
    if (status.name !== 'TERMINATED' && status.name !== 'TIMED_OUT') return undefined;
    const last = memo?.[TRAINING_MEMO] as TrainingMemo | undefined;
    return last === undefined ? {} : { memo: last };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return {};
    throw error;
  }
}

/** @returns undefined where the training has none. */
export async function recordOf(trainingWorkflowId: string): Promise<TrainingRecord | undefined> {
  try {
    const handle = Context.current().client.workflow.getHandle(recordIdFor(trainingWorkflowId));
    const { memo } = await handle.describe();
    return memo?.[RECORD_MEMO] as TrainingRecord | undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
