/**
 * Activity side: the one request that costs 100 credits (design, section 5, point 3), sent as `sendOnce` says. With the
 * connection open it looks whether a create landed already.
 */
import type { SessionStatus } from '../contract/money.js';
import { shownBySession } from '../money/verdict.js';
import type { Mountsea, StartedTask } from '../mountsea/types.js';
import { whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';
import { sessionStatus } from './readWitnesses.js';
import { type Objection, type SendInput, sendOnce } from './sendOnce.js';

export interface SubmitTrainingInput extends SendInput {
  sessionId: string;
  clipIds: string[];
  name: string;
  /** The session before the send. */
  baseline: SessionStatus;
}

/** `raw` stays in the history: it is an answer that cost money. */
export type SubmittedTraining = StartedTask;

export function createSubmitTraining({ mountsea, affinity }: ActivityDependencies) {
  return async function submitTraining(input: SubmitTrainingInput): Promise<SubmittedTraining> {
    const { sessionId, clipIds, name } = input;
    return sendOnce(
      'Create',
      affinity(),
      input,
      (options) => mountsea.create({ sessionId, clipIds, name }, options),
      () => whyNotSend(mountsea, input),
    );
  };
}

async function whyNotSend(
  mountsea: Mountsea,
  { sessionId, baseline, timeoutMs }: SubmitTrainingInput,
): Promise<Objection | undefined> {
  let now: SessionStatus;
  try {
    now = await sessionStatus(mountsea, sessionId, { timeoutMs });
  } catch (error) {
    return { why: `the session could not be looked at: ${whatItProves(error).message}` };
  }
  const landed = shownBySession(now, baseline);
  return landed === undefined ? undefined : { why: landed, landed };
}
