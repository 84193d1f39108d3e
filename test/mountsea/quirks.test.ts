/**
 * Section 5 of the API page: what the wire may look like. One test each, over a real server.
 */
import { describe, expect, it } from 'vitest';
import { AnsweredError, UnreadableAnswerError } from '../../src/mountsea/errors.js';
import type { TaskStatus } from '../../src/mountsea/types.js';
import { answering, CREATE, errorOf, MODEL, SESSION } from './harness.js';

const OTHER_MODEL = 'chirp-custom:99999999-2222-3333-4444-555555555555';

async function statusOf(body: object): Promise<TaskStatus> {
  const { mountsea } = await answering({ taskId: 't1', status: 'success', ...body });
  return mountsea.status('t1');
}

describe('the payload of a task', () => {
  it('is read from data', async () => {
    expect((await statusOf({ data: { id: 'c1' } })).clipIds).toEqual(['c1']);
  });
  it('is read from result where there is no data', async () => {
    expect((await statusOf({ result: { id: 'c1' } })).clipIds).toEqual(['c1']);
  });
  it.each([[{}], [[]], [null], ['']])('is read from result where data is %j', async (data) => {
    expect((await statusOf({ data, result: [{ id: 'c1' }] })).clipIds).toEqual(['c1']);
  });
  it('is data where both are there', async () => {
    expect((await statusOf({ data: { id: 'c1' }, result: { id: 'c2' } })).clipIds).toEqual(['c1']);
  });
  it.each([[undefined], [null], [{}], [[]], ['text'], [7], [true]])(
    'may be %j and then holds no clip and no model',
    async (data) => {
      expect(await statusOf({ data })).toMatchObject({ status: 'success', clipIds: [], models: [] });
    },
  );
  it('is kept as it came, without secrets', async () => {
    const { raw } = await statusOf({
      data: { odd: [1, { audio_url: 'https://cdn.example/x.mp3?sig=s3cret' }] },
    });
    expect(raw).toContain('"odd":[1,{"audio_url":"https://cdn.example/x.mp3"}]');
  });
});

describe('the takes of a song', () => {
  const seen = {
    id: 'c1',
    audio_url: 'https://cdn1.suno.ai/c1.mp3',
    image_url: 'https://cdn2.suno.ai/c1.jpeg',
    title: 'Night Drive',
    metadata: { tags: 'synthwave', duration: 121.4 },
  };
  const read = {
    id: 'c1',
    audioUrl: 'https://cdn1.suno.ai/c1.mp3',
    imageUrl: 'https://cdn2.suno.ai/c1.jpeg',
    title: 'Night Drive',
    tags: 'synthwave',
    duration: 121.4,
  };
  const { audio_url: audioUrl, image_url: imageUrl, metadata, ...rest } = seen;
  it.each([
    ['an array', [seen]],
    ['an object', seen],
    ['an array in an object', { clips: [seen] }],
    ['camelCase', [{ ...rest, audioUrl, imageUrl, ...metadata }]],
    ['two of one id', [seen, seen]],
  ])('are read from %s', async (_, data) => {
    expect((await statusOf({ data })).songs).toEqual([read]);
  });
  it('keep the query of an address, without which it does not play', async () => {
    const audio = 'https://audiopipe.suno.ai/?item_id=c1';
    const { songs } = await statusOf({ status: 'stream', data: [{ id: 'c1', audio_url: audio }] });
    expect(songs).toEqual([{ id: 'c1', audioUrl: audio }]);
  });
  it.each([
    ['no id', { audio_url: 'https://cdn1.suno.ai/c1.mp3' }],
    ['no audio yet', { ...seen, audio_url: '' }],
    ['an address that is none', { ...seen, audio_url: 'javascript:alert(1)' }],
    ['nothing', undefined],
  ])('are none with %s', async (_, data) => {
    expect((await statusOf({ data })).songs).toEqual([]);
  });
});

describe('a clip id', () => {
  it.each(['id', 'clip_id', 'clipId', 'audio_id'])('is found under %s in an object', async (field) => {
    expect((await statusOf({ data: { [field]: 'c1' } })).clipIds).toEqual(['c1']);
  });
  it.each(['id', 'clip_id', 'clipId', 'audio_id'])('is found under %s in an array of one', async (field) => {
    expect((await statusOf({ data: [{ [field]: 'c1' }] })).clipIds).toEqual(['c1']);
  });
  it.each([
    ['clip', { clip: { id: 'c1' } }],
    ['clip as a list', { clip: [{ clip_id: 'c1' }] }],
    ['clip as text', { clip: 'c1' }],
    ['clips', { clips: [{ clipId: 'c1' }] }],
    ['clips as an object', { clips: { audio_id: 'c1' } }],
    ['clips as a list of texts', { clips: ['c1'] }],
    ['clips in an array of one', [{ clips: [{ id: 'c1' }] }]],
  ])('is found nested under %s', async (_, data) => {
    expect((await statusOf({ data })).clipIds).toEqual(['c1']);
  });
  it('is the nested one where an id of something else lies beside it', async () => {
    expect((await statusOf({ data: { id: 'row 5', clip: { id: 'c1' } } })).clipIds).toEqual(['c1']);
  });
  it('is the one that says clip where an object has two', async () => {
    expect((await statusOf({ data: { id: 'row 5', clip_id: 'c1' } })).clipIds).toEqual(['c1']);
  });
  it('is text also where it comes as a number', async () => {
    expect((await statusOf({ data: { id: 12 } })).clipIds).toEqual(['12']);
  });
  it('is not guessed where there are two: both are given', async () => {
    expect((await statusOf({ data: [{ id: 'c1' }, { id: 'c2' }, { id: 'c1' }] })).clipIds).toEqual([
      'c1',
      'c2',
    ]);
  });
  it('is never a model id', async () => {
    expect(await statusOf({ data: { id: MODEL } })).toMatchObject({
      clipIds: [],
      models: [{ modelId: MODEL }],
    });
  });
});

describe('a model id', () => {
  it.each([
    ['a field of the payload', { data: { modelId: MODEL } }],
    ['a field of result', { result: { model: MODEL } }],
    ['an array', { data: [{ x: MODEL }] }],
    ['a list of texts', { data: [MODEL] }],
    ['a deeper object', { data: { a: { b: [{ c: { d: MODEL } }] } } }],
    ['the middle of a sentence', { data: { message: `Use ${MODEL} from now on.` } }],
    ['JSON within a text', { data: JSON.stringify({ model: MODEL }) }],
    ['a key', { data: { models: { [MODEL]: {} } } }],
    ['the body beside the payload', { data: {}, customModel: MODEL }],
  ])('is found in %s', async (_, body) => {
    expect((await statusOf(body)).models).toEqual([{ modelId: MODEL }]);
  });
  it.each(['name', 'modelName', 'model_name', 'title'])('comes with the %s beside it', async (field) => {
    expect((await statusOf({ data: { id: MODEL, [field]: 'mine' } })).models).toEqual([
      { modelId: MODEL, name: 'mine' },
    ]);
  });
  it('comes with the name of the object around it', async () => {
    expect((await statusOf({ data: { name: 'mine', model: { id: MODEL } } })).models).toEqual([
      { modelId: MODEL, name: 'mine' },
    ]);
  });
  it('does not get the name of a list of models, each has its own', async () => {
    const data = { name: 'all', models: [{ id: MODEL, name: 'mine' }, { id: OTHER_MODEL }] };
    expect((await statusOf({ data })).models).toEqual([
      { modelId: MODEL, name: 'mine' },
      { modelId: OTHER_MODEL },
    ]);
  });
  it('is given once, with its name, where it is there twice', async () => {
    expect((await statusOf({ data: { ids: [MODEL], model: { id: MODEL, name: 'mine' } } })).models).toEqual([
      { modelId: MODEL, name: 'mine' },
    ]);
  });
  it('is missing from a success without one, which is then only a success', async () => {
    expect(await statusOf({ data: {} })).toMatchObject({ status: 'success', models: [] });
  });
});

describe('the word of a status', () => {
  it.each(['queued', 'ready', 'running', 'stream', 'awaiting', 'success', 'failed', 'timeout'])(
    '%s is known, in whatever case',
    async (word) => {
      expect(await statusOf({ status: word })).toMatchObject({ status: word, statusText: word });
      expect(await statusOf({ status: ` ${word.toUpperCase()} ` })).toMatchObject({
        status: word,
        statusText: word.toUpperCase(),
      });
    },
  );
  it('is unknown where it is new, and is shown as it came', async () => {
    expect(await statusOf({ status: 'Rehearsing' })).toMatchObject({
      status: 'unknown',
      statusText: 'Rehearsing',
    });
  });
  it('is shown without control characters and cut', async () => {
    const { statusText } = await statusOf({ status: `\u001b[2J${'x'.repeat(200)}` });
    expect(statusText).toMatch(/^\[2Jx+…$/);
    expect(statusText).toHaveLength(80);
  });
  it('must be there: a 200 without one is unreadable and says what the API said', async () => {
    const { mountsea } = await answering({ statusCode: 500, message: 'oops' });
    const error = await errorOf(mountsea.status('t1'));
    expect(error).toBeInstanceOf(UnreadableAnswerError);
    expect(error).toMatchObject({ answer: { status: 200, code: '500', message: 'oops' } });
  });
});

describe('a failed task', () => {
  it.each([
    [4001, '4001'],
    ['E_AUDIO', 'E_AUDIO'],
  ])('comes as HTTP 200 with the failCode %j', async (failCode, expected) => {
    const body = { status: 'failed', failCode, failReason: 'bad audio', createdAt: 'a', finishAt: 'b' };
    expect(await statusOf(body)).toMatchObject({
      status: 'failed',
      failCode: expected,
      failReason: 'bad audio',
      createdAt: 'a',
      finishedAt: 'b',
    });
  });
  it.each([[undefined], [null], ['']])('may have the failReason %j', async (failReason) => {
    const task = await statusOf({ status: 'failed', failReason, failCode: null });
    expect(task).not.toHaveProperty('failReason');
    expect(task).not.toHaveProperty('failCode');
  });
  it('may give its reason as an object', async () => {
    expect(await statusOf({ status: 'failed', failReason: { message: 'no luck' } })).toMatchObject({
      failReason: 'no luck',
    });
  });
});

describe('the answer to a POST', () => {
  it.each([200, 201, 202])('is accepted with %i', async (status) => {
    const { mountsea } = await answering({ taskId: SESSION }, status);
    expect((await mountsea.create(CREATE)).taskId).toBe(SESSION);
  });
  it.each([
    ['snake_case', { task_id: 't1' }],
    ['an envelope', { code: 200, data: { taskId: 't1' } }],
    ['a number', { taskId: 1 }],
  ])('is accepted with the task id as %s', async (_, body) => {
    const { mountsea } = await answering(body, 201);
    expect((await mountsea.create(CREATE)).taskId).toMatch(/^t?1$/);
  });
  it('keeps the body of an acceptance', async () => {
    const { mountsea } = await answering({ taskId: SESSION, charged: 100 }, 201);
    expect((await mountsea.create(CREATE)).raw).toBe(`{"taskId":"${SESSION}","charged":100}`);
  });
});

describe('an error body', () => {
  async function said(body: unknown, status = 400) {
    const { mountsea } = await answering(body, status);
    const error = await errorOf(mountsea.status('t1'));
    expect(error).toBeInstanceOf(AnsweredError);
    return (error as AnsweredError).answer;
  }

  it('has its message as text', async () => {
    expect(await said({ statusCode: 400, message: 'bad clip', error: 'Bad Request' })).toEqual({
      status: 400,
      code: '400',
      message: 'bad clip',
      raw: '{"statusCode":400,"message":"bad clip","error":"Bad Request"}',
    });
  });
  it('has its message as an array', async () => {
    expect(await said({ message: ['name is long', 'clipIds is short'] })).toMatchObject({
      message: 'name is long; clipIds is short',
    });
  });
  it('has error as text', async () => {
    expect(await said({ error: 'Insufficient credits' })).toMatchObject({ message: 'Insufficient credits' });
  });
  it('has error as an object', async () => {
    expect(await said({ error: { code: 'no_credits', message: 'Insufficient credits' } })).toMatchObject({
      code: 'no_credits',
      message: 'Insufficient credits',
    });
  });
  it('has error as a code beside the message', async () => {
    expect(await said({ error: 'no_credits', message: 'Top up' })).toMatchObject({
      code: 'no_credits',
      message: 'Top up',
    });
  });
  it('does not let the HTTP phrase speak louder than the message, since the number may be wrong', async () => {
    const answer = await said(
      { statusCode: 429, message: 'Insufficient credits', error: 'Too Many Requests' },
      429,
    );
    expect(`${answer.code ?? ''} ${answer.message ?? ''}`).toBe('429 Insufficient credits');
  });
  it('has errorMessage', async () => {
    expect(await said({ errorMessage: 'too frequent', code: 430 }, 430)).toMatchObject({
      status: 430,
      code: '430',
      message: 'too frequent',
    });
  });
  it('is HTML, of which a person would read this', async () => {
    const html =
      '<!doctype html><html><head><style>p{color:red}</style><title>502</title></head><body><h1>Bad\n gateway</h1></body></html>';
    expect(await said(html, 502)).toMatchObject({ status: 502, message: '502 Bad gateway', raw: html });
  });
  it('is empty', async () => {
    expect(await said('', 503)).toEqual({ status: 503, raw: '' });
  });
  it('is JSON of another kind and is then shown as it is', async () => {
    expect(await said({ detail: 'no such task' }, 404)).toMatchObject({
      message: '{"detail":"no such task"}',
    });
  });
  it('is nested without end and harms nobody', async () => {
    const answer = await said(`{"message":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 500);
    expect(answer.raw).toHaveLength(8192);
  });
});
