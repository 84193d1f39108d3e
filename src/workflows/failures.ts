/**
 * Workflow sandbox: reads what an activity's failure proves. What arrives is an `ActivityFailure`; the proof is its cause.
 */
import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { SubmitHeartbeat } from '../activities/sendOnce.js';
import { type ActivityFailureDetails, ActivityFailureType } from '../contract/failures.js';

export interface ProvenFailure {
  type: ActivityFailureType;
  message: string;
  details: ActivityFailureDetails;
  /** Nobody saw the end of the request: its worker may still be writing it. */
  isWorkerLost: boolean;
  /** What the worker last said of itself. */
  lastHeartbeat?: unknown;
}

/**
 * @returns undefined for anything that is no failed request: a cancellation, a bug. Let it pass.
 *
 * A time-out means that the worker was lost, whatever its heartbeat said last: that proves nothing.
 */
export function provenFailure(error: unknown): ProvenFailure | undefined {
  if (!(error instanceof ActivityFailure)) return undefined;
  const { cause } = error;
  if (cause instanceof TimeoutFailure) {
    return {
      type: ActivityFailureType.Ambiguous,
      message: 'the worker was lost while the request was out',
      details: {},
      isWorkerLost: true,
      lastHeartbeat: cause.lastHeartbeatDetails,
    };
  }
  if (cause instanceof ApplicationFailure && isKnown(cause.type)) {
    return {
      type: cause.type,
      message: cause.message,
      details: cause.details?.[0] ?? {},
      isWorkerLost: false,
    };
  }
  return undefined;
}

/**
 * A failed request of a kind that is not known here proves nothing.
 *
 * @returns undefined where it is no failed request, or a cancellation.
 */
function unexplained(error: unknown): ProvenFailure | undefined {
  if (!(error instanceof ActivityFailure) || isCancellation(error)) return undefined;
  return {
    type: ActivityFailureType.Ambiguous,
    message: `the request ended in an unexpected way: ${error.cause?.message ?? error.message}`,
    details: {},
    isWorkerLost: false,
  };
}

/** What came of a paid request: the task that it was accepted as and what shows it, or what its failure proves. */
export type Sent = { taskId: string; proof: string } | { failure: ProvenFailure };

/**
 * Waits for a paid request that was ordered. So what is not understood is a doubt, and no reason to end.
 *
 * @param what it is called in a sentence.
 * @throws what is no failed request, and a cancellation.
 */
export async function sent(what: string, request: Promise<{ taskId: string }>): Promise<Sent> {
  try {
    const { taskId } = await request;
    return { taskId, proof: `${what} was accepted as task ${taskId}` };
  } catch (error) {
    const failure = provenFailure(error) ?? unexplained(error);
    if (failure === undefined) throw error;
    const { answer } = (failure.lastHeartbeat ?? {}) as Partial<SubmitHeartbeat>;
    if (answer === undefined) return { failure };
    const { taskId } = answer;
    return { taskId, proof: `${what} was accepted as task ${taskId}; its worker was lost just after` };
  }
}

/** No byte of a paid request left: it may be sent by the same decision. */
export function isUnsent({ type }: ProvenFailure): boolean {
  return UNSENT.has(type);
}

const UNSENT = new Set<ActivityFailureType>([
  ActivityFailureType.NotSent,
  ActivityFailureType.HeldBack,
  ActivityFailureType.WrongOrigin,
  ActivityFailureType.GrantElsewhere,
]);

function isKnown(type: string | null | undefined): type is ActivityFailureType {
  return Object.values<string | null | undefined>(ActivityFailureType).includes(type);
}
