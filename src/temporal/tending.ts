/**
 * The worker of the process that has the home, and its key: the worker comes as soon as there is a key, the record says
 * whose key it is now, and trainings that waited for it are told at once. The worker itself reads the key anew for each
 * request, so it is never started again for another one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Affinity } from '../contract/affinity.js';
import type { Correction, CorrectionAccepted } from '../contract/correction.js';
import { GENERATE_SONG_WORKFLOW, SONG_MEMO } from '../contract/song.js';
import { CORRECT_UPDATE, TRAIN_CUSTOM_MODEL_WORKFLOW, TRAINING_MEMO } from '../contract/messages.js';
import type { TrainingMemo } from '../contract/progress.js';
import type { HeldLock } from './lock.js';
import { type KeySource, keyFingerprint, type Settings } from './settings.js';

/** A worker in this process. */
export interface RunningWorker {
  /** The API and the key that it began with. */
  affinity: Affinity;
  /** Of the secret that it signs notifications with; absent where it has none. */
  webhookFingerprint?: string;
  /** Resolves when it has drained after a shutdown; rejects when it fails. */
  done: Promise<void>;
  /** Begins to drain. Harmless where it does already: on SIGTERM and SIGINT the SDK asks it too. */
  shutdown(): void;
}

export interface TendOptions {
  settings: Settings;
  lock: HeldLock;
  /** Of the server of this home. */
  client: Client;
  start: () => Promise<RunningWorker>;
  say: (line: string) => void;
}

/** How soon a key that was put right is in use, ms. */
const LOOK_EVERY_MS = 500;
const RETRY_DEADLINE_MS = 10_000;

interface Key {
  fingerprint: string;
  source: KeySource;
}

export class TendedWorker {
  readonly #options: TendOptions;
  #worker: RunningWorker | undefined;
  #key: Key | undefined;
  #end: { resolve: () => void; reject: (reason: unknown) => void } | undefined;

  constructor(options: TendOptions) {
    this.#options = options;
  }

  get worker(): RunningWorker | undefined {
    return this.#worker;
  }

  /** Starts it where there is a key. Says where there is none. */
  async begin(): Promise<void> {
    this.#key = keyNow(this.#options.settings);
    if (this.#key === undefined) {
      this.#options.say('No API key: the server runs without a worker, until `tunesmith login` keeps one.');
    } else {
      await this.#start();
    }
    this.#record();
  }

  /**
   * Tends it until the signal. Resolves when the worker has drained, rejects when it fails or when told to end.
   */
  async tend(signal: AbortSignal): Promise<void> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.#watchEnd();
    await Promise.race([ended, this.#lookForKeys(signal)]);
  }

  async #lookForKeys(signal: AbortSignal): Promise<never> {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal });
      const key = keyNow(this.#options.settings);
      const before = this.#key;
      if (key?.fingerprint === before?.fingerprint && key?.source === before?.source) continue;
      this.#key = key;
      if (key !== undefined && this.#worker === undefined) {
        await this.#start();
        this.#watchEnd();
      }
      this.#record();
      if (key === undefined) {
        this.#options.say('The API key is gone: trainings wait for one.');
      } else if (key.fingerprint !== before?.fingerprint) {
        this.#options.say(`The worker uses the API key ${key.fingerprint} (${key.source}) from now on.`);
        await this.#tellThoseThatWait(key);
      }
    }
  }

  async #start(): Promise<void> {
    this.#worker = await this.#options.start();
    // It may fail while nobody waits for it.
    this.#worker.done.catch(() => undefined);
  }

  #watchEnd(): void {
    const end = this.#end;
    if (end !== undefined) this.#worker?.done.then(end.resolve, end.reject);
  }

  #record(): void {
    const { lock, settings } = this.#options;
    const key = this.#key;
    lock.update({
      worker: key === undefined ? undefined : { origin: settings.origin, keyFingerprint: key.fingerprint },
      keySource: key?.source,
      webhookFingerprint: this.#worker?.webhookFingerprint,
    });
  }

  /** They try again by themselves, but ever more slowly. */
  async #tellThoseThatWait({ fingerprint }: Key): Promise<void> {
    const { client, settings } = this.#options;
    const types = `'${TRAIN_CUSTOM_MODEL_WORKFLOW}','${GENERATE_SONG_WORKFLOW}'`;
    const query = `WorkflowType IN (${types}) AND ExecutionStatus='Running'`;
    try {
      for await (const { workflowId, memo } of client.workflow.list({ query })) {
        const { origin, attention } = (memo?.[TRAINING_MEMO] ??
          memo?.[SONG_MEMO] ??
          {}) as Partial<TrainingMemo>;
        if (origin !== settings.origin || attention?.kind !== 'credentials') continue;
        await client.withDeadline(Date.now() + RETRY_DEADLINE_MS, () =>
          client.workflow
            .getHandle(workflowId)
            .executeUpdate<CorrectionAccepted, [Correction]>(CORRECT_UPDATE, {
              args: [{ attentionId: attention.id, action: 'retry' }],
              updateId: `${attention.id}-key-${fingerprint}`,
            }),
        );
      }
    } catch {
      // Somebody was faster, or nothing answers just now.
    }
  }
}

/** A key that cannot be read is none: the file may be gone while it is changed. */
function keyNow({ apiKey, keySource, origin }: Settings): Key | undefined {
  try {
    const [key, source] = [apiKey(), keySource()];
    return key === undefined || source === undefined
      ? undefined
      : { fingerprint: keyFingerprint(origin, key), source };
  } catch {
    return undefined;
  }
}
