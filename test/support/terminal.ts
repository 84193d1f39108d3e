/**
 * The command line at a terminal: a process of dist/client.js behind a pseudo terminal.
 */
import { spawn } from '@lydell/node-pty';
import { CLIENT_PATH } from './cli.js';

export interface Terminal {
  /** All that was written to it. */
  output: () => string;
  type: (text: string) => void;
  /** As somebody who drags the corner of the window. */
  resize: (cols: number, rows: number) => void;
  /** Exit code. */
  code: Promise<number>;
}

/** @param cwd where the user stands. Default: where the tests run. */
export function onTerminal(
  args: string[],
  env: NodeJS.ProcessEnv,
  { cols = 80, rows = 40, cwd }: { cols?: number; rows?: number; cwd?: string } = {},
): Terminal {
  const terminal = spawn(process.execPath, [CLIENT_PATH, ...args], {
    cols,
    rows,
    env: { ...env, TERM: 'xterm-256color' },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let output = '';
  terminal.onData((text) => (output += text));
  return {
    output: () => output,
    type: (text) => {
      terminal.write(text);
    },
    resize: (width, height) => {
      terminal.resize(width, height);
    },
    code: new Promise((resolve) => {
      terminal.onExit(({ exitCode }) => {
        resolve(exitCode);
      });
    }),
  };
}
