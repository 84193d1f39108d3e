/**
 * Activity side: how a request that costs credits is sent (design, section 5, point 3). Once: its profile has
 * `maximumAttempts: 1`, the client below has no retry, and it takes no cancellation signal, so that an answer on its way
 * is never thrown away.
 */
import { ApplicationFailure, heartbeat } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import { HeldBackError } from '../mountsea/errors.js';
import type { CreateOptions, StartedTask } from '../mountsea/types.js';
import { asker } from './accountClient.js';
import { isSameKey, requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import { withHeartbeat } from './heartbeat.js';

export interface SendInput {
  /** The key that the look before it was made with: another one is not used. */
  affinity: Affinity;
  /** Not a byte is written later than this, ms since 1970. */
  notAfter: number;
  /** From connect to last byte, ms. */
  timeoutMs: number;
  /** The run that may send. */
  grantedRunId: string;
}

/** What a heartbeat says of the request: the step is for people and proves nothing, an answer does. */
export interface SubmitHeartbeat {
  step: string;
  answer?: StartedTask;
}

/** Why nothing is written. `landed`: the request has had its effect already. */
export interface Objection {
  why: string;
  landed?: string;
}

/**
 * Sends it, or says why not a byte of it was written.
 *
 * @param what it is, at the beginning of a sentence.
 * @param send hands its options to the client as they are.
 * @param whyNot looks once more, with the connection open.
 * @throws ApplicationFailure that says what is proved; Temporal repeats none of them.
 */
export async function sendOnce(
  what: string,
  own: Affinity,
  { affinity, notAfter, timeoutMs, grantedRunId }: SendInput,
  send: (options: CreateOptions) => Promise<StartedTask>,
  whyNot?: () => Promise<Objection | undefined>,
): Promise<StartedTask> {
  const notWritten = (type: ActivityFailureType, why: string): ApplicationFailure =>
    ApplicationFailure.create({ type, message: `${what} was not written: ${why}`, nonRetryable: true });
  requireOrigin(affinity.origin, own.origin);
  if (asker().runId !== grantedRunId) {
    throw notWritten(ActivityFailureType.GrantElsewhere, 'the grant belongs to another run');
  }
  if (!isSameKey(own, affinity)) {
    throw notWritten(ActivityFailureType.HeldBack, 'the key was changed since the look before it');
  }
  const mayWrite = lateness(notAfter);
  let objection: Objection | undefined;
  let step = 'starting';
  try {
    return await withHeartbeat<StartedTask>(
      (): SubmitHeartbeat => ({ step }),
      async () => {
        const answer = await send({
          timeoutMs,
          mayWrite,
          onStep: (now) => {
            step = now;
            heartbeat({ step } satisfies SubmitHeartbeat);
          },
          ...(whyNot === undefined
            ? {}
            : {
                beforeSend: async () => {
                  objection = await whyNot();
                  return objection?.why;
                },
              }),
        });
        heartbeat({ step: 'answered', answer } satisfies SubmitHeartbeat);
        return answer;
      },
    );
  } catch (error) {
    if (!(error instanceof HeldBackError)) throw failureOf(error, []);
    const { landed } = objection ?? {};
    throw landed === undefined
      ? notWritten(ActivityFailureType.HeldBack, error.message)
      : notWritten(ActivityFailureType.AlreadySent, landed);
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
