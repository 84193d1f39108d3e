/**
 * Client side: `fix`, the update `correct` from the command line. Whether a correction applies is the workflow's to say;
 * here is only what the flags mean.
 */
import { Option } from 'commander';
import type { Correction, CorrectionAction } from '../../contract/correction.js';
import { FLAGS } from '../../contract/fixFlags.js';
import type { FileProgress } from '../../contract/progress.js';
import type { Source } from '../../contract/training.js';
import { sourceIdentity } from '../../temporal/identity.js';
import { readSettings } from '../../temporal/settings.js';
import { collected, credits, pairOf } from '../arguments.js';
import { defineCommand, detach, id, json, wait } from '../command.js';
import { CommandError, UsageError } from '../exit.js';
import { type Io, Output } from '../output.js';
import type { Snapshot } from '../../library/snapshot.js';
import { labelOf, labelOfPath, sourceFrom, type SourceRules } from '../../library/sources.js';
import { folderOf, withTraining } from './common.js';
import { type FollowFlags, followTo } from './following.js';
import { fixSong } from './songs.js';

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
}

export const fixCommand = defineCommand<FixFlags, [string?]>({
  name: 'fix',
  summary: 'answer a training that waits for you, then follow it',
  description: [
    'One correction at a time; then it follows as train does, with the same exit codes. A training that waits prints the corrections that apply, each with what it costs.',
    'FILE is the number of a file, or its source: the URL or the last part of it. A source with = in it goes by number. A correction that does not apply (any more) is refused with a sentence and exit code 2. The same correction twice is one.',
  ].join('\n\n'),
  arguments: [id()],
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
      'with --resend-create or --new-session while the charge is unknown: it may be paid twice',
    ),
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
    { line: 'fix "Night Drive" --drop 3 --drop 7', does: 'go on without two files' },
    { line: 'fix "Night Drive" --rename "Night Drive II"', does: 'another name; the clips are kept' },
    {
      line: 'fix "Night Drive" --resend-create --accept-second-charge',
      does: 'send create again, though it may be paid twice',
    },
    { line: 'fix "Night Drive" --give-up', does: 'end it' },
  ],
  isFor: waits,
  run: ({ args: [id], flags, io }) => fix(id, flags, io),
});

const RISKY: readonly CorrectionAction[] = ['resendCreate', 'newSession', 'retry'];

function waits({ status, memo }: Snapshot): boolean {
  return status === 'running' && memo.attention !== undefined;
}

async function fix(id: string | undefined, flags: FixFlags, io: Io): Promise<number> {
  const action = actionOf(flags);
  // Looked at before anything is sent, like the sources of `train`.
  const { allowPrivateUrls } = readSettings(io.env);
  const warn = new Output(io, flags.json === true).say;
  const replacements = await replacementsOf(flags.replace ?? [], {
    folder: folderOf(io),
    allowPrivateUrls,
    warn,
  });
  return withTraining(
    id,
    flags,
    io,
    async (connected, workflowId, output) => {
      const snapshot = await connected.trainings.look(workflowId);
      const { memo, progress, status } = snapshot;
      const attention = progress === undefined ? memo.attention : progress.attention;
      if (status !== 'running' || attention === undefined) {
        throw new UsageError(`${workflowId} does not wait for anybody: nothing to fix.`);
      }
      const correction: Correction = {
        attentionId: attention.id,
        action,
        ...(flags.rename === undefined ? {} : { name: flags.rename }),
        ...(flags.replace === undefined ? {} : { replacements: numbered(replacements, snapshot) }),
        ...(flags.drop === undefined
          ? {}
          : { files: flags.drop.map((file) => numberOf(file, filesOf(snapshot))) }),
        ...(flags.maxCredits === undefined ? {} : { maxCredits: flags.maxCredits }),
        ...(flags.acceptSecondCharge === undefined ? {} : { acceptSecondCharge: flags.acceptSecondCharge }),
      };
      if (action === 'newSession' && attention.options.includes(action)) {
        const count = progress?.files.filter(({ state }) => state !== 'dropped').length ?? memo.fileTotal;
        output.say(
          `A new session: all ${count} files are uploaded and paid again, and it may be on another account.`,
        );
      }
      try {
        await connected.trainings.correct(workflowId, correction);
      } catch (error) {
        if (error instanceof UsageError) throw new UsageError(asFlags(error.message));
        throw error;
      }
      output.say(`Taken: ${action} for ${attention.kind}.`);
      return followTo(workflowId, connected, output, flags, io);
    },
    waits,
    (connected, workflowId, output) => {
      const { maxCredits, acceptSecondCharge } = flags;
      const answer = {
        action,
        ...(maxCredits === undefined ? {} : { maxCredits }),
        ...(acceptSecondCharge === undefined ? {} : { acceptSecondCharge }),
      };
      return fixSong(connected, workflowId, output, answer, flags, io).catch((error: unknown) => {
        if (error instanceof UsageError) throw new UsageError(asFlags(error.message));
        throw error;
      });
    },
  );
}

/** @throws UsageError where the flags do not name exactly one correction. */
function actionOf(flags: FixFlags): CorrectionAction {
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
  if (action === undefined || others.length > 0) {
    throw new UsageError(`Say one of ${Object.values(FLAGS).join(', ')}.`);
  }
  if (flags.maxCredits !== undefined && action !== 'retry') {
    throw new UsageError('--max-credits goes with --retry.');
  }
  if (flags.acceptSecondCharge === true && !RISKY.includes(action)) {
    throw new UsageError(
      '--accept-second-charge goes with --resend-create, with --new-session, or with --retry of a song.',
    );
  }
  return action;
}

interface Replacement {
  /** As the user named it. */
  file: string;
  source: Source;
}

/** @throws UsageError where a `--replace` is none, or the new source is none. */
async function replacementsOf(values: readonly string[], rules: SourceRules): Promise<Replacement[]> {
  return Promise.all(
    values.map(async (value) => {
      const pair = pairOf(value);
      if (pair === undefined) {
        throw new UsageError('--replace must be FILE=NEW, where FILE is a number or a source: 3=https://….');
      }
      const [file, url] = pair;
      const what = /^\d+$/.test(file) ? `The new source of file ${file}` : 'A new source';
      return { file, source: await sourceFrom(url, what, rules) };
    }),
  );
}

/** @throws UsageError where a new source is that of another file. */
function numbered(replacements: Replacement[], snapshot: Snapshot): NonNullable<Correction['replacements']> {
  const files = filesOf(snapshot);
  const named = replacements.map(({ file, source }) => ({ file: numberOf(file, files), source }));
  for (const [index, { file, source }] of named.entries()) {
    const identity = sourceIdentity(source);
    const isSame = ({ label, sha256 }: FileProgress): boolean =>
      'url' in source
        ? // Of another URL only the label is known, which has no query.
          sha256 === undefined && label === source.label && identity.endsWith('?')
        : sha256 === source.sha256;
    const twin =
      named.slice(0, index).find((other) => sourceIdentity(other.source) === identity)?.file ??
      files?.find(
        (other) =>
          other.state !== 'dropped' && isSame(other) && !named.some((one) => one.file === other.number),
      )?.number;
    if (twin === undefined) continue;
    throw new UsageError(
      `The new source of file ${file} is that of file ${twin}. A clip counts once however often it is uploaded.`,
    );
  }
  return named;
}

/** @returns undefined where no worker answers. */
function filesOf({ progress }: Snapshot): FileProgress[] | undefined {
  return progress?.files;
}

/**
 * The number of a file that was named by number, URL, label or, as it is shown, the last part of it.
 *
 * @throws UsageError where none or more than one fits.
 */
export function numberOf(file: string, files: readonly FileProgress[] | undefined): number {
  if (/^\d+$/.test(file)) return Number(file);
  if (files === undefined) {
    throw new CommandError(
      'No worker answers, so files are known by number only. Start one with `tunesmith worker`.',
    );
  }
  const label = URL.canParse(file) ? labelOf(new URL(file)) : labelOfPath(file);
  const whole = files.filter((one) => one.label === label || one.label === file);
  const fitting = whole.length > 0 ? whole : files.filter((one) => one.label.endsWith(`/${file}`));
  const [found, ...others] = fitting;
  if (found === undefined)
    throw new UsageError(`No file of the training is ${label}. Files have numbers too.`);
  if (others.length === 0) return found.number;
  const numbers = fitting.map(({ number }) => number).join(' and ');
  throw new UsageError(`Files ${numbers} are both ${label}: name it by number.`);
}

/** The workflow speaks of fields and actions; here they are flags. */
function asFlags(sentence: string): string {
  const actions = Object.entries(FLAGS).reduce(
    (text, [action, flag]) => text.replaceAll(new RegExp(`\\b${action}\\b`, 'g'), flag.split(' ')[0] ?? flag),
    sentence,
  );
  return actions
    .replaceAll('acceptSecondCharge', '--accept-second-charge')
    .replaceAll('maxCredits', '--max-credits');
}
