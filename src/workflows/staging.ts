/**
 * Workflow sandbox: local files on their way to Mountsea. Each is brought to where it has a URL just before its upload, and
 * removed when that has ended. Removing is no condition of success: what cannot be removed is told, and `unstage` does it.
 */
import { ActivityFailure, CancellationScope } from '@temporalio/workflow';
import { ActivityFailureType } from '../contract/failures.js';
import { nameAmong } from '../contract/labels.js';
import type { FileProgress } from '../contract/progress.js';
import type { FileSource } from '../contract/training.js';
import { provenFailure } from './failures.js';
import type { Run } from './run.js';

/** What `uploadClip` makes its URL of, or why there is nothing. */
export type Offer = { audioUrl: string } | { source: FileSource } | { notStaged: string };

export class Stager {
  readonly #run: Run;
  /** Staged by a worker of ours, and still there; by file. */
  readonly #staged = new Map<FileProgress, FileSource>();
  readonly #removals = new Set<Promise<void>>();

  constructor(run: Run) {
    this.#run = run;
  }

  async offer(file: FileProgress): Promise<Offer> {
    const run = this.#run;
    const source = run.sourceOf(file);
    if ('url' in source) return { audioUrl: source.url };
    if (source.at.kind === 'object') return { source };
    if (source.at.via === undefined) {
      return { notStaged: 'its bytes were not given to this training: replace it with the local file' };
    }
    const { state, reason } = file;
    run.setFile(file, 'staging', reason);
    run.show();
    try {
      const at = await run.activities.stageFile(`file ${file.number}: ${file.label}`, {
        origin: run.input.origin,
        file: file.number,
        source,
      });
      const staged = { ...source, at };
      if (run.sourceOf(file) !== source) {
        this.#begin(file.number, staged);
        return { notStaged: 'it was replaced meanwhile' };
      }
      this.#staged.set(file, staged);
      run.setFile(file, state, reason);
      return { source: staged };
    } catch (error) {
      const failure = provenFailure(error);
      if (failure === undefined) throw error;
      return {
        notStaged:
          failure.type === ActivityFailureType.Ambiguous
            ? 'the worker that staged it was lost again and again'
            : failure.message,
      };
    }
  }

  /** Nobody fetches this file any more. What the client has staged stays until the training has ended: it may be needed again. */
  remove(file: FileProgress): void {
    const staged = this.#staged.get(file);
    if (staged === undefined) return;
    this.#staged.delete(file);
    this.#begin(file.number, staged);
  }

  /** The training has ended: removes what is left, and waits until that is done or given up. */
  async finish(): Promise<void> {
    const run = this.#run;
    for (const file of run.files) this.remove(file);
    for (const { number, source } of run.stagedByClient) this.#begin(number, source);
    await CancellationScope.nonCancellable(() => Promise.all(this.#removals));
  }

  #begin(number: number, { sha256, at }: FileSource): void {
    const run = this.#run;
    const removal = CancellationScope.nonCancellable(async () => {
      try {
        await run.activities.unstageFile(`file ${number} is needed no more`, {
          origin: run.input.origin,
          source: { sha256, at },
        });
      } catch (error) {
        if (!(error instanceof ActivityFailure)) throw error;
        const why = error.cause?.message ?? error.message;
        const file = run.files[number - 1];
        const name = file === undefined ? `file ${number}` : nameAmong(file, run.files);
        run.tell(`The staged copy of ${name} could not be removed (${why}).`);
      }
    });
    const settled = removal.finally(() => this.#removals.delete(settled));
    this.#removals.add(settled);
  }
}
