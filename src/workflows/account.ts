/**
 * Workflow sandbox: one for each API origin. It keeps what several trainings share, and is asked by activities only. Every
 * handler is synchronous, so none is open when the workflow continues as new; every update may come twice.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  setHandler,
} from '@temporalio/workflow';
import {
  ACCOUNT_QUERY,
  type AccountFacts,
  type AccountQuestion,
  CLAIM_SESSION_UPDATE,
  type ClaimAnswer,
  type ClaimSession,
  CLOSE_TRAINING_UPDATE,
  type ClosedTraining,
  type CloseTraining,
  REPORT_SEND_UPDATE,
  type ReportSend,
  REQUEST_SEND_UPDATE,
  type RequestSend,
  type SendAnswer,
} from '../contract/account.js';
import { type AccountState, AccountBook, emptyAccount } from './accountBook.js';

/** Updates before it continues as new; each leaves about five events. */
const UPDATES_EACH_RUN = 1_000;

export interface AccountInput {
  state: AccountState;
  /** For tests: updates before it continues as new. Default 1 000. */
  updatesEachRun?: number;
}

export async function account(input: AccountInput = { state: emptyAccount() }): Promise<never> {
  const book = new AccountBook(input.state);
  let updates = 0;
  const now = (): number => {
    updates += 1;
    return Date.now();
  };
  setHandler(defineUpdate<ClaimAnswer, [ClaimSession]>(CLAIM_SESSION_UPDATE), (claim) =>
    book.claim(claim, now()),
  );
  setHandler(defineUpdate<SendAnswer, [RequestSend]>(REQUEST_SEND_UPDATE), (request) =>
    book.requestSend(request, now()),
  );
  setHandler(defineUpdate<null, [ReportSend]>(REPORT_SEND_UPDATE), (report) => {
    book.reportSend(report, now());
    return null;
  });
  setHandler(defineUpdate<ClosedTraining, [CloseTraining]>(CLOSE_TRAINING_UPDATE), (end) =>
    book.close(end, now()),
  );
  setHandler(defineQuery<AccountFacts, [AccountQuestion]>(ACCOUNT_QUERY), (question) => book.facts(question));

  await condition(() => updates >= (input.updatesEachRun ?? UPDATES_EACH_RUN));
  await condition(allHandlersFinished);
  return continueAsNew<typeof account>({ ...input, state: book.state });
}
