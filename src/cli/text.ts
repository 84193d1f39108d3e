/**
 * Client side, pure: text in columns. Names and labels come from outside, so their width is measured as a terminal shows
 * it (CJK and emoji take two columns), and nothing in them moves a cursor.
 */
import stringWidth from 'string-width';

/** Columns that a text takes; colours take none. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** Names, labels and answers come from outside: they must not move the cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

const segmenter = new Intl.Segmenter();

/** What people see as single characters. */
function charactersOf(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** As many of the characters as fit. */
function fitting(characters: readonly string[], width: number): string[] {
  let used = 0;
  const end = characters.findIndex((character) => (used += widthOf(character)) > width);
  return end === -1 ? [...characters] : characters.slice(0, end);
}

/** @param text without colours. */
export function cutEnd(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return width < 1 ? '' : `${fitting(charactersOf(text), width - 1).join('')}…`;
}

/** The beginning and the end of a name say most. @param text without colours. */
export function cutMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return '';
  const characters = charactersOf(text);
  const end = fitting(characters.toReversed(), Math.floor((width - 1) / 2))
    .toReversed()
    .join('');
  return `${fitting(characters, width - 1 - widthOf(end)).join('')}…${end}`;
}

/** Filled up with spaces. */
export function padded(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const gap = ' '.repeat(Math.max(0, width - widthOf(text)));
  return side === 'left' ? text + gap : gap + text;
}

/** `1 file`, `2 files`. @param noun takes an s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Two texts at the two ends of a line. */
export function atBothEnds(left: string, right: string, width: number): string {
  return `${left}${' '.repeat(Math.max(2, width - widthOf(left) - widthOf(right)))}${right}`;
}

/** Ids are there to be copied: a narrow terminal wraps them rather than losing their end. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? ''))),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Broken between words; the lines after the first have an indent of blanks. A word that is too long stays whole. */
export function wrapped(text: string, indent: string, width: number): string[] {
  const space = ' '.repeat(widthOf(indent));
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && widthOf(space) + widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one, index) => `${index === 0 ? indent : space}${one}`.trimEnd());
}

/**
 * Prose for a terminal. What is there to be copied is never broken: what stands in backticks, and a command, which is the
 * rest of its line. A line that begins with a blank has its form already.
 *
 * @param program how commands begin.
 */
export function flowing(text: string, program: string, width: number): string[] {
  return text.split('\n').flatMap((line) => {
    if (widthOf(line) <= width || line.startsWith(' ')) return [line];
    const at = line.indexOf(`: ${program} `);
    const [prose, command] = at === -1 ? [line, ''] : [line.slice(0, at + 1), line.slice(at + 2)];
    const whole = (part: string): string => part.replaceAll(' ', KEPT_BLANK);
    const words = `${prose.replace(/`[^`]*`/g, whole)}${command === '' ? '' : ` ${whole(command)}`}`;
    return wrapped(words, '', width).map((one) => one.replaceAll(KEPT_BLANK, ' '));
  });
}

/** Stands for a blank at which no line is broken. */
const KEPT_BLANK = '\u00a0';

/** What our own texts use beyond ASCII, by what stands in for it in the same width. */
const STAND_INS: Readonly<Record<string, string>> = {
  '✓': '+',
  '✗': 'x',
  '↑': '^',
  '⇡': '^',
  '›': '>',
  '·': '.',
  '…': '~',
  '–': '-',
  '×': 'x',
  '’': "'",
  '“': '"',
  '”': '"',
};

/** For a terminal that has nothing but ASCII. The width of the text stays. */
export function toAscii(text: string): string {
  return text.replace(/[^\u0000-\u007f]+/gu, (run) =>
    charactersOf(run)
      .map((character) => STAND_INS[character] ?? '?'.repeat(widthOf(character)))
      .join(''),
  );
}
