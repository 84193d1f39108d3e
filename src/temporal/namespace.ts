/**
 * A namespace and how long it keeps histories. Used by whoever starts a server of our own and by `setup`, which prepares
 * another one.
 */
import type { Client } from '@temporalio/client';
import { msToTs, tsToMs } from '@temporalio/common/lib/time.js';

/** How long a training's history is to be kept after its end: a lost model id is lost credits. */
export const RETENTION_DAYS = 90;
const DAY_MS = 24 * 3_600_000;

/**
 * How long histories are kept there, days; undefined where the server does not say.
 * @throws the SDK's error, also where there is no such namespace.
 */
export async function retentionOf(client: Client, namespace: string): Promise<number | undefined> {
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const kept = config?.workflowExecutionRetentionTtl;
  return kept === undefined || kept === null ? undefined : tsToMs(kept) / DAY_MS;
}

/** @returns `as-it-was` where histories are kept that long or longer: it is never shortened. */
export async function keepHistory(
  client: Client,
  namespace: string,
  days = RETENTION_DAYS,
): Promise<'as-it-was' | 'raised'> {
  const kept = await retentionOf(client, namespace);
  if (kept !== undefined && kept >= days) return 'as-it-was';
  await client.workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl: msToTs(days * DAY_MS) },
  });
  return 'raised';
}

export async function createNamespace(client: Client, namespace: string, days: number): Promise<void> {
  await client.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs(days * DAY_MS),
  });
}
