/**
 * Activity side: the account workflow's word on sending create (design, section 5, points 2 and 6).
 */
import {
  REPORT_SEND_UPDATE,
  type ReportSend,
  REQUEST_SEND_UPDATE,
  type RequestSend,
  type SendAnswer,
} from '../contract/account.js';
import type { Affinity } from '../contract/affinity.js';
import { asker, updateAccount } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import type { ActivityDependencies } from './dependencies.js';

export type RequestSendInput = { origin: string } & Pick<
  RequestSend,
  'sessionId' | 'decision' | 'known' | 'grantMs' | 'slotMs'
>;

/** The answer, the key that it is about, and the run that it is given to: the send checks both. */
export interface SendGrant extends Affinity {
  answer: SendAnswer;
  runId: string;
}

export function createRequestSend({ affinity, accountWorkflowId }: ActivityDependencies) {
  return async function requestSend({ origin, ...input }: RequestSendInput): Promise<SendGrant> {
    const own = affinity();
    requireOrigin(origin, own.origin);
    const who = asker();
    const request: RequestSend = { ...input, ...who, keyFingerprint: own.keyFingerprint };
    const answer = await updateAccount<SendAnswer>(accountWorkflowId, REQUEST_SEND_UPDATE, request);
    return { ...own, runId: who.runId, answer };
  };
}

export type ReportSendInput = Omit<ReportSend, 'workflowId' | 'runId'>;

export function createReportSend({ accountWorkflowId }: ActivityDependencies) {
  return async function reportSend(input: ReportSendInput): Promise<void> {
    const report: ReportSend = { ...input, ...asker() };
    await updateAccount<null>(accountWorkflowId, REPORT_SEND_UPDATE, report);
  };
}
