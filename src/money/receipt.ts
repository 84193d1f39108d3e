/**
 * Pure: adds up what a training cost. Unknown stays unknown, and counts as spent where a budget is asked about.
 */
import type { ClosedTraining } from '../contract/account.js';
import {
  type CreateQuestion,
  type Doubt,
  graceEnd,
  isForSession,
  judgeLedger,
  SESSION_TOLD,
} from './verdict.js';
import {
  type ChargeVerdict,
  CREATE_CREDITS,
  type CreateAttempt,
  type Receipt,
  TRAINING_DEFAULTS,
  type UploadPrice,
} from '../contract/training.js';

const ATTEMPTS_KEPT = 20;

/** The receipt of a training that has sent nothing. */
export function emptyReceipt(): Receipt {
  return {
    create: { verdict: 'not-charged', sends: 0, evidence: ['create was not sent'], attempts: [] },
    uploads: { calls: 0, credits: 'unknown' },
  };
}

/** What all attempts of a paid request together come to. `sends` counts also those that are no longer listed. */
export function createReceipt<A extends CreateAttempt>(
  attempts: A[],
  sends: number,
  what = 'create',
): Omit<Receipt['create'], 'attempts'> & { attempts: A[] } {
  const newest = attempts.at(-1);
  const verdict = verdictOf(attempts);
  const credits = attempts.reduce((sum, attempt) => sum + (attempt.credits ?? 0), 0);
  return {
    verdict,
    ...(credits > 0 ? { credits } : {}),
    sends,
    ...(attempts.some(({ provisional }) => provisional === true) ? { provisional: true } : {}),
    evidence: newest?.evidence ?? [`${what} was not sent`],
    attempts: kept(attempts),
  };
}

function verdictOf(attempts: CreateAttempt[]): ChargeVerdict {
  if (attempts.some(({ verdict }) => verdict === 'unknown')) return 'unknown';
  return attempts.some(({ verdict }) => verdict === 'charged') ? 'charged' : 'not-charged';
}

/** Attempts that cost nothing go first; one that did is never left out. */
function kept<A extends CreateAttempt>(attempts: A[]): A[] {
  const list = [...attempts];
  while (list.length > ATTEMPTS_KEPT) {
    const at = list.findIndex(({ verdict }) => verdict === 'not-charged');
    if (at === -1) break;
    list.splice(at, 1);
  }
  return list;
}

/** Prices that a budget counts with, credits. */
export interface Prices {
  /** Dearest upload that the ledger has shown. */
  seenUpload?: number;
  /** What the user said an upload costs. */
  saidUpload?: number;
}

export function uploadPrice(prices: Prices): number {
  return priceOfUpload(prices).credits;
}

/** The price of an upload, and where it comes from. */
export function priceOfUpload({ seenUpload, saidUpload }: Prices): UploadPrice {
  if (seenUpload !== undefined) return { credits: seenUpload, basis: 'ledger' };
  if (saidUpload !== undefined) return { credits: saidUpload, basis: 'said' };
  return { credits: TRAINING_DEFAULTS.uploadCredits, basis: 'assumption' };
}

const BASES: Record<UploadPrice['basis'], string> = {
  ledger: 'at the dearest price seen',
  said: 'at the price of --upload-credits',
  assumption: 'assumed price',
};

/**
 * What uploads cost, to stand behind their number: `: 40 credits` where the ledger says so, ` (about 40 credits, assumed
 * price)` where it does not yet. Empty where nothing can be said.
 */
export function uploadCredits(
  { calls, credits }: Receipt['uploads'],
  price: UploadPrice | undefined,
): string {
  if (credits !== 'unknown') return `: ${credits} credits`;
  return calls === 0 ? '' : aboutUploads(calls, price);
}

/** What a number of uploads would cost, to stand behind a sentence: ` (about 5 credits, assumed price)`, or nothing. */
export function aboutUploads(count: number, price: UploadPrice | undefined): string {
  if (price === undefined) return '';
  return ` (about ${count * price.credits} credits, ${BASES[price.basis]})`;
}

/** The most that a training may have spent by now, credits. */
export function mostSpent({ create, uploads }: Receipt, prices: Prices): number {
  const creates = create.attempts.reduce((sum, { verdict, credits }) => {
    if (verdict === 'not-charged') return sum;
    return sum + (credits ?? CREATE_CREDITS);
  }, 0);
  const calls = uploads.calls * uploadPrice(prices);
  return creates + (uploads.credits === 'unknown' ? calls : Math.max(uploads.credits, 0));
}

/** Puts into attempts what the ledger proves. Changes them. */
export function applyClosed(attempts: CreateAttempt[], { rows, refunds }: ClosedTraining): void {
  for (const attempt of attempts) {
    const row = rows[attempt.decision];
    if (row !== undefined && attempt.verdict === 'charged') {
      attempt.credits = row.amount;
      delete attempt.provisional;
      if (row.id !== undefined) attempt.rowId = row.id;
      const shown = row.id === undefined ? 'the ledger has a row for each create' : `ledger row ${row.id}`;
      attempt.evidence = [...attempt.evidence, `${shown}: ${row.amount} credits`];
    }
    const refund = refunds[attempt.decision];
    if (refund !== undefined && attempt.verdict === 'charged') refundAttempt(attempt, refund.id);
  }
}

export function refundAttempt(attempt: CreateAttempt, rowId: string): void {
  attempt.verdict = 'not-charged';
  delete attempt.credits;
  delete attempt.provisional;
  attempt.refundRowId = rowId;
  attempt.evidence = [...attempt.evidence, `ledger row ${rowId} gives it back`];
}

/**
 * A send that ended in doubt: the ledger speaks of it, and its session where no later create is in the way. Changes the
 * attempt.
 *
 * @param isSessionSilent the session that it was sent in never showed a create, at two looks.
 */
export function settleDoubt(
  attempt: CreateAttempt,
  question: Omit<Parameters<typeof judgeLedger>[0], 'doubts'>,
  isSessionSilent = false,
): void {
  if (attempt.verdict !== 'unknown') return;
  const sentAt = Date.parse(attempt.sentAt);
  const doubt: Doubt = {
    decision: attempt.decision,
    sentAt,
    // Nobody knows when it was sent: then no row is proof.
    sentBy: attempt.sentBy === undefined ? Infinity : Date.parse(attempt.sentBy),
  };
  const asked: Pick<CreateQuestion, 'doubts' | 'account' | 'times'> = { ...question, doubts: [doubt] };
  const opinion = judgeLedger({ ...question, ...asked }, doubt);
  const isOver = question.look.at > graceEnd(asked);
  if (opinion.kind === 'accepted') {
    attempt.verdict = 'charged';
    attempt.credits = opinion.amount;
    if (opinion.rowId !== undefined) attempt.rowId = opinion.rowId;
    attempt.evidence = [...attempt.evidence, opinion.says];
  } else if (isOver && opinion.kind === 'clear') {
    attempt.verdict = 'not-charged';
    attempt.evidence = [...attempt.evidence, opinion.says, 'the grace is over'];
  } else if (isOver && isSessionSilent && isForSession(opinion, question.account)) {
    attempt.verdict = 'not-charged';
    attempt.evidence = [...attempt.evidence, opinion.says, ...SESSION_TOLD, 'the grace is over'];
  } else {
    // Why the ledger does not tell is all that is left to say.
    attempt.evidence = [opinion.says, ...(opinion.kind === 'clear' ? ['the grace is not over yet'] : [])];
  }
}
