/**
 * Client side: what several commands do alike: find the server and the training, say what the user must know.
 */
import { isAbsolute, resolve } from 'node:path';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { connect, type Connected, type ConnectOptions } from '../../library/connect.js';
import { UsageError } from '../exit.js';
import { type Io, Output, programIn } from '../output.js';
import type { Snapshot } from '../../library/snapshot.js';

export interface JsonFlag {
  json?: boolean;
}

/** Connects, finds the training that an id means, and acts on it. */
export async function withTraining(
  id: string,
  flags: JsonFlag,
  io: Io,
  act: (connected: Connected, workflowId: string, output: Output) => Promise<number>,
): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const connected = await connectOrSay(settings, output, io, { purpose: 'if-state' });
  try {
    return await act(connected, await connected.trainings.resolve(id), output);
  } finally {
    await connected.close();
  }
}

/** @throws UsageError where nothing was ever started. */
export async function connectOrSay(
  settings: Settings,
  output: Output,
  io: Io,
  options: Pick<ConnectOptions, 'purpose' | 'recordDir'>,
): Promise<Connected> {
  const connected = await connect(settings, { ...options, env: io.env, say: saying(output, io) });
  if (connected !== undefined) return connected;
  throw new UsageError(`There is no training in ${settings.home} yet. Start one with \`tunesmith train\`.`);
}

/** For sentences from below. */
export function saying(output: Output, io: Io): (line: string) => void {
  return (line) => {
    output.say(asCalled(line, io));
  };
}

export function sayIfNoWorker({ status, progress }: Snapshot, output: Output): void {
  if (status !== 'running' || progress !== undefined) return;
  output.say(
    `No worker answers: this is what the training last wrote down. It goes on when a worker runs: ${output.canvas.program} worker`,
  );
}

/** Sentences from below name commands as `tunesmith …`; the user may have to type them otherwise. */
export function asCalled(text: string, { env }: Io): string {
  return text.replaceAll('`tunesmith ', `\`${programIn(env)} `);
}

/** Relative paths count from where the user stands; npm changes the working directory and says so. */
export function pathFrom(path: string, { env, cwd }: Io): string {
  return isAbsolute(path) ? path : resolve(env['INIT_CWD'] ?? cwd, path);
}
