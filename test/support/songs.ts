/**
 * A song under test, on the rig of the trainings.
 */
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Correction, CorrectionAccepted } from '../../src/contract/correction.js';
import { CORRECT_UPDATE, PROGRESS_QUERY } from '../../src/contract/messages.js';
import type { Attention } from '../../src/contract/progress.js';
import {
  GENERATE_SONG_WORKFLOW,
  type GeneratedSong,
  type GenerateSongInput,
  SONG_MEMO,
  type SongMemo,
  type SongProgress,
} from '../../src/contract/song.js';
import { type Rig, SPEED } from './rig.js';
import { waitUntil } from './waitUntil.js';

export interface SongUnderTest {
  handle: WorkflowHandle<(input: GenerateSongInput) => Promise<GeneratedSong>>;
  memo(): Promise<SongMemo>;
  /** Waits until the song shows something. */
  until(label: string, isTrue: (progress: SongProgress) => boolean): Promise<SongProgress>;
  /** Waits until it needs a person. */
  parked(): Promise<SongProgress & { attention: Attention }>;
  correct(correction: Correction): Promise<CorrectionAccepted>;
}

export async function startSong(
  { client, sandbox, taskQueue }: Rig,
  more: Partial<GenerateSongInput> = {},
): Promise<SongUnderTest> {
  const input: GenerateSongInput = {
    request: { model: 'chirp-v5', prompt: 'la la la', title: 'Night Drive' },
    origin: sandbox.url,
    timeScale: 1 / SPEED,
    ...more,
  };
  const handle: SongUnderTest['handle'] = await client.workflow.start(GENERATE_SONG_WORKFLOW, {
    workflowId: `song-test-${randomUUID()}`,
    taskQueue,
    args: [input],
  });
  return {
    handle,
    memo: async () => (await handle.describe()).memo?.[SONG_MEMO] as SongMemo,
    until: (label, isTrue) =>
      waitUntil(label, async () => {
        const now = await handle.query<SongProgress>(PROGRESS_QUERY);
        return isTrue(now) && now;
      }),
    parked: () =>
      waitUntil('it parks', async () => {
        const now = await handle.query<SongProgress>(PROGRESS_QUERY);
        const { attention } = now;
        return attention !== undefined && { ...now, attention };
      }),
    correct: (correction) => handle.executeUpdate(CORRECT_UPDATE, { args: [correction] }),
  };
}
