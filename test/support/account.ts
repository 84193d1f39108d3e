/**
 * Tests: what the account workflow of a rig knows.
 */
import { ACCOUNT_QUERY, type AccountFacts, type AccountQuestion } from '../../src/contract/account.js';
import { accountWorkflowIdFor } from '../../src/temporal/identity.js';
import { keyFingerprint } from '../../src/temporal/settings.js';
import type { Rig } from './rig.js';

/** @param workflowId the training that asks. Default: one that the account workflow has never heard of. */
export function factsOf(
  { client, sandbox: { url, apiKey } }: Pick<Rig, 'client' | 'sandbox'>,
  workflowId = '',
): Promise<AccountFacts> {
  return client.workflow
    .getHandle(accountWorkflowIdFor(url))
    .query<AccountFacts, [AccountQuestion]>(ACCOUNT_QUERY, {
      workflowId,
      keyFingerprint: keyFingerprint(url, apiKey),
      since: 0,
    });
}
