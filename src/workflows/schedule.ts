/**
 * Workflow sandbox, pure: when a task is looked at next (design, section 6). Ages count from the return of the POST that
 * started the task, so delays do not add up. All values in ms of real time; the caller scales.
 */

import type { JudgementTimes } from '../money/verdict.js';

export type TaskKind = 'upload' | 'training' | 'song';

/** Two looks at one task are never closer than this; the API advises 2 to 3 s (mountsea-api, section 2). */
export const MINIMUM_GAP_MS = 2_000;

/** A person may look when a task takes longer than this. Nothing fails then. */
export const DEADLINE_MS: Record<TaskKind, number> = {
  upload: 10 * 60_000,
  training: 15 * 60_000,
  song: 15 * 60_000,
};

/**
 * Time from one look to the next.
 *
 * @param ageMs age of the task at the look just made; 0 for a task just started.
 * @param random in [0, 1): spreads the looks of trainings that run side by side by up to a tenth.
 */
export function gapAfter(kind: TaskKind, ageMs: number, random: number): number {
  const usual = kind === 'training' ? trainingGap(ageMs) : growingGap(ageMs);
  // Past its deadline a task is looked at ever more rarely: weeks of it must not fill the history.
  const gap = ageMs > DEADLINE_MS[kind] ? Math.max(usual, ageMs / 20) : usual;
  return Math.max(MINIMUM_GAP_MS, gap * (0.95 + 0.1 * random));
}

/**
 * Uploads, which take seconds, and songs, whose first sound comes long before their end: the closed form of 2 s × 1.25,
 * × 1.25, … up to 8 s.
 */
function growingGap(ageMs: number): number {
  return Math.min(8_000, 2_000 + ageMs / 4);
}

/**
 * Training is documented to take 2 to 3 minutes. A few early looks show that it lives (and find one that is far faster
 * than documented); then closely from 100 s on; after 200 s the gap grows to 15 s.
 */
function trainingGap(ageMs: number): number {
  if (ageMs < 100_000) return Math.min(2_000 + ageMs / 2, 20_000, Math.max(100_000 - ageMs, 5_000));
  if (ageMs < 200_000) return 5_000;
  return Math.min(15_000, 5_000 + (ageMs - 200_000) * 0.3);
}

/** Looks at the witnesses of a create in doubt: close at first, once a minute over the grace, then ever more rarely. */
export function reconcileGapAfter(sinceMs: number, graceMs: number): number {
  if (sinceMs < graceMs) return Math.min(60_000, 5_000 + sinceMs / 4);
  return Math.max(20_000, (sinceMs - graceMs) / 4);
}

/** Durations by which a create in doubt is judged (design, section 5, point 5), in workflow time. */
export function judgementTimes(run: { ms: (realMs: number) => number }): JudgementTimes {
  return {
    graceMs: run.ms(15 * 60_000),
    patienceMs: run.ms(2 * 60_000),
    skewMs: run.ms(2 * 60_000),
    bookingMs: run.ms(20 * 60_000),
  };
}
