/**
 * Worker process: bootstrap only. Connects by Temporal's own configuration, holds the API key, runs workflows and
 * activities of one API origin. Any number of them may run; each may be killed at any time.
 */
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  DefaultLogger,
  makeTelemetryFilterString,
  NativeConnection,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { createActivities } from './activities/index.js';
import type { Affinity } from './contract/affinity.js';
import { createMountsea } from './mountsea/client.js';
import { recordTo } from './mountsea/recording.js';
import { WorkerStaging } from './staging/workerStaging.js';
import { configuredAddress, type TemporalAddress } from './temporal/connection.js';
import type { Mountsea } from './mountsea/types.js';
import type { RunningWorker } from './temporal/host.js';
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

export { type KeySource, readSettings, type Settings, SettingsError } from './temporal/settings.js';
export type { Affinity } from './contract/affinity.js';
export type { RunningWorker } from './temporal/host.js';
export type { TemporalAddress } from './temporal/connection.js';

/** Longer than any request that costs credits, so that a shutdown loses no answer. */
const SHUTDOWN_GRACE_MS = 75_000;
/** Above the trainings that may run at once; evicted workflows are replayed, which costs most of a worker's CPU. */
const MAX_CACHED_WORKFLOWS = 500;
/** The SDK throttles heartbeats; what a dying worker last knew must not be older than this. */
const HEARTBEAT_THROTTLE_MS = 100;

export interface WorkOptions {
  /** Where the API is and which key it wants. Default: what the environment says. */
  settings?: Settings;
  /** Keep redacted exchanges with the API in this folder. */
  recordDir?: string;
  /** The worker shares its disk with whoever starts trainings: it reads their local files and keeps their `--save` files. Default false. */
  writesFiles?: boolean;
  /** For tests: what stands between the activities and the API. @internal */
  wrapMountsea?: (mountsea: Mountsea) => Mountsea;
}

export interface WorkerOptions extends WorkOptions {
  /** The Temporal server. Default: the configured one. */
  address?: TemporalAddress;
}

/**
 * Starts a worker in this process. The Temporal SDK handles SIGINT and SIGTERM from then on: add no handlers.
 *
 * @throws SettingsError where there is no API key, no Temporal server or no workflow bundle.
 */
export async function startWorker(options: WorkerOptions = {}): Promise<RunningWorker> {
  const { settings = readSettings(), address = addressIn(settings) } = options;
  const codePath = fileURLToPath(new URL('workflow-bundle.cjs', import.meta.url));
  // Bundling here instead would take seconds at each start and would hide a broken build.
  if (!existsSync(codePath)) {
    throw new SettingsError(`The workflow bundle ${codePath} is missing: run npm run build.`);
  }
  // One that cannot be used is said now, not when there is something to tell.
  const secret = settings.webhookSecret();
  const { taskQueue, activities, affinity, close } = createWork({ ...options, settings });
  const connection = await NativeConnection.connect(address.connectionOptions);
  const worker = await Worker.create({
    connection,
    namespace: address.namespace,
    taskQueue,
    workflowBundle: { codePath },
    activities,
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
  });
  const done = worker.run().finally(async () => {
    await close();
    await connection.close();
  });
  return {
    affinity,
    ...(secret === undefined ? {} : { webhookFingerprint: webhookFingerprint(secret) }),
    done,
    shutdown: () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    },
  };
}

/** What trainings need of a worker. */
export interface Work {
  /** Named after the API's origin. */
  taskQueue: string;
  /** By name, as `Worker.create` takes them. */
  activities: object;
  /** The API and the key at this moment. */
  affinity: Affinity;
  /** Closes the connections to the API; after the worker has drained. */
  close: () => Promise<void>;
}

/**
 * For a worker of your own that runs trainings beside other work: give it this task queue and these activities, and
 * `tunesmith/workflows` among its workflows. Give it 75 s of `shutdownGraceTime`, so that no paid answer is lost, and
 * heartbeats throttled to no more than 100 ms.
 *
 * @throws SettingsError where there is no API key.
 */
export function createWork(options: WorkOptions = {}): Work {
  const {
    settings = readSettings(),
    recordDir,
    writesFiles = false,
    wrapMountsea = (given: Mountsea): Mountsea => given,
  } = options;
  const { origin } = settings;
  const affinity = (): Affinity => ({ origin, keyFingerprint: keyFingerprint(origin, requireKey(settings)) });
  const now = affinity();
  const mountsea = createMountsea({
    baseUrl: settings.baseUrl,
    apiKey: () => requireKey(settings),
    ...(settings.billingUrl === undefined
      ? {}
      : { billing: { baseUrl: settings.billingUrl, apiKey: () => settings.billingKey() ?? '' } }),
    ...(recordDir === undefined ? {} : { onExchange: recordTo(recordDir) }),
  });
  const staging = new WorkerStaging({
    env: process.env,
    home: settings.home,
    readsFiles: writesFiles,
    allowPrivateUrls: settings.allowPrivateUrls,
  });
  const activities = createActivities({
    mountsea: wrapMountsea(mountsea),
    affinity,
    accountWorkflowId: accountWorkflowIdFor(origin),
    identify: ({ name, sources }) =>
      trainingWorkflowId({ origin, name, sources: sources.map(sourceIdentity) }),
    writesFiles,
    staging,
    webhook: {
      secret: settings.webhookSecret,
      isRefused: (host) => !settings.allowPrivateUrls && isPrivateHost(host),
    },
  });
  const close = async (): Promise<void> => {
    await Promise.all([mountsea.close(), staging.close()]);
  };
  return { taskQueue: taskQueueFor(origin), activities, affinity: now, close };
}

/** Only what needs somebody is said: a worker's log is read when something is wrong. */
export function installQuietLogger(): void {
  Runtime.install({
    logger: new DefaultLogger('WARN'),
    telemetryOptions: {
      logging: {
        // A memo with 8 files is above the size (2 kB) at which each writing of it is warned of; the limit is 32 kB.
        filter: `${makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' })},temporalio_common::payload_limits=ERROR`,
      },
    },
  });
}

function addressIn({ temporal }: Settings): TemporalAddress {
  if (temporal !== undefined) return configuredAddress(temporal);
  throw new SettingsError(
    'No Temporal server is configured: set TEMPORAL_ADDRESS, or run `tunesmith up`, which brings its own.',
  );
}

function requireKey(settings: Settings): string {
  const key = settings.apiKey();
  if (key !== undefined) return key;
  throw new SettingsError(
    'The worker needs the Mountsea API key: set MOUNTSEA_API_KEY, or MOUNTSEA_API_KEY_FILE to a file that holds it, or `tunesmith login`.',
  );
}

async function main(): Promise<void> {
  const settings = readSettings();
  requireKey(settings);
  installQuietLogger();
  const worker = await startWorker({ settings });
  const { origin, keyFingerprint: fingerprint } = worker.affinity;
  process.stderr.write(`Worker for ${origin} (key ${fingerprint}) is running.\n`);
  await worker.done;
}

const [, script] = process.argv;
// An importer's own script may be no file at all (`node -`).
if (script !== undefined && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)) {
  main().catch((error: unknown) => {
    const isUsage = error instanceof SettingsError;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = isUsage ? 2 : 1;
  });
}
