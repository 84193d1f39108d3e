/**
 * What is said of what becomes at Mountsea of a training or a song that is cancelled here: never that it goes on where it
 * has failed.
 */
import { describe, expect, it } from 'vitest';
import type { CreateAttempt } from '../../src/contract/training.js';
import { noteEnd, refundAttempt, remoteWords } from '../../src/money/receipt.js';

function attempt(verdict: CreateAttempt['verdict']): CreateAttempt {
  return { decision: 'first', sessionId: 's', sentAt: '2026-01-01T00:00:00.000Z', verdict, evidence: [] };
}

describe('what becomes at Mountsea of what is cancelled', () => {
  it('is nothing where nothing was accepted', () => {
    expect(remoteWords([], 'training')).toEqual([]);
    expect(remoteWords([attempt('not-charged')], 'training')).toEqual([]);
  });

  it('is as unknown as whether it was accepted', () => {
    expect(remoteWords([attempt('unknown')], 'training')).toEqual([
      'Mountsea cannot cancel: it may go on training.',
    ]);
  });

  it('goes on as long as no end was seen, whatever was refused since', () => {
    const attempts = [{ ...attempt('charged'), taskId: 't' }, attempt('not-charged')];
    expect(remoteWords(attempts, 'song')).toEqual([
      'Mountsea cannot cancel: it goes on with the song (task t).',
    ]);
  });

  it('has failed, or has succeeded with nothing, and is no more than that when its credits are given back', () => {
    const attempts = [attempt('charged')];
    noteEnd(attempts, 'unclear');
    expect(remoteWords(attempts, 'training')).toEqual([
      'Mountsea says that the training succeeded, but without one model of its own.',
    ]);
    noteEnd(attempts, 'failed');
    const failed = ['Mountsea says that the training failed.'];
    expect(remoteWords(attempts, 'training')).toEqual(failed);
    if (attempts[0] !== undefined) refundAttempt(attempts[0], 'row');
    expect(remoteWords(attempts, 'training')).toEqual(failed);
  });

  it('is that of the newest attempt: one that is sent again after a failure goes on', () => {
    const attempts = [attempt('charged')];
    noteEnd(attempts, 'failed');
    attempts.push(attempt('charged'));
    expect(remoteWords(attempts, 'training').join()).toContain('it goes on training');
  });
});
