/**
 * Each rule of the final audit goes red for a made-up world in which it is broken, and only then.
 */
import { describe, expect, it } from 'vitest';
import type { CreateAttempt, Receipt, TrainedModel } from '../../src/contract/training.js';
import type { SandboxReport } from '../../src/sandbox/index.js';
import { audit, type Audit, type End, type Rule, type Subject } from './audit.js';
import type { Story } from './histories.js';
import type { Decision } from './person.js';
import { complaintsOf } from './report.js';

const TAG = 'c00001';
const SESSION = 'session-1';
const MODEL = 'chirp-custom:model-1';
const LEDGER_SILENT = 'the ledger tells nothing: it was not read';

type Row = SandboxReport['ledger'][number];

function row(id: string, more: Partial<Row> = {}): Row {
  return { id, kind: 'create', amount: 100, key: 'key', sessionId: SESSION, at: 1_000, ...more };
}

function upload(id: string, more: Partial<Row> = {}): Row {
  return row(id, { kind: 'upload', amount: 5, ...more });
}

function sessionOf(sessionId = SESSION): SandboxReport['sessions'][number] {
  return {
    sessionId,
    account: 'account',
    creates: 1,
    trainings: [{ taskId: sessionId, name: TAG, state: 'success', createdAt: '' }],
    modelIds: [MODEL],
    uploads: [{ taskId: 'task', audioUrl: `http://audio/${TAG}/1-0.wav`, state: 'success' }],
  };
}

function world(more: Partial<SandboxReport> = {}): SandboxReport {
  return {
    requests: { counts: {}, log: [] },
    maxConcurrentUploads: 1,
    ledger: [upload('u1'), row('r1')],
    sessions: [sessionOf()],
    brokenRules: [],
    ...more,
  };
}

function attempt(more: Partial<CreateAttempt> = {}): CreateAttempt {
  return {
    decision: 'first',
    sessionId: 's',
    sentAt: '',
    verdict: 'charged',
    credits: 100,
    evidence: ['accepted'],
    ...more,
  };
}

function receiptOf(
  create: Partial<Receipt['create']> = {},
  uploads: Partial<Receipt['uploads']> = {},
): Receipt {
  const attempts = create.attempts ?? [attempt()];
  return {
    create: { verdict: 'charged', credits: 100, sends: 1, evidence: [], ...create, attempts },
    uploads: { calls: 1, credits: 5, ...uploads },
  };
}

const UNKNOWN = receiptOf({
  verdict: 'unknown',
  credits: 0,
  attempts: [attempt({ verdict: 'unknown', credits: 0, evidence: [LEDGER_SILENT] })],
});
const NOT_CHARGED = receiptOf({
  verdict: 'not-charged',
  credits: 0,
  attempts: [attempt({ verdict: 'not-charged', credits: 0 })],
});

function doneWith(receipt: Receipt, modelId = MODEL, sessionId = SESSION): End {
  const result: Partial<TrainedModel> = { modelId, sessionId, receipt };
  return { kind: 'done', result: result as TrainedModel };
}

const QUIET: Story = { runs: 1, doubtfulSends: 0, doubts: 0, silent: [], failedTasks: [], events: 1 };

function subject(more: Partial<Subject> = {}, receipt = receiptOf()): Subject {
  return {
    plan: {
      number: 1,
      tag: TAG,
      files: 6,
      badFiles: [],
      onBadFile: 'ask',
      faults: [],
      isImpatient: false,
    },
    workflowId: `chaos-${TAG}`,
    decisions: [],
    end: doneWith(receipt),
    resets: 0,
    isTerminated: false,
    isCancelled: false,
    tookMs: 1,
    recorded: receipt,
    shown: receipt,
    story: QUIET,
    isBillingFaulty: false,
    ...more,
  };
}

const failed: End = { kind: 'failed', type: 'GivenUp', message: '' };

function rulesOf(found: Audit): Rule[] {
  return [...new Set(found.violations.map(({ rule }) => rule))];
}

function judge(report: SandboxReport, ...subjects: Subject[]): Rule[] {
  return rulesOf(audit(report, subjects));
}

function decided(kind: Decision['kind'], action: Decision['action']): Decision {
  return { attentionId: `${kind}-${action}`, kind, action };
}

it('finds nothing wrong with a training that was charged once and says so', () => {
  const found = audit(world(), [subject()]);
  expect(found.violations).toEqual([]);
  expect(found).toMatchObject({ charges: 1, creditsOfCreates: 100, chargesByDecision: 0, unknown: [] });
});

describe('charges and decisions', () => {
  const twice = world({ ledger: [upload('u1'), row('r1'), row('r2')] });
  const both = receiptOf({
    credits: 200,
    sends: 2,
    attempts: [attempt(), attempt({ decision: 'second' })],
  });

  it('a second charge that nobody decided', () => {
    expect(judge(twice, subject({}, both))).toEqual(['charged more often than decided']);
  });

  it('is found also where the receipt knows nothing of it', () => {
    expect(judge(twice, subject())).toContain('charged more often than decided');
  });

  it('is found also where the training was terminated', () => {
    const ended = subject({ end: { kind: 'terminated' }, isTerminated: true });
    expect(judge(twice, ended)).toContain('charged more often than decided');
  });

  it.each(['keepWaiting', 'giveUp'] as const)('%s orders no charge', (action) => {
    const decisions = [decided('charge-unknown', action)];
    expect(judge(twice, subject({ decisions }, both))).toEqual(['charged more often than decided']);
  });

  it('a person may order a second one', () => {
    const decisions = [decided('charge-unknown', 'resendCreate')];
    const found = audit(twice, [subject({ decisions }, both)]);
    expect(found.violations).toEqual([]);
    expect(found.chargesByDecision).toBe(1);
  });

  it('a resend after a refusal, which cost nothing, allows no second charge', () => {
    const decisions = [decided('create-rejected', 'retry')];
    expect(judge(twice, subject({ decisions }, both))).toEqual([
      'charged again though nothing had been charged before',
    ]);
  });

  it('a refund is no second charge', () => {
    const refunded = world({
      ledger: [upload('u1'), row('r1'), row('r2', { kind: 'refund', amount: -100 })],
    });
    expect(judge(refunded, subject({ end: failed }, NOT_CHARGED))).toEqual([]);
  });

  it('a charge that belongs to no training of the run', () => {
    const stray = world({ ledger: [upload('u1'), row('r1'), row('r9', { sessionId: 'elsewhere' })] });
    expect(judge(stray, subject())).toEqual(['charge of nobody']);
  });

  it('but not one of somebody else with the same key', () => {
    const foreign: Row = { id: 'r9', kind: 'create', amount: 100, key: 'key', foreign: true, at: 1 };
    expect(judge(world({ ledger: [upload('u1'), row('r1'), foreign] }), subject())).toEqual([]);
  });
});

describe('sessions', () => {
  const two = world({ sessions: [sessionOf(), { ...sessionOf('session-2'), modelIds: [] }] });

  it('a second session that was paid for', () => {
    expect(judge(two, subject())).toEqual(['lost session']);
  });

  it('a person may order one', () => {
    const decisions = [decided('charge-unknown', 'newSession')];
    expect(judge(two, subject({ decisions }))).toEqual([]);
  });

  it('one that was opened and never used costs nothing', () => {
    const unused = { ...sessionOf('session-2'), creates: 0, trainings: [], modelIds: [], uploads: [] };
    expect(judge(world({ sessions: [sessionOf(), unused] }), subject())).toEqual([]);
  });
});

describe('receipts', () => {
  const RULE: Rule = 'receipt disagrees with the ledger';
  const uncharged = world({ ledger: [upload('u1')] });

  it('charged, with no row', () => {
    expect(judge(uncharged, subject())).toEqual([RULE]);
  });

  it('charged another price', () => {
    expect(judge(world({ ledger: [upload('u1'), row('r1', { amount: 90 })] }), subject())).toEqual([RULE]);
  });

  it('not charged, with a row', () => {
    expect(judge(world(), subject({ end: failed }, NOT_CHARGED))).toEqual([RULE]);
  });

  it('unknown, and more than there is', () => {
    const more = receiptOf({ ...UNKNOWN.create, credits: 100 });
    expect(judge(uncharged, subject({ end: failed }, more))).toEqual([RULE]);
  });

  it('a row of somebody else', () => {
    const named = receiptOf({ attempts: [attempt({ rowId: 'r7' })] });
    expect(judge(world(), subject({}, named))).toEqual([RULE]);
  });

  it('no receipt at all for a charge', () => {
    expect(judge(world(), subject({ end: failed, recorded: undefined, shown: undefined }))).toEqual([RULE]);
  });

  it('each place where a receipt is kept is looked at', () => {
    expect(judge(world(), subject({ recorded: NOT_CHARGED }))).toEqual([RULE]);
    expect(judge(world(), subject({ end: failed, shown: NOT_CHARGED }))).toEqual([RULE]);
    expect(judge(world(), subject({ end: doneWith(NOT_CHARGED) }))).toEqual([RULE]);
  });

  it('the memo of a terminated training is as old as that, but its record is none', () => {
    const ended = subject({ end: { kind: 'terminated' }, isTerminated: true, shown: NOT_CHARGED });
    expect(judge(world(), ended)).toEqual([]);
    expect(judge(world(), { ...ended, recorded: NOT_CHARGED })).toEqual([RULE]);
  });

  it('more uploads than calls', () => {
    const extra = world({ ledger: [upload('u1'), upload('u2'), row('r1')] });
    expect(judge(extra, subject({}, receiptOf({}, { credits: 'unknown' })))).toEqual([
      'upload receipt disagrees with the ledger',
    ]);
  });

  it('another price of the uploads', () => {
    expect(judge(world(), subject({}, receiptOf({}, { credits: 10 })))).toEqual([
      'upload receipt disagrees with the ledger',
    ]);
  });
});

describe('unknown', () => {
  it('is counted where the ledger was silent', () => {
    const found = audit(world(), [subject({ end: failed }, UNKNOWN)]);
    expect(found.violations).toEqual([]);
    expect(found.unknown).toEqual([{ workflowId: `chaos-${TAG}`, reason: LEDGER_SILENT }]);
  });

  it('is wrong where the ledger was not silent', () => {
    const evidence = ['the ledger has 1 create row(s) of that time and none of ours; it is complete'];
    const receipt = receiptOf({
      ...UNKNOWN.create,
      attempts: [attempt({ verdict: 'unknown', credits: 0, evidence })],
    });
    expect(judge(world(), subject({ end: failed }, receipt))).toEqual(['unknown without a silent witness']);
  });

  it('is wrong where nobody asked the ledger', () => {
    const receipt = receiptOf({
      ...UNKNOWN.create,
      attempts: [attempt({ verdict: 'unknown', credits: 0, evidence: ['the connection was reset'] })],
    });
    expect(judge(world(), subject({ end: failed }, receipt))).toEqual(['unknown without a silent witness']);
  });
});

describe('ends', () => {
  it('stuck', () => {
    expect(judge(world(), subject({ end: { kind: 'stuck', shows: '' } }))).toEqual(['stuck']);
  });

  it.each<End>([
    { kind: 'failed', type: 'TypeError', message: 'x is undefined' },
    { kind: 'cancelled' },
    { kind: 'terminated' },
  ])('by nobody: %o', (end) => {
    expect(judge(world(), subject({ end }))).toEqual(['unexpected end']);
  });

  it('by the script', () => {
    expect(judge(world(), subject({ end: { kind: 'cancelled' }, isCancelled: true }))).toEqual([]);
  });

  it('with the model of somebody else', () => {
    expect(judge(world(), subject({ end: doneWith(receiptOf(), 'chirp-custom:other') }))).toEqual([
      'wrong model',
    ]);
    expect(judge(world(), subject({ end: doneWith(receiptOf(), MODEL, 'session-9') }))).toEqual([
      'wrong model',
    ]);
  });

  it('with a workflow task that failed on the way', () => {
    const story = { ...QUIET, failedTasks: ['24: nondeterminism'] };
    expect(judge(world(), subject({ story }))).toEqual(['workflow task failed']);
  });
});

it.each(['clip of another session', 'key in a URL'] as const)('a broken rule of the API: %s', (rule) => {
  const found = audit(world({ brokenRules: [{ rule, detail: '' }] }), [subject()]);
  expect(rulesOf(found)).toEqual(['broken rule of the API']);
  expect(found.brokenRules).toEqual({ [rule]: 1 });
});

describe('cannot tell', () => {
  const doubt = { attentionId: 'a', evidence: [LEDGER_SILENT], isAfterReset: false };
  const doubtful: Story = { ...QUIET, doubtfulSends: 10 };
  const parked: Story = { ...doubtful, silent: [doubt] };

  it('counts against the doubtful creates', () => {
    const { cannotTell } = audit(world(), [subject({ story: parked })]);
    expect(cannotTell).toMatchObject({ of: 10, count: 1 });
  });

  it('does not count where billing was faulty, or a reset left a send that nobody looked before', () => {
    const reset: Story = { ...doubtful, silent: [{ ...doubt, isAfterReset: true }] };
    const found = audit(world(), [
      subject({ story: parked, isBillingFaulty: true }),
      subject({ story: reset }),
    ]);
    expect(found.cannotTell).toMatchObject({ of: 10, count: 0 });
    expect(found.cannotTellElsewhere).toHaveLength(2);
  });

  it('does not count a doubt that a person cut short', () => {
    const decisions: Decision[] = [{ ...decided('charge-unknown', 'giveUp'), isImpatient: true }];
    const found = audit(world(), [subject({ story: doubtful, decisions })]);
    expect(found.cannotTell.of).toBe(9);
    expect(found.impatient).toBe(1);
  });

  it.each([
    [20, 1, 0],
    [19, 1, 1],
    [0, 0, 0],
    [0, 1, 1],
  ])('of %i doubtful creates %i parked: %i complaints', (of, count, complaints) => {
    const found: Audit = { ...audit(world(), [subject()]), cannotTell: { of, count, cases: [] } };
    expect(complaintsOf({ audit: found })).toHaveLength(complaints);
  });
});
