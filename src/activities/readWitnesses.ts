/**
 * Activity side: asks what became of a create (design, section 5): the session's status, the ledger, the balance, and
 * what the account workflow knows of other creates. Reads only. Billing that does not answer holds up nothing: the look
 * then says why it is silent.
 */
import { cancellationSignal } from '@temporalio/activity';
import { type AccountFacts, NO_FACTS } from '../contract/account.js';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { CreateRow, LedgerLook, SessionStatus, Witnesses } from '../contract/money.js';
import { type BookedRow, bookedRowOf, isClosedChain } from '../money/ledger.js';
import { UNKNOWN_TASK } from '../money/verdict.js';
import { AnsweredError } from '../mountsea/errors.js';
import type { LedgerRow, Mountsea } from '../mountsea/types.js';
import { asker, askAccount } from './accountClient.js';
import { isSameKey, requireOrigin } from './affinity.js';
import { failureOf, whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';

const TIMEOUT_MS = 30_000;
/** Pages of the ledger that are read at most; what is beyond makes it silent. */
const MAX_PAGES = 30;
const PAGE_SIZE = 100;
/** The size that the documentation shows, for a service that refuses a larger one. */
const SAFE_PAGE_SIZE = 10;
/** Mountsea's clock may be ahead of ours. */
const AHEAD_MS = 10 * 60_000;

/** Every failed read may be repeated but one: a bad key needs somebody, so the workflow shows it. */
const REPEATABLE = Object.values(ActivityFailureType).filter(
  (type) => type !== ActivityFailureType.Credentials,
);

export interface ReadLedgerInput {
  affinity: Affinity;
  /** Rows from this time on, ms since 1970. */
  since: number;
  /** Balance of the baseline: `isClosed` is then told. */
  anchor?: number;
  /** Uploads are counted from this time on. Default: `since`. */
  uploadsSince?: number;
}

export interface ReadWitnessesInput extends ReadLedgerInput {
  sessionId: string;
  /** A task that Mountsea must know. Where it does not, that the session is unknown says nothing: the answer is of a gateway. */
  controlTaskId?: string;
  /** Ask the account workflow too. */
  withAccount: boolean;
}

export interface WitnessesRead {
  look: Witnesses;
  account: AccountFacts;
}

export function createReadWitnesses({ mountsea, affinity, accountWorkflowId }: ActivityDependencies) {
  return async function readWitnesses(input: ReadWitnessesInput): Promise<WitnessesRead> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const status = await statusOf(mountsea, input.sessionId, input.controlTaskId);
    const at = Date.now();
    const ledger = await lookAtLedger(mountsea, affinity(), cancellationSignal(), input);
    const account = input.withAccount
      ? await askAccount(accountWorkflowId, {
          workflowId: asker().workflowId,
          keyFingerprint: input.affinity.keyFingerprint,
          since: input.since,
        })
      : NO_FACTS;
    return { look: { at, status, ...ledger }, account };
  };
}

export function createReadLedger({ mountsea, affinity }: ActivityDependencies) {
  return async function readLedger(
    input: ReadLedgerInput,
  ): Promise<Pick<Witnesses, 'ledger' | 'ledgerMissing'>> {
    requireOrigin(input.affinity.origin, affinity().origin);
    return lookAtLedger(mountsea, affinity(), cancellationSignal(), input);
  };
}

/**
 * The session's status as a witness.
 *
 * @throws a failure that Temporal may repeat where the API did not answer.
 */
async function statusOf(
  mountsea: Mountsea,
  sessionId: string,
  controlTaskId: string | undefined,
): Promise<SessionStatus> {
  const ask = (taskId: string): Promise<SessionStatus> =>
    sessionStatus(mountsea, taskId, { signal: cancellationSignal(), timeoutMs: TIMEOUT_MS });
  try {
    const status = await ask(sessionId);
    if (status.word !== UNKNOWN_TASK || controlTaskId === undefined) return status;
    const control = await ask(controlTaskId);
    return control.word === UNKNOWN_TASK ? { word: 'no task is known', models: [] } : status;
  } catch (error) {
    throw failureOf(error, REPEATABLE);
  }
}

/** @throws MountseaError where there is no answer that speaks of the session. */
export async function sessionStatus(
  mountsea: Mountsea,
  sessionId: string,
  options: { signal?: AbortSignal; timeoutMs: number },
): Promise<SessionStatus> {
  try {
    const { status, statusText, createdAt, finishedAt, models } = await mountsea.status(sessionId, options);
    return {
      word: status === 'unknown' ? statusText.toLowerCase() : status,
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(finishedAt === undefined ? {} : { finishedAt }),
      models,
    };
  } catch (error) {
    const proof = whatItProves(error);
    if (error instanceof AnsweredError && proof.type === ActivityFailureType.Refused) {
      const { status, raw } = error.answer;
      // A page of some gateway is no answer about the session.
      const speaks = status === 404 && raw.trimStart().startsWith('{');
      return { word: speaks ? UNKNOWN_TASK : `http ${status}`, models: [] };
    }
    throw error;
  }
}

/** Never throws: billing that does not answer holds up nothing. */
export async function lookAtLedger(
  mountsea: Mountsea,
  own: Affinity,
  cancelled: AbortSignal,
  input: ReadLedgerInput,
): Promise<Pick<Witnesses, 'ledger' | 'ledgerMissing'>> {
  if (!isSameKey(own, input.affinity)) {
    return { ledgerMissing: 'the worker uses another key than the one that create was sent with' };
  }
  const signal = AbortSignal.any([cancelled, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    return { ledger: await ledgerLook(mountsea, input, signal) };
  } catch (error) {
    if (error instanceof TooManyRowsError) return { ledgerMissing: error.message };
    return { ledgerMissing: whatItProves(error).message };
  }
}

class TooManyRowsError extends Error {}

/** The balance first: rows that come meanwhile do no harm, rows that are missing show. */
async function ledgerLook(
  mountsea: Mountsea,
  { since, anchor, uploadsSince = since }: ReadLedgerInput,
  signal: AbortSignal,
): Promise<LedgerLook> {
  const balance = await mountsea.credits({ signal });
  const at = Date.now();
  const rows = await allRows(mountsea, since, at + AHEAD_MS, signal);
  const uploads = rows
    .filter((row) => row.kind === 'upload' && row.at >= uploadsSince)
    .map(({ amount }) => amount);
  const rowsOf = (wanted: BookedRow['kind']): CreateRow[] =>
    rows
      .filter(({ kind }) => kind === wanted)
      .map(({ id, at: bookedAt, amount }) => ({ id, at: bookedAt, amount }))
      .sort((a, b) => a.at - b.at);
  const generates = rowsOf('generate');
  return {
    since,
    at,
    balance,
    creates: rowsOf('create'),
    ...(generates.length === 0 ? {} : { generates }),
    unidentified: rows.filter(({ kind }) => kind === 'unidentified').length,
    ...(anchor === undefined ? {} : { isClosed: isClosedChain(rows, anchor, balance) }),
    uploads: {
      count: uploads.length,
      total: uploads.reduce((sum, amount) => sum + amount, 0),
      dearest: Math.max(0, ...uploads),
    },
  };
}

/** Every ledger row from `startMs` on, each once. */
export async function allRows(
  mountsea: Mountsea,
  startMs: number,
  endMs: number,
  signal: AbortSignal,
): Promise<BookedRow[]> {
  try {
    return await rowsBy(PAGE_SIZE, mountsea, startMs, endMs, signal);
  } catch (error) {
    if (!(error instanceof AnsweredError) || error.answer.status !== 400) throw error;
    return rowsBy(SAFE_PAGE_SIZE, mountsea, startMs, endMs, signal);
  }
}

async function rowsBy(
  limit: number,
  mountsea: Mountsea,
  startMs: number,
  endMs: number,
  signal: AbortSignal,
): Promise<BookedRow[]> {
  const rows = new Map<string, LedgerRow>();
  let expected = 0;
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    if (page > MAX_PAGES)
      throw new TooManyRowsError(`the ledger has more than ${rows.size} rows of that time`);
    const answer = await mountsea.searchPoints({ startMs, endMs, page, limit }, { signal });
    if (page === 1) expected = answer.totalItems;
    pages = answer.totalPages;
    for (const row of answer.rows) rows.set(row.id, row);
  }
  // Rows that slid from one page to another while it was read.
  if (rows.size < expected) throw new TooManyRowsError('the ledger changed while it was read');
  return [...rows.values()].map(bookedRowOf);
}
