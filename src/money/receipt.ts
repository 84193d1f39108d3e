/**
 * Pure: adds up what a training cost. Unknown stays unknown, and counts as spent where a budget is asked about.
 */
import type { ClosedTraining } from '../contract/account.js';
import type { CreateRow } from '../contract/money.js';
import {
  type CreateQuestion,
  type Doubt,
  graceEnd,
  isForSession,
  judgeLedger,
  KNOWN_AS_ACCEPTED,
  knownAsAccepted,
  lastSentBefore,
  plainRow,
  SESSION_TOLD,
} from './verdict.js';
import {
  type ChargeVerdict,
  CREATE_CREDITS,
  type CreateAttempt,
  type PaidAttempt,
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
export function createReceipt<A extends PaidAttempt>(
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

function verdictOf(attempts: PaidAttempt[]): ChargeVerdict {
  if (attempts.some(({ verdict }) => verdict === 'unknown')) return 'unknown';
  return attempts.some(({ verdict }) => verdict === 'charged') ? 'charged' : 'not-charged';
}

/** Attempts that cost nothing go first; one that did is never left out. */
function kept<A extends PaidAttempt>(attempts: A[]): A[] {
  const list = [...attempts];
  while (list.length > ATTEMPTS_KEPT) {
    const at = list.findIndex(({ verdict }) => verdict === 'not-charged');
    if (at === -1) break;
    list.splice(at, 1);
  }
  return list;
}

type Attempt = PaidAttempt & Pick<CreateAttempt, 'taskId'>;

/** The newest that may have been accepted, or was and has been given back since. */
function newestSent(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.findLast(({ verdict, ended }) => verdict !== 'not-charged' || ended !== undefined);
}

/** Notes what the task of the newest attempt came to; undefined: it gave what it should, or runs. Changes the attempt. */
export function noteEnd(attempts: PaidAttempt[], ended: PaidAttempt['ended']): void {
  const attempt = newestSent(attempts);
  if (attempt === undefined) return;
  if (ended === undefined) delete attempt.ended;
  else attempt.ended = ended;
}

const AT_MOUNTSEA = {
  training: { on: 'training', unclear: 'without one model of its own' },
  song: { on: 'with the song', unclear: 'with nothing to hear' },
} as const;

/** What becomes at Mountsea of what is cancelled here, as sentences; none where nothing was accepted. */
export function remoteWords(attempts: readonly Attempt[], what: keyof typeof AT_MOUNTSEA): string[] {
  const newest = newestSent(attempts);
  if (newest === undefined) return [];
  const { on, unclear } = AT_MOUNTSEA[what];
  const task = newest.taskId === undefined ? '' : ` (task ${newest.taskId})`;
  if (newest.ended === 'failed') return [`Mountsea says that the ${what} failed${task}.`];
  if (newest.ended === 'unclear') return [`Mountsea says that the ${what} succeeded, but ${unclear}${task}.`];
  const goes = newest.verdict === 'charged' ? 'goes' : 'may go';
  return [`Mountsea cannot cancel: it ${goes} on ${on}${task}.`];
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
 * price)` where it does not yet, and that it is unknown where no price is known either.
 */
export function uploadCredits(
  { calls, credits }: Receipt['uploads'],
  price: UploadPrice | undefined,
): string {
  if (credits !== 'unknown') return `: ${credits} credits`;
  if (calls === 0) return '';
  return price === undefined ? ' (credits unknown)' : aboutUploads(calls, price);
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
export function applyClosed(attempts: CreateAttempt[], { rows }: Pick<ClosedTraining, 'rows'>): void {
  for (const attempt of attempts) {
    const row = rows[attempt.decision];
    if (row !== undefined && attempt.verdict === 'charged') {
      attempt.credits = row.amount;
      delete attempt.provisional;
      if (row.id !== undefined) attempt.rowId = row.id;
      const shown = row.id === undefined ? 'the ledger has a row for each create' : `ledger row ${row.id}`;
      attempt.evidence = [...attempt.evidence, `${shown}: ${row.amount} credits`];
    }
  }
}

export function refundAttempt(attempt: CreateAttempt, rowId: string): void {
  attempt.verdict = 'not-charged';
  delete attempt.credits;
  delete attempt.provisional;
  attempt.refundRowId = rowId;
  attempt.evidence = [...attempt.evidence, `ledger row ${rowId} gives it back`];
}

type DoubtQuestion = Omit<Parameters<typeof judgeLedger>[0], 'doubts'>;

/**
 * Sends that ended in doubt: the ledger speaks of them, and the session of each. A row settles one of them, so that as many
 * are charged as there are rows that nothing else explains; which of them it was may be a guess, what they cost together
 * is not. Changes the attempts.
 *
 * @param attempts all of the training: those that were charged explain rows, too.
 * @param isSessionSilent whether the session of an attempt never showed a create, at two looks.
 */
export function settleDoubts(
  attempts: CreateAttempt[],
  question: DoubtQuestion,
  isSessionSilent: (attempt: CreateAttempt) => boolean = () => false,
): void {
  for (const attempt of attempts) {
    if (attempt.verdict === 'unknown' && knownAsAccepted([attempt], question) !== undefined) {
      charge(attempt, [KNOWN_AS_ACCEPTED]);
    }
  }
  const rowIds = new Map(attempts.map(({ decision, rowId }) => [decision, rowId]));
  const left = attempts.filter(({ verdict }) => verdict === 'unknown').map((attempt) => doubtOf(attempt));
  left.sort((a, b) => a.sentAt - b.sentAt);
  for (;;) {
    const asked = { ...question, account: withOwnCreates(attempts, question, rowIds) };
    const found = firstAccepted(left, asked);
    if (found === undefined) {
      for (const { attempt } of left) settleDoubt(attempt, asked, isSessionSilent(attempt));
      return;
    }
    const [row] = found.rows;
    const doubt = lastSentBefore(left, row.at, question.times) ?? found.doubt;
    left.splice(left.indexOf(doubt), 1);
    const { attempt } = doubt;
    rowIds.set(attempt.decision, row.id);
    Object.assign(attempt, { verdict: 'charged', credits: row.amount, ...plainRow(found.rows) });
    attempt.evidence = [...attempt.evidence, found.says];
  }
}

interface OwnDoubt extends Doubt {
  attempt: CreateAttempt;
}

function doubtOf(attempt: CreateAttempt): OwnDoubt {
  const { decision, sentAt, sentBy } = attempt;
  return {
    attempt,
    decision,
    sentAt: Date.parse(sentAt),
    // Nobody knows when it was sent: then no row is proof.
    sentBy: sentBy === undefined ? Infinity : Date.parse(sentBy),
  };
}

/** @param doubts oldest first. A row of any of them is that of somebody else for none. */
function firstAccepted(
  doubts: readonly OwnDoubt[],
  question: DoubtQuestion,
): { doubt: OwnDoubt; says: string; rows: readonly [CreateRow, ...CreateRow[]] } | undefined {
  for (const doubt of doubts) {
    const younger = doubts.filter(({ sentAt, sentBy }) => sentAt >= doubt.sentAt && Number.isFinite(sentBy));
    const asked = younger.includes(doubt) ? younger : [doubt, ...younger];
    const opinion = judgeLedger({ ...question, doubts: asked }, doubt);
    if (opinion.kind === 'accepted') return { doubt, ...opinion };
  }
  return undefined;
}

/** What the account workflow knows, with what is known of this training since. */
function withOwnCreates(
  attempts: readonly CreateAttempt[],
  { account, workflowId }: Pick<DoubtQuestion, 'account' | 'workflowId'>,
  rowIds: ReadonlyMap<string, string | undefined>,
): DoubtQuestion['account'] {
  const accepted = [...account.accepted];
  for (const { decision, sentAt, verdict, refundRowId } of attempts) {
    if (verdict !== 'charged' && refundRowId === undefined) continue;
    const place = accepted.findIndex(
      (create) => create.workflowId === workflowId && create.decision === decision,
    );
    const [known] = place === -1 ? [] : accepted.splice(place, 1);
    const at = Date.parse(sentAt);
    const unknown = { workflowId, sessionId: '', keyFingerprint: '', decision, sentAt: at, acceptedAt: at };
    const rowId = rowIds.get(decision);
    accepted.push({ ...(known ?? unknown), ...(rowId === undefined ? {} : { rowId }) });
  }
  return { ...account, accepted };
}

/**
 * Whether there is more to be learned of a create: what it cost, or which model it made in a session that was given up.
 *
 * @param sessionId of the training.
 */
export function isUnsettled(attempt: CreateAttempt, sessionId: string | undefined): boolean {
  return isOpen(attempt) || mayHaveModel(attempt, sessionId);
}

/** Its amount is not proved. */
export function isOpen({ verdict, provisional }: Pick<CreateAttempt, 'verdict' | 'provisional'>): boolean {
  return verdict === 'unknown' || provisional === true;
}

/** Paid for in a session that nobody waits for any more. */
export function mayHaveModel(
  { verdict, sessionId, modelId }: CreateAttempt,
  ownSessionId: string | undefined,
): boolean {
  return verdict === 'charged' && sessionId !== ownSessionId && modelId === undefined;
}

/** Until the ledger shows the charge, it is the documented price. Changes the attempt. */
export function charge(attempt: CreateAttempt, proof: readonly string[]): void {
  attempt.verdict = 'charged';
  attempt.credits = CREATE_CREDITS;
  attempt.provisional = true;
  attempt.evidence = [...proof, `${CREATE_CREDITS} credits is the documented price`];
}

/** One that no row is left for. Changes the attempt. */
function settleDoubt(attempt: CreateAttempt, question: DoubtQuestion, isSessionSilent: boolean): void {
  const doubt = doubtOf(attempt);
  const asked: Pick<CreateQuestion, 'doubts' | 'account' | 'times'> = { ...question, doubts: [doubt] };
  const opinion = judgeLedger({ ...question, ...asked }, doubt);
  const isOver = question.look.at > graceEnd(asked);
  if (isOver && opinion.kind === 'clear') {
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
