/**
 * Worker side, pure: how far this machine's clock and Mountsea's are apart, by the `Date` of an answer. The money protocol
 * compares times of both.
 */

/** An answer that took longer says too little of when it was written, ms. */
const LONGEST_MS = 10_000;
/** `Date` is cut to the second. */
const MEAN_CUT_MS = 500;

/**
 * @param headers lower-case names.
 * @param sentAt when the request was sent, ms since 1970.
 * @param tookMs until the answer was there, ms.
 * @returns ms, exact to about a second; negative where this clock is behind. Undefined where it cannot be told.
 */
export function clockAhead(
  headers: Readonly<Record<string, string>>,
  sentAt: number,
  tookMs: number,
): number | undefined {
  const date = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(date) || tookMs > LONGEST_MS) return undefined;
  // An answer out of a cache is that old.
  const age = Number(headers['age'] ?? 0);
  const theirs = date + MEAN_CUT_MS + (age > 0 ? age * 1_000 : 0);
  return Math.round(sentAt + tookMs / 2 - theirs);
}
