import { describe, expect, it } from 'vitest';
import { failureOf, whatItProves } from '../../src/activities/classify.js';
import {
  type Answer,
  AnsweredError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from '../../src/mountsea/errors.js';

const REQUEST = 'POST /suno/v2/customModel/create';

function answered(status: number, message?: string, more: Partial<Answer> = {}): AnsweredError {
  return new AnsweredError(REQUEST, {
    status,
    raw: '',
    ...(message === undefined ? {} : { message }),
    ...more,
  });
}

describe('what a failed request proves', () => {
  it.each([
    // number, words, proof
    [400, 'clipIds must be of this session', 'Refused'],
    [404, undefined, 'Refused'],
    [422, 'name too long', 'Refused'],
    [401, undefined, 'Credentials'],
    [403, 'Forbidden', 'Credentials'],
    [402, undefined, 'InsufficientCredits'],
    [429, undefined, 'RateLimited'],
    // Words before numbers: resellers of this service use numbers of their own.
    [429, 'Insufficient credits', 'InsufficientCredits'],
    [400, 'insufficient credits', 'InsufficientCredits'],
    [400, 'You have reached the model limit', 'AccountLimit'],
    [403, 'maximum number of models reached', 'AccountLimit'],
    [430, 'Requests are too frequent', 'RateLimited'],
    // Nothing is proved.
    [408, undefined, 'Ambiguous'],
    [409, 'already exists', 'Ambiguous'],
    [409, 'insufficient credits', 'Ambiguous'],
    [301, undefined, 'Ambiguous'],
    [500, undefined, 'Ambiguous'],
    [502, 'insufficient credits', 'Ambiguous'],
    [503, 'too frequent', 'Ambiguous'],
    [455, 'maintenance', 'Ambiguous'],
    [418, undefined, 'Ambiguous'],
  ])('%i %s is %s', (status, message, type) => {
    expect(whatItProves(answered(status, message)).type).toBe(type);
  });

  it('reads the words in an error code as well as in a message', () => {
    const error = answered(429, undefined, { code: 'INSUFFICIENT_CREDITS' });
    expect(whatItProves(error).type).toBe('InsufficientCredits');
  });

  it('believes "not sent" only from the error that says so', () => {
    expect(whatItProves(new NotSentError(REQUEST, 'refused')).type).toBe('NotSent');
    expect(whatItProves(new PossiblySentError(REQUEST, 'reset')).type).toBe('Ambiguous');
  });

  it('takes a 2xx that cannot be read as ambiguous and keeps what came', () => {
    const error = new UnreadableAnswerError(REQUEST, { status: 201, raw: '{"task":7}' }, 'it names no task');
    expect(whatItProves(error)).toMatchObject({ type: 'Ambiguous', details: { raw: '{"task":7}' } });
  });

  it('takes an error of any other kind as ambiguous and does not repeat its message', () => {
    const proof = whatItProves(new TypeError('https://cdn.example/a.mp3?signature=secret'));
    expect(proof).toEqual({ type: 'Ambiguous', message: 'unexpected TypeError', details: {} });
  });
});

describe('the failure that Temporal gets', () => {
  it('is repeatable only for the proofs that the activity names', () => {
    expect(failureOf(new NotSentError(REQUEST, 'refused'), ['NotSent']).nonRetryable).toBe(false);
    expect(failureOf(new NotSentError(REQUEST, 'refused'), []).nonRetryable).toBe(true);
    expect(failureOf(new PossiblySentError(REQUEST, 'reset'), ['NotSent']).nonRetryable).toBe(true);
  });

  it('obeys Retry-After', () => {
    const failure = failureOf(answered(429, undefined, { retryAfterMs: 7_000 }), ['RateLimited']);
    expect(failure.nextRetryDelay).toBe(7_000);
  });
});
