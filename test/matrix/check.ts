/**
 * What a row is held against: what it may come to, and what must be true of every training whatever befalls it.
 */
import type { ChargeVerdict } from '../../src/contract/training.js';
import type { FaultRule } from '../../src/sandbox/index.js';
import type { Outcome, Row, Seen } from './lab.js';

const PRICE = 100;
/** Faults that leave no word of their own in the sandbox's log: the request itself goes well. */
const SILENT = new Set(['failTask', 'neverFinish', 'successWithoutModel']);

/** @returns what is wrong with what was seen of a row, a sentence each. */
export function objections(row: Row, seen: Seen): string[] {
  return [...aboutOutcome(row, seen), ...aboutMoney(row, seen), ...aboutFaults(row, seen)];
}

function aboutOutcome({ outcomes }: Row, seen: Seen): string[] {
  const isExpected = outcomes.some(
    ({ end, charges, creates }) => end === seen.end && charges === seen.charges && creates === seen.creates,
  );
  if (isExpected) return [];
  const { attention } = seen.memo;
  const told =
    attention === undefined ? (seen.why ?? '') : `${attention.message} ${attention.evidence.join('; ')}`;
  return [
    `expected ${outcomes.map(inWords).join(' or ')}, came to ${inWords(seen)}${told === '' ? '' : ` (${told})`}`,
  ];
}

function aboutMoney(
  { isResent }: Row,
  { charges, creates, refunds, uploads, memo, end, report }: Seen,
): string[] {
  const { create, uploads: uploaded } = memo.receipt;
  const paid = charges - refunds;
  const known: Record<ChargeVerdict, boolean> = {
    charged: paid > 0,
    'not-charged': paid === 0,
    unknown: end !== 'done' || isResent === true,
  };
  const isExact =
    create.verdict !== 'charged' || create.provisional === true || create.credits === paid * PRICE;
  const allowed = isResent === true ? 2 : 1;
  const broken = report.brokenRules.filter(
    ({ rule }) =>
      rule !== 'polled faster than once a second' && !(isResent && rule.startsWith('second paid')),
  );
  const modelIds = report.sessions.flatMap((session) => session.modelIds);
  return [
    ...(charges > allowed ? [`create was charged ${charges} times for ${allowed} decision(s) to spend`] : []),
    ...(known[create.verdict]
      ? []
      : [`the receipt says ${create.verdict}, the ledger has ${paid} charge(s)`]),
    ...(isExact ? [] : [`the receipt says ${create.credits} credits for ${paid} charge(s)`]),
    ...(create.sends < creates ? [`${creates} creates arrived, the receipt knows of ${create.sends}`] : []),
    ...(uploaded.calls < uploads
      ? [`${uploads} uploads were charged, ${uploaded.calls} are in the receipt`]
      : []),
    ...(end === 'done' && !modelIds.includes(memo.modelId ?? '')
      ? ['its model is not that of a session']
      : []),
    ...broken.map(({ rule, detail }) => `${rule}: ${detail}`),
  ];
}

/** A fault that befell nothing would make its row hold for no reason. */
function aboutFaults({ faults }: Row, { report }: Seen): string[] {
  const { log } = report.requests;
  const isFelt = ({ on, fault }: FaultRule): boolean =>
    SILENT.has(fault.kind) || log.some(({ kind, outcome }) => kind === on && outcome.startsWith(fault.kind));
  return faults.filter((rule) => !isFelt(rule)).map(({ on, fault }) => `no ${on} met with ${fault.kind}`);
}

function inWords({ end, charges, creates }: Outcome): string {
  return `${end} with ${charges} charge(s) and ${creates} create(s)`;
}
