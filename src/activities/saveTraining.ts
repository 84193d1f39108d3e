/**
 * Activity side: keeps the file of `--save`. Before create is sent it is on the disk, so that a session that was paid for
 * can be gone on with anywhere, whatever becomes of the Temporal server.
 */
import { ApplicationFailure } from '@temporalio/activity';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TrainingRecord } from '../contract/record.js';
import type { ActivityDependencies } from './dependencies.js';

export interface SaveTrainingInput {
  /** Absolute. */
  path: string;
  record: TrainingRecord;
}

export function createSaveTraining({ writesFiles }: ActivityDependencies) {
  /** @returns whether it was written: a worker on another machine leaves that to the follower. */
  return async function saveTraining({ path, record }: SaveTrainingInput): Promise<boolean> {
    if (!writesFiles) return false;
    try {
      await writeWhole(path, `${JSON.stringify(record, null, 2)}\n`);
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // The record has it all: a disk that is full must not hold up a training that is paid for.
      throw ApplicationFailure.nonRetryable(`${path} cannot be written: ${why}`, 'SaveFailed');
    }
  };
}

/** Never half a file: written beside it, synced, then renamed over it. */
async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
