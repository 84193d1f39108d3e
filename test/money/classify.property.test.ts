import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureOf, whatItProves } from '../../src/activities/classify.js';
import type { ActivityFailureType } from '../../src/contract/failures.js';
import { answerOf } from '../../src/mountsea/answer.js';
import {
  type Answer,
  AnsweredError,
  HeldBackError,
  NotSentError,
  PossiblySentError,
  UnreadableAnswerError,
} from '../../src/mountsea/errors.js';
import { createRedactor } from '../../src/mountsea/redact.js';
import { type Shapes, shapes } from '../../src/sandbox/options.js';
import { errorBody } from '../../src/sandbox/wire.js';

const REQUEST = 'POST /suno/v2/customModel/create';
const redactor = createRedactor();

const statuses = fc.integer({ min: 100, max: 599 });
/** What a body may say, convincing or not. */
const words = fc.oneof(
  fc.constantFrom(
    'insufficient credits',
    'INSUFFICIENT_CREDITS',
    'Too many requests, too frequent',
    'rate limit',
    'model limit reached',
    'maximum number of models',
    'clip does not belong to this session',
    'name too long',
    'already exists',
    '',
  ),
  fc.string(),
);
const answers: fc.Arbitrary<Answer> = fc
  .record({ status: statuses, message: words, code: fc.option(words, { nil: undefined }), raw: fc.string() })
  .map(({ status, message, code, raw }) => ({
    status,
    message,
    raw,
    ...(code === undefined ? {} : { code }),
  }));
/** The service said no in words, and that it did nothing. */
const NO_EFFECT: readonly ActivityFailureType[] = [
  'Refused',
  'Credentials',
  'InsufficientCredits',
  'AccountLimit',
  'RateLimited',
];
const NUM_RUNS = { numRuns: 1_000 };

describe('a failed request proves that it had no effect', () => {
  it('only by a 4xx that cannot follow an effect, whatever the words say', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const { type } = whatItProves(new AnsweredError(REQUEST, answer));
        const mayFollowAnEffect =
          answer.status < 400 || answer.status > 499 || answer.status === 408 || answer.status === 409;
        if (mayFollowAnEffect) expect(type).toBe('Ambiguous');
        else expect(['Ambiguous', ...NO_EFFECT]).toContain(type);
      }),
      NUM_RUNS,
    );
  });

  it('never by a number that nobody knows the meaning of, where no words say more', () => {
    const known = [400, 401, 402, 403, 404, 422, 429];
    const unknown = fc.integer({ min: 400, max: 499 }).filter((status) => !known.includes(status));
    fc.assert(
      fc.property(
        unknown,
        fc.constantFrom('maintenance', 'I am a teapot', 'name too long'),
        (status, message) => {
          const error = new AnsweredError(REQUEST, { status, message, raw: '' });
          expect(whatItProves(error).type).toBe('Ambiguous');
        },
      ),
    );
  });

  it('never by an answer that broke off or cannot be read, nor by an error of anybody else', () => {
    fc.assert(
      fc.property(answers, fc.string(), fc.anything(), (answer, why, thing) => {
        for (const error of [
          new PossiblySentError(REQUEST, why),
          new PossiblySentError(REQUEST, why, answer),
          new UnreadableAnswerError(REQUEST, answer, why),
          new Error(why),
          Object.assign(new Error(why), { name: 'NotSentError' }),
          thing,
        ]) {
          expect(whatItProves(error).type).toBe('Ambiguous');
        }
      }),
    );
  });

  it('by our own code seeing that nothing was written', () => {
    fc.assert(
      fc.property(fc.string(), (why) => {
        expect(whatItProves(new NotSentError(REQUEST, why)).type).toBe('NotSent');
        expect(whatItProves(new HeldBackError(REQUEST, why)).type).toBe('NotSent');
      }),
    );
  });

  it('says the same whatever form the body has', () => {
    const forms: Shapes['errorBody'][] = ['nest', 'messages', 'errorObject', 'errorText', 'errorMessage'];
    const refusals = fc.constantFrom(400, 401, 402, 403, 404, 422, 429, 430);
    const said = fc.constantFrom(
      ['You have insufficient credits', 'InsufficientCredits'],
      ['the account has reached its model limit', 'AccountLimit'],
      ['Requests are too frequent', 'RateLimited'],
    );
    fc.assert(
      fc.property(refusals, said, fc.constantFrom(...forms), (status, [message = '', type], form) => {
        const wire = errorBody(status, message, shapes.parse({ errorBody: form }));
        const reply = { status, headers: { 'content-type': wire.type }, body: wire.body, overlong: false };
        expect(whatItProves(new AnsweredError(REQUEST, answerOf(reply, redactor))).type).toBe(type);
      }),
    );
  });

  it('keeps what was answered, since it may have cost money', () => {
    fc.assert(
      fc.property(
        answers.filter(({ raw }) => raw !== ''),
        (answer) => {
          const { details } = whatItProves(new UnreadableAnswerError(REQUEST, answer, 'it is odd'));
          expect(details).toMatchObject({ raw: answer.raw, status: answer.status });
        },
      ),
    );
  });
});

describe('Temporal may repeat a request by itself', () => {
  it('never, where nothing is named: so it is for create', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        for (const error of [
          new AnsweredError(REQUEST, answer),
          new UnreadableAnswerError(REQUEST, answer, ''),
          new NotSentError(REQUEST, ''),
        ]) {
          expect(failureOf(error, []).nonRetryable).toBe(true);
        }
      }),
    );
  });

  it('of those that cost credits only one that provably had no effect: so it is for an upload', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const { nonRetryable } = failureOf(new AnsweredError(REQUEST, answer), ['NotSent', 'RateLimited']);
        const isRefusal = answer.status >= 400 && answer.status < 500 && ![408, 409].includes(answer.status);
        if (!isRefusal) expect(nonRetryable).toBe(true);
        expect(
          failureOf(new PossiblySentError(REQUEST, '', answer), ['NotSent', 'RateLimited']).nonRetryable,
        ).toBe(true);
      }),
      NUM_RUNS,
    );
  });
});
