/**
 * Client side: what several commands do alike: find the server and the training, say what the user must know.
 */
import { isAbsolute, resolve } from 'node:path';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { connect, type Connected, type ConnectOptions } from '../../library/connect.js';
import { ask, canAsk } from '../ask.js';
import type { Call } from '../command.js';
import { stateWords } from '../draw.js';
import { printable } from '../text.js';
import { TrainingNotFoundError } from '../../library/errors.js';
import { UsageError } from '../exit.js';
import { type Followable, isSong, titleOf } from '../follow.js';
import { type Io, Output, programIn } from '../output.js';
import type { StagingRules } from '../../library/stage.js';

export interface JsonFlag {
  json?: boolean;
}

/**
 * Connects, finds the training that an id means, and acts on it. Without an id somebody at the terminal picks one.
 *
 * @param actOnSong what is done where the id is none of a training, but of a song; absent: no song is found or picked.
 * @throws UsageError where there is neither an id nor somebody to ask.
 */
export async function withTraining(
  { args: [id], flags, io, command }: Pick<Call<JsonFlag, [string?]>, 'args' | 'flags' | 'io' | 'command'>,
  act: (connected: Connected, workflowId: string, output: Output) => Promise<number>,
  actOnSong?: typeof act,
): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  if (id === undefined && !canAsk(io)) {
    throw new UsageError(
      `Say which ${kindsFor(actOnSong)}: its id, a unique prefix of it, its session id, or the model’s name. \`tunesmith list\` shows them all. (On a terminal it would be asked.)`,
    );
  }
  const connected = await connectOrSay(settings, output, io, { purpose: 'if-state' });
  try {
    const { trainings, songs } = connected;
    if (id === undefined) {
      const all = await Promise.all([trainings.list(), actOnSong === undefined ? [] : songs.list()]);
      const picked = await pick(all.flat(), io, command.isFor, kindsFor(actOnSong));
      const actOnIt = isSong(picked) ? (actOnSong ?? act) : act;
      return await actOnIt(connected, picked.workflowId, output);
    }
    let workflowId;
    try {
      workflowId = await trainings.resolve(id);
    } catch (error) {
      if (actOnSong === undefined || !(error instanceof TrainingNotFoundError)) throw error;
      return await actOnSong(connected, await songs.resolve(id), output);
    }
    return await act(connected, workflowId, output);
  } finally {
    await connected.close();
  }
}

function kindsFor(actOnSong: unknown): string {
  return actOnSong === undefined ? 'training' : 'training or song';
}

export function isRunning({ status }: Followable): boolean {
  return status === 'running';
}

/** @throws UsageError where there is nothing to pick; InterruptedError where nobody does. */
async function pick(
  all: Followable[],
  io: Io,
  isFor: (one: Followable) => boolean = () => true,
  kinds: string,
): Promise<Followable> {
  // Newest first, whichever it is.
  const fitting = all.filter(isFor).sort((a, b) => (a.memo.startedAt < b.memo.startedAt ? 1 : -1));
  if (fitting.length === 0) {
    throw new UsageError(
      all.length === 0
        ? 'There is no training yet. Start one with `tunesmith train`.'
        : `None of the ${all.length} there are is one for this command now. \`tunesmith list\` shows them all.`,
    );
  }
  return ask(io, (context, { search }) =>
    search(
      {
        message: `Which ${kinds}?`,
        pageSize: Math.min(12, Math.max(3, (io.stderr.rows || 24) - 4)),
        source: (term = '') =>
          fitting.map(choiceOf).filter(({ name }) => name.toLowerCase().includes(term.trim().toLowerCase())),
      },
      context,
    ),
  );
}

function choiceOf(one: Followable): { value: Followable; name: string; short: string } {
  const { workflowId } = one;
  const words = [printable(titleOf(one)), isSong(one) ? 'song' : '', stateWords(one), workflowId];
  return { value: one, name: words.filter((word) => word !== '').join(' · '), short: workflowId };
}

/** @throws UsageError where nothing was ever started. */
export async function connectOrSay(
  settings: Settings,
  output: Output,
  io: Io,
  options: Pick<ConnectOptions, 'purpose' | 'recordDir' | 'notifies'>,
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

export function sayIfNoWorker(
  { status, progress }: Followable,
  connected: Connected,
  output: Output,
  noun = 'training',
): void {
  if (status !== 'running' || progress !== undefined) return;
  const seen = `this is what the ${noun} last wrote down`;
  output.say(
    // One that was started just now has its code to load.
    connected.worker === undefined
      ? `No worker answers: ${seen}. It goes on when a worker runs: ${output.canvas.program} worker`
      : `The background worker does not answer yet: ${seen}.`,
  );
}

/** Sentences from below name commands as `tunesmith …`; the user may have to type them otherwise. */
export function asCalled(text: string, { env }: Io): string {
  return text.replaceAll('`tunesmith ', `\`${programIn(env)} `);
}

/** Relative paths count from where the user stands; npm changes the working directory and says so. */
export function pathFrom(path: string, io: Io): string {
  return isAbsolute(path) ? path : resolve(folderOf(io), path);
}

/** What staging must know of this machine. */
export function stagingRules({ env }: Io): StagingRules {
  const { home, allowPrivateUrls } = readSettings(env);
  return { env, home, allowPrivateUrls };
}

/** Where the user stands; absolute. */
export function folderOf({ env, cwd }: Io): string {
  return env['INIT_CWD'] ?? cwd;
}
