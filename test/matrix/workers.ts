/**
 * Worker processes of the matrix: `test/support/faultyWorker.mjs`. One of them serves many rigs, so that a rig costs a
 * fraction of a process.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import type { CreateStep } from '../../src/mountsea/types.js';
import type { Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const FAULTY_WORKER = fileURLToPath(new URL('../support/faultyWorker.mjs', import.meta.url));

/** What is wrong with a worker. */
export type Defect =
  /** Gives itself the signal in the middle of the create of the model of that name. */
  | { name: string; step: CreateStep | 'returned'; signal: 'SIGKILL' | 'SIGSTOP' }
  /** Sends create again where its answer proves nothing. */
  | { repeats: true };

export interface MatrixWorker {
  /** Resolves when it works for that rig, too. */
  serve(rig: Rig): Promise<void>;
  leave(rig: Rig): void;
  /** Resolves when it has given itself the signal; with the time, ms since 1970. */
  struck(): Promise<number>;
  /** SIGCONT; resolves with what came of the create in the middle of which it was stopped. */
  wake(): Promise<string>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

interface Message {
  serves?: string;
  failed?: string;
  struck?: string;
  create?: string;
}

export function startMatrixWorker(defect?: Defect): MatrixWorker {
  const child = fork(FAULTY_WORKER, [], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      ...envOf(defect),
    },
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const messages: Message[] = [];
  let struckAt: number | undefined;
  child.on('message', (message: Message) => {
    messages.push(message);
    if (message.struck !== undefined) struckAt = Date.now();
  });

  return {
    serve: async (rig) => {
      child.send({ serve: rig.env });
      const answer = await waitUntil(`a worker serves ${rig.sandbox.url}`, () =>
        messages.find(({ serves, failed }) => serves === rig.sandbox.url || failed !== undefined),
      );
      if (answer.failed !== undefined) throw new Error(answer.failed);
    },
    leave: (rig) => {
      if (child.connected) child.send({ leave: rig.sandbox.url });
    },
    struck: () => waitUntil('the worker is lost', () => struckAt),
    wake: async () => {
      child.kill('SIGCONT');
      const answer = await waitUntil('its create has ended', () =>
        messages.find(({ create }) => create !== undefined),
      );
      return answer.create ?? '';
    },
    kill: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await ended;
    },
  };
}

function envOf(defect: Defect | undefined): NodeJS.ProcessEnv {
  if (defect === undefined) return {};
  if ('repeats' in defect) return { FAULTY_REPEAT: '1' };
  const { name, step, signal } = defect;
  return { FAULTY_NAME: name, FAULTY_STEP: step, FAULTY_SIGNAL: signal };
}
