/**
 * Workflow sandbox, pure but for the run it changes: what a correction asks for, whether it makes sense, and what is kept
 * of what was paid for (design, section 4).
 */
import type { Correction, CorrectionAction } from '../contract/correction.js';
import type { Attention, FileProgress } from '../contract/progress.js';
import {
  type FileSource,
  type Source,
  TRAINING_DEFAULTS,
  type TrainCustomModelInput,
} from '../contract/training.js';

/** Fields that an action uses; any other is refused. */
const FIELDS: Record<CorrectionAction, (keyof Correction)[]> = {
  rename: ['name'],
  replaceFiles: ['replacements'],
  dropFiles: ['files'],
  retry: ['maxCredits'],
  resendCreate: ['acceptSecondCharge'],
  keepWaiting: [],
  newSession: ['acceptSecondCharge'],
  giveUp: [],
};

/** Longest name and URL, characters: what is shown of a training must stay small. */
const MOST_NAME = 500;
const MOST_URL = 8_000;

/** What of a run the rules look at. */
export interface Correctable {
  input: Pick<TrainCustomModelInput, 'minClips'>;
  name: string;
  files: readonly FileProgress[];
}

/** Never under the API's own minimum, whatever the input says. */
export function fewestClips(input: Pick<TrainCustomModelInput, 'minClips'>): number {
  return Math.max(TRAINING_DEFAULTS.minClips, input.minClips ?? 0);
}

/** Whether so many more files may be left out: a correction that would be refused is not offered. */
export function mayDrop({ input, files }: Pick<Correctable, 'input' | 'files'>, count = 1): boolean {
  return files.filter(({ state }) => state !== 'dropped').length - count >= fewestClips(input);
}

/** What may be changed of a training before its next create. */
export function changesTo(run: Pick<Correctable, 'input' | 'files'>): CorrectionAction[] {
  return ['rename', 'replaceFiles', ...(mayDrop(run) ? (['dropFiles'] as const) : []), 'newSession'];
}

/** @returns a sentence that says why a correction does not apply; undefined where it does. */
export function whyRefused(
  correction: Correction,
  attention: Attention,
  { input, name, files }: Correctable,
): string | undefined {
  const { action } = correction;
  const { kind, options, riskOfSecondCharge = [] } = attention;
  if (!options.includes(action)) {
    // A song has no files.
    const isShort =
      action === 'dropFiles' && files.length > 0 && !mayDrop({ input, files }, attention.files?.length);
    const why = isShort ? `: at least ${fewestClips(input)} files are needed` : '';
    return `${action} does not apply to ${kind}${why}. What applies: ${options.join(', ')}.`;
  }
  const fields: (keyof Correction)[] = ['attentionId', 'action', ...FIELDS[action]];
  if (riskOfSecondCharge.includes(action)) fields.push('acceptSecondCharge');
  const stray = (Object.keys(correction) as (keyof Correction)[]).find(
    (field) => correction[field] !== undefined && !fields.includes(field),
  );
  if (stray !== undefined) return `${action} takes no ${stray}.`;
  if (riskOfSecondCharge.includes(action) && correction.acceptSecondCharge !== true) {
    return `${action} may be charged a second time, since nobody knows whether it was charged before. It needs acceptSecondCharge.`;
  }
  switch (action) {
    case 'rename':
      return whyNoName(correction.name, name);
    case 'replaceFiles':
      return whyNotReplaced(correction.replacements ?? [], files);
    case 'dropFiles':
      return whyNotDropped(correction.files ?? [], files, fewestClips(input));
    case 'retry':
      return whyNoBudget(correction.maxCredits, attention);
    default:
      return undefined;
  }
}

function whyNoBudget(maxCredits: number | undefined, { kind, nextTryAt }: Attention): string | undefined {
  if (maxCredits === undefined) return undefined;
  // A balance that is too low tries again by itself; only the training's own budget waits for a person.
  if (kind !== 'credits' || nextTryAt !== undefined) {
    return 'maxCredits goes with a training that its own budget stopped.';
  }
  return maxCredits > 0 ? undefined : 'maxCredits must be more than 0.';
}

function whyNoName(wanted: string | undefined, name: string): string | undefined {
  if (!isText(wanted, MOST_NAME) || wanted.trim() === '') return 'rename needs a name.';
  return wanted === name ? `The name is "${name}" already.` : undefined;
}

function whyNotReplaced(
  replacements: NonNullable<Correction['replacements']>,
  files: readonly FileProgress[],
): string | undefined {
  if (replacements.length === 0) return 'replaceFiles needs at least one file and its new source.';
  const numbers = replacements.map(({ file }) => file);
  const unusable = replacements.find(({ source }) => !isUsable(source));
  if (unusable !== undefined) {
    return `The new source of file ${unusable.file} is no http or https URL, and no staged file.`;
  }
  const unnamed = replacements.find(({ source }) => !isText(source.label, MOST_URL) || source.label === '');
  if (unnamed !== undefined) return `The new source of file ${unnamed.file} has no label.`;
  return whyNumbers(numbers, files);
}

/** An update may come from anywhere, with anything in it. */
function isUsable(source: Source): boolean {
  if ('url' in source) return isText(source.url, MOST_URL) && /^https?:\/\//i.test(source.url);
  const { sha256, at } = source as Partial<FileSource>;
  if (!isText(sha256, 64) || !/^[0-9a-f]{64}$/.test(sha256)) return false;
  return at?.kind === 'object' ? isText(at.object.key, MOST_URL) : isText(at?.path, MOST_URL);
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length <= longest;
}

function whyNotDropped(
  numbers: number[],
  files: readonly FileProgress[],
  fewest: number,
): string | undefined {
  if (numbers.length === 0) return 'dropFiles needs at least one file.';
  const why = whyNumbers(numbers, files);
  if (why !== undefined) return why;
  const left = files.filter(({ number, state }) => state !== 'dropped' && !numbers.includes(number));
  return left.length >= fewest
    ? undefined
    : `That would leave ${left.length} files; at least ${fewest} are needed. Replace them instead.`;
}

function whyNumbers(numbers: number[], files: readonly FileProgress[]): string | undefined {
  const unknown = numbers.find((number) => !files.some((file) => file.number === number));
  if (unknown !== undefined) return `There is no file ${unknown}; they go from 1 to ${files.length}.`;
  const gone = numbers.find((number) =>
    files.some((file) => file.number === number && file.state === 'dropped'),
  );
  if (gone !== undefined) return `File ${gone} is left out already.`;
  const twice = numbers.find((number, index) => numbers.indexOf(number) !== index);
  return twice === undefined ? undefined : `File ${twice} is named twice.`;
}
