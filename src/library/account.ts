/**
 * Client side: what a worker says of the account behind its key. A client has no key, so it asks by a short workflow.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ACCOUNT_QUERY, type AccountFacts, type AccountQuestion } from '../contract/account.js';
import { READ_SONG_TERMS_WORKFLOW, type ReadSongTermsInput, type SongTerms } from '../contract/song.js';
import { READ_STAGING_WORKFLOW, type ReadStagingInput, type StagingAbilities } from '../contract/staging.js';
import {
  type AccountLedger,
  type AccountReading,
  READ_ACCOUNT_WORKFLOW,
  type ReadAccountInput,
} from '../money/audit.js';
import { accountWorkflowIdFor, taskQueueFor } from '../temporal/identity.js';
import { WorkerFailedError } from './errors.js';

/** A worker that is there takes a new workflow in milliseconds. */
const NO_WORKER_MS = 4_000;
/** Then it may take as long as a long ledger needs. */
const READING_MS = 150_000;
/** Events of a workflow that no worker has seen: started, first task scheduled. */
const UNSEEN_EVENTS = 2;

/** Rows this young say what an upload costs now; what older ones showed the account workflow remembers. */
const PRICES_MS = 2 * 24 * 3_600_000;
const FACTS_MS = 2_000;

/** What a plan must know of the account behind the worker's key. */
export interface AccountPrices {
  /** Credits. */
  balance: number;
  /** The dearest upload that was seen, credits; absent where none was. */
  uploadCredits?: number;
}

/** In place of prices: why they are not known. */
export interface PricesUnknown {
  /** In a few words. */
  unknown: string;
  /** Fingerprint of the worker's key, where the API itself refuses it. */
  refusedKey?: string;
}

export class Account {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Balance and ledger.
   *
   * @returns undefined where no worker answers.
   * @throws WorkerFailedError where one does and cannot tell.
   */
  read(input: ReadAccountInput): Promise<AccountReading | undefined> {
    return this.#ask(READ_ACCOUNT_WORKFLOW, 'Balance and ledger for a client that asked', input);
  }

  /** What must be known before a song is ordered; otherwise as `read`. */
  songTerms(input: ReadSongTermsInput): Promise<SongTerms | undefined> {
    return this.#ask(READ_SONG_TERMS_WORKFLOW, 'Schema and price of a song for a client that asked', input);
  }

  /** What a worker could do for a training of local files; otherwise as `read`. */
  stagingAbilities(input: ReadStagingInput): Promise<StagingAbilities | undefined> {
    return this.#ask(READ_STAGING_WORKFLOW, 'How local files get their URLs, for a client that asked', input);
  }

  async #ask<A>(workflowType: string, summary: string, input: { origin: string }): Promise<A | undefined> {
    const handle = await this.#client.workflow.start(workflowType, {
      workflowId: `read-${randomUUID()}`,
      taskQueue: taskQueueFor(input.origin),
      args: [input],
      workflowExecutionTimeout: READING_MS,
      staticSummary: summary,
    });
    const reading = answerOf(handle.result() as Promise<A>);
    const first = await Promise.race([reading, sleep(NO_WORKER_MS, undefined, { ref: false })]);
    if (first !== undefined) return first;
    const { historyLength } = await handle.describe();
    if (historyLength > UNSEEN_EVENTS) return reading;
    // Nobody waits for it any more: a worker that comes later must not do it.
    reading.catch(() => undefined);
    await handle.terminate('no worker');
    return undefined;
  }

  /** What a plan must know, or why it is not known, in a few words. Never rejects: a plan is good without. */
  async prices(origin: string): Promise<AccountPrices | PricesUnknown> {
    try {
      const reading = await this.read({ origin, since: Date.now() - PRICES_MS, checksKey: true });
      if (reading === undefined) return { unknown: 'no worker' };
      const { key, ledger, ledgerMissing = 'billing did not answer', keyFingerprint } = reading;
      // Billing may have a key of its own, so only what the API says counts, and it counts whatever billing says.
      if (key?.verdict === 'refused') {
        return { unknown: `Mountsea refuses the API key ${keyFingerprint}`, refusedKey: keyFingerprint };
      }
      if (ledger === undefined) return { unknown: ledgerMissing };
      const uploadCredits = priceOf(await this.#facts(origin, keyFingerprint), ledger);
      return { balance: ledger.balance, ...(uploadCredits === undefined ? {} : { uploadCredits }) };
    } catch (error) {
      return { unknown: error instanceof Error ? error.message : String(error) };
    }
  }

  /** What trainings have shown before; undefined where there was none. */
  async #facts(origin: string, keyFingerprint: string): Promise<AccountFacts | undefined> {
    const question: AccountQuestion = { workflowId: '', keyFingerprint, since: Date.now() };
    const handle = this.#client.workflow.getHandle(accountWorkflowIdFor(origin));
    try {
      return await this.#client.withDeadline(Date.now() + FACTS_MS, () =>
        handle.query<AccountFacts, [AccountQuestion]>(ACCOUNT_QUERY, question),
      );
    } catch {
      return undefined;
    }
  }
}

function priceOf(facts: AccountFacts | undefined, ledger: AccountLedger): number | undefined {
  const dearest = Math.max(facts?.uploadCredits ?? 0, ledger.dearestUpload ?? 0);
  return dearest > 0 ? dearest : undefined;
}

async function answerOf<A>(result: Promise<A>): Promise<A> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new WorkerFailedError(`The worker did not read it (${error.cause?.message ?? error.message}).`);
  }
}
