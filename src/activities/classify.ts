/**
 * Activity side. The one place that says what a failed request proves, and turns it into a failure that Temporal
 * understands (design, section 5, point 4). The HTTP client reports; nothing else in the program judges an error.
 */
import { ApplicationFailure } from '@temporalio/activity';
import { type ActivityFailureDetails, ActivityFailureType } from '../contract/failures.js';
import {
  type Answer,
  AnsweredError,
  MountseaError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from '../mountsea/errors.js';

/** What a failed request proves about its effect. */
export interface Proof {
  type: ActivityFailureType;
  /** One sentence; holds no secret, since the client's errors hold none. */
  message: string;
  details: ActivityFailureDetails;
}

/**
 * An error that did not come from the HTTP client is a bug somewhere: it proves nothing either. Its message is left out,
 * since nobody took the secrets from it.
 */
export function whatItProves(error: unknown): Proof {
  if (!(error instanceof MountseaError)) {
    const name = error instanceof Error ? error.name : typeof error;
    return { type: ActivityFailureType.Ambiguous, message: `unexpected ${name}`, details: {} };
  }
  // A part of an answer proves no more than none, but what came of it is kept.
  const hasAnswer =
    error instanceof AnsweredError ||
    error instanceof UnreadableAnswerError ||
    error instanceof PossiblySentError;
  const answer = hasAnswer ? error.answer : undefined;
  return {
    type: typeOf(error, answer),
    message: error.message,
    details: answer === undefined ? {} : detailsOf(answer),
  };
}

/**
 * The failure to throw from an activity.
 *
 * @param repeatable what Temporal's retry policy may send again. Everything else is left to the workflow.
 */
export function failureOf(error: unknown, repeatable: readonly ActivityFailureType[]): ApplicationFailure {
  return failureFrom(whatItProves(error), repeatable);
}

export function failureFrom(proof: Proof, repeatable: readonly ActivityFailureType[]): ApplicationFailure {
  const { retryAfterMs } = proof.details;
  return ApplicationFailure.create({
    type: proof.type,
    message: proof.message,
    nonRetryable: !repeatable.includes(proof.type),
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: Math.max(retryAfterMs, 1) }),
    details: [proof.details],
  });
}

function typeOf(error: MountseaError, answer: Answer | undefined): ActivityFailureType {
  if (error instanceof NotSentError) return ActivityFailureType.NotSent;
  if (error instanceof AnsweredError && answer !== undefined) return refusalIn(answer);
  return ActivityFailureType.Ambiguous;
}

/**
 * Only a 4xx can be a refusal, and 408 and 409 are none: the first may come after the effect, the second may be the
 * effect of an earlier send. Words come before numbers, since resellers of this service say "insufficient credits"
 * with 429 (mountsea-api, quirk 13).
 */
function refusalIn({ status, code, message }: Answer): ActivityFailureType {
  if (status < 400 || status >= 500 || status === 408 || status === 409) return ActivityFailureType.Ambiguous;
  const words = `${code ?? ''} ${message ?? ''}`.toLowerCase().replaceAll('_', ' ');
  if (/too frequent|too many requests|rate limit/.test(words)) return ActivityFailureType.RateLimited;
  // Of the number of models; a name that is too long has a maximum as well.
  if (
    /model limit|(limit|maximum|number|many|more)\b.*\bmodels\b|\bmodels\b.*\b(limit|maximum)/.test(words)
  ) {
    return ActivityFailureType.AccountLimit;
  }
  if (/credits|insufficient balance|not enough balance/.test(words)) {
    return ActivityFailureType.InsufficientCredits;
  }
  switch (status) {
    case 400:
    case 404:
    case 422:
      return ActivityFailureType.Refused;
    case 401:
    case 403:
      return ActivityFailureType.Credentials;
    case 402:
      return ActivityFailureType.InsufficientCredits;
    case 429:
      return ActivityFailureType.RateLimited;
    default:
      return ActivityFailureType.Ambiguous;
  }
}

function detailsOf({ status, code, message, retryAfterMs, raw }: Answer): ActivityFailureDetails {
  return {
    status,
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { said: message }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(raw === '' ? {} : { raw }),
  };
}
