/**
 * Decides when the background process is no longer needed. Runs in that process only; reads trainings and songs by their memo, so
 * it needs no worker.
 */
import type { Client } from '@temporalio/client';
import { TRAINING_MEMO, TRAIN_CUSTOM_MODEL_WORKFLOW } from '../contract/messages.js';
import type { TrainingMemo } from '../contract/progress.js';
import { GENERATE_SONG_WORKFLOW, SONG_MEMO } from '../contract/song.js';
import { hasFollowers, lastUse } from './followers.js';

/** How long after the last open training the background process ends, s. */
const DEFAULT_IDLE_SECONDS = 600;
/** A command that just came needs this long at most until its training is open or its mark is there, ms. */
const USE_GRACE_MS = 60_000;
const LOOK_EVERY_MS = 15_000;

/** `TUNESMITH_IDLE_SECONDS` is for tests. */
export function idleSeconds(env: NodeJS.ProcessEnv): number {
  const given = Number(env['TUNESMITH_IDLE_SECONDS']);
  return given > 0 ? given : DEFAULT_IDLE_SECONDS;
}

export interface IdleWatch {
  /** How long to wait between two looks, ms. */
  lookEveryMs: number;
  /** Looks, and says whether there has been nothing to do for long enough. */
  look(): Promise<boolean>;
  /** Whether somebody has come since the last look. */
  isNeededAgain(): boolean;
}

export function watchIdle(client: Client, home: string, seconds: number): IdleWatch {
  const idleMs = seconds * 1_000;
  // Not the wall clock: it jumps, and it runs on while the machine sleeps.
  let busyAt = performance.now();
  let usedAt = performance.now();
  let use = lastUse(home);
  return {
    lookEveryMs: Math.min(LOOK_EVERY_MS, idleMs / 4),
    look: async () => {
      const busy = hasFollowers(home) || (await hasWork(client));
      const now = performance.now();
      if (busy) busyAt = now;
      const newest = lastUse(home);
      if (newest !== use) [use, usedAt] = [newest, now];
      return now - busyAt >= idleMs && now - usedAt >= Math.min(idleMs, USE_GRACE_MS);
    },
    isNeededAgain: () => hasFollowers(home) || lastUse(home) !== use,
  };
}

/** A training, or a song, that waits for a person does not count; one that tries again by itself does. */
async function hasWork(client: Client): Promise<boolean> {
  const types = `'${TRAIN_CUSTOM_MODEL_WORKFLOW}','${GENERATE_SONG_WORKFLOW}'`;
  const query = `WorkflowType IN (${types}) AND ExecutionStatus='Running'`;
  try {
    for await (const { memo } of client.workflow.list({ query })) {
      if (!waitsForPerson(memo?.[TRAINING_MEMO] ?? memo?.[SONG_MEMO])) return true;
    }
    return false;
  } catch {
    // A server too busy to answer is no idle server.
    return true;
  }
}

function waitsForPerson(memo: unknown): boolean {
  const { attention } = (memo ?? {}) as Partial<TrainingMemo>;
  return attention !== undefined && attention.nextTryAt === undefined;
}
