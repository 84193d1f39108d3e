/**
 * Client side: the Temporal server that a command talks to: the configured one, or our own in the background, which is
 * started where it is needed.
 */
import type { Client } from '@temporalio/client';
import type { Affinity } from '../contract/affinity.js';
import {
  type Background,
  describeMismatch,
  ensureBackground,
  findBackground,
  isStillThere,
} from '../temporal/background.js';
import {
  configuredAddress,
  localAddress,
  type OpenClient,
  openClient,
  type TemporalAddress,
} from '../temporal/connection.js';
import { type Settings, webhookFingerprint } from '../temporal/settings.js';
import { Account } from './account.js';
import { NoApiKeyError, UnreachableError, UsageError, WorkerMismatchError } from './errors.js';
import { Songs } from './songs.js';
import { Trainings } from './trainings.js';

/** What can be said to a server. */
export interface Connection {
  /** Absent where a caller's client is used. */
  address?: TemporalAddress;
  trainings: Trainings;
  songs: Songs;
  account: Account;
  /** Whether the server is our own in the background. */
  isOwn: boolean;
  /** Of our own server: whose work its worker does; absent where it has none. */
  worker?: Affinity;
  /** False: what answers there is no longer the server that was connected to. */
  isCurrent(): boolean;
  /** Page of a run in the Web UI; undefined where the UI's address is not known. */
  uiOf(workflowId: string, runId: string): string | undefined;
  close(): Promise<void>;
}

/** An open connection to the server in use. */
export interface Connected extends Connection {
  address: TemporalAddress;
}

export interface ConnectOptions {
  /**
   * `train`: starts our own server and wants its worker. `write`: starts our own server. `if-state`: only where there is
   * something to look at.
   */
  purpose: 'train' | 'write' | 'if-state';
  /** Keep exchanges with the API there; absolute. */
  recordDir?: string;
  /** The worker is to sign notifications. */
  notifies?: boolean;
  env: NodeJS.ProcessEnv;
  say: (line: string) => void;
}

/**
 * @returns undefined where there is no server and no state, and so nothing to look at.
 * @throws UsageError where a training could not run: no key, another key or origin; UnreachableError where the server
 *   cannot be reached.
 */
export async function connect(settings: Settings, options: ConnectOptions): Promise<Connected | undefined> {
  return settings.temporal === undefined
    ? connectOwn(settings, options)
    : connectConfigured(settings.temporal, options);
}

/** @param client of a caller, who also closes it. */
export function connectionOf(client: Client): Connection {
  return {
    trainings: new Trainings(client),
    songs: new Songs(client),
    account: new Account(client),
    isOwn: false,
    isCurrent: () => true,
    uiOf: () => undefined,
    close: () => Promise.resolve(),
  };
}

async function connectConfigured(
  temporal: NonNullable<Settings['temporal']>,
  { recordDir }: ConnectOptions,
): Promise<Connected> {
  if (recordDir !== undefined) {
    throw new UsageError(
      '--record needs the worker that this machine runs in the background, but a Temporal address is configured. Use `tunesmith worker --record DIR` there.',
    );
  }
  const address = configuredAddress(temporal);
  let opened;
  try {
    opened = await openClient(address);
  } catch (error) {
    throw new UnreachableError(
      `The Temporal server at ${temporal.address} cannot be reached (${messageOf(error)}). Nothing was started. Check TEMPORAL_ADDRESS, or unset it to use the server that tunesmith brings.`,
    );
  }
  const isCloud = /\.tmprl\.cloud(:|$)|\.api\.temporal\.io(:|$)/.test(temporal.address);
  return {
    trainings: new Trainings(opened.client),
    songs: new Songs(opened.client),
    account: new Account(opened.client),
    address,
    isOwn: false,
    isCurrent: () => true,
    uiOf: (workflowId, runId) =>
      isCloud ? runPage('https://cloud.temporal.io', address.namespace, workflowId, runId) : undefined,
    close: () => opened.close(),
  };
}

async function connectOwn(settings: Settings, options: ConnectOptions): Promise<Connected | undefined> {
  const { purpose, recordDir, env, say } = options;
  const running = await findBackground(settings);
  if (purpose === 'train') requireStartable(settings, options, running);
  let background;
  try {
    background = await ensureBackground(settings, {
      say,
      when: purpose === 'if-state' ? 'if-state' : 'needed',
      env,
      ...(recordDir === undefined ? {} : { recordDir }),
    });
  } catch (error) {
    // A follower comes here as well, and its training may have spent something.
    const spent = purpose === 'train' ? '\nNo training was started; nothing is spent.' : '';
    throw new UnreachableError(`${messageOf(error)}${spent}`);
  }
  if (background === undefined) return undefined;
  // Another command may have been faster: then its environment counts, and not ours.
  if (purpose === 'train' && !background.startedNow) requireStartable(settings, options, background);
  const mismatch = describeMismatch(background, settings);
  if (mismatch !== undefined) {
    if (purpose === 'train') throw new WorkerMismatchError(`${mismatch} Nothing was started.`);
    say(mismatch);
  }
  const address = localAddress(background.address);
  const opened = await openClient(address);
  return {
    trainings: new Trainings(opened.client),
    songs: new Songs(opened.client),
    account: new Account(opened.client),
    address,
    isOwn: true,
    isCurrent: () => isStillThere(settings, background),
    ...(background.worker === undefined ? {} : { worker: background.worker }),
    uiOf: (workflowId, runId) => runPage(background.uiUrl, address.namespace, workflowId, runId),
    close: () => opened.close(),
  };
}

/** What is there to be looked at in a moment, with nothing started and nothing said. */
export interface Glimpse {
  client: OpenClient['client'];
  trainings: Trainings;
  songs: Songs;
  /** Of our own server; absent where another is configured. */
  background?: Background;
  close(): Promise<void>;
}

/**
 * As `connect`, for a look that must be quick and change nothing.
 *
 * @param timeoutMs how long to try, ms.
 * @returns undefined where no server of our own runs.
 * @throws the SDK's error where the configured one does not answer in that time.
 */
export async function glimpse(settings: Settings, timeoutMs: number): Promise<Glimpse | undefined> {
  const background = settings.temporal === undefined ? await findBackground(settings) : undefined;
  if (settings.temporal === undefined && background === undefined) return undefined;
  const address =
    settings.temporal === undefined
      ? localAddress(background?.address ?? '')
      : configuredAddress(settings.temporal);
  const opened = await openClient(address, timeoutMs);
  return {
    client: opened.client,
    trainings: new Trainings(opened.client),
    songs: new Songs(opened.client),
    ...(background === undefined ? {} : { background }),
    close: () => opened.close(),
  };
}

/** Nothing is sent unsigned, so there is no notification without a secret. */
function requireWebhookSecret(settings: Settings, running: Background | undefined): void {
  const own = settings.webhookSecret();
  if (running?.worker === undefined) {
    if (own !== undefined) return;
    throw new UsageError(
      '--notify needs TUNESMITH_WEBHOOK_SECRET (or TUNESMITH_WEBHOOK_SECRET_FILE), which the notifications are signed with, e.g. "whsec_$(openssl rand -base64 32)". Nothing was started.',
    );
  }
  const { webhookFingerprint: used } = running;
  const remedy = 'run `tunesmith down`, then this command again. Nothing was started.';
  if (used === undefined) {
    throw new UsageError(
      `--notify: the background worker was started without TUNESMITH_WEBHOOK_SECRET. Set it, ${remedy}`,
    );
  }
  if (own !== undefined && webhookFingerprint(own) !== used) {
    throw new UsageError(
      `--notify: the background worker signs with another TUNESMITH_WEBHOOK_SECRET than yours. To change that: ${remedy}`,
    );
  }
}

/**
 * What a training needs of our own server in the background.
 *
 * @param running that server; undefined where it is still to be started.
 * @throws UsageError where it would not be as the training needs it.
 */
export function requireStartable(
  settings: Settings,
  { recordDir, notifies }: Pick<ConnectOptions, 'recordDir' | 'notifies'>,
  running?: Background,
): void {
  if (running?.worker === undefined && settings.apiKey() === undefined) {
    throw new NoApiKeyError(
      'No API key: set MOUNTSEA_API_KEY, or MOUNTSEA_API_KEY_FILE to a file that holds it. Nothing was started. (`tunesmith login` keeps one for good; without a key: `tunesmith demo`.)',
    );
  }
  if (recordDir !== undefined && running !== undefined && running.recordDir !== recordDir) {
    throw new WorkerMismatchError(
      'The background worker runs already and does not record there: run `tunesmith down`, then this command again.',
    );
  }
  if (notifies === true) requireWebhookSecret(settings, running);
}

function runPage(ui: string, namespace: string, workflowId: string, runId: string): string {
  return `${ui}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}/${runId}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
