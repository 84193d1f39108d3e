/**
 * Contract: what a file is called where there is no room for all of its label. Pure, for every process.
 */

/** The last part of a path or URL says most; all of it where there is none. */
export function lastPartOf(label: string): string {
  const last = label.split('/').at(-1) ?? '';
  return last === '' ? label : last;
}

/** More of a name than this is no name: some URLs end in a page of Base64. */
const LONGEST_NAME = 80;

/**
 * Names a file of a training in a sentence: `song.mp3`, or `song.mp3 (file 2)` where another one is called the same.
 *
 * @param files all of the training.
 */
export function nameAmong<F extends { number: number; label: string }>(
  { number, label }: F,
  files: readonly F[],
): string {
  const name = shortened(label);
  const isOnlyOne = files.every((other) => other.number === number || shortened(other.label) !== name);
  return isOnlyOne ? name : `${name} (file ${number})`;
}

function shortened(label: string): string {
  const name = lastPartOf(label);
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME - 1)}…`;
}
