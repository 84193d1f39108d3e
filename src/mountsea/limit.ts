/**
 * Worker side: the time-out and the signal of one request as one thing, since a request may be opened, checked and
 * written in several steps and none of them has a time of its own.
 */

/** For all of a request. */
export interface Limits {
  /** From connect to last byte, ms. */
  timeoutMs: number;
  signal?: AbortSignal;
}

/** Counts from its creation until `end`. */
export class Limit {
  /** Resolves with the reason when the time is over or the signal has come; never after `end`. */
  readonly over: Promise<string>;
  readonly #expired: string;
  readonly #deadline: number;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  #resolve: (why: string) => void = () => undefined;
  #why: string | undefined;

  constructor({ timeoutMs, signal }: Limits) {
    this.over = new Promise((resolve) => (this.#resolve = resolve));
    this.#expired = `no answer within ${timeoutMs} ms`;
    this.#deadline = performance.now() + timeoutMs;
    this.#timer = setTimeout(() => {
      this.#exceed(this.#expired);
    }, timeoutMs);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  /**
   * @returns the reason where it is over. Looks at the clock itself, since a timer comes late where the event loop was
   *   held up.
   */
  why(): string | undefined {
    if (performance.now() >= this.#deadline) this.#why ??= this.#expired;
    return this.#why;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  readonly #abort = (): void => {
    this.#exceed('it was aborted');
  };

  #exceed(why: string): void {
    this.#why ??= why;
    this.#resolve(this.#why);
  }
}
