/**
 * The final audit: what the service's own ledger says, against what the trainings believe and what their person decided.
 * Pure. Which session belongs to which training is read from the sources that were uploaded into it, never from what
 * tunesmith says.
 */
import type { TrainedModel, Receipt, CreateAttempt } from '../../src/contract/training.js';
import type { SandboxReport } from '../../src/sandbox/index.js';
import type { Story } from './histories.js';
import { type Allowance, allowanceOf, type Decision } from './person.js';
import type { TrainingPlan } from './plan.js';

/** How a training ended. */
export type End =
  | { kind: 'done'; result: TrainedModel }
  | { kind: 'failed'; type: string; message: string }
  | { kind: 'cancelled' }
  | { kind: 'terminated' }
  /** It did not end in time. */
  | { kind: 'stuck'; shows: string };

/** Everything that is known of one training when all is over. */
export interface Subject {
  plan: TrainingPlan;
  workflowId: string;
  decisions: readonly Decision[];
  end: End;
  /** Resets that the server carried out. */
  resets: number;
  isTerminated: boolean;
  isCancelled: boolean;
  /** From the start to the end, ms. */
  tookMs: number;
  /** The registry's receipt; undefined where nothing was recorded. */
  recorded: Receipt | undefined;
  /** The memo's receipt. */
  shown: Receipt | undefined;
  story: Story;
  /** Billing was faulty in its wave. */
  isBillingFaulty: boolean;
}

export type Rule =
  | 'charged more often than decided'
  | 'charged again though nothing had been charged before'
  | 'lost session'
  | 'receipt disagrees with the ledger'
  | 'unknown without a silent witness'
  | 'upload receipt disagrees with the ledger'
  | 'wrong model'
  | 'stuck'
  | 'unexpected end'
  | 'workflow task failed'
  | 'broken rule of the API'
  | 'charge of nobody';

export interface Violation {
  rule: Rule;
  workflowId: string;
  says: string;
}

export interface Audit {
  violations: Violation[];
  /** Receipts that say `unknown` in the end, by what the witnesses said. */
  unknown: { workflowId: string; reason: string }[];
  /** Doubtful creates where the witnesses speak, and those among them that parked because they did not tell. */
  cannotTell: { of: number; count: number; cases: { workflowId: string; reason: string }[] };
  /** The same where they may be silent: billing was faulty, or a reset left a send that nobody looked before. */
  cannotTellElsewhere: { workflowId: string; reason: string }[];
  /** Doubts that a person cut short. */
  impatient: number;
  charges: number;
  creditsOfCreates: number;
  /** Accepted after the first, because a person accepted it. */
  chargesByDecision: number;
  brokenRules: Record<string, number>;
}

/** What the service saw of one training. */
interface Truth {
  sessions: SandboxReport['sessions'];
  /** Rows of create, refunds included. */
  creates: SandboxReport['ledger'];
  uploads: SandboxReport['ledger'];
}

export function audit(report: SandboxReport, subjects: readonly Subject[]): Audit {
  const truths = new Map(subjects.map((subject) => [subject, truthOf(report, subject.plan.tag)]));
  const violations = subjects.flatMap((subject) => {
    const truth = truths.get(subject) ?? { sessions: [], creates: [], uploads: [] };
    return judge(subject, truth).map(([rule, says]) => ({ rule, workflowId: subject.workflowId, says }));
  });
  const owned = new Set([...truths.values()].flatMap(({ creates }) => creates.map(({ id }) => id)));
  for (const { id, kind, foreign, sessionId = '' } of report.ledger) {
    if (kind !== 'create' || foreign === true || owned.has(id)) continue;
    violations.push({ rule: 'charge of nobody', workflowId: '', says: `row ${id} of session ${sessionId}` });
  }
  const brokenRules: Record<string, number> = {};
  for (const { rule, detail } of report.brokenRules) {
    brokenRules[rule] = (brokenRules[rule] ?? 0) + 1;
    if (rule === 'clip of another session' || rule === 'key in a URL') {
      violations.push({ rule: 'broken rule of the API', workflowId: '', says: `${rule}: ${detail}` });
    }
  }
  const rows = [...truths.values()].flatMap(({ creates }) => creates);
  const silent = subjects.flatMap((subject) => subject.story.silent.map((doubt) => ({ subject, doubt })));
  const told = silent.filter(({ subject, doubt }) => !subject.isBillingFaulty && !doubt.isAfterReset);
  const elsewhere = silent.filter((one) => !told.includes(one));
  const asCase = ({ subject, doubt }: (typeof silent)[number]): { workflowId: string; reason: string } => ({
    workflowId: subject.workflowId,
    reason: reasonIn(doubt.evidence),
  });
  const impatient = subjects.filter((subject) => isCutShort(subject));
  return {
    violations,
    unknown: subjects.flatMap((subject) => unknownsOf(subject)),
    cannotTell: {
      of: subjects
        .filter((subject) => !subject.isBillingFaulty)
        .reduce((sum, subject) => sum + subject.story.doubtfulSends - (isCutShort(subject) ? 1 : 0), 0),
      count: told.length,
      cases: told.map(asCase),
    },
    cannotTellElsewhere: elsewhere.map(asCase),
    impatient: impatient.length,
    charges: rows.filter(({ amount }) => amount > 0).length,
    creditsOfCreates: rows.reduce((sum, { amount }) => sum + amount, 0),
    chargesByDecision: [...truths.values()].reduce(
      (sum, { creates }) => sum + Math.max(0, creates.filter(({ amount }) => amount > 0).length - 1),
      0,
    ),
    brokenRules,
  };
}

function isCutShort({ decisions }: Subject): boolean {
  return decisions.some(({ isImpatient }) => isImpatient === true);
}

function truthOf({ sessions, ledger }: SandboxReport, tag: string): Truth {
  const own = sessions.filter(
    ({ uploads, trainings }) =>
      uploads.some(({ audioUrl }) => audioUrl.includes(`/${tag}/`)) ||
      trainings.some(({ name }) => name.includes(tag)),
  );
  const ids = new Set(own.map(({ sessionId }) => sessionId));
  const rows = ledger.filter(({ sessionId }) => sessionId !== undefined && ids.has(sessionId));
  return {
    sessions: own,
    creates: rows.filter(({ kind }) => kind === 'create' || kind === 'refund'),
    uploads: rows.filter(({ kind }) => kind === 'upload'),
  };
}

type Finding = [rule: Rule, says: string];

function judge(subject: Subject, truth: Truth): Finding[] {
  const allowance = allowanceOf(subject.decisions);
  return [
    ...chargesOf(truth, allowance),
    ...sessionsOf(truth, allowance),
    ...endOf(subject, truth),
    ...(subject.end.kind === 'stuck' ? [] : receiptsOf(subject, truth)),
    ...unknownsOf(subject).flatMap(({ reason }): Finding[] =>
      isSilence(reason) ? [] : [['unknown without a silent witness', reason]],
    ),
    ...subject.story.failedTasks.map((says): Finding => ['workflow task failed', says]),
  ];
}

function chargesOf({ creates }: Truth, allowance: Allowance): Finding[] {
  const charges = creates.filter(({ amount }) => amount > 0).length;
  if (charges > allowance.creates) {
    return [['charged more often than decided', `${charges} charges, ${allowance.creates} decided`]];
  }
  if (charges <= allowance.charges) return [];
  return [
    [
      'charged again though nothing had been charged before',
      `${charges} charges; ${allowance.creates} decided, but only ${allowance.charges} of them about a create that may have been charged`,
    ],
  ];
}

function sessionsOf({ sessions }: Truth, allowance: Allowance): Finding[] {
  const paid = sessions.filter(({ uploads, creates }) => uploads.length > 0 || creates > 0);
  if (paid.length <= allowance.sessions) return [];
  return [
    [
      'lost session',
      `${paid.length} sessions are paid for (${paid.map(({ sessionId }) => sessionId).join(', ')}), ${allowance.sessions} decided`,
    ],
  ];
}

function endOf({ end, isTerminated, isCancelled }: Subject, { sessions }: Truth): Finding[] {
  switch (end.kind) {
    case 'stuck':
      return [['stuck', end.shows]];
    case 'failed':
      return ['GivenUp', 'UploadRejected'].includes(end.type)
        ? []
        : [['unexpected end', `${end.type}: ${end.message}`]];
    case 'cancelled':
      return isCancelled ? [] : [['unexpected end', 'cancelled, but not by the script']];
    case 'terminated':
      return isTerminated ? [] : [['unexpected end', 'terminated, but not by the script']];
    case 'done': {
      const { modelId, sessionId } = end.result;
      const session = sessions.find((one) => one.sessionId === sessionId);
      if (session === undefined) return [['wrong model', `session ${sessionId} is none of this training`]];
      return session.modelIds.includes(modelId)
        ? []
        : [['wrong model', `${modelId} is none of session ${sessionId}`]];
    }
  }
}

function receiptsOf(subject: Subject, truth: Truth): Finding[] {
  const { end, recorded, shown } = subject;
  const findings: Finding[] = [];
  const look = (name: string, receipt: Receipt | undefined): void => {
    if (receipt === undefined) return;
    findings.push(
      ...receiptAgainst(truth, receipt).map(([rule, says]): Finding => [rule, `${name}: ${says}`]),
    );
    // What a reset run learns of its uploads is what it did itself.
    if (subject.resets === 0) findings.push(...uploadsAgainst(truth, receipt, name));
  };
  if (end.kind === 'done') look('the result', end.result.receipt);
  // What was terminated could not bring its memo up to date; its record was, by whoever looked.
  else if (!subject.isTerminated) look('the memo', shown);
  look('the record', recorded);
  const last = lastReceipt(subject);
  if (last === undefined && truth.creates.length > 0) {
    findings.push(['receipt disagrees with the ledger', 'there is no receipt, but a create was charged']);
  }
  return findings;
}

function lastReceipt({ end, recorded, shown }: Subject): Receipt | undefined {
  return recorded ?? (end.kind === 'done' ? end.result.receipt : shown);
}

function receiptAgainst({ creates }: Truth, { create }: Receipt): Finding[] {
  const net = creates.reduce((sum, { amount }) => sum + amount, 0);
  const said = create.credits ?? 0;
  const findings: Finding[] = [];
  const disagrees = (says: string): void => {
    findings.push(['receipt disagrees with the ledger', `${says}; the ledger has ${net} credits`]);
  };
  switch (create.verdict) {
    case 'charged':
      if (said !== net)
        disagrees(`charged ${said} credits${create.provisional === true ? ' (provisional)' : ''}`);
      break;
    case 'not-charged':
      if (net !== 0) disagrees('not charged');
      break;
    case 'unknown':
      if (said > net) disagrees(`unknown, and charged ${said} credits`);
      break;
  }
  for (const { rowId, decision } of create.attempts) {
    if (rowId === undefined || creates.some(({ id }) => id === rowId)) continue;
    disagrees(`attempt ${decision} names row ${rowId}, which is none of this training`);
  }
  return findings;
}

function uploadsAgainst({ uploads: rows }: Truth, { uploads }: Receipt, name: string): Finding[] {
  const rule = 'upload receipt disagrees with the ledger';
  const total = rows.reduce((sum, { amount }) => sum + amount, 0);
  const findings: Finding[] = [];
  if (rows.length > uploads.calls) {
    findings.push([rule, `${name}: ${uploads.calls} calls, the ledger has ${rows.length} uploads`]);
  }
  if (uploads.credits !== 'unknown' && uploads.credits !== total) {
    findings.push([rule, `${name}: ${uploads.credits} credits, the ledger has ${total}`]);
  }
  return findings;
}

function unknownsOf(subject: Subject): Audit['unknown'] {
  const receipt = lastReceipt(subject);
  if (subject.isTerminated || receipt?.create.verdict !== 'unknown') return [];
  const { workflowId } = subject;
  return receipt.create.attempts
    .filter(({ verdict }: CreateAttempt) => verdict === 'unknown')
    .map(({ evidence }) => ({ workflowId, reason: reasonIn(evidence) }));
}

/** The ledger was asked, and there was a reason why it could not tell, or not yet. */
function isSilence(reason: string): boolean {
  return reason.includes('ledger') && /, but |tells nothing|not over yet/.test(reason);
}

/** The sentence about the ledger, without its numbers. */
export function reasonIn(evidence: readonly string[]): string {
  const about = evidence.find((line) => line.includes('ledger')) ?? evidence.at(-1) ?? 'no evidence';
  const isTooEarly = evidence.some((line) => line.includes('not over yet'));
  return `${about}${isTooEarly ? '; the grace is not over yet' : ''}`
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, '…')
    .replace(/\d+/g, 'N');
}
