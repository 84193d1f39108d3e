/**
 * Workflow sandbox: the paid request of a song. It is sent once for each decision to spend. Its task id is not known
 * beforehand, and no status can be asked without it: what proves nothing parks with what the ledger shows, and a person
 * decides. Nothing here sends again after a doubt.
 */
import { CancellationScope, CancelledFailure } from '@temporalio/workflow';
import { ActivityFailureType } from '../contract/failures.js';
import type { SongAttempt } from '../contract/song.js';
import { songEvidence } from '../money/songs.js';
import { now, REQUEST_TIMEOUT_MS } from './execution.js';
import { isUnsent, type ProvenFailure, sent } from './failures.js';
import { evidenceOf, type Parking, type ParkRequest } from './parking.js';
import { Patience } from './patience.js';
import { judgementTimes, reconcileGapAfter } from './schedule.js';
import type { Song } from './song.js';

/** From the decision of the workflow to the last moment at which a byte may be written. */
const SEND_WINDOW_MS = 30_000;
/** How long the ledger is asked before a doubt is handed to a person. */
const GRACE_MS = 2 * 60_000;

type Outcome =
  | { kind: 'accepted' }
  | { kind: 'not-sent'; why: string }
  | { kind: 'refused'; failure: ProvenFailure }
  | { kind: 'in-doubt'; attempt: SongAttempt; why: string };

export class SongSends {
  readonly #song: Song;
  readonly #parking: Parking;

  constructor(song: Song, parking: Parking) {
    this.#song = song;
    this.#parking = parking;
  }

  /**
   * Sends it, and returns when it is accepted.
   *
   * @param decision what allows it to spend: `FIRST_DECISION` or the id of an attention.
   * @throws ApplicationFailure `GivenUp` or `ParkExpired` out of a park.
   */
  async send(decision: string): Promise<void> {
    const song = this.#song;
    const patience = new Patience(song, this.#parking, {
      what: 'generate',
      unsent: (tries, why) => ({
        kind: 'song-rejected',
        message: `The request could not be sent ${tries} times in a row, and nothing of it left: ${why}. ${song.spentSoFar}`,
        evidence: [why],
        options: ['retry'],
      }),
      refused: (failure) => ({
        kind: 'song-rejected',
        message: `Mountsea refuses the song. ${song.spentSoFar}`,
        evidence: evidenceOf(failure),
        options: ['retry'],
      }),
      tooMany: (failure, why) => ({
        kind: 'song-rejected',
        message: `Mountsea takes no song for now. ${why} ${song.spentSoFar}`,
        evidence: evidenceOf(failure),
        options: ['retry'],
      }),
    });
    for (let order = decision; ;) {
      await patience.beforeSend();
      await this.#parking.withinBudget(song.price, 'the song', false);
      const outcome = await this.#sendOnce(order);
      switch (outcome.kind) {
        case 'accepted':
          return;
        case 'not-sent':
          await patience.afterNotSent(outcome.why);
          break;
        case 'refused':
          order = (await patience.afterRefusal(outcome.failure))?.attentionId ?? order;
          break;
        case 'in-doubt':
          order = await this.#ask(outcome.attempt, outcome.why);
          break;
      }
    }
  }

  async #sendOnce(decision: string): Promise<Outcome> {
    const song = this.#song;
    const look = await this.#parking.mending(() =>
      song.activities.lookBeforeSong('look before the song', {
        origin: song.input.origin,
        known: song.attempts.map(({ sentAt }) => sentAt),
      }),
    );
    song.key = look;
    const earlier = look.earlier.at(-1);
    if (earlier !== undefined) return this.#takeOver(look.earlier, earlier);
    if (CancellationScope.current().consideredCancelled) {
      throw new CancelledFailure('Cancelled before the song was sent.');
    }
    const sentAt = Date.now();
    const timeoutMs = song.bounded(REQUEST_TIMEOUT_MS);
    const notAfter = sentAt + song.bounded(SEND_WINDOW_MS);
    const attempt: SongAttempt = {
      decision,
      sentAt: new Date(sentAt).toISOString(),
      sentBy: new Date(notAfter + timeoutMs).toISOString(),
      verdict: 'unknown',
      evidence: ['it was sent; its outcome is not known yet'],
      ...(look.balance === undefined ? {} : { balanceBefore: look.balance }),
    };
    song.attempts.push(attempt);
    song.sends += 1;
    song.show();
    // Cancellation waits for the answer: it may name the task that is paid for.
    return CancellationScope.nonCancellable(async () => {
      const came = await sent(
        'it',
        song.activities.submitSong(`generate ${song.title}: ${song.price} credits`, {
          affinity: song.affinity,
          grantedRunId: look.runId,
          notAfter,
          timeoutMs,
          request: song.input.request,
        }),
      );
      if (!('failure' in came)) return this.#accepted(attempt, came.taskId, came.proof);
      const { failure } = came;
      if (!failure.isWorkerLost) attempt.sentBy = now();
      return this.#judge(attempt, failure);
    });
  }

  /** An earlier run of this song (it was reset in the Web UI) has sent it: what is paid for is gone on with. */
  #takeOver(earlier: readonly SongAttempt[], newest: SongAttempt): Outcome {
    const song = this.#song;
    song.attempts.push(...earlier);
    song.sends += earlier.length;
    const accepted = [...earlier].reverse().find(({ taskId }) => taskId !== undefined);
    if (accepted?.taskId !== undefined) {
      song.tell(`An earlier run of this song has sent it as task ${accepted.taskId}.`);
      song.taskId = accepted.taskId;
      return { kind: 'accepted' };
    }
    song.show();
    return { kind: 'in-doubt', attempt: newest, why: 'Another run of this song may have sent it (a reset).' };
  }

  #accepted(attempt: SongAttempt, taskId: string, proof: string): Outcome {
    const song = this.#song;
    attempt.verdict = 'charged';
    attempt.credits = song.price;
    attempt.provisional = true;
    attempt.taskId = taskId;
    attempt.evidence = [proof, `${song.price} credits is what a song was seen to cost`];
    song.taskId = taskId;
    song.show();
    return { kind: 'accepted' };
  }

  #judge(attempt: SongAttempt, failure: ProvenFailure): Outcome {
    const song = this.#song;
    if (isUnsent(failure)) {
      song.attempts.splice(song.attempts.indexOf(attempt), 1);
      song.sends -= 1;
      song.show();
      return { kind: 'not-sent', why: failure.message };
    }
    switch (failure.type) {
      case ActivityFailureType.Ambiguous:
        attempt.evidence = evidenceOf(failure);
        song.show();
        return {
          kind: 'in-doubt',
          attempt,
          why: `The song may or may not have been accepted: ${failure.message}.`,
        };
      default:
        // Without an answer it is our own worker that has no key.
        if (failure.details.status === undefined) song.sends -= 1;
        attempt.verdict = 'not-charged';
        attempt.evidence = evidenceOf(failure);
        song.show();
        return { kind: 'refused', failure };
    }
  }

  /**
   * Shows a person what the ledger says, and looks on ever more rarely.
   *
   * @returns the decision to send it again.
   */
  async #ask(attempt: SongAttempt, why: string): Promise<string> {
    const song = this.#song;
    const parking = this.#parking;
    const { skewMs, bookingMs } = judgementTimes(song);
    const parked = parking.open(doubtPark(song, why), now());
    const { attention } = parked;
    try {
      for (let since = Date.now(); ;) {
        const read = await parking.unlessAnswered(parked, () =>
          parking.mending(() =>
            song.activities.readSongLedger('ask the ledger about the song', {
              affinity: song.affinity,
              since: Date.parse(attempt.sentAt) - skewMs,
              ...(attempt.balanceBefore === undefined ? {} : { anchor: attempt.balanceBefore }),
            }),
          ),
        );
        let isTold = false;
        if (read !== undefined) {
          const { ledger, ledgerMissing = 'no reason given', others } = read;
          const said =
            ledger === undefined
              ? { evidence: [`the ledger could not be asked: ${ledgerMissing}`], isTold: false }
              : songEvidence(attempt, ledger, others, { skewMs, bookingMs });
          ({ isTold } = said);
          attempt.evidence = [attempt.evidence[0] ?? why, ...said.evidence];
          attention.evidence = attempt.evidence;
        }
        const sinceMs = (Date.now() - since) / song.scale;
        const gap = song.ms(reconcileGapAfter(sinceMs, GRACE_MS));
        parked.triesAgain(!isTold && sinceMs < GRACE_MS ? Date.now() + gap : undefined);
        song.show();
        const correction = await parking.answerWithin(parked, gap, 'ask the ledger again');
        if (correction === undefined) continue;
        if (correction.action === 'retry') return attention.id;
        since = Date.now();
        parked.answer = undefined;
      }
    } finally {
      parking.close(parked);
    }
  }
}

function doubtPark(song: Song, why: string): ParkRequest {
  return {
    kind: 'charge-unknown',
    message: `${why} Mountsea gives a song a name only in its answer, so it cannot be asked what became of it. It is not sent again by itself. ${song.spentSoFar}`,
    evidence: ['nothing was asked yet'],
    options: ['keepWaiting', 'retry'],
  };
}
