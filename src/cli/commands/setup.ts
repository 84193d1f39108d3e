/**
 * Client side: `setup`, what a Temporal of the user's own needs before the first training: a namespace that keeps histories
 * for long enough. Safe to run again; nothing is ever shortened or deleted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Option } from 'commander';
import { UnreachableError } from '../../library/errors.js';
import { configuredAddress, type OpenClient, openClient } from '../../temporal/connection.js';
import { createNamespace, keepHistory, RETENTION_DAYS, retentionOf } from '../../temporal/namespace.js';
import { readSettings } from '../../temporal/settings.js';
import { wholeNumber } from '../arguments.js';
import { defineCommand, json } from '../command.js';
import { Exit, UsageError } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { type JsonFlag, saying } from './common.js';

/** The server learns of a new namespace some seconds later; until then it refuses workers. */
const KNOWN_WITHIN_MS = 60_000;

interface SetupFlags extends JsonFlag {
  retention?: number;
}

export const setupCommand = defineCommand<SetupFlags>({
  name: 'setup',
  summary: 'prepare a Temporal of your own: a namespace that keeps histories',
  description:
    'Creates the configured namespace where it is not there, and makes it keep histories for long enough; a longer time is left alone. Safe to run again. The server that tunesmith brings needs none of it, and on Temporal Cloud a namespace is created in the web console.',
  options: [
    new Option(
      '--retention <days>',
      `how long histories are kept after the end of a training (default: ${RETENTION_DAYS})`,
    ).argParser(wholeNumber),
    json(),
  ],
  examples: [
    { line: 'setup', does: 'for the TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE of the environment' },
    { line: 'setup --retention 365', does: 'and keep histories for a year' },
  ],
  run: ({ flags, io }) => setup(flags, io),
});

async function setup({ retention = RETENTION_DAYS, json }: SetupFlags, io: Io): Promise<number> {
  const { temporal } = readSettings(io.env);
  const output = new Output(io, json === true);
  const say = saying(output, io);
  if (temporal === undefined) {
    throw new UsageError(
      'No Temporal address is configured, and the server that tunesmith brings needs no setup. For another one set TEMPORAL_ADDRESS.',
    );
  }
  const address = configuredAddress(temporal);
  const { namespace } = address;
  let open: OpenClient;
  try {
    open = await openClient(address);
  } catch (error) {
    throw new UnreachableError(
      `The Temporal server at ${temporal.address} cannot be reached (${messageOf(error)}). Check TEMPORAL_ADDRESS.`,
    );
  }
  try {
    const { client } = open;
    const outcome = (await isThere(client, namespace))
      ? await keepHistory(client, namespace, retention)
      : await created(client, namespace, retention);
    const kept = await retentionOf(client, namespace);
    output.json({
      type: 'setup',
      version: JSON_VERSION,
      address: temporal.address,
      namespace,
      outcome,
      ...(kept === undefined ? {} : { retentionDays: kept }),
    });
    const did = {
      created: 'is there now',
      raised: 'was there, and keeps histories longer now',
      'as-it-was': 'is as it should be',
    }[outcome];
    say(`Namespace ${namespace} at ${temporal.address} ${did}: ${Math.round(kept ?? retention)} days.`);
    say('Next: `tunesmith worker`, on a machine with the key.');
    return Exit.done;
  } finally {
    await open.close();
  }
}

async function isThere(client: Client, namespace: string): Promise<boolean> {
  try {
    await client.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (/not found/i.test(messageOf(error))) return false;
    throw error;
  }
}

async function created(client: Client, namespace: string, days: number): Promise<'created'> {
  try {
    await createNamespace(client, namespace, days);
  } catch (error) {
    // Somebody was faster.
    if (!/already exists/i.test(messageOf(error))) throw error;
  }
  const deadline = Date.now() + KNOWN_WITHIN_MS;
  for (;;) {
    try {
      await client.workflowService.countWorkflowExecutions({ namespace });
      return 'created';
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(500);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
