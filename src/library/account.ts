/**
 * Client side: what a worker says of the account behind its key. A client has no key, so it asks by a short workflow.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { READ_SONG_TERMS_WORKFLOW, type ReadSongTermsInput, type SongTerms } from '../contract/song.js';
import { READ_STAGING_WORKFLOW, type ReadStagingInput, type StagingAbilities } from '../contract/staging.js';
import { type AccountReading, READ_ACCOUNT_WORKFLOW, type ReadAccountInput } from '../money/audit.js';
import { taskQueueFor } from '../temporal/identity.js';
import { WorkerFailedError } from './errors.js';

/** A worker that is there takes a new workflow in milliseconds. */
const NO_WORKER_MS = 4_000;
/** Then it may take as long as a long ledger needs. */
const READING_MS = 150_000;
/** Events of a workflow that no worker has seen: started, first task scheduled. */
const UNSEEN_EVENTS = 2;

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
}

async function answerOf<A>(result: Promise<A>): Promise<A> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new WorkerFailedError(
      `The worker did not read it (${error.cause?.message ?? error.message}). One of an earlier release cannot.`,
    );
  }
}
