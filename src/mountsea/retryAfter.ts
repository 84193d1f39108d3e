/**
 * Worker side: reads the header `Retry-After`, which comes as seconds or as an HTTP date (RFC 9110, 10.2.3).
 */

/** Longer is no advice on back-off: obeyed, it would put a training to sleep for good. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/** RFC 9110 dates. `Date.parse` alone would also take "5" or "2031" for a date, and read an asctime as local time. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .+ GMT$/;

/**
 * @param now ms since 1970, best by the clock of the server that sent the header.
 * @returns ms to wait, 0 for a date in the past; undefined for a value that is missing or makes no sense.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const ms = delay(value?.trim() ?? '', now);
  return ms === undefined || ms > LONGEST_MS ? undefined : ms;
}

/** @returns ms since 1970; undefined for anything but an HTTP date. */
export function parseHttpDate(value: string | undefined): number | undefined {
  if (value === undefined || !HTTP_DATE.test(value)) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : at;
}

function delay(value: string, now: number): number | undefined {
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = parseHttpDate(value);
  return at === undefined ? undefined : Math.max(0, at - now);
}
