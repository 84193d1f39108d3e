/**
 * Activity side: the one request that costs 100 credits (design, section 5, point 3). It is sent once: its profile has
 * `maximumAttempts: 1`, the client below has no retry, and it takes no cancellation signal, so that an answer on its way
 * is never thrown away. With the connection open it looks whether a create landed already and whether it is still time.
 */
import { ApplicationFailure, heartbeat } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { SessionStatus } from '../contract/money.js';
import { shownBySession } from '../money/verdict.js';
import { HeldBackError } from '../mountsea/errors.js';
import { asker } from './accountClient.js';
import { isSameKey, requireOrigin } from './affinity.js';
import { failureOf, whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';
import { withHeartbeat } from './heartbeat.js';
import { sessionStatus } from './readWitnesses.js';

export interface SubmitTrainingInput {
  /** The key that the baseline was read with: another one is not used. */
  affinity: Affinity;
  sessionId: string;
  clipIds: string[];
  name: string;
  /** The session before the send. */
  baseline: SessionStatus;
  /** Not a byte is written later than this, ms since 1970. */
  notAfter: number;
  /** From connect to last byte, ms. */
  timeoutMs: number;
  /** The run that the grant was given to. */
  grantedRunId: string;
}

/** `raw` stays in the history: it is an answer that cost money. */
export interface SubmittedTraining {
  taskId: string;
  raw: string;
}

/** What a heartbeat says of the request: the step is for people and proves nothing, an answer does. */
export interface SubmitHeartbeat {
  step: string;
  answer?: SubmittedTraining;
}

export function createSubmitTraining({ mountsea, affinity }: ActivityDependencies) {
  return async function submitTraining(input: SubmitTrainingInput): Promise<SubmittedTraining> {
    requireOrigin(input.affinity.origin, affinity().origin);
    if (asker().runId !== input.grantedRunId) {
      throw notWritten(
        ActivityFailureType.GrantElsewhere,
        'the grant belongs to another run of this training',
      );
    }
    if (!isSameKey(affinity(), input.affinity)) {
      throw notWritten(ActivityFailureType.HeldBack, 'the key was changed since the session was looked at');
    }
    const { sessionId, clipIds, name, timeoutMs } = input;
    const isLate = lateness(input.notAfter);
    let landed: string | undefined;
    let step = 'starting';
    try {
      return await withHeartbeat<SubmittedTraining>(
        (): SubmitHeartbeat => ({ step }),
        async () => {
          const answer = await mountsea.create(
            { sessionId, clipIds, name },
            {
              timeoutMs,
              beforeSend: async () => {
                const reason = await whyNotSend(input);
                landed = reason?.landed;
                return reason?.why;
              },
              mayWrite: isLate,
              onStep: (now) => {
                step = now;
                heartbeat({ step } satisfies SubmitHeartbeat);
              },
            },
          );
          heartbeat({ step: 'answered', answer } satisfies SubmitHeartbeat);
          return answer;
        },
      );
    } catch (error) {
      if (error instanceof HeldBackError) {
        const type = landed === undefined ? ActivityFailureType.HeldBack : ActivityFailureType.AlreadySent;
        throw notWritten(type, landed ?? error.message);
      }
      throw failureOf(error, []);
    }
  };

  async function whyNotSend({
    sessionId,
    baseline,
    timeoutMs,
  }: SubmitTrainingInput): Promise<{ why: string; landed?: string } | undefined> {
    let now: SessionStatus;
    try {
      now = await sessionStatus(mountsea, sessionId, { timeoutMs });
    } catch (error) {
      return { why: `the session could not be looked at: ${whatItProves(error).message}` };
    }
    const landed = shownBySession(now, baseline);
    return landed === undefined ? undefined : { why: landed, landed };
  }
}

/**
 * Two clocks: the wall clock goes on while the machine is suspended, the other one is not set back.
 *
 * @returns a function that says why it is too late, if it is.
 */
function lateness(notAfter: number): () => string | undefined {
  const deadline = performance.now() + (notAfter - Date.now());
  return () => {
    const late = Math.max(Date.now() - notAfter, performance.now() - deadline);
    return late > 0
      ? `it is ${Math.ceil(late / 1_000)} s too late (is the clock of this machine right?)`
      : undefined;
  };
}

function notWritten(type: ActivityFailureType, why: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message: `Create was not written: ${why}`, nonRetryable: true });
}
