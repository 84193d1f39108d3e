/**
 * Workflow sandbox: the state of one song, and how it is shown: query, memo, current details. What it has in common with a
 * training is in `execution.ts`.
 */
import type { LookBeforeSong } from '../activities/songs.js';
import type { Affinity } from '../contract/affinity.js';
import type { Correction } from '../contract/correction.js';
import type { Attention } from '../contract/progress.js';
import {
  type GenerateSongInput,
  SONG_MEMO,
  type SongAttempt,
  type SongClip,
  type SongFacts,
  type SongFailureDetails,
  type SongMemo,
  type SongPhase,
  type SongProgress,
  type SongReceipt,
} from '../contract/song.js';
import { createReceipt } from '../money/receipt.js';
import { mostSpentOn, songPrice } from '../money/songs.js';
import { whyRefused } from './corrections.js';
import { songMarkdown } from './details.js';
import { cut, Execution, optional, shortCharge } from './execution.js';

const TITLE_LENGTH = 80;
/** A song comes in two takes; a service that gives hundreds must not outgrow the memo. */
const MOST_CLIPS = 10;

export class Song extends Execution<SongPhase, SongFacts> {
  override readonly noun = 'song';
  readonly input: GenerateSongInput;
  /** Requests that may have been accepted or were, oldest first. */
  readonly attempts: SongAttempt[] = [];
  /** Requests that may have left a worker. */
  sends = 0;
  taskId: string | undefined;
  taskStatus: string | undefined;
  #clips: SongClip[] = [];
  #key: Affinity | undefined;

  constructor(input: GenerateSongInput) {
    super(input, 'sending');
    this.input = input;
  }

  /** Of its request, or what else it may be told by. */
  get title(): string {
    const { title, prompt, gpt_description_prompt: about, tags } = this.input.request;
    const text =
      [title, about, prompt, tags].find((one) => one !== undefined && one.trim() !== '') ?? 'a song';
    return cut(text.replace(/\s+/g, ' ').trim(), TITLE_LENGTH);
  }

  /** Price that the budget counts with, credits. */
  get price(): number {
    return songPrice(this.input.credits);
  }

  get clips(): SongClip[] {
    return this.#clips;
  }

  set clips(clips: SongClip[]) {
    this.#clips = clips.slice(0, MOST_CLIPS);
  }

  get receipt(): SongReceipt {
    return { generate: createReceipt(this.attempts, this.sends, 'generate') };
  }

  override get affinity(): Affinity {
    if (this.#key === undefined) throw new Error('No key yet: the look before the send comes first.');
    return this.#key;
  }

  set key({ origin, keyFingerprint }: LookBeforeSong) {
    this.#key = { origin, keyFingerprint };
  }

  protected override get charge(): SongReceipt['generate'] {
    return this.receipt.generate;
  }

  override get mostSpent(): number {
    return mostSpentOn(this.receipt, this.price);
  }

  override get countedAs(): string {
    return `a song counts as ${this.price} credits, what is unknown counts as spent`;
  }

  override get spentSoFar(): string {
    const { verdict, credits = this.price } = this.charge;
    switch (verdict) {
      case 'charged':
        return `${credits} credits are spent.`;
      case 'not-charged':
        return 'Nothing is spent.';
      case 'unknown':
        return `Whether its ${this.price} credits are spent is unknown.`;
    }
  }

  override whyRefused(correction: Correction, attention: Attention): string | undefined {
    return whyRefused(correction, attention, { input: {}, name: this.title, files: [] });
  }

  protected override failureDetails(): SongFailureDetails {
    const { receipt, timeline, taskId, clips } = this;
    return { receipt, timeline, clips, ...optional('taskId', taskId) };
  }

  override progress(): SongProgress {
    return { ...super.progress(), ...optional('taskStatus', this.taskStatus) };
  }

  protected override details(): string {
    return songMarkdown(this.progress());
  }

  protected override memo(): [string, SongMemo] {
    return [SONG_MEMO, { ...this.noted(), receipt: { generate: shortCharge(this.charge) } }];
  }

  protected override facts(): SongFacts {
    const { request, modelName, origin } = this.input;
    return {
      title: this.title,
      model: request.model,
      ...optional('modelName', modelName),
      origin,
      ...optional('keyFingerprint', this.#key?.keyFingerprint),
      phase: this.phase,
      startedAt: this.startedAt,
      phaseSince: this.phaseSince,
      ...optional('taskId', this.taskId),
      clips: this.#clips,
      receipt: this.receipt,
    };
  }
}
