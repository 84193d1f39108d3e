import { describe, expect, it } from 'vitest';
import { spanWords, timeLeft } from '../../src/cli/estimate.js';
import type { FileProgress, TrainingProgress } from '../../src/contract/progress.js';
import { emptyReceipt } from '../../src/money/receipt.js';

const NOW = Date.parse('2026-01-01T00:01:00Z');
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1_000).toISOString();
const trainingMs = { count: 3, shortestMs: 120_000, longestMs: 180_000 };
const uploadMs = { count: 9, shortestMs: 10_000, longestMs: 30_000 };

function progressOf(files: Partial<FileProgress>[], more: Partial<TrainingProgress> = {}): TrainingProgress {
  return {
    version: 1,
    workflowId: 'w',
    runId: 'r',
    name: 'x',
    origin: '',
    phase: 'uploading',
    startedAt: at(60),
    phaseSince: at(60),
    receipt: emptyReceipt(),
    timeline: [],
    files: files.map((file, index) => ({
      number: index + 1,
      label: '',
      state: 'waiting',
      tries: 1,
      since: at(0),
      ...file,
    })),
    ...more,
  };
}

const moving = (age: number): Partial<FileProgress> => ({ state: 'processing', begunAt: at(age) });
const ready = (took: number): Partial<FileProgress> => ({ state: 'ready', begunAt: at(took), since: at(0) });

describe('what is left', () => {
  it('is unknown where no training, or no upload, was ever seen', () => {
    expect(timeLeft(progressOf([moving(1)], { expected: { uploadMs } }), NOW)).toEqual({
      kind: 'unknown',
      unseen: 'training',
    });
    expect(timeLeft(progressOf([moving(1)], { expected: { trainingMs } }), NOW)).toEqual({
      kind: 'unknown',
      unseen: 'upload',
    });
    expect(timeLeft(progressOf([], { phase: 'training' }), NOW)).toEqual({
      kind: 'unknown',
      unseen: 'training',
    });
  });

  it('is what the uploads and the training took, at least and at most', () => {
    const expected = { trainingMs, uploadMs };
    expect(timeLeft(progressOf([moving(5), {}, {}], { expected }), NOW)).toEqual({
      kind: 'range',
      // Two places: one is free in 5 s (25 s), the other now; three uploads of 10 s (30 s) in all.
      fromMs: 15_000 + 120_000,
      toMs: 55_000 + 180_000,
      seen: trainingMs,
    });
  });

  it('takes the uploads of this training for what uploads take', () => {
    const left = timeLeft(progressOf([ready(20), moving(0)], { expected: { trainingMs } }), NOW);
    expect(left).toEqual({ kind: 'range', fromMs: 140_000, toMs: 200_000, seen: trainingMs });
  });

  it('has no upper end while an upload takes longer than any that was seen', () => {
    const left = timeLeft(progressOf([moving(31)], { expected: { trainingMs, uploadMs } }), NOW);
    expect(left).toEqual({ kind: 'range', fromMs: 120_000, seen: trainingMs });
  });

  it('gets less while it trains, and is said to be over when it is longer than ever', () => {
    const training = (age: number): unknown =>
      timeLeft(progressOf([], { phase: 'training', phaseSince: at(age), expected: { trainingMs } }), NOW);
    expect(training(30)).toEqual({ kind: 'range', fromMs: 90_000, toMs: 150_000, seen: trainingMs });
    expect(training(150)).toEqual({ kind: 'range', fromMs: 0, toMs: 30_000, seen: trainingMs });
    expect(training(181)).toEqual({ kind: 'over', seen: trainingMs });
  });

  it('is not said where it waits for something else, or has ended', () => {
    const attention = {
      id: 'a',
      kind: 'credits',
      message: '',
      since: at(0),
      evidence: [],
      options: [],
    } as const;
    const parked = progressOf([moving(1)], {
      attention: { ...attention, evidence: [], options: [] },
      expected: { trainingMs, uploadMs },
    });
    expect(timeLeft(parked, NOW)).toBeUndefined();
    expect(timeLeft(progressOf([], { phase: 'done', expected: { trainingMs } }), NOW)).toBeUndefined();
  });
});

it('a span is rounded outwards', () => {
  expect(spanWords({ fromMs: 61_000, toMs: 185_000 })).toBe('1 to 4 min');
  expect(spanWords({ fromMs: 13_000, toMs: 41_000 })).toBe('10 to 45 s');
  expect(spanWords({ fromMs: 0, toMs: 2_000 })).toBe('up to 5 s');
  expect(spanWords({ fromMs: 20_000, toMs: 100_000 })).toBe('up to 2 min');
  expect(spanWords({ fromMs: 130_000 })).toBe('at least 2 min');
});
