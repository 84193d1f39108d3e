/**
 * Activity side: a song. Its one paid request, which is sent as `sendOnce` says, and the looks before and after it. Unlike
 * create it cannot be asked about without its task id, so nothing here finds a lost one again.
 */
import { cancellationSignal, Context } from '@temporalio/activity';
import type { Affinity } from '../contract/affinity.js';
import type { LedgerLook } from '../contract/money.js';
import {
  GENERATE_SONG_WORKFLOW,
  type ReadSongTermsInput,
  SONG_MEMO,
  type SongAttempt,
  type SongMemo,
  type SongRequest,
  type SongSchema,
  type SongTerms,
} from '../contract/song.js';
import { bookedRowOf } from '../money/ledger.js';
import type { OtherSend } from '../money/songs.js';
import type { Mountsea, StartedTask } from '../mountsea/types.js';
import { asker } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import { whatItProves } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';
import { lookAtLedger, type ReadLedgerInput } from './readWitnesses.js';
import { type SendInput, sendOnce } from './sendOnce.js';

const TIMEOUT_MS = 30_000;
/** Newest rows of the ledger among which a price is looked for. */
const PRICE_ROWS = 100;
const PRICE_DAYS_MS = 30 * 24 * 3_600_000;

export interface LookBeforeSongInput {
  origin: string;
  /** When each send that this run knows of was begun; ISO 8601. */
  known: string[];
}

export interface LookBeforeSong extends Affinity {
  /** The run that may send. */
  runId: string;
  /** Sends of earlier runs of this song (it was reset in the Web UI) that may have been accepted, oldest first. */
  earlier: SongAttempt[];
  /** Absent where billing did not answer. */
  balance?: number;
}

export function createLookBeforeSong({ mountsea, affinity }: ActivityDependencies) {
  return async function lookBeforeSong({ origin, known }: LookBeforeSongInput): Promise<LookBeforeSong> {
    const own = affinity();
    requireOrigin(origin, own.origin);
    const { workflowId, runId } = asker();
    const attempts = await earlierAttempts(workflowId, runId);
    const { balance } = await balanceOf(mountsea);
    return {
      ...own,
      runId,
      earlier: attempts.filter(({ sentAt }) => !known.includes(sentAt)),
      ...(balance === undefined ? {} : { balance }),
    };
  };
}

/** From the memos of the other runs, each asked for by itself: the list of the server lags behind. */
async function earlierAttempts(workflowId: string, runId: string): Promise<SongAttempt[]> {
  const { client } = Context.current();
  const attempts = new Map<string, SongAttempt>();
  const query = `WorkflowId = '${workflowId.replaceAll("'", "''")}'`;
  for await (const run of client.workflow.list({ query })) {
    if (run.runId === runId) continue;
    const { memo } = await client.workflow.getHandle(workflowId, run.runId).describe();
    const { receipt } = (memo?.[SONG_MEMO] ?? {}) as Partial<SongMemo>;
    for (const attempt of receipt?.generate.attempts ?? []) {
      const other = attempts.get(attempt.sentAt);
      // A run that knew the task knew more.
      if (other?.taskId === undefined) attempts.set(attempt.sentAt, attempt);
    }
  }
  return [...attempts.values()]
    .filter(({ verdict, taskId }) => verdict !== 'not-charged' || taskId !== undefined)
    .sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1));
}

export interface SubmitSongInput extends SendInput {
  request: SongRequest;
}

export function createSubmitSong({ mountsea, affinity }: ActivityDependencies) {
  return async function submitSong(input: SubmitSongInput): Promise<StartedTask> {
    return sendOnce('Generate', affinity(), input, (options) =>
      mountsea.generate({ task: 'create', ...input.request }, options),
    );
  };
}

export interface SongLedger {
  ledger?: LedgerLook;
  ledgerMissing?: string;
  /** Sends of other songs that may have been charged since then. */
  others: OtherSend[];
}

export function createReadSongLedger({ mountsea, affinity }: ActivityDependencies) {
  return async function readSongLedger(input: ReadLedgerInput): Promise<SongLedger> {
    requireOrigin(input.affinity.origin, affinity().origin);
    const look = await lookAtLedger(mountsea, affinity(), cancellationSignal(), input);
    return { ...look, others: await otherSends(input) };
  };
}

async function otherSends({ affinity, since }: ReadLedgerInput): Promise<OtherSend[]> {
  const { client } = Context.current();
  const from = new Date(since).toISOString();
  const query = `WorkflowType = '${GENERATE_SONG_WORKFLOW}' AND (ExecutionStatus = 'Running' OR CloseTime >= '${from}')`;
  const { workflowId: own } = asker();
  const others: OtherSend[] = [];
  for await (const { workflowId, memo } of client.workflow.list({ query })) {
    const song = memo?.[SONG_MEMO] as SongMemo | undefined;
    if (workflowId === own || song?.keyFingerprint !== affinity.keyFingerprint) continue;
    for (const { sentAt, verdict, rowId } of song.receipt.generate.attempts) {
      if (verdict === 'not-charged' || sentAt < from) continue;
      others.push({ sentAt: Date.parse(sentAt), ...(rowId === undefined ? {} : { rowId }) });
    }
  }
  return others;
}

export function createReadSongTerms({ mountsea, affinity }: ActivityDependencies) {
  return async function readSongTerms({ origin }: ReadSongTermsInput): Promise<SongTerms> {
    const own = affinity();
    requireOrigin(origin, own.origin);
    const [schemas, balance, seenCredits] = await Promise.all([
      schemasOf(mountsea),
      balanceOf(mountsea),
      dearestSong(mountsea),
    ]);
    return {
      keyFingerprint: own.keyFingerprint,
      ...schemas,
      ...balance,
      ...(seenCredits === undefined ? {} : { seenCredits }),
    };
  };
}

async function schemasOf(mountsea: Mountsea): Promise<Pick<SongTerms, 'schemas' | 'schemasMissing'>> {
  try {
    const found = await mountsea.generateSchema(limits());
    const schemas = found.map(({ description, required, optional, notAllowed }): SongSchema => ({
      ...(description === undefined ? {} : { description }),
      required: required.map(({ field }) => field),
      optional: optional.map(({ field }) => field),
      notAllowed,
    }));
    return { schemas };
  } catch (error) {
    return { schemasMissing: whatItProves(error).message };
  }
}

async function balanceOf(mountsea: Mountsea): Promise<Pick<SongTerms, 'balance' | 'balanceMissing'>> {
  try {
    return { balance: await mountsea.credits(limits()) };
  } catch (error) {
    return { balanceMissing: whatItProves(error).message };
  }
}

/** One page only: a price is worth no long ledger. */
async function dearestSong(mountsea: Mountsea): Promise<number | undefined> {
  const endMs = Date.now();
  try {
    const query = { startMs: endMs - PRICE_DAYS_MS, endMs, page: 1, limit: PRICE_ROWS };
    const { rows } = await mountsea.searchPoints(query, limits());
    const prices = rows
      .map(bookedRowOf)
      .filter(({ kind, amount }) => kind === 'generate' && amount > 0)
      .map(({ amount }) => amount);
    return prices.length === 0 ? undefined : Math.max(...prices);
  } catch {
    return undefined;
  }
}

function limits(): { signal: AbortSignal; timeoutMs: number } {
  return { signal: cancellationSignal(), timeoutMs: TIMEOUT_MS };
}
