/**
 * Health of a worker's container: the Temporal server saw this very worker ask for work a moment ago. That proves the
 * process, its connection and its polling, of workflow and activity tasks alike; not the API key and not Mountsea.
 * A worker that is merely asked whether it runs says yes while it hangs, so the server is asked instead.
 */
import { hostname } from 'node:os';
import process from 'node:process';
import { configuredAddress, openClient } from '../dist/temporal/connection.js';
import { taskQueueFor } from '../dist/temporal/identity.js';
import { readSettings } from '../dist/temporal/settings.js';

/** A poll that finds no work ends after about a minute and is followed by the next one. */
const FRESH_MS = 150_000;
const TIMEOUT_MS = 8_000;
const WORKFLOW_TASKS = 1;
const ACTIVITY_TASKS = 2;

// In its container the worker is the first process; outside of one, say which it is.
const pid = process.argv[2] ?? '1';
/** As the SDK names a worker. */
const identity = `${pid}@${hostname()}`;

try {
  const settings = readSettings();
  if (settings.temporal === undefined) throw new Error('No Temporal server is configured.');
  const { client, close } = await openClient(configuredAddress(settings.temporal), TIMEOUT_MS);
  try {
    await client.connection.withDeadline(Date.now() + TIMEOUT_MS, async () => {
      for (const taskQueueType of [WORKFLOW_TASKS, ACTIVITY_TASKS]) {
        await requireFreshPoll(client, taskQueueFor(settings.origin), taskQueueType);
      }
    });
  } finally {
    await close();
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function requireFreshPoll(client, queue, taskQueueType) {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType,
  });
  const polls = (pollers ?? [])
    .filter((poller) => poller.identity === identity)
    .map((poller) => Number(poller.lastAccessTime?.seconds ?? 0) * 1_000);
  if (!(Date.now() - Math.max(0, ...polls) < FRESH_MS)) {
    throw new Error(
      `${identity} has not asked ${queue} for work (kind ${taskQueueType}) in the last ${FRESH_MS / 1_000} s.`,
    );
  }
}
