/**
 * Worker process: bootstrap only. Connects by Temporal's own configuration, holds the API key, runs workflows and
 * activities of one API origin. Any number of them may run; each may be killed at any time.
 */
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from './activities/index.js';
import type { Affinity } from './contract/affinity.js';
import { createMountsea } from './mountsea/client.js';
import { recordTo } from './mountsea/recording.js';
import { configuredAddress } from './temporal/connection.js';
import type { Mountsea } from './mountsea/types.js';
import type { RunningWorker, StartWorker } from './temporal/host.js';
import {
  accountWorkflowIdFor,
  sourceIdentity,
  taskQueueFor,
  trainingWorkflowId,
} from './temporal/identity.js';
import {
  isPrivateHost,
  keyFingerprint,
  readSettings,
  type Settings,
  SettingsError,
  webhookFingerprint,
} from './temporal/settings.js';

/** Longer than any request that costs credits, so that a shutdown loses no answer. */
const SHUTDOWN_GRACE_MS = 75_000;
/** Above the trainings that may run at once; evicted workflows are replayed, which costs most of a worker's CPU. */
const MAX_CACHED_WORKFLOWS = 500;
/** The SDK throttles heartbeats; what a dying worker last knew must not be older than this. */
const HEARTBEAT_THROTTLE_MS = 100;

export type WorkerOptions = Parameters<StartWorker>[0] & {
  /** For tests: what stands between the activities and the API. */
  wrapMountsea?: (mountsea: Mountsea) => Mountsea;
};

/**
 * Starts a worker in this process. The Temporal SDK handles SIGINT and SIGTERM from then on: add no handlers.
 *
 * @throws SettingsError where there is no API key or no workflow bundle.
 */
export async function startWorker({
  address,
  settings,
  recordDir,
  writesFiles = false,
  wrapMountsea = (mountsea) => mountsea,
}: WorkerOptions): Promise<RunningWorker> {
  const { origin } = settings;
  const affinity = (): Affinity => ({ origin, keyFingerprint: keyFingerprint(origin, requireKey(settings)) });
  const startedWith = affinity();
  // One that cannot be used is said now, not when there is something to tell.
  const secret = settings.webhookSecret();
  const codePath = fileURLToPath(new URL('workflow-bundle.cjs', import.meta.url));
  // Bundling here instead would take seconds at each start and would hide a broken build.
  if (!existsSync(codePath)) {
    throw new SettingsError(`The workflow bundle ${codePath} is missing: run npm run build.`);
  }
  const mountsea = createMountsea({
    baseUrl: settings.baseUrl,
    apiKey: () => requireKey(settings),
    ...(settings.billingUrl === undefined
      ? {}
      : { billing: { baseUrl: settings.billingUrl, apiKey: () => settings.billingKey() ?? '' } }),
    ...(recordDir === undefined ? {} : { onExchange: recordTo(recordDir) }),
  });
  const connection = await NativeConnection.connect(address.connectionOptions);
  const worker = await Worker.create({
    connection,
    namespace: address.namespace,
    taskQueue: taskQueueFor(origin),
    workflowBundle: { codePath },
    activities: createActivities({
      mountsea: wrapMountsea(mountsea),
      affinity,
      accountWorkflowId: accountWorkflowIdFor(origin),
      identify: ({ name, sources }) =>
        trainingWorkflowId({ origin, name, sources: sources.map(sourceIdentity) }),
      writesFiles,
      webhook: {
        secret: settings.webhookSecret,
        isRefused: (host) => !settings.allowPrivateUrls && isPrivateHost(host),
      },
    }),
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
  });
  const done = worker.run().finally(async () => {
    await mountsea.close();
    await connection.close();
  });
  return {
    affinity: startedWith,
    ...(secret === undefined ? {} : { webhookFingerprint: webhookFingerprint(secret) }),
    done,
    shutdown: () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    },
  };
}

/** Only what needs somebody is said: a worker's log is read when something is wrong. */
export function installQuietLogger(): void {
  Runtime.install({ logger: new DefaultLogger('WARN') });
}

function requireKey(settings: Settings): string {
  const key = settings.apiKey();
  if (key !== undefined) return key;
  throw new SettingsError(
    'The worker needs the Mountsea API key: set MOUNTSEA_API_KEY, or MOUNTSEA_API_KEY_FILE to a file that holds it.',
  );
}

async function main(): Promise<void> {
  const settings = readSettings();
  requireKey(settings);
  if (settings.temporal === undefined) {
    throw new SettingsError(
      'No Temporal server is configured: set TEMPORAL_ADDRESS, or run `tunesmith up`, which brings its own.',
    );
  }
  installQuietLogger();
  const worker = await startWorker({ address: configuredAddress(settings.temporal), settings });
  const { origin, keyFingerprint: fingerprint } = worker.affinity;
  process.stderr.write(`Worker for ${origin} (key ${fingerprint}) is running.\n`);
  await worker.done;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error: unknown) => {
    const isUsage = error instanceof SettingsError;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = isUsage ? 2 : 1;
  });
}
