/**
 * The account workflow on a real server.
 */
import { afterEach, expect, it } from 'vitest';
import {
  ACCOUNT_WORKFLOW,
  REQUEST_SEND_UPDATE,
  type RequestSend,
  type SendAnswer,
} from '../../src/contract/account.js';
import { RECORD_WORKFLOW, recordStart } from '../../src/contract/record.js';
import type { CreateAttempt } from '../../src/contract/training.js';
import { accountWorkflowIdFor } from '../../src/temporal/identity.js';
import { keyFingerprint } from '../../src/temporal/settings.js';
import { emptyAccount } from '../../src/workflows/accountBook.js';
import { factsOf } from '../support/account.js';
import { createRig, type Rig, SPEED } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;

afterEach(async () => {
  await rig.close();
});

async function updatesOf({ client, sandbox }: Rig): Promise<number> {
  const { events = [] } = await client.workflow.getHandle(accountWorkflowIdFor(sandbox.url)).fetchHistory();
  return (events ?? []).filter(({ workflowExecutionUpdateAcceptedEventAttributes: update }) =>
    Boolean(update),
  ).length;
}

it('gets four updates from a training without trouble, and learns its duration and how soon it was charged', async () => {
  rig = await createRig();
  await rig.startWorker();
  const training = await rig.learn();
  expect(await updatesOf(rig)).toBe(4);
  const facts = await factsOf(rig, training.handle.workflowId);
  expect(facts.accepted).toMatchObject([{ workflowId: training.handle.workflowId, decision: 'first' }]);
  expect(facts.accepted[0]?.rowId).toBeDefined();
  expect(facts.charges.areEarly).toBe(true);
  expect(facts.trainingsMs).toHaveLength(1);
  expect(facts.uploadCredits).toBe(5);
});

it('learns whether a session shows its create while it trains', async () => {
  rig = await createRig();
  await rig.startWorker();
  const name = 'Shown';
  rig.sandbox.addFaults([{ on: 'create', match: { name }, fault: { kind: 'neverFinish' } }]);
  const training = await rig.train({ name });
  await training.until('it trains', ({ phase }) => phase === 'training');
  const looks = (): number => rig.sandbox.report().requests.counts.status ?? 0;
  const before = looks();
  // One look after the other: when the third is made, the first was taken.
  await waitUntil('it is looked at', () => looks() >= before + 3);
  await training.handle.cancel();
  await expect(training.handle.result()).rejects.toThrow();
  expect((await factsOf(rig)).sessions).toEqual({ areTelling: false, longestSilentMs: 0 });
});

it('continues as new every few updates and loses none, while many trainings use it', async () => {
  rig = await createRig();
  await rig.startWorker();
  const workflowId = accountWorkflowIdFor(rig.sandbox.url);
  const first = await rig.client.workflow.start(ACCOUNT_WORKFLOW, {
    workflowId,
    taskQueue: rig.taskQueue,
    args: [{ state: emptyAccount(), updatesEachRun: 3 }],
  });
  const trainings = await Promise.all(Array.from({ length: 8 }, () => rig.train()));
  const results = await Promise.all(trainings.map(({ handle }) => handle.result()));
  expect(new Set(results.map(({ sessionId }) => sessionId)).size).toBe(8);
  const facts = await factsOf(rig);
  expect(facts.accepted.map(({ sessionId }) => sessionId).sort()).toEqual(
    results.map(({ sessionId }) => sessionId).sort(),
  );
  expect(facts.trainingsMs).toHaveLength(8);
  expect((await rig.client.workflow.getHandle(workflowId).describe()).runId).not.toBe(
    first.firstExecutionRunId,
  );
  expect(rig.sandbox.report().ledger.filter(({ kind }) => kind === 'create')).toHaveLength(8);
});

it('lets one create of a key at a time be between send and answer', async () => {
  rig = await createRig();
  await rig.startWorker();
  rig.sandbox.addFaults([{ on: 'create', nth: 1, times: 3, fault: { kind: 'slow', delayMs: 400 } }]);
  const trainings = await Promise.all(Array.from({ length: 3 }, () => rig.train()));
  await Promise.all(trainings.map(({ handle }) => handle.result()));
  const sends = rig.sandbox.report().requests.log.filter(({ kind }) => kind === 'create');
  const times = sends.map(({ at }) => Date.parse(at));
  // The log notes an answered request when its answer is on its way, 400 ms after it came.
  for (const [index, at] of times.slice(1).entries())
    expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(350);
});

it('hears from the record what became of a create whose training was terminated before it could tell', async () => {
  rig = await createRig();
  await rig.startWorker();
  const learned = await rig.learn();
  const record = await waitUntil('it has a record', () => learned.record());
  const workflowId = 'terminated-after-the-answer';
  const grant: RequestSend = {
    workflowId,
    runId: 'its run',
    sessionId: 'its session',
    keyFingerprint: keyFingerprint(rig.sandbox.url, rig.sandbox.apiKey),
    decision: 'first',
    known: [],
    grantMs: 1_000,
    slotMs: 1,
  };
  const answer = await rig.client.workflow
    .getHandle(accountWorkflowIdFor(rig.sandbox.url))
    .executeUpdate<SendAnswer, [RequestSend]>(REQUEST_SEND_UPDATE, { args: [grant] });
  expect(answer.kind).toBe('go');
  const isDoubted = async (): Promise<boolean> =>
    (await factsOf(rig)).inDoubt.some((doubt) => doubt.workflowId === workflowId);
  expect(await isDoubted()).toBe(true);
  const { receipt } = record;
  const refused: CreateAttempt = {
    decision: 'first',
    sentAt: new Date().toISOString(),
    sessionId: grant.sessionId,
    verdict: 'not-charged',
    evidence: ['refused'],
  };
  const ended = {
    ...record,
    workflowId,
    sessionId: grant.sessionId,
    end: 'failed' as const,
    receipt: { ...receipt, create: { ...receipt.create, attempts: [refused] } },
  };
  await rig.client.workflow.start(RECORD_WORKFLOW, {
    ...recordStart(ended, 1 / SPEED),
    taskQueue: rig.taskQueue,
  });
  await waitUntil('its doubt is gone', async () => !(await isDoubted()));
});
