/**
 * The money protocol on a real server: what becomes of a create whose answer proves nothing. The sandbox's ledger is
 * counted in each test.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultRule, SandboxOptions } from '../../src/sandbox/index.js';
import { createRig, experiencedRig, onCreateOf, type Rig, type Training } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const MODEL_ID = /^chirp-custom:[0-9a-f-]{36}$/;

/** Creates that the sandbox charged for one session. */
function chargesOf(rig: Rig, sessionId: string | undefined): number {
  return rig.sandbox.report().ledger.filter((row) => row.kind === 'create' && row.sessionId === sessionId)
    .length;
}

describe('a create whose answer proves nothing', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await experiencedRig();
  });
  afterAll(async () => {
    await rig.close();
  });

  it.concurrent.each([
    ['lost', { kind: 'lost' }],
    ['a page instead of JSON', { kind: 'garbage' }],
    ['broken off in the middle', { kind: 'truncated' }],
    ['a server error after the effect', { kind: 'status', status: 502, when: 'after' }],
    ['that it hangs', { kind: 'hang', when: 'after' }],
  ] satisfies [string, FaultRule['fault']][])(
    'is found to be accepted when its answer was %s, and is not sent again',
    async (name, fault) => {
      rig.sandbox.addFaults([onCreateOf(name, fault)]);
      const training = await rig.train({ name });
      const result = await training.handle.result();
      expect(result.modelId).toMatch(MODEL_ID);
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 1 });
      expect(result.receipt.create.evidence.join()).toMatch(/only a create causes|has the model/);
      expect(chargesOf(rig, result.sessionId)).toBe(1);
    },
  );

  it.concurrent.each([
    ['a server error before the effect', { kind: 'status', status: 503 }],
    ['a redirect', { kind: 'redirect' }],
    ['a reset before the effect', { kind: 'refuse' }],
    ['a conflict', { kind: 'status', status: 409, body: { message: 'busy' } }],
  ] satisfies [string, FaultRule['fault']][])(
    'is sent once more by itself after %s, when all witnesses prove that it had no effect',
    async (name, fault) => {
      rig.sandbox.addFaults([onCreateOf(name, fault)]);
      const training = await rig.train({ name });
      const result = await training.handle.result();
      // The asking ends by itself: whether somebody looks meanwhile must not matter.
      expect(result.timeline.map(({ text }) => text).join('\n')).toMatch(
        /Waits \(charge-unknown\)[^]*Create is proved not to have been accepted/,
      );
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 2 });
      expect(result.receipt.create.attempts.map(({ verdict }) => verdict)).toEqual([
        'not-charged',
        'charged',
      ]);
      expect(chargesOf(rig, result.sessionId)).toBe(1);
    },
  );

  it.concurrent('is not sent a second time by itself: two proofs are followed by a person', async () => {
    const name = 'twice without effect';
    rig.sandbox.addFaults([{ ...onCreateOf(name, { kind: 'status', status: 500 }), times: 2 }]);
    const training = await rig.train({ name });
    const { attention, receipt } = await training.parked('create-rejected');
    expect(receipt.create).toMatchObject({ verdict: 'not-charged', sends: 2 });
    await training.correct({ attentionId: attention.id, action: 'retry' });
    const result = await training.handle.result();
    expect(chargesOf(rig, result.sessionId)).toBe(1);
  });

  it.concurrent(
    'that lands five minutes after its connection broke is found, and not sent again',
    async () => {
      const name = 'late landing';
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'late', afterMs: 300_000 })]);
      const result = await (await rig.train({ name })).handle.result();
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', sends: 1 });
      expect(chargesOf(rig, result.sessionId)).toBe(1);
    },
  );

  it.concurrent('waits for its truth when the training is cancelled', async () => {
    const name = 'cancelled in doubt';
    // However late the cancel comes, it comes before create is accepted.
    rig.sandbox.addFaults([{ ...onCreateOf(name, { kind: 'status', status: 500 }), times: 1e9 }]);
    const training = await rig.train({ name });
    await training.parked();
    await training.handle.cancel();
    await expect(training.handle.result()).rejects.toThrow();
    const memo = await training.memo();
    expect(memo.phase).toBe('cancelled');
    expect(memo.receipt.create.verdict).toBe('not-charged');
    expect(chargesOf(rig, memo.sessionId)).toBe(0);
  });
});

describe('where nobody has seen yet how soon charges appear', () => {
  async function parked(
    name: string,
    act: (rig: Rig, training: Training, attentionId: string) => Promise<void>,
  ): Promise<void> {
    const rig = await createRig();
    try {
      await rig.startWorker();
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'status', status: 500 })]);
      const training = await rig.train({ name });
      const { attention } = await training.until(
        'the witnesses do not tell',
        (progress) => progress.attention !== undefined && progress.attention.nextTryAt === undefined,
      );
      expect(attention).toMatchObject({
        kind: 'charge-unknown',
        options: ['keepWaiting', 'resendCreate', 'newSession', 'giveUp'],
        riskOfSecondCharge: ['resendCreate', 'newSession'],
      });
      expect(attention?.evidence.join()).toContain('no earlier create has shown that charges appear early');
      await act(rig, training, attention?.id ?? '');
    } finally {
      await rig.close();
    }
  }

  it.concurrent('a create in doubt is sent again only by a person who accepts a second charge', () =>
    parked('in doubt', async (rig, training, attentionId) => {
      const refused = await training
        .correct({ attentionId, action: 'resendCreate' })
        .catch((error: unknown) => String((error as Error).cause));
      expect(refused).toContain('acceptSecondCharge');
      await training.correct({ attentionId, action: 'resendCreate', acceptSecondCharge: true });
      const result = await training.handle.result();
      expect(result.receipt.create.sends).toBe(2);
      // What became of the first one is still unknown, and is said so.
      expect(result.receipt.create.attempts.map(({ verdict }) => verdict)).toEqual(['unknown', 'charged']);
      expect(chargesOf(rig, result.sessionId)).toBe(1);
      // The registry finds out: the ledger is whole, and has one row.
      const settled = await waitUntil('the record is settled', async () => {
        const record = await training.record();
        return record?.end === 'done' && record.receipt.create.verdict === 'charged' && record;
      });
      expect(settled.receipt.create).toMatchObject({ credits: 100 });
    }),
  );

  it.concurrent('is cancelled with the charge unknown', () =>
    parked('cancelled', async (_, training) => {
      await training.handle.cancel();
      await expect(training.handle.result()).rejects.toThrow();
      expect((await training.memo()).receipt.create.verdict).toBe('unknown');
    }),
  );
});

describe('what is not documented about money', () => {
  it.concurrent.each([
    [
      'charged at completion, the session `success` from birth and unchanged until the end',
      { chargeAt: 'completion', sessionBeforeCreate: 'success', sessionDuringTraining: 'unchanged' },
    ],
    [
      'a ledger that lags 30 s, a session unknown until the end',
      { ledgerLagMs: 30_000, sessionDuringTraining: 'unchanged' },
    ],
    ['a ledger that lags 10 min', { ledgerLagMs: 600_000, sessionBeforeCreate: 'success' }],
    [
      'charged at the start, a top-up without a row',
      { chargeAt: 'start', topUp: { everyMs: 60_000, amount: 50 }, topUpRow: false },
    ],
    ['foreign creates on the key', { foreignCreateEveryMs: 50_000, sessionBeforeCreate: 'success' }],
  ] satisfies [string, NonNullable<SandboxOptions['profile']>][])('does no harm: %s', async (_, profile) => {
    const rig = await experiencedRig({ profile });
    try {
      rig.sandbox.addFaults([onCreateOf('effect', { kind: 'lost' }), onCreateOf('none', { kind: 'refuse' })]);
      const accepted = await (await rig.train({ name: 'effect' })).handle.result();
      expect(accepted.modelId).toMatch(MODEL_ID);
      expect(chargesOf(rig, accepted.sessionId)).toBe(1);
      const training = await rig.train({ name: 'none' });
      // It ends well by proof, or waits for a person; it is never charged twice.
      await waitUntil('it is decided', async () => {
        const { status } = await training.handle.describe();
        if (status.name === 'COMPLETED') return true;
        const { attention } = await training.progress();
        return attention !== undefined && attention.nextTryAt === undefined;
      });
      const { sessionId, receipt } = await training.memo();
      expect(chargesOf(rig, sessionId)).toBeLessThanOrEqual(1);
      if (chargesOf(rig, sessionId) === 1) expect(receipt.create.verdict).toBe('charged');
      else expect(receipt.create.verdict).not.toBe('charged');
      await training.handle.terminate().catch(() => undefined);
    } finally {
      await rig.close();
    }
  });

  it.concurrent(
    'gives the model id though the ledger lags, and settles the provisional receipt in the registry',
    async () => {
      const rig = await createRig({ profile: { ledgerLagMs: 1e9 } });
      try {
        await rig.startWorker();
        const training = await rig.train();
        const result = await training.handle.result();
        expect(result.receipt.create).toMatchObject({ verdict: 'charged', provisional: true });
        rig.sandbox.setProfile({ ledgerLagMs: 0 });
        const settled = await waitUntil('the record is settled', async () => {
          const record = await training.record();
          // The one before create has nothing provisional either.
          return record?.end === 'done' && record.receipt.create.provisional === undefined && record;
        });
        expect(settled).toMatchObject({ end: 'done', modelId: result.modelId });
        expect(settled.receipt.create).toMatchObject({ verdict: 'charged', credits: 100 });
      } finally {
        await rig.close();
      }
    },
  );
});

it.concurrent(
  'in a session that was given up is found there with its model, which was paid for',
  async () => {
    const rig = await createRig();
    try {
      await rig.startWorker();
      const name = 'two sessions';
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'lost' })]);
      const release = rig.hold({ name });
      const training = await rig.train({ name });
      const { attention, sessionId = '' } = await training.parked('charge-unknown');
      await training.correct({
        attentionId: attention.id,
        action: 'newSession',
        acceptSecondCharge: true,
      });
      await training.until('it has another session', (progress) => progress.sessionId !== sessionId);
      release();
      const result = await training.handle.result();
      expect(result.receipt.create.attempts.map((attempt) => attempt.sessionId)).toEqual([
        sessionId,
        result.sessionId,
      ]);
      const { receipt } = await waitUntil('the model is found', async () => {
        const record = await training.record();
        return record?.receipt.create.attempts[0]?.modelId !== undefined && record;
      });
      expect(receipt.create).toMatchObject({ verdict: 'charged', credits: 200 });
      expect(receipt.create.attempts[0]?.modelId).toMatch(/^chirp-custom:/);
      expect(receipt.create.attempts[0]?.modelId).not.toBe(result.modelId);
      expect(receipt.create.attempts[1]?.modelId).toBeUndefined();
    } finally {
      await rig.close();
    }
  },
);

describe('a failed training', () => {
  it.concurrent(
    'is sent again by itself only where the ledger proves the refund and the input allows it',
    async () => {
      const rig = await experiencedRig({ profile: { refundFailed: 'row' } });
      try {
        const fails = (name: string): FaultRule =>
          onCreateOf(name, { kind: 'failTask', reason: 'gpu on fire' });
        rig.sandbox.addFaults([fails('allowed'), fails('not allowed')]);
        const result = await (await rig.train({ name: 'allowed', retryRefunded: true })).handle.result();
        expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 100, sends: 2 });
        const training = await rig.train({ name: 'not allowed' });
        const { attention, receipt } = await training.parked('training-failed');
        expect(receipt.create).toMatchObject({ verdict: 'not-charged', sends: 1 });
        expect(attention.evidence.join()).toContain('gives it back');
        await training.handle.terminate().catch(() => undefined);
      } finally {
        await rig.close();
      }
    },
  );

  it.concurrent('that was given up is settled as given back once the ledger shows it', async () => {
    const rig = await experiencedRig({ profile: { refundFailed: 'row' } });
    try {
      rig.sandbox.setProfile({ ledgerLagMs: 10 * 3_600_000 });
      const name = 'given up, then given back';
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'failTask', reason: 'gpu on fire' })]);
      const training = await rig.train({ name });
      const { attention, receipt } = await training.parked('training-failed');
      expect(receipt.create).toMatchObject({ verdict: 'charged', provisional: true });
      await training.correct({ attentionId: attention.id, action: 'giveUp' });
      await expect(training.handle.result()).rejects.toThrow();
      rig.sandbox.setProfile({ ledgerLagMs: 0 });
      const { create } = await waitUntil('the record is settled', async () => {
        const record = await training.record();
        return record?.end === 'failed' && record.receipt.create.provisional === undefined && record.receipt;
      });
      expect(create).toMatchObject({ verdict: 'not-charged', sends: 1 });
      expect(create.attempts[0]?.refundRowId).toBeDefined();
    } finally {
      await rig.close();
    }
  });

  it.concurrent('of an earlier create is not taken for the end of the next one', async () => {
    const rig = await createRig();
    try {
      await rig.startWorker();
      const name = 'failed, then stale';
      rig.sandbox.addFaults([onCreateOf(name, { kind: 'failTask', reason: 'gpu on fire' })]);
      const training = await rig.train({ name });
      const { attention, sessionId } = await training.parked();
      rig.sandbox.setProfile({ sessionDuringTraining: 'unchanged' });
      await training.correct({ attentionId: attention.id, action: 'resendCreate' });
      const result = await training.handle.result();
      expect(result.receipt.create).toMatchObject({ verdict: 'charged', credits: 200, sends: 2 });
      expect(chargesOf(rig, sessionId)).toBe(2);
    } finally {
      await rig.close();
    }
  });
});
