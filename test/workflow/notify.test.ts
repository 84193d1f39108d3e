/**
 * Who gave `--notify` is told, and the training never waits for it.
 */
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { NotificationPayload } from '../../src/contract/notification.js';
import { type Handler, reply, startServer, type TestServer } from '../support/http.js';
import { createRig, type Rig, type Training, type WorkerProcess } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const WITH_SECRET = { TUNESMITH_WEBHOOK_SECRET: SECRET };

let rig: Rig;
let worker: WorkerProcess;
let receiver: TestServer;
let onRequest: Handler;

beforeAll(async () => {
  rig = await createRig();
  worker = await rig.startWorker(WITH_SECRET);
});

beforeEach(async () => {
  rig.sandbox.reset();
  onRequest = (_, response) => {
    reply(response, 204, '');
  };
  receiver = await startServer((request, response) => {
    onRequest(request, response);
  });
});

afterEach(async () => {
  await receiver.close();
});

afterAll(async () => {
  await rig.close();
});

const train = (more: Parameters<Rig['train']>[0] = {}): Promise<Training> =>
  rig.train({
    notify: { url: `${receiver.url}/hook?token=sesame`, label: `${receiver.url}/hook` },
    ...more,
  });

/** What the receiver believes, since the signature is right. */
const heard = (): NotificationPayload[] =>
  receiver.requests.map(
    ({ headers, body }) =>
      new Webhook(SECRET).verify(body, headers as Record<string, string>) as NotificationPayload,
  );
const types = (): string[] => heard().map(({ type }) => type);

function failUploads(): void {
  const fault = { kind: 'failTask', reason: 'not music' } as const;
  rig.sandbox.addFaults([{ on: 'upload', match: { audioUrl: 'track-05' }, times: 3, fault }]);
}

it('tells once that it is parked, with the commands that answer, and once how it ended', async () => {
  failUploads();
  const training = await train();
  const { attention } = await training.parked();
  await receiver.received(1);
  await training.correct({ attentionId: attention.id, action: 'retry' });
  const { modelId, receipt } = await training.handle.result();
  await receiver.received(2);

  const { workflowId } = training.handle;
  const [parked, done, ...others] = heard();
  expect(others).toEqual([]);
  expect(parked).toMatchObject({
    type: 'training.parked',
    version: 1,
    data: { workflowId, attention: { id: attention.id, kind: 'bad-files', message: attention.message } },
  });
  expect(parked?.data.attention?.options).toContainEqual({
    action: 'dropFiles',
    command: `tunesmith fix ${workflowId} --drop 5`,
  });
  expect(done).toMatchObject({
    type: 'training.done',
    data: { modelId, receipt: { create: receipt.create } },
  });
  expect(JSON.stringify([await training.memo(), await training.record()])).not.toContain('sesame');
});

it('tells of trouble that mends itself only once it lasts, and then once', async () => {
  const forbidden = { kind: 'status', status: 401, body: { message: 'invalid key' } } as const;
  rig.sandbox.addFaults([{ on: 'prepare', times: 1e9, fault: forbidden }]);
  // So fast that 15 minutes are over soon.
  const training = await train({ timeScale: 0.0002 });
  await receiver.received(1);
  const [parked] = heard();
  expect(parked).toMatchObject({ type: 'training.parked', data: { attention: { kind: 'credentials' } } });
  for (let seen = parked?.data.attention?.id, times = 0; times < 3; times += 1) {
    const next = await training.until('it has tried again', ({ attention }) => attention?.id !== seen);
    seen = next.attention?.id;
  }
  await training.handle.cancel();
  await expect(training.handle.result()).rejects.toThrow();
  await receiver.received(2);
  expect(types()).toEqual(['training.parked', 'training.cancelled']);
});

it('says nothing of trouble that passes', async () => {
  const forbidden = { kind: 'status', status: 401, body: { message: 'invalid key' } } as const;
  rig.sandbox.addFaults([{ on: 'prepare', fault: forbidden }]);
  const training = await train();
  const { timeline } = await training.handle.result();
  expect(timeline.some(({ text }) => text.startsWith('Waits (credentials)'))).toBe(true);
  await receiver.received(1);
  expect(types()).toEqual(['training.done']);
});

it('goes on past a receiver that is dead, and says so once in the timeline', async () => {
  await receiver.close();
  failUploads();
  const training = await train();
  const { attention } = await training.until('the timeline says so', ({ timeline }) =>
    timeline.some(({ text }) => text.includes('did not take')),
  );
  await training.correct({ attentionId: attention?.id ?? '', action: 'retry' });
  const { timeline, modelId } = await training.handle.result();
  expect(modelId).toMatch(/^chirp-custom:/);
  const told = timeline.filter(({ text }) => text.includes('did not take'));
  expect(told).toHaveLength(1);
  expect(told[0]?.text).toContain('ECONNREFUSED');
  expect(told[0]?.text).not.toContain('sesame');
});

it('delivers in the end what failed at first, though its worker was killed and the training has ended', async () => {
  failUploads();
  let isBack = false;
  onRequest = (_, response) => {
    if (isBack) reply(response, 200, '');
    else reply(response, 500, '', { 'retry-after': '2' });
  };
  const training = await train({ onBadFile: 'fail' });
  await expect(training.handle.result()).rejects.toThrow();
  await receiver.received(1);
  const id = `notify-${receiver.requests[0]?.headers['webhook-id'] as string}`;
  await waitUntil('the server knows that it failed', async () => {
    const { raw } = await rig.client.workflow.getHandle(id).describe();
    return raw.pendingActivities?.some(({ lastFailure }) => lastFailure?.message === 'HTTP 500');
  });
  await worker.kill();
  isBack = true;
  const before = receiver.requests.length;
  worker = await rig.startWorker(WITH_SECRET);
  await receiver.received(before + 1);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(types().at(-1)).toBe('training.failed');
});
