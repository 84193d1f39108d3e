import { describe, expect, it } from 'vitest';
import { taskQueueFor, trainingWorkflowId, urlIdentity } from '../../src/temporal/identity.js';

const training = {
  origin: 'https://api.mountsea.ai',
  name: 'Night Drive',
  sources: ['https://cdn.example/1.mp3?', 'https://cdn.example/2.mp3?'],
};

describe('the identity of a source', () => {
  it.each([
    [
      'S3',
      'X-Amz-Algorithm=A&X-Amz-Date=1&X-Amz-Signature=a',
      'X-Amz-Algorithm=A&X-Amz-Date=2&X-Amz-Signature=b',
    ],
    ['CloudFront', 'Expires=1&Signature=a&Key-Pair-Id=K', 'Expires=2&Signature=b&Key-Pair-Id=K'],
    ['Azure', 'sv=1&se=2026&sr=b&sp=r&sig=a', 'sv=1&se=2027&sr=b&sp=r&sig=b'],
    ['Google', 'X-Goog-Date=1&X-Goog-Signature=a', 'X-Goog-Date=2&X-Goog-Signature=b'],
  ])('is the same when %s signs the URL again', (_, before, after) => {
    expect(urlIdentity(`https://cdn.example/a.mp3?${before}`)).toBe(
      urlIdentity(`https://cdn.example/a.mp3?${after}`),
    );
  });

  it('keeps the query that names the file, in any order', () => {
    expect(urlIdentity('https://x.example/get?id=1&v=2')).toBe(urlIdentity('https://x.example/get?v=2&id=1'));
    expect(urlIdentity('https://x.example/get?id=1')).not.toBe(urlIdentity('https://x.example/get?id=2'));
  });

  it('keeps a parameter that only looks like one of a signature when there is no signature', () => {
    expect(urlIdentity('https://x.example/get?st=1')).not.toBe(urlIdentity('https://x.example/get?st=2'));
  });
});

describe('the workflow id of a training', () => {
  it('is the same for the same content in another order', () => {
    const turned = { ...training, sources: [...training.sources].reverse() };
    expect(trainingWorkflowId(turned)).toBe(trainingWorkflowId(training));
  });

  it.each([
    ['name', { name: 'Day Drive' }],
    ['origin', { origin: 'http://127.0.0.1:9000' }],
    ['sources', { sources: ['https://cdn.example/1.mp3?'] }],
    ['label of a second training', { again: '2' }],
  ])('is another one for another %s', (_, change) => {
    expect(trainingWorkflowId({ ...training, ...change })).not.toBe(trainingWorkflowId(training));
  });

  it('can be read and typed, whatever the name holds', () => {
    expect(trainingWorkflowId(training)).toMatch(/^train-night-drive-[0-9a-f]{12}$/);
    expect(trainingWorkflowId({ ...training, name: '夜のドライブ' })).toMatch(/^train-model-[0-9a-f]{12}$/);
  });
});

describe('the task queue', () => {
  it('differs between two APIs, so that they never share work', () => {
    expect(taskQueueFor('https://api.mountsea.ai')).not.toBe(taskQueueFor('http://127.0.0.1:9000'));
  });
});
