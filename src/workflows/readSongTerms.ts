/**
 * Workflow sandbox: what a client without a key asks a worker before it orders a song: schema, balance, price.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { ReadSongTermsInput, SongTerms } from '../contract/song.js';
import { activityProfiles } from './profiles.js';

export async function readSongTerms(input: ReadSongTermsInput): Promise<SongTerms> {
  const { readSongTerms: read } = proxyActivities<Activities>(
    activityProfiles(1, { timeoutMs: 60_000, heartbeatMs: 20_000 }).witnesses,
  );
  return read(input);
}
