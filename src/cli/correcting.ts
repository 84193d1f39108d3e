/**
 * Client side: a person's answer to a training or a song that waits, on its way to the update `correct`. `fix` has it from
 * flags, the question at the terminal from choices; both go through here. Whether it applies is the workflow's to say.
 */
import type { Correction } from '../contract/correction.js';
import { FLAGS } from '../contract/fixFlags.js';
import type { Attention, FileProgress } from '../contract/progress.js';
import type { Source } from '../contract/training.js';
import type { Connected } from '../library/connect.js';
import { stageSources } from '../library/stage.js';
import { labelOf, labelOfPath } from '../library/sources.js';
import { sourceIdentity } from '../temporal/identity.js';
import { readSettings } from '../temporal/settings.js';
import { CommandError, UsageError } from './exit.js';
import type { Followable } from './follow.js';
import type { Io, Output } from './output.js';

/** What a person wants, with files as the person named them. */
export interface Wish extends Pick<Correction, 'action' | 'name' | 'maxCredits' | 'acceptSecondCharge'> {
  replacements?: Replacement[];
  drop?: string[];
}

export interface Replacement {
  /** As the person named it: a number or a source. */
  file: string;
  source: Source;
}

/** What it waits for; undefined where it does not wait. */
export function attentionOf({ status, memo, progress }: Followable): Attention | undefined {
  return status === 'running' ? (progress ?? memo).attention : undefined;
}

/** The sentence where it does not wait. */
export function nothingToFix({ workflowId, status }: Followable, program: string): string {
  return status === 'running'
    ? `${workflowId} does not wait for anybody: nothing to fix. To follow it: ${program} watch ${workflowId}`
    : `${workflowId} has ended (${status}): nothing to fix. What came of it: ${program} result ${workflowId}`;
}

/**
 * Sends a correction for the attention that the snapshot shows.
 *
 * @throws UsageError where it does not wait, or the correction does not apply; CommandError where no worker takes it.
 */
export async function sendCorrection(
  wish: Wish,
  snapshot: Followable,
  connected: Connected,
  output: Output,
  io: Io,
): Promise<void> {
  const { workflowId, memo } = snapshot;
  const attention = attentionOf(snapshot);
  if (attention === undefined) {
    throw new UsageError(nothingToFix(snapshot, output.canvas.program));
  }
  const { replacements, drop, ...rest } = wish;
  const correction: Correction = { attentionId: attention.id, ...rest };
  // What does not apply is refused by the workflow, which says what does: nothing is looked up or staged for it.
  const applies = attention.options.includes(wish.action);
  if (applies && replacements !== undefined) {
    correction.replacements = await staged(numbered(replacements, snapshot), snapshot, connected, output, io);
  }
  if (applies && drop !== undefined) {
    correction.files = drop.map((file) => numberOf(file, filesOf(snapshot)));
  }
  if (applies && wish.action === 'newSession' && 'fileTotal' in memo) {
    const left = filesOf(snapshot)?.filter(({ state }) => state !== 'dropped').length;
    const count = left ?? memo.fileTotal;
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
  output.say(`Taken: ${wish.action} for ${attention.kind}.`);
}

type Replaced = NonNullable<Correction['replacements']>;

/** New local files, where the worker can make URLs of them. */
async function staged(
  named: Replaced,
  { workflowId, memo: { origin } }: Followable,
  { account, isOwn }: Connected,
  output: Output,
  io: Io,
): Promise<Replaced> {
  const { home, allowPrivateUrls } = readSettings(io.env);
  const sources = await stageSources(
    named.map(({ source }) => source),
    workflowId,
    { account, isOwn, origin, rules: { env: io.env, home, allowPrivateUrls }, say: output.say },
  );
  return named.map(({ file, source }, index) => ({ file, source: sources[index] ?? source }));
}

/** @throws UsageError where a new source is that of another file. */
function numbered(replacements: Replacement[], snapshot: Followable): Replaced {
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

/** @returns undefined where no worker answers, and of a song, which has none. */
export function filesOf({ progress }: Followable): FileProgress[] | undefined {
  return progress !== undefined && 'files' in progress ? progress.files : undefined;
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
export function asFlags(sentence: string): string {
  const actions = Object.entries(FLAGS).reduce(
    (text, [action, flag]) => text.replaceAll(new RegExp(`\\b${action}\\b`, 'g'), flag.split(' ')[0] ?? flag),
    sentence,
  );
  return actions
    .replaceAll('acceptSecondCharge', '--accept-second-charge')
    .replaceAll('maxCredits', '--max-credits');
}
