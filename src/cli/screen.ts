/**
 * Client side: lines of a terminal that are drawn over. A line that stays is not touched, one that changes is written over
 * in place, and each picture is one write that a terminal shows at once (synchronized output): nothing flickers, and what
 * stands above is never erased. (docs/decisions/0011)
 */
import { widthOf } from './text.js';

const CURSOR = { hide: '\u001b[?25l', show: '\u001b[?25h' };
const AT_ONCE = { begin: '\u001b[?2026h', end: '\u001b[?2026l' };
const ERASE_TO_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

type Terminal = Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>;

export class Screen {
  readonly #terminal: Terminal;
  #lines: readonly string[] = [];
  #width = 0;
  #height = 0;
  #isHidden = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** @param lines each fits into the width, and all of them with one to spare into the height. */
  draw(lines: readonly string[]): void {
    const before = this.#lines;
    const { columns, rows } = this.#terminal;
    const isSame = this.#width === columns && this.#height === rows;
    const picture = isSame || before.length === 0 ? this.#changes(before, lines) : this.#anew(lines);
    this.#lines = lines;
    this.#width = columns;
    this.#height = rows;
    if (picture === '') return;
    this.#hideCursor();
    this.#terminal.write(`${AT_ONCE.begin}${picture}${AT_ONCE.end}`);
  }

  /** Takes the picture away, so that something may be written in its place. */
  clear(): void {
    if (this.#lines.length > 0) this.#terminal.write(`${this.#toTop()}${ERASE_BELOW}`);
    this.#lines = [];
  }

  /** Leaves the picture where it is; what is written next comes below. */
  release(): void {
    // A Ctrl-C is echoed there.
    if (this.#lines.length > 0) this.#terminal.write(`\r${ERASE_TO_END}`);
    this.#lines = [];
    if (!this.#isHidden) return;
    this.#isHidden = false;
    process.off('exit', this.#showCursor);
    this.#showCursor();
  }

  #changes(before: readonly string[], lines: readonly string[]): string {
    const first = lines.findIndex((line, index) => line !== before[index]);
    if (first === -1 && lines.length === before.length) return '';
    const from = first === -1 ? lines.length : first;
    const up = before.length - from;
    const written = lines.slice(from).map((line, index) => {
      const isOld = line === before[from + index];
      return isOld ? '\n' : `${line}${this.#rest(line)}\r\n`;
    });
    const below = lines.length < before.length ? ERASE_BELOW : '';
    return `\r${up > 0 ? `\u001b[${up}A` : ''}${written.join('')}${below}`;
  }

  /** After a resize the terminal has broken the lines anew. */
  #anew(lines: readonly string[]): string {
    const written = lines.map((line) => `${line}${this.#rest(line)}\r\n`);
    return `${this.#toTop()}${ERASE_BELOW}${written.join('')}`;
  }

  /** In the last column the cursor stands on what it wrote: erasing from there would take it away. */
  #rest(line: string): string {
    return widthOf(line) < this.#terminal.columns ? ERASE_TO_END : '';
  }

  #toTop(): string {
    const { columns, rows } = this.#terminal;
    const count = this.#lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    // What has left the screen cannot be drawn over.
    const up = Math.min(count, rows - 1);
    return `\r${up > 0 ? `\u001b[${up}A` : ''}`;
  }

  #hideCursor(): void {
    if (this.#isHidden) return;
    this.#isHidden = true;
    process.on('exit', this.#showCursor);
    this.#terminal.write(CURSOR.hide);
  }

  readonly #showCursor = (): void => {
    this.#terminal.write(CURSOR.show);
  };
}
