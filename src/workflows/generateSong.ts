/**
 * Workflow sandbox: how a song is made with a model, from top to bottom. Deterministic: no clock, no I/O, no module state.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  TemporalFailure,
} from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import { FIRST_DECISION } from '../contract/account.js';
import type { GeneratedSong, GenerateSongInput, SongClip } from '../contract/song.js';
import type { ChargeVerdict } from '../contract/training.js';
import { noteEnd, remoteWords } from '../money/receipt.js';
import { settleSong } from '../money/songs.js';
import { now } from './execution.js';
import { provenFailure } from './failures.js';
import { Parking, type ParkRequest } from './parking.js';
import { Poller, untilSettled, type Watch } from './polling.js';
import { judgementTimes } from './schedule.js';
import { Song } from './song.js';
import { SongSends } from './songSends.js';

/**
 * Makes a song: sends generate once, and waits for its clips. Whatever needs a person parks and waits for the update
 * `correct`; the query `progress` tells where it stands.
 *
 * @throws ApplicationFailure `GivenUp` or `ParkExpired`, with `SongFailureDetails` in its details.
 */
export async function generateSong(input: GenerateSongInput): Promise<GeneratedSong> {
  const song = new Song(input);
  const parking = new Parking(song);
  try {
    const poller = new Poller(song, parking);
    const sends = new SongSends(song, parking);
    for (let decision = FIRST_DECISION; ;) {
      song.enter('sending', `Sends generate (${song.price} credits).`);
      await sends.send(decision);
      const taskId = song.taskId ?? '';
      song.enter('generating', `Mountsea makes the song; task ${taskId}.`);
      const end = await awaitClips(song, taskId, poller, parking);
      if (end.kind === 'clips') {
        const { clips } = end;
        // A cancel comes too late: there is nothing left to stop.
        return await CancellationScope.nonCancellable(() => finish(song, taskId, clips));
      }
      decision = end.decision;
    }
  } catch (error) {
    // A bug is no end: see `trainCustomModel`.
    if (!(error instanceof TemporalFailure)) throw error;
    if (isCancellation(error)) song.enter('cancelled', cancelledSentence(song));
    else song.enter('failed', error.message);
    await CancellationScope.nonCancellable(async () => {
      await settle(song);
      song.show();
      await condition(allHandlersFinished);
    });
    throw error;
  }
}

type SongEnd = { kind: 'clips'; clips: SongClip[] } | { kind: 'again'; decision: string };

/** Done means `success` and something to hear. */
async function awaitClips(song: Song, taskId: string, poller: Poller, parking: Parking): Promise<SongEnd> {
  const watch = poller.watch('song', taskId, (outcome) => judgeSong(song, outcome));
  let settled;
  try {
    settled = await untilSettled(song, parking, watch, () => {
      noteEnd(song.attempts, watch.raw === undefined ? undefined : 'unclear');
      return overduePark(song, watch);
    });
  } finally {
    watch.drop();
  }
  if ('correction' in settled) return { kind: 'again', decision: settled.correction.attentionId };
  const { verdict } = settled;
  noteEnd(song.attempts, verdict.kind === 'clips' ? undefined : verdict.kind);
  if (verdict.kind === 'clips') return verdict;
  await settle(song);
  const correction = await parking.park({
    kind: 'song-failed',
    message: `${verdict.reason} ${song.spentSoFar} Whether Mountsea gives them back is not known. Sending it again costs again.`,
    evidence: [...(song.attempts.at(-1)?.evidence ?? []), verdict.raw.slice(0, 4_000)],
    options: ['retry'],
  });
  return { kind: 'again', decision: correction?.attentionId ?? FIRST_DECISION };
}

type SongVerdict = { kind: 'clips'; clips: SongClip[] } | { kind: 'failed'; reason: string; raw: string };

/** Keeps what there is to hear meanwhile. @returns undefined for "not yet". */
function judgeSong(song: Song, outcome: TaskOutcome): SongVerdict | undefined {
  switch (outcome.kind) {
    case 'unseen':
      return undefined;
    case 'pending': {
      const { status, songs = [] } = outcome;
      if (songs.length > song.clips.length) {
        song.tell(`${songs.length} clips may play already; they are not finished.`);
      }
      if (songs.length > 0) song.clips = songs;
      song.taskStatus = status;
      return undefined;
    }
    case 'failed': {
      const code = outcome.code === undefined ? '' : ` (${outcome.code})`;
      // What played of it is no song.
      song.clips = [];
      return {
        kind: 'failed',
        reason: `Mountsea says that the song failed: ${outcome.reason}${code}.`,
        raw: outcome.raw,
      };
    }
    case 'succeeded': {
      const { songs: clips = [] } = outcome;
      song.taskStatus = 'success';
      return clips.length === 0 ? undefined : { kind: 'clips', clips };
    }
  }
}

async function finish(song: Song, taskId: string, clips: SongClip[]): Promise<GeneratedSong> {
  song.clips = clips;
  // The books may take a while; what there is to hear is not held back for them.
  song.show();
  await settle(song);
  song.enter('done', `The song is ready: ${clips.length} ${clips.length === 1 ? 'clip' : 'clips'}.`);
  await condition(allHandlersFinished);
  const { input, title, receipt, timeline, startedAt } = song;
  const { request, modelName, origin } = input;
  return {
    clips: song.clips,
    taskId,
    title,
    model: request.model,
    ...(modelName === undefined ? {} : { modelName }),
    request,
    origin,
    receipt,
    timeline,
    startedAt,
    finishedAt: now(),
  };
}

/** What the ledger shows that it cost. One that cannot be read holds up nothing. */
async function settle(song: Song): Promise<void> {
  const first = song.attempts.find(({ provisional }) => provisional === true);
  if (first === undefined) return;
  const times = judgementTimes(song);
  try {
    const { ledger, others } = await song.activities.readSongLedger('look at the ledger', {
      affinity: song.affinity,
      since: Date.parse(first.sentAt) - times.skewMs,
    });
    if (ledger !== undefined) settleSong(song.attempts, ledger, others, times);
  } catch (error) {
    if (provenFailure(error) === undefined) throw error;
  }
}

function overduePark(song: Song, { note, raw }: Pick<Watch<unknown>, 'note' | 'raw'>): ParkRequest {
  const minutes = Math.max(1, Math.round((Date.now() - Date.parse(song.phaseSince)) / song.scale / 60_000));
  const common = `${song.spentSoFar} It goes on being looked at, ever more rarely.`;
  if (raw !== undefined) {
    return {
      kind: 'answer-unclear',
      message: `Mountsea says success after ${minutes} min, but its answer has nothing to hear. ${common}`,
      evidence: [`raw answer: ${raw.slice(0, 4_000)}`],
      options: ['keepWaiting'],
    };
  }
  return {
    kind: 'song-overdue',
    message: `The song is not ready after ${minutes} min; one or two are usual. ${common}`,
    evidence: [note ?? 'the last look was answered as usual: still under way'],
    options: ['keepWaiting'],
  };
}

function cancelledSentence({ receipt: { generate }, attempts }: Song): string {
  return [CANCELLED[generate.verdict], ...remoteWords(attempts, 'song')].join(' ');
}

const CANCELLED: Record<ChargeVerdict, string> = {
  'not-charged': 'Cancelled before the song was accepted: nothing is spent.',
  charged: 'Cancelled after the song was accepted: its credits are spent.',
  unknown: 'Cancelled while it was unknown whether the song was accepted.',
};
