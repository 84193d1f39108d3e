/**
 * Activity side: asks Mountsea to fetch one file into a session. Each call may cost credits, so Temporal repeats it only
 * where it provably had no effect; everything else goes back to the workflow, which counts it as a try. In a reset run
 * what an earlier run has paid for is taken instead.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import { TRAINING_MEMO } from '../contract/messages.js';
import type { TrainingMemo } from '../contract/progress.js';
import type { FileSource } from '../contract/training.js';
import { asker } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import { withHeartbeat } from './heartbeat.js';
import type { ActivityDependencies } from './dependencies.js';
import { urlOfStaged } from './stageFile.js';

const REPEATABLE = [ActivityFailureType.NotSent, ActivityFailureType.RateLimited] as const;

export interface UploadClipInput {
  affinity: Affinity;
  sessionId: string;
  /** The run that claimed the session: in any other one, earlier runs may have uploaded this file. */
  firstRunId: string;
  file: number;
  label: string;
  /** What Mountsea fetches; or `source`. */
  audioUrl?: string;
  /** A local file that is staged: its URL is made just before the request, and never comes into the history. */
  source?: FileSource;
  /** From connect to last byte, ms. */
  timeoutMs: number;
  /** The first upload of this file in this run. */
  isFirstTry: boolean;
}

export interface StartedUpload {
  taskId: string;
  /** Nothing was sent: an earlier run had this task. */
  isSalvaged?: boolean;
  /** An earlier run had its clip already. */
  clipId?: string;
}

export function createUploadClip({ mountsea, affinity, staging }: ActivityDependencies) {
  return async function uploadClip(input: UploadClipInput): Promise<StartedUpload> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const { sessionId, source, timeoutMs } = input;
    const { workflowId, runId } = asker();
    if (input.isFirstTry && runId !== input.firstRunId) {
      const salvaged = await salvage(workflowId, runId, input);
      if (salvaged !== undefined) return salvaged;
    }
    const audioUrl = source === undefined ? input.audioUrl : await urlOfStaged(staging, source);
    if (audioUrl === undefined) throw ApplicationFailure.nonRetryable('No source was given.');
    try {
      // No cancellation signal: an aborted request may have been charged all the same, and then nobody would know
      // its task. It ends by itself within the time-out (docs/decisions/0001).
      const { taskId } = await withHeartbeat(
        () => 'upload',
        () => mountsea.upload({ sessionId, audioUrl }, { timeoutMs }),
      );
      return { taskId };
    } catch (error) {
      throw failureOf(error, REPEATABLE);
    }
  };
}

/** What the memos of the earlier runs say of this file: a clip, else a task that may still end well. */
async function salvage(
  workflowId: string,
  runId: string,
  { sessionId, file, label, source }: UploadClipInput,
): Promise<StartedUpload | undefined> {
  const { client } = Context.current();
  let task: StartedUpload | undefined;
  const query = `WorkflowId = '${workflowId.replaceAll("'", "''")}'`;
  for await (const run of client.workflow.list({ query })) {
    const memo = run.memo?.[TRAINING_MEMO] as TrainingMemo | undefined;
    if (run.runId === runId || memo?.sessionId !== sessionId) continue;
    const known = memo.uploads.find(
      (upload) =>
        upload.file === file && isSameLabel(upload.label, label) && upload.sha256 === source?.sha256,
    );
    if (known?.clipId !== undefined) {
      return { taskId: known.taskId ?? known.clipId, clipId: known.clipId, isSalvaged: true };
    }
    // The server lists the newest run first; an older run's task may be one that has failed since.
    if (known?.taskId !== undefined) task ??= { taskId: known.taskId, isSalvaged: true };
  }
  return task;
}

/** Labels in a memo are cut; a replaced file has another one. */
function isSameLabel(kept: string, label: string): boolean {
  return kept === label || (kept.endsWith('…') && label.startsWith(kept.slice(0, -1)));
}
