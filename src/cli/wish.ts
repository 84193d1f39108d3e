/**
 * Client side: what somebody wants to train, by the flags and arguments that `train` and `plan` share. Everything that can
 * be seen to be wrong without a server is seen here.
 */
import { Argument, Option } from 'commander';
import type { TrainingRecord } from '../contract/record.js';
import {
  type AdoptedSession,
  type BadFilePolicy,
  CREATE_CREDITS,
  type FileSource,
  type Source,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
  type TrainingOptions,
} from '../contract/training.js';
import { GENERATE_CREDITS } from '../contract/song.js';
import type { Connected } from '../library/connect.js';
import { filesToUpload, isStartable, type Planned } from '../library/plan.js';
import { notifyTarget } from '../library/notify.js';
import { matchClips, openingOf, recalled } from '../library/sessions.js';
import { savedClips } from '../library/snapshot.js';
import { candidatesFrom, isUsable, requireEnough } from '../library/sources.js';
import { songPrice } from '../money/songs.js';
import type { Settings } from '../temporal/settings.js';
import { clipSources, filesOfClips, namedClips, savedSources } from './adopt.js';
import { collected, credits, notEmpty, wholeNumber } from './arguments.js';
import { folderOf, pathFrom } from './commands/common.js';
import { UsageError } from './exit.js';
import { type GivenFlags, givenOf, givenOptions } from './given.js';
import type { Io, Output } from './output.js';
import { requireOwnSaveFile } from './saveFile.js';

export interface WishFlags extends GivenFlags {
  name?: string;
  onBadFile?: BadFilePolicy;
  minClips?: number;
  concurrency?: number;
  maxCredits?: number;
  uploadCredits?: number;
  retryRefunded?: boolean;
  session?: string;
  clip?: string[];
  adopt?: string;
  try?: string;
  again?: string | true;
  /** Of `train` alone. */
  save?: string;
  parkFor?: number;
  notify?: string;
}

/** What the user wants, as far as it can be told without a server. */
export interface Wish {
  planned: Planned;
  /** The file of `--adopt`. */
  saved?: TrainingRecord;
  savePath?: string;
}

/** What is trained. */
export const wishArgument = (): Argument =>
  new Argument(
    '[file-folder-or-url...]',
    'audio files, folders of them, globs, or URLs that Mountsea can fetch; at least six files in all',
  );

/** Flags that say what is trained and how. */
export const wishOptions = (): Option[] => [
  new Option('--name <name>', 'name of the model'),
  ...givenOptions(),
  new Option('--on-bad-file <policy>', 'what becomes of a file that stays bad').choices([
    'ask',
    'drop',
    'fail',
  ]),
  new Option(
    '--min-clips <n>',
    `fewest clips to train with (default: ${TRAINING_DEFAULTS.minClips})`,
  ).argParser(wholeNumber),
  new Option(
    '--concurrency <n>',
    `upload tasks in flight at a time (default: ${TRAINING_DEFAULTS.concurrency})`,
  ).argParser(wholeNumber),
  new Option(
    '--max-credits <n>',
    'most credits that may be spent, unknown counted as spent (default: no limit)',
  ).argParser(credits),
  new Option(
    '--upload-credits <n>',
    `what an upload counts as, until the ledger shows its price (default: ${TRAINING_DEFAULTS.uploadCredits}, an assumption)`,
  ).argParser(credits),
  new Option('--retry-refunded', 'send create once more after a failed training that the ledger gives back'),
  new Option('--again [label]', 'train the same content a second time, on purpose'),
  new Option(
    '--session <id>',
    'go on with a session that was begun elsewhere, or by a training that ended',
  ).argParser(notEmpty),
  new Option('--clip <id=source>', 'a clip that the session has; may be given again').argParser(collected),
  new Option(
    '--try <lyrics>',
    `a song with the model when it is ready, fetched into this folder: about ${GENERATE_CREDITS} credits more`,
  ).argParser(notEmpty),
  new Option('--adopt <file>', 'go on from a file of --save, on any machine').argParser(notEmpty),
];

/**
 * What the flags and arguments mean, as far as that can be told without a server. Sources that cannot be used are in it.
 *
 * @throws UsageError with a sentence about the first other thing that is wrong.
 */
export async function wishOf(
  typed: string[],
  flags: WishFlags,
  saved: TrainingRecord | undefined,
  settings: Settings,
  output: Output,
  io: Io,
): Promise<Wish> {
  const { origin, allowPrivateUrls, timeScale } = settings;
  const { minClips = TRAINING_DEFAULTS.minClips } = flags;
  const { args: urls, name: likeName } = await givenOf(typed, flags, settings, output, io);
  const name = flags.name ?? saved?.name ?? likeName;
  if (name === undefined) throw new UsageError('--name is needed: the name of the model.');
  if (name.trim() === '') throw new UsageError('--name must not be empty.');
  if (saved !== undefined) requireAdoptable(saved, origin);
  const named = namedClips(flags.clip ?? []);
  const rules = { folder: folderOf(io), allowPrivateUrls, warn: output.say };
  const clips = await clipSources(named, rules);
  const args = saved !== undefined && urls.length === 0 ? await savedSources(saved, rules.folder) : urls;
  const candidates = await candidatesFrom(args, { ...rules, also: clips.map(({ source }) => source) });
  const sources = candidates.filter(isUsable);
  if (sources.length === candidates.length) requireEnough(sources.length, minClips);
  const notify =
    flags.notify === undefined
      ? undefined
      : await notifyTarget(flags.notify, { allowPrivateUrls, warn: output.say });
  const sessionId = flags.session ?? saved?.sessionId;
  let session: AdoptedSession | undefined;
  if (saved !== undefined && sessionId !== undefined) {
    session = {
      sessionId,
      clips: matchClips(sources, savedClips(saved)),
      openedAt: openingOf(saved.startedAt, saved.receipt.create.attempts),
    };
  } else if (sessionId !== undefined) {
    session = { sessionId, clips: filesOfClips(sources, clips) };
  }
  // Clips were matched without those that cannot be used, which have numbers too.
  const numbered = session?.clips.map(({ file, clipId }) => ({
    file: candidates.findIndex((candidate) => candidate === sources[file - 1]) + 1,
    clipId,
  }));
  const planned: Planned = {
    name,
    origin,
    sources: candidates,
    ...optionsOf(flags),
    ...(timeScale === 1 ? {} : { timeScale }),
    ...(session === undefined ? {} : { session: { ...session, clips: numbered ?? [] } }),
    ...(flags.try === undefined ? {} : { song: { request: { prompt: flags.try, title: name } } }),
    ...(notify === undefined ? {} : { notify }),
  };
  // Which clips a session has may be known to the server only.
  const isComplete = flags.session === undefined || flags.clip !== undefined;
  if (isStartable(planned)) requireBudget(planned, isComplete ? filesToUpload(planned).length : 0);
  const savePath = flags.save === undefined ? undefined : pathFrom(flags.save, io);
  if (savePath !== undefined) requireOwnSaveFile(savePath, { name, sessionId });
  return {
    planned,
    ...(saved === undefined ? {} : { saved }),
    ...(savePath === undefined ? {} : { savePath }),
  };
}

/** The first local file that is to be uploaded; undefined also where only the server knows which clips are there. */
export function localUpload(
  input: Planned,
  { session, clip }: Pick<WishFlags, 'session' | 'clip'>,
): FileSource | undefined {
  if (session !== undefined && clip === undefined) return undefined;
  const uploads = filesToUpload(input).flatMap((number) => input.sources[number - 1] ?? []);
  return uploads.filter(isUsable).find((source): source is FileSource => !('url' in source));
}

function optionsOf(flags: WishFlags): TrainingOptions {
  const { minClips, onBadFile, concurrency, parkFor, maxCredits, uploadCredits, retryRefunded } = flags;
  return {
    ...(minClips === undefined ? {} : { minClips }),
    ...(onBadFile === undefined ? {} : { onBadFile }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(parkFor === undefined ? {} : { parkForMs: parkFor }),
    ...(maxCredits === undefined ? {} : { maxCredits }),
    ...(uploadCredits === undefined ? {} : { uploadCredits }),
    ...(retryRefunded === undefined ? {} : { retryRefunded }),
  };
}

function requireAdoptable({ name, sessionId, origin: saved }: TrainingRecord, origin: string): void {
  if (sessionId === undefined) {
    throw new UsageError(
      `The file of --adopt has no session: nothing of "${name}" is paid for yet. Train without --adopt.`,
    );
  }
  if (saved === origin) return;
  throw new UsageError(`The file of --adopt is of ${saved}, but this command is for ${origin}.`);
}

/** An upload that leaves no room for create is spent in vain. */
function requireBudget(
  { maxCredits, uploadCredits = TRAINING_DEFAULTS.uploadCredits, song }: TrainCustomModelInput,
  uploads: number,
): void {
  const songCredits = song === undefined ? 0 : songPrice(song.credits);
  const least = uploads * uploadCredits + CREATE_CREDITS + songCredits;
  if (maxCredits === undefined || maxCredits >= least) return;
  throw new UsageError(
    `--max-credits ${maxCredits} cannot pay for this training: ${uploads} uploads at ${uploadCredits} credits (--upload-credits)${songCredits === 0 ? ' and' : ','} create at ${CREATE_CREDITS}${songCredits === 0 ? '' : ` and a song at ${songCredits}`} come to ${least}. Nothing was started.`,
  );
}

/** What this server remembers of the session: since when it may have had a create, and its clips where none are named. */
export async function withKnownSession(
  input: TrainCustomModelInput,
  flags: Pick<WishFlags, 'clip'>,
  { trainings }: Pick<Connected, 'trainings'>,
  output: Output,
): Promise<TrainCustomModelInput> {
  const { session, sources, origin } = input;
  if (session === undefined) return input;
  const { sessionId } = session;
  const known = await trainings.knownSession(sessionId, origin);
  const named = flags.clip === undefined ? { sessionId } : session;
  const next = { ...input, session: recalled(named, sources, known) };
  requireBudget(next, filesToUpload(next).length);
  const { clips } = next.session;
  output.say(clipsSentence(sessionId, clips, sources, known !== undefined || flags.clip !== undefined));
  return next;
}

function clipsSentence(
  sessionId: string,
  clips: AdoptedSession['clips'],
  sources: readonly Source[],
  isKnown: boolean,
): string {
  if (!isKnown) {
    return `This server knows no clips of session ${sessionId}: all ${sources.length} files are uploaded into it. (--clip ID=SOURCE names those that are there.)`;
  }
  return `Session ${sessionId}: ${clips.length} of ${sources.length} files have their clips, which are paid for.`;
}
