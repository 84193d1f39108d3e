/**
 * The command line as users run it: a process of dist/client.js.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recordsIn } from './json.js';

const CLIENT = fileURLToPath(new URL('../../dist/client.js', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  process: ChildProcess;
  stderr(): string;
  stdout(): string;
  finished: Promise<Finished>;
}

/** Starts a command without a terminal. */
export function startCli(args: string[], env: NodeJS.ProcessEnv): RunningCli {
  const child = spawn(process.execPath, [CLIENT, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    finished: once(child, 'close').then(([code]) => {
      // Whatever else a test is about: what programs are given is what the schemas say.
      if (args.includes('--json')) recordsIn(stdout);
      return { code: code as number | null, stdout, stderr };
    }),
  };
}

export function runCli(args: string[], env: NodeJS.ProcessEnv): Promise<Finished> {
  return startCli(args, env).finished;
}

export const CLIENT_PATH = CLIENT;

/** The process of the background server. */
export function pidOfBackground(home: string): number {
  const { node } = JSON.parse(readFileSync(join(home, 'lock.json'), 'utf8')) as { node: { pid: number } };
  return node.pid;
}
