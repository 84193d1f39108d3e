/**
 * Workflow sandbox: brings all files into the session, a bounded number at a time. A place is taken from the request until
 * Mountsea's task has ended. Every upload may cost credits, so each one is counted.
 */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import type { StartedUpload } from '../activities/uploadClip.js';
import type { Correction } from '../contract/correction.js';
import { ActivityFailureType, TrainingFailureType } from '../contract/failures.js';
import { nameAmong } from '../contract/labels.js';
import type { FileProgress } from '../contract/progress.js';
import { TRAINING_DEFAULTS } from '../contract/training.js';
import { type ProvenFailure, provenFailure } from './failures.js';
import { applyCorrection, keepSaveFile } from './bookkeeping.js';
import { mayDrop } from './corrections.js';
import type { Parking } from './parking.js';
import type { Poller, Watch } from './polling.js';
import { now, REQUEST_TIMEOUT_MS } from './execution.js';
import type { Run } from './run.js';
import { spentSentence } from './sentences.js';
import type { Stager } from './staging.js';

type UploadVerdict =
  | { kind: 'clip'; clipId: string }
  /** May be different next time. */
  | { kind: 'failed'; reason: string }
  /** The same again would end the same. */
  | { kind: 'hopeless'; reason: string };

/**
 * Uploads every file that has no clip yet. Returns once each is `ready`, or `dropped` as the input or a person allows.
 *
 * @returns the correction of a person who gives up the session; else undefined.
 *
 * @throws ApplicationFailure `UploadRejected` by the policy `fail`, `GivenUp` or `ParkExpired` out of a park.
 */
export async function uploadAll(
  run: Run,
  poller: Poller,
  parking: Parking,
  stager: Stager,
): Promise<Correction | undefined> {
  const waiting = run.files.filter(({ state }) => state === 'waiting');
  if (waiting.length === 0) return undefined;
  run.enter('uploading', `Uploads ${waiting.length} files.`);
  const pool = new UploadPool(run, poller, parking, stager);
  try {
    return await uploadUntilSettled(run, pool, parking);
  } finally {
    // Whatever way out: nothing is uploaded behind the story's back.
    await pool.stop();
  }
}

async function uploadUntilSettled(
  run: Run,
  pool: UploadPool,
  parking: Parking,
): Promise<Correction | undefined> {
  pool.start();
  for (;;) {
    await run.until(() => pool.isIdle || (run.input.onBadFile === 'fail' && pool.failed.length > 0));
    const bad = pool.bad;
    if (bad.length === 0) return undefined;
    switch (run.input.onBadFile ?? TRAINING_DEFAULTS.onBadFile) {
      case 'fail':
        if (pool.failed.length > 0) {
          await pool.stop();
          throw run.failure(TrainingFailureType.UploadRejected, reasonsIn(bad, run.files));
        }
        break;
      case 'drop':
        if (pool.overdue.length === 0 && mayDrop(run, bad.length)) {
          for (const file of bad) run.setFile(file, 'dropped', file.reason);
          run.tell(`Left out: ${bad.map((file) => nameAmong(file, run.files)).join(', ')}.`);
          return undefined;
        }
        break;
      case 'ask':
        break;
    }
    const correction = await askAboutBadFiles(run, parking, pool, bad);
    switch (correction?.action) {
      case 'retry':
        pool.retry(pool.bad);
        break;
      case 'keepWaiting':
        pool.keepWaiting();
        break;
      case 'dropFiles':
      case 'replaceFiles':
        pool.release(filesOf(correction));
        await applyCorrection(run, correction);
        pool.start();
        break;
      case 'newSession':
        return correction;
      default:
        break;
    }
  }
}

async function askAboutBadFiles(
  run: Run,
  parking: Parking,
  pool: UploadPool,
  bad: FileProgress[],
): Promise<Correction | undefined> {
  // The clips that are there are paid for, and the machine may be gone before somebody answers.
  await keepSaveFile(run);
  const isWaiting = pool.overdue.length > 0;
  return parking.park(
    {
      kind: 'bad-files',
      message: `${summaryOf(bad, run.files)} ${spentSentence(run)}`,
      // Of one file the message has it.
      evidence: bad.length === 1 ? [] : bad.map((file) => reasonOf(file, run.files)),
      options: [
        'retry',
        ...(isWaiting ? (['keepWaiting'] as const) : []),
        'replaceFiles',
        ...(mayDrop(run, bad.length) ? (['dropFiles'] as const) : []),
        'newSession',
      ],
      files: bad.map(({ number }) => number),
    },
    // An overdue task may end while somebody thinks about it.
    () => pool.bad.length < bad.length,
  );
}

class UploadPool {
  readonly #run: Run;
  readonly #poller: Poller;
  readonly #parking: Parking;
  readonly #stager: Stager;
  readonly #scope = new CancellationScope();
  readonly #active = new Map<FileProgress, { watch?: Watch<UploadVerdict>; isAbandoned: boolean }>();
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(run: Run, poller: Poller, parking: Parking, stager: Stager) {
    this.#run = run;
    this.#poller = poller;
    this.#parking = parking;
    this.#stager = stager;
  }

  /** Takes up every file that waits, as places allow. */
  start(): void {
    this.#fill();
  }

  /** Nothing moves until somebody acts: no request is out and every running task is overdue. */
  get isIdle(): boolean {
    return [...this.#active.keys()].every(({ state }) => state === 'overdue');
  }

  get failed(): FileProgress[] {
    return this.#run.files.filter(({ state }) => state === 'failed');
  }

  get overdue(): FileProgress[] {
    return this.#run.files.filter(({ state }) => state === 'overdue');
  }

  get bad(): FileProgress[] {
    return [...this.failed, ...this.overdue].sort((a, b) => a.number - b.number);
  }

  /** A person decided to spend another round of tries on these files. A task still running is given up. */
  retry(files: readonly FileProgress[]): void {
    this.release(files.map(({ number }) => number));
    for (const file of files) this.#run.forget(file);
    this.start();
  }

  /** Nobody waits any more for what is under way of these files. */
  release(numbers: readonly number[]): void {
    for (const [file, place] of this.#active) {
      if (!numbers.includes(file.number)) continue;
      place.isAbandoned = true;
      place.watch?.drop();
      this.#stager.remove(file);
      this.#active.delete(file);
    }
  }

  keepWaiting(): void {
    for (const [file, { watch }] of this.#active) {
      watch?.extend();
      if (file.state === 'overdue') this.#run.setFile(file, 'processing');
    }
  }

  /** Cancels what is under way and waits until every branch has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#scope.cancel();
    await CancellationScope.nonCancellable(() => Promise.all(this.#running));
  }

  #fill(): void {
    const places = this.#run.input.concurrency ?? TRAINING_DEFAULTS.concurrency;
    while (!this.#isStopped && this.#active.size < places) {
      const file = this.#run.files.find((one) => one.state === 'waiting' && !this.#active.has(one));
      if (file === undefined) return;
      const place = { isAbandoned: false };
      this.#active.set(file, place);
      const branch: Promise<void> = this.#scope
        .run(() => this.#uploadUntilSettled(file, place))
        .catch((error: unknown) => {
          if (!isCancellation(error)) this.#run.fail(error);
        })
        .finally(() => {
          this.#running.delete(branch);
          if (place.isAbandoned) return;
          this.#stager.remove(file);
          this.#active.delete(file);
          this.#fill();
        });
      this.#running.add(branch);
    }
  }

  /** Uses up the file's tries, in the same session. */
  async #uploadUntilSettled(
    file: FileProgress,
    place: { watch?: Watch<UploadVerdict>; isAbandoned: boolean },
  ): Promise<void> {
    const run = this.#run;
    const tries = run.input.tries ?? TRAINING_DEFAULTS.tries;
    for (;;) {
      const verdict = await this.#uploadOnce(file, place);
      if (verdict === undefined) return;
      if (verdict.kind === 'clip') {
        file.clipId = verdict.clipId;
        run.setFile(file, 'ready');
        run.tell(`${nameAmong(file, run.files)} is clip ${verdict.clipId}.`);
        run.show();
        return;
      }
      run.tell(`${nameAmong(file, run.files)}, try ${file.tries}: ${verdict.reason}`);
      if (verdict.kind === 'hopeless' || file.tries >= tries) {
        run.setFile(file, 'failed', verdict.reason);
        return;
      }
      file.reason = verdict.reason;
    }
  }

  /** @returns undefined where a person gave up on this task while it ran. */
  async #uploadOnce(
    file: FileProgress,
    place: { watch?: Watch<UploadVerdict>; isAbandoned: boolean },
  ): Promise<UploadVerdict | undefined> {
    const run = this.#run;
    file.tries += 1;
    delete file.taskId;
    delete file.begunAt;
    run.setFile(file, 'uploading', file.reason);
    const started = await this.#request(file, place);
    if (started === undefined || 'kind' in started) return started;
    if (started.clipId !== undefined) return { kind: 'clip', clipId: started.clipId };
    file.taskId = started.taskId;
    run.setFile(file, 'processing', file.reason);
    run.show();
    const watch = this.#poller.watch('upload', started.taskId, judgeUpload);
    place.watch = watch;
    try {
      for (;;) {
        await run.until(
          () =>
            watch.verdict !== undefined || place.isAbandoned || (watch.isOverdue && file.state !== 'overdue'),
        );
        if (place.isAbandoned) return undefined;
        if (watch.verdict !== undefined) return watch.verdict;
        run.setFile(
          file,
          'overdue',
          `still ${watch.note ?? 'pending'} after its deadline (task ${started.taskId})`,
        );
      }
    } finally {
      watch.drop();
    }
  }

  /** @returns the task, or what the refusal means for the file; undefined where a person gave up on it before it was sent. */
  async #request(
    file: FileProgress,
    place: { isAbandoned: boolean },
  ): Promise<StartedUpload | UploadVerdict | undefined> {
    const run = this.#run;
    const { number, tries, label } = file;
    const taskId = run.takeTask(file);
    if (taskId !== undefined) {
      run.tell(`The upload of ${nameAmong(file, run.files)} was begun elsewhere: nothing is paid again.`);
      return { taskId };
    }
    const offer = await this.#stager.offer(file);
    if (place.isAbandoned) return undefined;
    if ('notStaged' in offer) return { kind: 'hopeless', reason: offer.notStaged };
    const name = `file ${number} of ${run.files.length}, try ${tries}: ${label}`;
    try {
      return await this.#parking.mending(async () => {
        await this.#parking.withinBudget(
          run.uploadPrice.credits,
          `the upload of ${nameAmong(file, run.files)}`,
          true,
          () => {
            run.uploads.calls += 1;
          },
        );
        try {
          const { sessionId, firstRunId } = run.session;
          file.begunAt = now();
          const started = await run.activities.uploadClip(name, {
            affinity: run.affinity,
            sessionId,
            firstRunId,
            file: number,
            label,
            ...offer,
            timeoutMs: run.bounded(REQUEST_TIMEOUT_MS),
            isFirstTry: tries === 1,
          });
          if (started.isSalvaged === true) {
            delete file.begunAt;
            run.tell(`${nameAmong(file, run.files)} was uploaded by an earlier run: nothing is paid again.`);
          }
          return started;
        } catch (error) {
          // Only what may have cost something counts.
          if (isFree(provenFailure(error))) run.uploads.calls -= 1;
          throw error;
        }
      });
    } catch (error) {
      const failure = provenFailure(error);
      if (failure === undefined) throw error;
      const isRefused =
        failure.type === ActivityFailureType.Refused || failure.type === ActivityFailureType.AccountLimit;
      return { kind: isRefused ? 'hopeless' : 'failed', reason: failure.message };
    }
  }
}

/** Whether a failed request is proved to have cost nothing. */
function isFree(failure: ProvenFailure | undefined): boolean {
  return failure !== undefined && failure.type !== ActivityFailureType.Ambiguous;
}

/** Pure. An answer with no clip or several is not guessed at (mountsea-api, quirk 3). */
function judgeUpload(outcome: TaskOutcome): UploadVerdict | undefined {
  switch (outcome.kind) {
    case 'pending':
    case 'unseen':
      return undefined;
    case 'failed':
      return { kind: 'failed', reason: outcome.reason };
    case 'succeeded': {
      const [clipId, ...others] = outcome.clipIds;
      if (clipId !== undefined && others.length === 0) return { kind: 'clip', clipId };
      const found = clipId === undefined ? 'no clip id' : `${outcome.clipIds.length} clip ids`;
      return {
        kind: 'hopeless',
        reason: `the upload succeeded with ${found} in its answer: ${outcome.raw.slice(0, 300)}`,
      };
    }
  }
}

function filesOf({ files = [], replacements = [] }: Correction): number[] {
  return [...files, ...replacements.map(({ file }) => file)];
}

/** One file with its reason; of several only how many, since each reason is evidence. */
function summaryOf(bad: FileProgress[], files: readonly FileProgress[]): string {
  if (bad.length === 1) return reasonsIn(bad, files);
  const wanted = files.filter(({ state }) => state !== 'dropped');
  return `${bad.length} of ${wanted.length} files have no clip.`;
}

function reasonsIn(bad: FileProgress[], files: readonly FileProgress[]): string {
  const [first, ...others] = bad;
  if (first === undefined) return '';
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `No clip of ${reasonOf(first, files)}${more}.`;
}

function reasonOf(file: FileProgress, files: readonly FileProgress[]): string {
  return `${nameAmong(file, files)}: ${file.reason ?? 'no reason given'}`;
}
