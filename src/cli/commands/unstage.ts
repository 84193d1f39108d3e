/**
 * Client side: `unstage`. A training removes by itself what was staged for it; this is for those that could not.
 */
import { Argument } from 'commander';
import type { Bucket, StagedObject } from '../../contract/training.js';
import { connect, type Connected } from '../../library/connect.js';
import { wayOf } from '../../library/stage.js';
import { readSettings } from '../../temporal/settings.js';
import { defineCommand, json } from '../command.js';
import { CommandError, Exit, UsageError } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { type JsonFlag, saying } from './common.js';

export const unstageCommand = defineCommand<JsonFlag, [string?]>({
  name: 'unstage',
  summary: 'remove copies of local files that an abandoned training left in the bucket',
  description:
    'A training removes by itself what was staged for it. What is left of one that was terminated, or whose worker could not remove it, goes with this command: without an id what belongs to trainings that have ended. What an open training may need stays, and what no training here knows is listed and removed only by its id.',
  arguments: [new Argument('[id]', 'workflow id, a unique prefix of it, session id, or model name')],
  options: [json()],
  examples: [
    { line: 'unstage', does: 'remove what trainings that have ended left behind' },
    { line: 'unstage "Night Drive"', does: 'remove what one of them left behind' },
  ],
  run: ({ args: [id], flags, io }) => unstage(id, flags, io),
});

/** What became of the copies of one training. */
export interface Unstaged {
  workflowId: string;
  objects: number;
  /** `open`: it may need them. `unknown`: no training here has that id. */
  outcome: 'removed' | 'open' | 'unknown';
}

async function unstage(id: string | undefined, flags: JsonFlag, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const { home, allowPrivateUrls } = settings;
  const way = wayOf({ env: io.env, home, allowPrivateUrls }, true);
  if (way?.kind !== 's3') {
    throw new UsageError(
      'There is no bucket to look in: set TUNESMITH_S3_BUCKET. (A tunnel leaves nothing behind.)',
    );
  }
  const connected = await connect(settings, { purpose: 'if-state', env: io.env, say: saying(output, io) });
  try {
    const outcomes = await unstageIn(way.bucket, id, connected);
    output.json({ type: 'unstage', version: JSON_VERSION, bucket: way.bucket.bucket, trainings: outcomes });
    for (const line of linesOf(outcomes, id)) output.say(line);
    return Exit.done;
  } finally {
    await connected?.close();
  }
}

async function unstageIn(
  bucket: Bucket,
  id: string | undefined,
  connected: Connected | undefined,
): Promise<Unstaged[]> {
  const { abortUploads, removeObject, stagedTrainings } = await import('../../staging/s3.js');
  const staged = await said(stagedTrainings(bucket));
  const wanted = id === undefined ? undefined : staged.has(id) ? id : await connected?.trainings.resolve(id);
  if (id !== undefined && wanted === undefined) throw new UsageError(`No training fits "${id}".`);
  const outcomes: Unstaged[] = [];
  const all: [string, StagedObject[]][] =
    wanted === undefined ? [...staged] : [[wanted, staged.get(wanted) ?? []]];
  for (const [workflowId, objects] of all) {
    const state = await stateOf(workflowId, connected);
    const isRemoved = state === 'ended' || (state === 'unknown' && wanted !== undefined);
    if (wanted !== undefined && state === 'open') {
      throw new UsageError(
        `${workflowId} still runs and may need its files: it removes them by itself. To end it: \`tunesmith cancel ${workflowId}\`.`,
      );
    }
    if (isRemoved) {
      for (const object of objects) await said(removeObject(object));
      // Not every key may list unfinished uploads; a rule of the bucket does the same.
      await abortUploads(bucket, workflowId).catch(() => 0);
    }
    outcomes.push({
      workflowId,
      objects: objects.length,
      outcome: isRemoved ? 'removed' : state === 'open' ? 'open' : 'unknown',
    });
  }
  return outcomes;
}

async function stateOf(
  workflowId: string,
  connected: Connected | undefined,
): Promise<'open' | 'ended' | 'unknown'> {
  if (connected === undefined) return 'unknown';
  try {
    const { status } = await connected.trainings.look(workflowId);
    return status === 'running' ? 'open' : 'ended';
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return 'unknown';
    throw error;
  }
}

async function said<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CommandError(`The bucket cannot be tidied: ${(error as Error).message}.`);
  }
}

function linesOf(outcomes: Unstaged[], id: string | undefined): string[] {
  if (outcomes.every(({ objects }) => objects === 0)) return ['Nothing is staged.'];
  return outcomes.map(({ workflowId, objects, outcome }) => {
    const files = `${objects} ${objects === 1 ? 'file' : 'files'}`;
    switch (outcome) {
      case 'removed':
        return `${workflowId}: ${files} removed.`;
      case 'open':
        return `${workflowId}: ${files} kept, since it still runs.`;
      case 'unknown':
        return `${workflowId}: ${files} kept, since no training here has that id.${id === undefined ? ` To remove them: \`tunesmith unstage ${workflowId}\`` : ''}`;
    }
  });
}
