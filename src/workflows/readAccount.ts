/**
 * Workflow sandbox: what a client without a key asks a worker: balance and ledger of the account behind its key.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { AccountReading, ReadAccountInput } from '../money/audit.js';
import { activityProfiles } from './profiles.js';

export async function readAccount(input: ReadAccountInput): Promise<AccountReading> {
  const { readAccount: read } = proxyActivities<Activities>(
    activityProfiles(1, { timeoutMs: 60_000, heartbeatMs: 20_000 }).witnesses,
  );
  return read(input);
}
