/**
 * Activity side: the account workflow as activities speak to it. It is started by the first update; a question to one
 * that was never started is answered with nothing known.
 */
import { activityInfo, Context } from '@temporalio/activity';
import { WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import {
  ACCOUNT_QUERY,
  ACCOUNT_WORKFLOW,
  type AccountFacts,
  type AccountQuestion,
  type Asker,
  NO_FACTS,
} from '../contract/account.js';
import { Turns } from './turns.js';

const DEADLINE_MS = 10_000;
/**
 * Of one worker. A workflow takes ten updates at once, and the server answers one more by dropping the others too: with
 * fifty trainings that ask at once, after a restart, nobody gets an answer for minutes.
 */
const updates = new Turns(3);

/** The execution that an activity works for. */
export function asker(): Asker {
  const { workflowExecution } = activityInfo();
  if (workflowExecution === undefined) throw new Error('This activity works for workflows only.');
  const { workflowId, runId } = workflowExecution;
  return { workflowId, runId };
}

/** Sends an update; all of them may be repeated, and Temporal repeats the activity. */
export async function updateAccount<A>(
  accountWorkflowId: string,
  name: string,
  question: object,
): Promise<A> {
  const { client } = Context.current();
  const { taskQueue } = activityInfo();
  return updates.take(() =>
    client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.workflow.executeUpdateWithStart<() => Promise<never>, A, [object]>(name, {
        args: [question],
        startWorkflowOperation: new WithStartWorkflowOperation<() => Promise<never>>(ACCOUNT_WORKFLOW, {
          args: [],
          workflowId: accountWorkflowId,
          taskQueue,
          workflowIdConflictPolicy: 'USE_EXISTING',
          staticSummary: 'What trainings of one API share: sessions, creates, timings of charges',
        }),
      }),
    ),
  );
}

export async function askAccount(
  accountWorkflowId: string,
  question: AccountQuestion,
): Promise<AccountFacts> {
  const { client } = Context.current();
  try {
    return await client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.workflow
        .getHandle(accountWorkflowId)
        .query<AccountFacts, [AccountQuestion]>(ACCOUNT_QUERY, question),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return NO_FACTS;
    throw error;
  }
}
