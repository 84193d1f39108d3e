/**
 * Activity side: reads balance and ledger for a client, which has no key (`audit`). Reads only.
 */
import { cancellationSignal } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { AccountLedger, AccountReading, KeyCheck, ReadAccountInput } from '../money/audit.js';
import type { BookedRow } from '../money/ledger.js';
import { MountseaError, UnreadableAnswerError } from '../mountsea/errors.js';
import type { Mountsea, RequestOptions } from '../mountsea/types.js';
import { requireOrigin } from './affinity.js';
import { whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';
import { allRows } from './readWitnesses.js';

const TIMEOUT_MS = 60_000;
/** The ledger is read a few days at a time: a busy key has more rows than one question is answered with. */
const SLICE_MS = 3 * 24 * 3_600_000;
/** Mountsea's clock may be ahead of ours. */
const AHEAD_MS = 10 * 60_000;

export function createReadAccount({ mountsea, affinity }: ActivityDependencies) {
  return async function readAccount({
    origin,
    since,
    checksKey = false,
  }: ReadAccountInput): Promise<AccountReading> {
    let own: Affinity;
    try {
      own = affinity();
    } catch (error) {
      const ledgerMissing = error instanceof Error ? error.message : 'the worker has no API key';
      return { keyFingerprint: '', ledgerMissing, ...(checksKey ? { key: { verdict: 'missing' } } : {}) };
    }
    requireOrigin(origin, own.origin);
    const { keyFingerprint } = own;
    const signal = AbortSignal.any([cancellationSignal(), AbortSignal.timeout(TIMEOUT_MS)]);
    // Side by side: an API that hangs must not use up the time of the ledger.
    let clockAheadMs: number | undefined;
    // Either host may be the one that is off.
    const onClock = (aheadMs: number): void => {
      if (Math.abs(aheadMs) >= Math.abs(clockAheadMs ?? 0)) clockAheadMs = aheadMs;
    };
    const checking = checksKey ? checkKey(mountsea, { signal, onClock }) : undefined;
    const keyOf = async (): Promise<Pick<AccountReading, 'key' | 'clockAheadMs'>> => {
      if (checking === undefined) return {};
      const key = await checking;
      return { key, ...(clockAheadMs === undefined ? {} : { clockAheadMs }) };
    };
    try {
      const ledger = await readLedger(mountsea, since, { signal, onClock });
      return { keyFingerprint, ...(await keyOf()), ledger };
    } catch (error) {
      // Only errors of the HTTP client are known to hold no secret; the ledger's own say how many rows there are.
      const isTold =
        error instanceof MountseaError || (error instanceof Error && error.message.startsWith('the ledger'));
      return {
        keyFingerprint,
        ...(await keyOf()),
        ledgerMissing: isTold ? error.message : 'the ledger could not be read',
      };
    }
  };
}

/** By the schema of `generate`: a read of the API itself that costs nothing and changes nothing. */
async function checkKey(mountsea: Mountsea, options: RequestOptions): Promise<KeyCheck> {
  try {
    await mountsea.generateSchema(options);
    return { verdict: 'accepted' };
  } catch (error) {
    // An answer that cannot be read as a schema was still given to this key.
    if (error instanceof UnreadableAnswerError && error.answer.status < 300) return { verdict: 'accepted' };
    const { type, message } = whatItProves(error);
    return { verdict: type === ActivityFailureType.Credentials ? 'refused' : 'unknown', said: message };
  }
}

/** The balance first: rows that come meanwhile do no harm. */
async function readLedger(
  mountsea: Mountsea,
  since: number,
  options: RequestOptions & { signal: AbortSignal },
): Promise<AccountLedger> {
  const { signal } = options;
  const balance = await mountsea.credits(options);
  const at = Date.now();
  const rows = new Map<string, BookedRow>();
  for (let from = since; from < at + AHEAD_MS; from += SLICE_MS) {
    const to = Math.min(from + SLICE_MS, at + AHEAD_MS);
    // Whether the service counts a row on the border to one slice or to both is not documented.
    for (const row of await allRows(mountsea, from, to, signal)) rows.set(row.id, row);
  }
  const all = [...rows.values()].sort((a, b) => a.at - b.at);
  const uploads = all.filter(({ kind }) => kind === 'upload');
  const dearest = Math.max(0, ...uploads.map(({ amount }) => amount));
  return {
    at,
    balance,
    creates: all
      .filter(({ kind }) => kind === 'create')
      .map(({ id, at: bookedAt, amount }) => ({ id, at: bookedAt, amount })),
    uploads: { count: uploads.length, total: uploads.reduce((sum, { amount }) => sum + amount, 0) },
    ...(dearest > 0 ? { dearestUpload: dearest } : {}),
    unidentified: all.filter(({ kind }) => kind === 'unidentified').length,
  };
}
