/**
 * Preflight: a training as a whole against Suno's limits, and its sources against each other. The limits are not Mountsea's
 * words, so passing one is a warning (mountsea-api, section 6). Pure.
 */
import { type BadFilePolicy, TRAINING_DEFAULTS } from '../contract/training.js';
import type { Finding, Look } from './findings.js';
import { fileWords } from './words.js';

/** Suno's own limits of a custom model. */
export const SUNO_LIMITS = { nameLength: 16, clips: 100, trackMs: 8 * 60_000 } as const;

export interface Wish {
  name: string;
  minClips: number;
  onBadFile: BadFilePolicy;
  /** Sources in all, looked at or not. Absent where that is not known. */
  fileCount?: number;
}

/** What is said where Mountsea would certainly refuse. */
export function tooFew(count: number): string {
  return `A custom model needs at least ${TRAINING_DEFAULTS.minClips} audio files; ${count} ${count === 1 ? 'was' : 'were'} given.`;
}

/**
 * @param looks at those files that are to be uploaded.
 * @returns what is wrong with single tracks first, then what is wrong with the whole.
 */
export function findingsOfTraining(looks: readonly Look[], wish: Wish): Finding[] {
  const twins = twinsIn(looks);
  const { fileCount } = wish;
  const same = twins.reduce((count, { files }) => count + files.length - 1, 0);
  return [
    ...looks.flatMap((look) => tooLong(look)),
    ...twins,
    ...ofName(wish.name),
    ...(fileCount === undefined ? [] : ofCount({ ...wish, fileCount }, fileCount - same)),
  ];
}

/** Of one source; also for one that takes the place of another. */
export function tooLong(look: Look, what = fileWords(look)): Finding[] {
  const { number, durationMs = 0 } = look;
  if (durationMs <= SUNO_LIMITS.trackMs) return [];
  const minutes = Math.round(durationMs / 6_000) / 10;
  return [
    {
      level: 'warning',
      code: 'too-long',
      files: [number],
      short: 'over 8 min',
      message: `${what}: it is ${minutes} minutes long; Suno takes tracks of up to 8. Cut it.`,
    },
  ];
}

/** Files with the same bytes, as far as that was looked at. */
function twinsIn(looks: readonly Look[]): Finding[] {
  const groups = new Map<string, Look[]>();
  for (const look of looks) {
    const { content, size } = look;
    // Nothing is said of what is wrong anyway, nor of what could not be looked at.
    if (content === undefined || size === undefined || size === 0 || look.kind === undefined) continue;
    const key = content.startsWith('sha256') ? content : content.replace(/, etag .*?, first/, ', first');
    groups.set(key, [...(groups.get(key) ?? []), look]);
  }
  return [...groups].filter(([, { length }]) => length > 1).map(([key, group]) => twin(key, group));
}

function twin(key: string, group: readonly Look[]): Finding {
  const files = group.map(({ number }) => number);
  const isCertain = key.startsWith('sha256');
  const names = `${files.slice(0, -1).join(', ')} and ${files.at(-1) ?? ''}`;
  return {
    level: isCertain ? 'error' : 'warning',
    code: 'same-content',
    files,
    short: `same as ${files[0] ?? ''}`,
    message: isCertain
      ? `Files ${names} have the same bytes. A clip counts once however often it is uploaded: leave one out.`
      : `Files ${names} seem to have the same bytes (size and beginning are the same). A clip counts once however often it is uploaded.`,
  };
}

function ofName(name: string): Finding[] {
  const length = Array.from(name.trim()).length;
  if (length <= SUNO_LIMITS.nameLength) return [];
  return [
    {
      level: 'warning',
      code: 'name-length',
      files: [],
      short: 'long name',
      message: `The name has ${length} characters; Suno takes 1 to ${SUNO_LIMITS.nameLength}, and create may be refused after the uploads are paid for.`,
    },
  ];
}

function ofCount({ fileCount, minClips, onBadFile }: Required<Wish>, distinct: number): Finding[] {
  const least = Math.max(minClips, TRAINING_DEFAULTS.minClips);
  const finding = (code: 'file-count' | 'drop-count', message: string): Finding => ({
    level: 'warning',
    code,
    files: [],
    short: 'count',
    message,
  });
  if (fileCount > SUNO_LIMITS.clips) {
    return [
      finding('file-count', `${fileCount} files are more than the ${SUNO_LIMITS.clips} that Suno takes.`),
    ];
  }
  if (fileCount < TRAINING_DEFAULTS.minClips) return [finding('file-count', tooFew(fileCount))];
  if (distinct < least) {
    return [
      finding(
        'file-count',
        `Only ${distinct} of the ${fileCount} files are different; at least ${least} must be.`,
      ),
    ];
  }
  if (onBadFile === 'drop' && distinct === least) {
    return [
      finding(
        'drop-count',
        `With --on-bad-file drop and ${distinct} files, one bad file leaves too few to train with after the others are paid for. Give one more, or leave the choice to --on-bad-file ask.`,
      ),
    ];
  }
  return [];
}
