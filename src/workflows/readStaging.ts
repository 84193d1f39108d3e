/**
 * Workflow sandbox: what a client asks a worker before it starts a training of local files: how it can give them URLs.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { ReadStagingInput, StagingAbilities } from '../contract/staging.js';
import { activityProfiles } from './profiles.js';

export async function readStaging(input: ReadStagingInput): Promise<StagingAbilities> {
  const { readStaging: read } = proxyActivities<Activities>(
    activityProfiles(1, { timeoutMs: 60_000, heartbeatMs: 20_000 }).bookkeeping,
  );
  return read(input);
}
