/**
 * Client side: `fix`, the update `correct` from the command line. Whether a correction applies is the workflow's to say;
 * here is only what the flags mean.
 */
import { Option } from 'commander';
import type { CorrectionAction } from '../../contract/correction.js';
import { FLAGS } from '../../contract/fixFlags.js';
import { lastPartOf } from '../../contract/labels.js';
import type { Attention } from '../../contract/progress.js';
import { readSettings } from '../../temporal/settings.js';
import { canAsk } from '../ask.js';
import { collected, credits, pairOf } from '../arguments.js';
import { type Call, defineCommand, detach, idOrSong, json, wait } from '../command.js';
import { acceptWarnings, requireGood } from '../consent.js';
import { attentionOf, nothingToFix, type Replacement, sendCorrection, type Wish } from '../correcting.js';
import { attentionLines } from '../draw.js';
import { songAttentionLines } from '../drawSong.js';
import { UsageError } from '../exit.js';
import type { Followable } from '../follow.js';
import { type Io, Output } from '../output.js';
import { lookAtReplacement } from '../../library/plan.js';
import type { Connected } from '../../library/connect.js';
import type { Finding } from '../../preflight/findings.js';
import { labelOf, sourceFrom, type SourceRules } from '../../library/sources.js';
import { folderOf, withTraining } from './common.js';
import type { FollowFlags } from './follower.js';
import { followTo } from './following.js';
import { followSong } from './songs.js';

interface FixFlags extends FollowFlags {
  rename?: string;
  replace?: string[];
  drop?: string[];
  retry?: boolean;
  resendCreate?: boolean;
  keepWaiting?: boolean;
  newSession?: boolean;
  giveUp?: boolean;
  maxCredits?: number;
  acceptSecondCharge?: boolean;
  acceptWarnings?: boolean;
}

export const fixCommand = defineCommand<FixFlags, [string?]>({
  name: 'fix',
  summary: 'answer a training or a song that waits for you, then follow it',
  description: [
    'One correction at a time; then it follows as train does, with the same exit codes. A training or a song that waits prints the corrections that apply, each with what it costs; without a correction so does this command, and asks on a terminal.',
    'FILE is the number of a file, or its source: the URL or the last part of it. A source with = in it goes by number. A correction that does not apply (any more) is refused with a sentence and exit code 2. The same correction twice is one.',
  ].join('\n\n'),
  arguments: [idOrSong()],
  options: [
    new Option('--rename <name>', 'another name for the model'),
    new Option(
      '--replace <file=new>',
      'another source for a file, which is a number or a source; may be given again',
    ).argParser(collected),
    new Option('--drop <file>', 'leave a file out; may be given again').argParser(collected),
    new Option(FLAGS.retry, 'upload the bad files again, or try again now'),
    new Option('--max-credits <n>', 'with --retry: the new budget').argParser(credits),
    new Option(FLAGS.resendCreate, 'send create again: 100 credits'),
    new Option(FLAGS.keepWaiting, 'wait for another while'),
    new Option(FLAGS.newSession, 'begin again in a new session: all uploads are paid again'),
    new Option(FLAGS.giveUp, 'end the training; what is paid for stays at Mountsea'),
    new Option(
      '--accept-second-charge',
      'with --resend-create, --new-session, or --retry of a song, while the charge is unknown: it may be paid twice',
    ),
    acceptWarnings(),
    detach(),
    wait(),
    json(),
  ],
  isStream: true,
  examples: [
    { line: 'fix "Night Drive" --retry', does: 'upload the bad files again, or try again now' },
    {
      line: 'fix "Night Drive" --replace 3=https://cdn.example.com/night-drive/3-new.mp3',
      does: 'another source for file 3',
    },
    { line: 'fix "Night Drive" --replace 3=night-drive/3-new.mp3', does: 'the same with a local file' },
    { line: 'fix "Night Drive" --drop 3 --drop 7', does: 'go on without two files' },
    { line: 'fix "Night Drive" --rename "Night Drive II"', does: 'another name; the clips are kept' },
    {
      line: 'fix "Night Drive" --resend-create --accept-second-charge',
      does: 'send create again, though it may be paid twice',
    },
    { line: 'fix song-neon --retry', does: 'send a song again that was refused or has failed' },
    { line: 'fix "Night Drive" --give-up', does: 'end it' },
  ],
  isFor: waits,
  takesSongs: true,
  run: (call) => fix(call),
});

const RISKY: readonly CorrectionAction[] = ['resendCreate', 'newSession', 'retry'];

function waits({ status, memo }: Followable): boolean {
  return status === 'running' && memo.attention !== undefined;
}

async function fix(call: Call<FixFlags, [string?]>): Promise<number> {
  const { flags, io } = call;
  const action = actionOf(flags);
  // Looked at before anything is sent, like the sources of `train`.
  const { allowPrivateUrls } = readSettings(io.env);
  const early = new Output(io, flags.json === true);
  const replacements = await replacementsOf(flags.replace ?? [], {
    folder: folderOf(io),
    allowPrivateUrls,
    warn: early.say,
  });
  const found = replacements.flatMap(({ findings }) => findings);
  await requireGood(found, flags, early, io);
  const { rename, drop, maxCredits, acceptSecondCharge } = flags;
  const wish: Wish | undefined =
    action === undefined
      ? undefined
      : {
          action,
          ...(rename === undefined ? {} : { name: rename }),
          ...(flags.replace === undefined ? {} : { replacements }),
          ...(drop === undefined ? {} : { drop }),
          ...(maxCredits === undefined ? {} : { maxCredits }),
          ...(acceptSecondCharge === undefined ? {} : { acceptSecondCharge }),
        };
  return withTraining(
    call,
    async (connected, workflowId, output) => {
      const training = await connected.trainings.look(workflowId);
      const linesOf = (one: Attention): string[] => attentionLines(one, training, output.canvas);
      await answer(training, wish, linesOf, connected, output, flags, io);
      return followTo(workflowId, connected, output, flags, io, wish === undefined ? {} : { told: training });
    },
    async (connected, workflowId, output) => {
      const song = await connected.songs.look(workflowId);
      const linesOf = (one: Attention): string[] => songAttentionLines(one, song, output.canvas);
      await answer(song, wish, linesOf, connected, output, flags, io);
      return followSong(workflowId, connected, output, flags, io, wish === undefined ? {} : { told: song });
    },
  );
}

/**
 * Sends the correction. Where none is named and somebody is at the terminal, it is asked while following.
 *
 * @param linesOf the attention as it is shown, with the answers that apply.
 * @throws UsageError where it does not wait, where the correction does not apply, or where none is named and nobody can
 * be asked.
 */
async function answer(
  snapshot: Followable,
  wish: Wish | undefined,
  linesOf: (attention: Attention) => string[],
  connected: Connected,
  output: Output,
  flags: FixFlags,
  io: Io,
): Promise<void> {
  if (wish !== undefined) {
    await sendCorrection(wish, snapshot, connected, output, io);
    return;
  }
  const attention = attentionOf(snapshot);
  if (attention === undefined) throw new UsageError(nothingToFix(snapshot, output.canvas.program));
  const isAsked = output.isDrawn && canAsk(io) && attention.nextTryAt === undefined && flags.detach !== true;
  if (isAsked) return;
  for (const line of linesOf(attention)) output.say(line);
  throw new UsageError('Say which correction: one of the commands above.');
}

const SAY_ONE = `Say one of ${Object.values(FLAGS).join(', ')}.`;

/**
 * @returns undefined where no correction is named.
 * @throws UsageError where the flags name more than one, or go with another one.
 */
function actionOf(flags: FixFlags): CorrectionAction | undefined {
  const given: Record<CorrectionAction, boolean> = {
    rename: flags.rename !== undefined,
    replaceFiles: flags.replace !== undefined,
    dropFiles: flags.drop !== undefined,
    retry: flags.retry === true,
    resendCreate: flags.resendCreate === true,
    keepWaiting: flags.keepWaiting === true,
    newSession: flags.newSession === true,
    giveUp: flags.giveUp === true,
  };
  const [action, ...others] = (Object.keys(given) as CorrectionAction[]).filter((name) => given[name]);
  if (others.length > 0) throw new UsageError(SAY_ONE);
  if (flags.maxCredits !== undefined && action !== 'retry') {
    throw new UsageError('--max-credits goes with --retry.');
  }
  if (flags.acceptSecondCharge === true && (action === undefined || !RISKY.includes(action))) {
    throw new UsageError(
      '--accept-second-charge goes with --resend-create, with --new-session, or with --retry of a song.',
    );
  }
  return action;
}

/** @throws UsageError that says of each one what is wrong: a `--replace` that is none, or a new source that is none. */
async function replacementsOf(
  values: readonly string[],
  rules: SourceRules,
): Promise<(Replacement & { findings: Finding[] })[]> {
  const looked = await Promise.allSettled(
    values.map(async (value) => {
      const pair = pairOf(value);
      if (pair === undefined) {
        throw new UsageError('--replace must be FILE=NEW, where FILE is a number or a source: 3=https://….');
      }
      const [file, url] = pair;
      const what = `The new source of ${/^\d+$/.test(file) ? `file ${file}` : nameOf(file)}`;
      const source = await sourceFrom(url, what, rules);
      return { file, source, findings: await lookAtReplacement(what, source, rules) };
    }),
  );
  const wrong: string[] = [];
  for (const one of looked) {
    if (one.status === 'fulfilled') continue;
    if (!(one.reason instanceof UsageError)) throw one.reason;
    wrong.push(one.reason.message);
  }
  // All at once, as with the files of a new training.
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'));
  return looked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** A file as it was named, without what might be secret. */
function nameOf(file: string): string {
  return lastPartOf(URL.canParse(file) ? labelOf(new URL(file)) : file);
}
