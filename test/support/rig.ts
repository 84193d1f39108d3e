/**
 * Everything a training needs, real: a sandbox of its own (so a task queue of its own), audio files over HTTP, workers,
 * a client. Time runs 100 times faster, for the workflow and the sandbox alike.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { inject } from 'vitest';
import type { WitnessesRead } from '../../src/activities/readWitnesses.js';
import { serveTracks, type TrackServer } from '../../src/cli/demo/tracks.js';
import type { Correction, CorrectionAccepted } from '../../src/contract/correction.js';
import {
  CORRECT_UPDATE,
  PROGRESS_QUERY,
  TRAIN_CUSTOM_MODEL_WORKFLOW,
  TRAINING_MEMO,
} from '../../src/contract/messages.js';
import type {
  Attention,
  AttentionKind,
  TrainingMemo,
  TrainingProgress,
} from '../../src/contract/progress.js';
import { ALIAS_MEMO, RECORD_MEMO, recordIdFor, type TrainingRecord } from '../../src/contract/record.js';
import type { Source, UrlSource, TrainCustomModelInput, TrainedModel } from '../../src/contract/training.js';
import { type FaultRule, type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.js';
import { localAddress, openClient } from '../../src/temporal/connection.js';
import { sourceIdentity, taskQueueFor, trainingWorkflowId } from '../../src/temporal/identity.js';
import { waitUntil } from './waitUntil.js';

export const SPEED = 100;
const WORKER = fileURLToPath(new URL('../../dist/worker.js', import.meta.url));

type Handle = WorkflowHandle<(input: TrainCustomModelInput) => Promise<TrainedModel>>;

/** A training under test. */
export interface Training {
  handle: Handle;
  input: TrainCustomModelInput;
  progress(): Promise<TrainingProgress>;
  memo(): Promise<TrainingMemo>;
  /** Its record in the registry. */
  record(): Promise<TrainingRecord | undefined>;
  /** Waits until the training shows something. */
  until(label: string, isTrue: (progress: TrainingProgress) => boolean): Promise<TrainingProgress>;
  /** Waits until it needs a person. @param kind Default: whatever for. */
  parked(kind?: AttentionKind): Promise<TrainingProgress & { attention: Attention }>;
  correct(correction: Correction): Promise<CorrectionAccepted>;
}

export interface WorkerProcess {
  process: ChildProcess;
  /** What it wrote, stdout and stderr together. */
  output(): string;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
}

export interface Rig {
  sandbox: Sandbox;
  tracks: TrackServer;
  client: Client;
  taskQueue: string;
  /** Environment that points a process of ours to this rig. */
  env: NodeJS.ProcessEnv;
  startWorker(env?: NodeJS.ProcessEnv): Promise<WorkerProcess>;
  train(input?: Partial<TrainCustomModelInput>): Promise<Training>;
  /**
   * Keeps the tasks of a model's name, or of a part of a source, from being seen to end, so that no test races the
   * sandbox's clock: no look at them succeeds. They do end meanwhile.
   *
   * @returns what lets them go.
   */
  hold(match: { name: string } | { audioUrl: string }): () => void;
  /**
   * Lets a training end well and not before its charge was looked for, so that it is known how soon charges appear: on a
   * busy machine the end may be seen before the first look at the ledger.
   */
  learn(): Promise<Training>;
  /** The tracks as sources that no other training has. */
  sourcesOf(mark: string): UrlSource[];
  /** The training that a corrected name and sources find; undefined where there is no such alias. */
  aliasOf(name: string, sources: Source[]): Promise<string | undefined>;
  close(): Promise<void>;
}

let trainings = 0;
let lessons = 0;

/** @param temporalAddress Default: the server that all tests share. */
export async function createRig(
  options: SandboxOptions = {},
  temporalAddress = inject('temporalAddress'),
): Promise<Rig> {
  const sandbox = await startSandbox({ speed: SPEED, ...options });
  const tracks = await serveTracks();
  const opened = await openClient(localAddress(temporalAddress));
  const taskQueue = taskQueueFor(sandbox.url);
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TEMPORAL_ADDRESS: temporalAddress,
    MOUNTSEA_BASE_URL: sandbox.url,
    MOUNTSEA_BILLING_URL: sandbox.billingUrl,
    MOUNTSEA_API_KEY: sandbox.apiKey,
    TUNESMITH_ALLOW_PRIVATE_URLS: '1',
    TUNESMITH_TIME_SCALE: String(1 / SPEED),
  };
  const workers: WorkerProcess[] = [];
  let isClosed = false;

  const train: Rig['train'] = async (more = {}) => {
    const input: TrainCustomModelInput = {
      name: `Model ${++trainings}`,
      origin: sandbox.url,
      sources: tracks.urls.map((url) => ({ url, label: url })),
      timeScale: 1 / SPEED,
      ...more,
    };
    const handle: Handle = await opened.client.workflow.start(TRAIN_CUSTOM_MODEL_WORKFLOW, {
      workflowId: `test-${process.pid}-${trainings}`,
      taskQueue,
      args: [input],
    });
    return trainingOf(opened.client, handle, input);
  };
  const hold: Rig['hold'] = (match) =>
    // A look that fails makes nothing overdue, however long the test takes.
    sandbox.addFaults([{ on: 'status', match, times: 1e9, fault: { kind: 'status', status: 503 } }]);

  return {
    sandbox,
    tracks,
    client: opened.client,
    taskQueue,
    env,
    startWorker: async (more = {}) => {
      const worker = await startWorkerProcess({ ...env, ...more });
      workers.push(worker);
      return worker;
    },
    train,
    hold,
    learn: async () => {
      const name = `Lesson ${++lessons}`;
      const release = hold({ name });
      const training = await train({ name });
      await waitUntil('its charge was looked for', () => hasLookedForCharge(training));
      release();
      await training.handle.result();
      return training;
    },
    sourcesOf: (mark) =>
      tracks.urls.map((url, index) => ({
        url: `${url}?of=${encodeURIComponent(mark)}`,
        label: `${mark} ${index + 1}`,
      })),
    aliasOf: async (name, sources) => {
      const id = trainingWorkflowId({
        origin: sandbox.url,
        name,
        sources: sources.map(sourceIdentity),
      });
      const { memo } = await opened.client.workflow.getHandle(recordIdFor(id)).describe();
      return memo?.[ALIAS_MEMO] as string | undefined;
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await Promise.all(workers.map((worker) => worker.kill()));
      await opened.close();
      await tracks.close();
      await sandbox.close();
    },
  };
}

/** One with a worker on which an earlier training has shown that charges appear early. */
export async function experiencedRig(options: SandboxOptions = {}): Promise<Rig> {
  const rig = await createRig(options);
  await rig.startWorker();
  await rig.learn();
  return rig;
}

/** A fault of the creates of one model. */
export function onCreateOf(
  name: string,
  fault: FaultRule['fault'],
  more: Partial<FaultRule> = {},
): FaultRule {
  return { on: 'create', match: { name }, fault, ...more };
}

function trainingOf(client: Client, handle: Handle, input: TrainCustomModelInput): Training {
  const progress = (): Promise<TrainingProgress> => handle.query(PROGRESS_QUERY);
  return {
    handle,
    input,
    progress,
    memo: async () => {
      const { memo } = await handle.describe();
      return memo?.[TRAINING_MEMO] as TrainingMemo;
    },
    record: async () => {
      const { memo } = await client.workflow.getHandle(recordIdFor(handle.workflowId)).describe();
      return memo?.[RECORD_MEMO] as TrainingRecord | undefined;
    },
    until: (label, isTrue) =>
      waitUntil(label, async () => {
        const now = await progress();
        return isTrue(now) && now;
      }),
    parked: (kind) =>
      waitUntil(`it parks: ${kind ?? 'whatever for'}`, async () => {
        const now = await progress();
        const { attention } = now;
        return (
          attention !== undefined && (kind === undefined || attention.kind === kind) && { ...now, attention }
        );
      }),
    correct: (correction) => handle.executeUpdate(CORRECT_UPDATE, { args: [correction] }),
  };
}

/** Looks that a training takes at the ledger, at most, before it ends. */
const MOST_LOOKS = 3;

async function hasLookedForCharge({ handle }: Training): Promise<boolean> {
  const { events } = await handle.fetchHistory();
  const looks = new Set(
    (events ?? []).flatMap(({ eventId, activityTaskScheduledEventAttributes: task }) =>
      task?.activityType?.name === 'readLedger' ? [String(eventId)] : [],
    ),
  );
  const seen = (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: task }) =>
    task && looks.has(String(task.scheduledEventId)) ? [task.result?.payloads?.[0]] : [],
  );
  const hasRow = seen.some((payload) => {
    if (!payload) return false;
    const { ledger } = defaultPayloadConverter.fromPayload<WitnessesRead['look']>(payload);
    return ledger?.creates.some(({ amount }) => amount > 0) === true;
  });
  return hasRow || seen.length >= MOST_LOOKS;
}

async function startWorkerProcess(env: NodeJS.ProcessEnv): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [WORKER], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = once(child, 'exit');
  await waitUntil('the worker runs', () => {
    if (child.exitCode !== null) throw new Error(`The worker ended: ${output}`);
    return output.includes('is running');
  });
  return {
    process: child,
    output: () => output,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
