/** What a song that waits is shown as, in a pipe and where somebody can be asked. */
import { describe, expect, it } from 'vitest';
import { songNews } from '../../src/cli/drawSong.js';
import type { Attention } from '../../src/contract/progress.js';
import type { SongSnapshot } from '../../src/library/songs.js';
import { songSeen } from '../support/songSeen.js';

const START = '2026-01-01T00:00:00Z';
const canvas = { width: 80, isColored: false, program: 'tunesmith' };

function waiting(more: Partial<Attention>): SongSnapshot {
  const attention: Attention = {
    id: 'a',
    kind: 'charge-unknown',
    message: 'Nobody knows.',
    since: START,
    evidence: [],
    options: ['keepWaiting', 'retry', 'giveUp'],
    riskOfSecondCharge: ['retry'],
    ...more,
  };
  return songSeen('song-neon-1', { attention });
}

describe('a song that waits for a person', () => {
  it('says in a pipe which commands answer it, each with its price', () => {
    expect(songNews(undefined, waiting({}), canvas, false)).toEqual([
      'Needs attention: charge-unknown',
      '  Nobody knows.',
      '  tunesmith fix song-neon-1 --keep-waiting',
      '    waits for another while, costs nothing',
      '  tunesmith fix song-neon-1 --retry --accept-second-charge',
      '    sends it again: about 40 credits, perhaps for the second time',
      '  tunesmith fix song-neon-1 --give-up',
      '    ends it; what is paid for stays at Mountsea',
    ]);
  });

  it('says on a terminal what happened, since the answers are asked', () => {
    expect(songNews(undefined, waiting({}), canvas, true)).toEqual([
      'Needs attention: charge-unknown',
      '  Nobody knows.',
    ]);
  });

  it('asks for nothing while it looks on by itself, and once more when it no longer does', () => {
    const before = waiting({ nextTryAt: START });
    const lines = songNews(undefined, before, canvas, false);
    expect(lines[0]).toBe('Waits: charge-unknown');
    expect(lines.join('\n')).not.toContain('fix');
    expect(songNews(before, waiting({}), canvas, false).join('\n')).toContain('fix song-neon-1 --retry');
  });
});
