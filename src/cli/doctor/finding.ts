/** Client side: what `doctor` finds, one at a time. */

/**
 * `problem`: something does not work as it is, and `mend` says what to do. `note`: works, but is worth knowing. `unknown`:
 * could not be looked at.
 */
export type Verdict = 'ok' | 'note' | 'unknown' | 'problem';

export interface Finding {
  /** What was looked at, in a word or two; never changes. */
  check: string;
  verdict: Verdict;
  /** What was found, in a sentence or less. */
  found: string;
  /** What to do, perhaps a command between backticks. Always there with a problem. */
  mend?: string;
}

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found };
}

export function note(check: string, found: string, mend?: string): Finding {
  return { check, verdict: 'note', found, ...(mend === undefined ? {} : { mend }) };
}

export function unknown(check: string, found: string, mend?: string): Finding {
  return { check, verdict: 'unknown', found, ...(mend === undefined ? {} : { mend }) };
}

export function problem(check: string, found: string, mend: string): Finding {
  return { check, verdict: 'problem', found, mend };
}
