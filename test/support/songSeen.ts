/**
 * One look at a song, for tests that need no server.
 */
import type { SongFacts } from '../../src/contract/song.js';
import type { SongSnapshot } from '../../src/library/songs.js';

/** @returns a song that runs, as a worker tells of it. */
export function songSeen(workflowId: string, more: Partial<SongFacts> = {}): SongSnapshot {
  const start = '2026-01-01T00:00:00Z';
  const facts: SongFacts = {
    title: 'Neon',
    model: 'chirp-v5',
    origin: '',
    phase: 'sending',
    startedAt: start,
    phaseSince: start,
    clips: [],
    receipt: { generate: { verdict: 'unknown', sends: 1, evidence: [], attempts: [] } },
    ...more,
  };
  const ids = { workflowId, runId: 'r' };
  return { ...ids, status: 'running', memo: facts, progress: { version: 1, ...ids, ...facts, timeline: [] } };
}
