/**
 * Client side: the registry as commands read it (contract/record.ts). It needs no worker: a record is the memo of a
 * workflow that stays open.
 */
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import {
  ALIAS_MEMO,
  RECORD_MEMO,
  RECORD_SIGNAL,
  RECORD_WORKFLOW,
  recordIdFor,
  recordStart,
  type TrainingRecord,
} from '../contract/record.js';
import { taskQueueFor } from '../temporal/identity.js';

/** What the registry has under the id of a training. */
export interface Registered {
  record?: TrainingRecord;
  /** The training that this identity was corrected to. */
  aliasOf?: string;
}

export class Records {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async find(workflowId: string): Promise<Registered> {
    try {
      const { memo } = await this.#client.workflow.getHandle(recordIdFor(workflowId)).describe();
      return registeredIn(memo);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return {};
      throw error;
    }
  }

  /** Newest first. */
  async list(): Promise<TrainingRecord[]> {
    // Those that a run left behind when it continued as new are older.
    const query = `WorkflowType = '${RECORD_WORKFLOW}' AND ExecutionStatus = 'Running'`;
    const records: TrainingRecord[] = [];
    for await (const { memo } of this.#client.workflow.list({ query })) {
      const { record } = registeredIn(memo);
      if (record !== undefined) records.push(record);
    }
    return records.sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1));
  }

  /**
   * Takes a record of another registry. One that is as new here stays, and so does one of a training that is open here.
   *
   * @returns what became of it.
   */
  async take(record: TrainingRecord): Promise<'added' | 'updated' | 'known'> {
    const { record: there } = await this.find(record.workflowId);
    if (there !== undefined) {
      if (there.end === 'open' || there.updatedAt >= record.updatedAt) return 'known';
      await this.put(record);
      return 'updated';
    }
    try {
      await this.#client.workflow.start(RECORD_WORKFLOW, {
        ...recordStart(record),
        taskQueue: taskQueueFor(record.origin),
      });
      return 'added';
    } catch (error) {
      // The same content was corrected to another training here: that one keeps it.
      if (error instanceof WorkflowExecutionAlreadyStartedError) return 'known';
      throw error;
    }
  }

  /** Workflow ids of what the registry has of a training: its record, and the names that find it. */
  async idsOf(workflowId: string): Promise<string[]> {
    const query = `WorkflowType = '${RECORD_WORKFLOW}' AND ExecutionStatus = 'Running'`;
    const ids = [recordIdFor(workflowId)];
    for await (const { workflowId: id, memo } of this.#client.workflow.list({ query })) {
      if (registeredIn(memo).aliasOf === workflowId) ids.push(id);
    }
    return ids;
  }

  /** Puts a record in the place of the one that is there. */
  async put(record: TrainingRecord): Promise<void> {
    await this.#client.workflow
      .getHandle(recordIdFor(record.workflowId))
      .signal<[TrainingRecord]>(RECORD_SIGNAL, record);
  }
}

function registeredIn(memo: Record<string, unknown> | undefined): Registered {
  const record = memo?.[RECORD_MEMO] as TrainingRecord | undefined;
  const aliasOf = memo?.[ALIAS_MEMO] as string | undefined;
  return { ...(record === undefined ? {} : { record }), ...(aliasOf === undefined ? {} : { aliasOf }) };
}
