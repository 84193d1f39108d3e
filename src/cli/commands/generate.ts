/**
 * Client side: `generate`, a song with a trained model. Everything that can be seen to be wrong is seen before anything is
 * started; each call is a decision to spend.
 */
import { InvalidArgumentError, Option } from 'commander';
import type { GenerateSongInput, SongRequest, SongTerms } from '../../contract/song.js';
import type { Connected } from '../../library/connect.js';
import { checkSongRequest } from '../../library/songRequest.js';
import { modelMeant, newSongId, type SingingModel } from '../../library/songs.js';
import { songPrice } from '../../money/songs.js';
import { readSettings, type Settings } from '../../temporal/settings.js';
import { credits, duration, notEmpty } from '../arguments.js';
import { ask, canAsk } from '../ask.js';
import { defineCommand, detach, json, wait } from '../command.js';
import { termsLines } from '../drawSong.js';
import { InterruptedError, UsageError } from '../exit.js';
import { type Io, Output } from '../output.js';
import { connectOrSay, pathFrom } from './common.js';
import type { FollowFlags } from './follower.js';
import { followSong } from './songs.js';

interface GenerateFlags extends FollowFlags {
  model?: string;
  prompt?: string;
  description?: string;
  tags?: string;
  title?: string;
  instrumental?: boolean;
  negativeTags?: string;
  vocalGender?: 'm' | 'f';
  styleWeight?: number;
  audioWeight?: number;
  weirdness?: number;
  out?: string;
  yes?: boolean;
  maxCredits?: number;
  parkFor?: number;
}

export const generateCommand = defineCommand<GenerateFlags>({
  name: 'generate',
  summary: 'a song with a trained model, fetched when it is ready',
  description: [
    'Costs about 40 credits, which is asked first (`--yes` says it beforehand). Each call is a new song: the same command twice is paid twice. The request is sent once; a lost answer waits for you (`fix`), since nobody can ask Mountsea what became of it. Options are checked against the schema that Mountsea gives of its own request.',
    'Without `--json`, stdout is the paths of the files, one a line; with `--detach` it is the id of the song. `watch`, `status`, `result --out DIR`, `fix` and `cancel` take that id, a prefix of it, or the title.',
  ].join('\n\n'),
  options: [
    new Option(
      '--model <model>',
      'name of a trained model, id of its training, chirp-custom:…, or one of Suno’s own',
    ).argParser(notEmpty),
    new Option('--prompt <lyrics>', 'the lyrics').argParser(notEmpty),
    new Option('--description <text>', 'what it is about; Suno writes the lyrics').argParser(notEmpty),
    new Option('--tags <styles>', 'styles, e.g. "synthwave, female voice"').argParser(notEmpty),
    new Option('--title <title>', 'its title, and the name of the files').argParser(notEmpty),
    new Option('--instrumental', 'without a voice'),
    new Option('--negative-tags <styles>', 'styles to keep away from').argParser(notEmpty),
    new Option('--vocal-gender <gender>', 'of the voice').choices(['m', 'f']),
    new Option('--style-weight <n>', 'how much the styles count, 0 to 1').argParser(weight),
    new Option('--audio-weight <n>', 'how much the model’s sound counts, 0 to 1').argParser(weight),
    new Option('--weirdness <n>', 'how unusual it may be, 0 to 1').argParser(weight),
    new Option('--out <dir>', 'where the files go (default: the current folder)').argParser(notEmpty),
    new Option('--yes', 'spend without a question'),
    new Option('--max-credits <n>', 'most credits that it may cost').argParser(credits),
    new Option(
      '--park-for <duration>',
      'how long it waits for a person, e.g. 2h (default: without limit)',
    ).argParser(duration),
    detach(),
    wait(),
    json(),
  ],
  isStream: true,
  examples: [
    {
      line: 'generate --model "Night Drive" --prompt "Neon on the water" --tags synthwave --title "Neon"',
      does: 'a song, and its files in this folder',
    },
    {
      line: 'generate --model "Night Drive" --description "a slow drive home" --out songs --yes',
      does: 'Suno writes the lyrics; no question',
    },
    {
      line: 'generate --model "Night Drive" --instrumental --tags ambient --yes --detach',
      does: 'start it and leave; stdout is its id',
    },
  ],
  run: ({ flags, io }) => generate(flags, io),
});

function weight(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) {
    throw new InvalidArgumentError('It must be a number from 0 to 1.');
  }
  return value;
}

async function generate(flags: GenerateFlags, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  if (flags.model === undefined) {
    throw new UsageError(
      '--model is needed: the name of a trained model (`tunesmith models` shows them), or its id.',
    );
  }
  const wish = requestOf(flags);
  if (flags.yes !== true && !canAsk(io)) {
    throw new UsageError(
      'Nothing was started: this spends about 40 credits, and without a terminal nobody can be asked. Add --yes to spend them.',
    );
  }
  const folder = pathFrom(flags.out ?? '.', io);
  const connected = await connectOrSay(settings, output, io, { purpose: 'train' });
  try {
    const model = modelMeant(flags.model, await connected.trainings.records.list(), settings.origin);
    const input = await consent(
      { ...wish, model: model.model },
      model,
      connected,
      settings,
      flags,
      output,
      io,
    );
    const workflowId = newSongId(wish.title ?? wish.gpt_description_prompt ?? model.name ?? '');
    // Before the start: if this process dies with its answer, the id says whether there is a song.
    output.say(`Starts ${workflowId}.`);
    await connected.songs.start(workflowId, input);
    return await followSong(workflowId, connected, output, flags, io, { folder });
  } finally {
    await connected.close();
  }
}

/** @throws UsageError where there is nothing to sing. */
function requestOf(flags: GenerateFlags): Omit<SongRequest, 'model'> {
  const { prompt, description, tags, title, instrumental, negativeTags, vocalGender } = flags;
  const { styleWeight, audioWeight, weirdness } = flags;
  if (prompt === undefined && description === undefined && !(instrumental === true && tags !== undefined)) {
    throw new UsageError(
      'Say what to make: --prompt with the lyrics, --description where Suno writes them, or --instrumental with --tags.',
    );
  }
  const controls = {
    ...(styleWeight === undefined ? {} : { style_weight: styleWeight }),
    ...(audioWeight === undefined ? {} : { audio_weight: audioWeight }),
    ...(weirdness === undefined ? {} : { weirdness_constraint: weirdness }),
  };
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(description === undefined ? {} : { gpt_description_prompt: description }),
    ...(tags === undefined ? {} : { tags }),
    ...(title === undefined ? {} : { title }),
    ...(instrumental === undefined ? {} : { make_instrumental: instrumental }),
    ...(negativeTags === undefined ? {} : { negative_tags: negativeTags }),
    ...(vocalGender === undefined ? {} : { vocal_gender: vocalGender }),
    ...(Object.keys(controls).length === 0 ? {} : { controls }),
  };
}

/** Checks by Mountsea's own schema, shows the price, asks. @throws UsageError where it may not be spent. */
async function consent(
  request: SongRequest,
  model: SingingModel,
  connected: Connected,
  { origin, timeScale }: Settings,
  { maxCredits, parkFor, yes }: GenerateFlags,
  output: Output,
  io: Io,
): Promise<GenerateSongInput> {
  const isWithoutWorker = connected.isOwn && connected.worker === undefined;
  const terms = isWithoutWorker ? undefined : await connected.account.songTerms({ origin });
  checkBySchema(request, terms, output);
  const price = songPrice(terms?.seenCredits);
  if (maxCredits !== undefined && maxCredits < price) {
    throw new UsageError(
      `--max-credits ${maxCredits} cannot pay for a song, which counts as ${price}. Nothing was started.`,
    );
  }
  const title = request.title ?? request.gpt_description_prompt ?? request.prompt ?? request.tags ?? '';
  for (const line of termsLines(title.slice(0, 80), model, terms)) output.say(line);
  if (yes !== true && !(await isYes(`Make it for about ${price} credits?`, io))) {
    throw new UsageError('Nothing was started; nothing is spent.');
  }
  return {
    request,
    origin,
    ...(model.name === undefined ? {} : { modelName: model.name }),
    ...(terms?.seenCredits === undefined ? {} : { credits: price }),
    ...(maxCredits === undefined ? {} : { maxCredits }),
    ...(parkFor === undefined ? {} : { parkForMs: parkFor }),
    ...(timeScale === 1 ? {} : { timeScale }),
  };
}

function checkBySchema(request: SongRequest, terms: SongTerms | undefined, output: Output): void {
  if (terms?.schemas === undefined) {
    const why = terms === undefined ? 'no worker answers' : (terms.schemasMissing ?? 'no reason given');
    output.say(`The options could not be checked by Mountsea's schema (${why}).`);
    return;
  }
  const { errors, warnings } = checkSongRequest(request, terms.schemas);
  for (const line of warnings) output.say(line);
  if (errors.length > 0) throw new UsageError(`Nothing was started: ${errors.join(' ')}`);
}

/** Default no: somebody who only presses Enter spends nothing. */
async function isYes(message: string, io: Io): Promise<boolean> {
  try {
    return await ask(io, (context, { confirm }) => confirm({ message, default: false }, context));
  } catch (error) {
    if (error instanceof InterruptedError) return false;
    throw error;
  }
}
