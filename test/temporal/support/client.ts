/**
 * A client for as long as one question takes.
 */
import type { Client } from '@temporalio/client';
import { localAddress, openClient } from '../../../src/temporal/connection.js';

export async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const open = await openClient(localAddress(address));
  try {
    return await use(open.client);
  } finally {
    await open.close();
  }
}

export async function statusOf(address: string, workflowId: string): Promise<string> {
  return withClient(address, async (client) => {
    return (await client.workflow.getHandle(workflowId).describe()).status.name;
  });
}
