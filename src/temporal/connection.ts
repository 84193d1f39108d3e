/**
 * Opens a client connection to the Temporal server in use: the configured one, or our own in the background. Address
 * and namespace come from the same place for client and worker alike (a dropped namespace is a common trap).
 */
import { Client, Connection } from '@temporalio/client';
import { toClientOptions } from '@temporalio/envconfig';
import type { Settings } from './settings.js';

/** Where a Temporal server is, with everything a connection needs. */
export interface TemporalAddress {
  connectionOptions: ReturnType<typeof toClientOptions>['connectionOptions'];
  namespace: string;
}

/** The configured server. */
export function configuredAddress(temporal: NonNullable<Settings['temporal']>): TemporalAddress {
  const { connectionOptions, namespace } = toClientOptions(temporal);
  return { connectionOptions, namespace: namespace ?? 'default' };
}

/** A server without TLS on this machine. */
export function localAddress(address: string): TemporalAddress {
  return { connectionOptions: { address }, namespace: 'default' };
}

export interface OpenClient {
  client: Client;
  close(): Promise<void>;
}

/**
 * @param timeoutMs how long to try, ms. Default 10 000.
 * @throws the SDK's error where the server cannot be reached in that time.
 */
export async function openClient(address: TemporalAddress, timeoutMs = 10_000): Promise<OpenClient> {
  const connection = await Connection.connect({
    ...clientSide(address.connectionOptions),
    connectTimeout: timeoutMs,
  });
  const client = new Client({ connection, namespace: address.namespace });
  return { client, close: () => connection.close() };
}

/** The options that both kinds of connection know: the worker's native one has more. */
function clientSide(options: TemporalAddress['connectionOptions']): {
  address?: string;
  tls?: Exclude<typeof options.tls, null>;
  apiKey?: string;
  metadata?: Record<string, string>;
} {
  const { address, tls, apiKey, metadata } = options;
  return {
    ...(address === undefined ? {} : { address }),
    ...(tls === undefined || tls === null ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata: metadata as Record<string, string> }),
  };
}
