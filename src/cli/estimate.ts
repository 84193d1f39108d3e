/**
 * Client side, pure: how long a training may still take, from what was seen: earlier trainings of this API, their uploads,
 * and the files of this one. What was never seen is unknown.
 */
import type { FileProgress, SeenDurations, TrainingProgress } from '../contract/progress.js';
import { TRAINING_DEFAULTS } from '../contract/training.js';

export type TimeLeft =
  /** None of the kind was seen to end. */
  | { kind: 'unknown'; unseen: 'training' | 'upload' }
  /** If it is like what was seen. Without `toMs` something takes longer already than ever before. */
  | { kind: 'range'; fromMs: number; toMs?: number; seen: SeenDurations }
  /** The training itself takes longer than any that was seen. */
  | { kind: 'over'; seen: SeenDurations };

/** @returns undefined where nothing is left, or where it waits for something else than time. */
export function timeLeft(progress: TrainingProgress, now: number): TimeLeft | undefined {
  const { phase, attention, expected = {} } = progress;
  if (attention !== undefined) return undefined;
  const { trainingMs } = expected;
  switch (phase) {
    case 'done':
    case 'failed':
    case 'cancelled':
      return undefined;
    case 'training': {
      if (trainingMs === undefined) return { kind: 'unknown', unseen: 'training' };
      const age = now - Date.parse(progress.phaseSince);
      if (age > trainingMs.longestMs) return { kind: 'over', seen: trainingMs };
      return {
        kind: 'range',
        fromMs: Math.max(0, trainingMs.shortestMs - age),
        toMs: trainingMs.longestMs - age,
        seen: trainingMs,
      };
    }
    case 'preparing':
    case 'uploading':
    case 'creating': {
      const uploads = uploadsLeft(progress, now);
      if (trainingMs === undefined) return { kind: 'unknown', unseen: 'training' };
      if (uploads === undefined) return { kind: 'unknown', unseen: 'upload' };
      return {
        kind: 'range',
        fromMs: uploads.fromMs + trainingMs.shortestMs,
        ...(uploads.toMs === undefined ? {} : { toMs: uploads.toMs + trainingMs.longestMs }),
        seen: trainingMs,
      };
    }
  }
}

interface Span {
  fromMs: number;
  toMs?: number;
}

/** @returns undefined where no upload was seen to end. */
function uploadsLeft({ files, expected }: TrainingProgress, now: number): Span | undefined {
  const open = files.filter(({ state }) => !['ready', 'dropped'].includes(state));
  if (open.length === 0) return { fromMs: 0, toMs: 0 };
  const own = files.flatMap(({ state, begunAt, since }) =>
    state === 'ready' && begunAt !== undefined ? [Date.parse(since) - Date.parse(begunAt)] : [],
  );
  const { uploadMs } = expected ?? {};
  const seen = [...own, ...(uploadMs === undefined ? [] : [uploadMs.shortestMs, uploadMs.longestMs])];
  if (seen.length === 0) return undefined;
  const [shortest, longest] = [Math.min(...seen), Math.max(...seen)];
  const ages = open.flatMap((file) => (isMoving(file) ? [now - Date.parse(file.begunAt ?? file.since)] : []));
  const waiting = open.length - ages.length;
  const fromMs = makespan(ages, waiting, shortest);
  return ages.some((age) => age > longest) ? { fromMs } : { fromMs, toMs: makespan(ages, waiting, longest) };
}

function isMoving({ state }: FileProgress): boolean {
  return state === 'uploading' || state === 'processing';
}

/** Until the last file has ended, where each takes `eachMs` and the places that are taken are all there are. */
function makespan(ages: readonly number[], waiting: number, eachMs: number): number {
  // How many places there are is not shown; between two uploads fewer are taken.
  const places: number = Math.max(ages.length, Math.min(waiting, TRAINING_DEFAULTS.concurrency));
  const free = Array.from({ length: places }, (_, index) => Math.max(0, eachMs - (ages[index] ?? eachMs)));
  for (let left = waiting; left > 0; left -= 1) {
    const next = free.indexOf(Math.min(...free));
    free[next] = (free[next] ?? 0) + eachMs;
  }
  return Math.max(0, ...free);
}

/** In words, without claiming more than is known: `2 to 4 min`, `up to 45 s`, `at least 2 min`. */
export function spanWords({ fromMs, toMs }: Span): string {
  if (toMs === undefined) return `at least ${lengthWords(fromMs, Math.floor)}`;
  if (toMs < 90_000) {
    const from = Math.floor(fromMs / 5_000) * 5;
    const to = Math.max(5, Math.ceil(toMs / 5_000) * 5);
    return from === 0 || from >= to ? `up to ${to} s` : `${from} to ${to} s`;
  }
  const [from, to] = [Math.floor(fromMs / 60_000), Math.ceil(toMs / 60_000)];
  return from === 0 || from >= to ? `up to ${to} min` : `${from} to ${to} min`;
}

function lengthWords(ms: number, round: (value: number) => number): string {
  return ms < 90_000 ? `${round(ms / 5_000) * 5} s` : `${round(ms / 60_000)} min`;
}
