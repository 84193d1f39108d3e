/**
 * What a terminal shows of a picture that is drawn over, by a real terminal emulator.
 */
import xterm from '@xterm/headless';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Screen } from '../../src/cli/screen.js';

class Terminal {
  readonly #emulator: InstanceType<typeof xterm.Terminal>;
  written = '';
  columns: number;
  rows: number;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    this.#emulator = new xterm.Terminal({
      cols: columns,
      rows,
      allowProposedApi: true,
      // As the terminal driver does it.
      convertEol: true,
    });
  }

  readonly write = (text: string | Uint8Array): boolean => {
    this.written += text.toString();
    this.#emulator.write(text);
    return true;
  };

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.#emulator.resize(columns, rows);
  }

  /** Everything that it has, what was scrolled out of sight too. */
  async text(): Promise<string[]> {
    await new Promise<void>((resolve) => {
      this.#emulator.write('', resolve);
    });
    const { active } = this.#emulator.buffer;
    const lines = Array.from({ length: active.length }, (_, index) =>
      (active.getLine(index)?.translateToString(true) ?? '').trimEnd(),
    );
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }
}

const line = fc.oneof(fc.constantFrom('a', 'b', 'full width', ''), fc.string({ maxLength: 10 }));
const pictures = fc.array(
  fc.array(
    line.map((text) => text.replace(/[^ -~]/g, '.').trimEnd()),
    { maxLength: 7 },
  ),
  {
    minLength: 1,
    maxLength: 8,
  },
);

describe('a picture that is drawn over', () => {
  it('is what stands there, under what stood above, whatever stood there before', async () => {
    await fc.assert(
      fc.asyncProperty(pictures, async (all) => {
        const terminal = new Terminal(10, 12);
        terminal.write('above 1\nabove 2\n');
        const screen = new Screen(terminal);
        for (const picture of all) screen.draw(picture);
        screen.release();
        terminal.write('below\n');
        const drawn = all.at(-1) ?? [];
        expect(await terminal.text()).toEqual(['above 1', 'above 2', ...drawn, 'below']);
      }),
      { numRuns: 60 },
    );
  });

  it('never clears the screen, never scrolls, and touches only what changes', async () => {
    const terminal = new Terminal(20, 6);
    const screen = new Screen(terminal);
    screen.draw(['title', 'one', 'two', '0:01', 'end']);
    terminal.written = '';
    screen.draw(['title', 'one', 'two', '0:02', 'end']);
    expect(terminal.written).not.toMatch(/title|one|two/);
    expect(terminal.written).not.toMatch(/\u001b\[(2?J|H)/);
    expect(terminal.written).toMatch(/^\u001b\[\?2026h[^]*\u001b\[\?2026l$/);
    terminal.written = '';
    screen.draw(['title', 'one', 'two', '0:02', 'end']);
    expect(terminal.written).toBe('');
    expect(await terminal.text()).toEqual(['title', 'one', 'two', '0:02', 'end']);
    screen.release();
  });

  it('stands there once after the terminal was made narrower, wider, and lower', async () => {
    const terminal = new Terminal(30, 12);
    terminal.write('above\n');
    const screen = new Screen(terminal);
    screen.draw(['a title of some length', 'a line that is rather long', 'short']);
    terminal.resize(12, 12);
    screen.draw(['a title', 'a line', 'short']);
    expect(await terminal.text()).toEqual(['above', 'a title', 'a line', 'short']);
    terminal.resize(40, 12);
    screen.draw(['a title again', 'a line again']);
    expect(await terminal.text()).toEqual(['above', 'a title again', 'a line again']);
    terminal.resize(40, 4);
    screen.draw(['a title', 'end']);
    expect(await terminal.text()).toEqual(['above', 'a title', 'end']);
    screen.release();
  });

  it('hides the cursor, and shows it again', () => {
    const terminal = new Terminal(20, 6);
    const screen = new Screen(terminal);
    screen.draw(['x']);
    expect(terminal.written).toContain('\u001b[?25l');
    const listeners = process.listenerCount('exit');
    screen.release();
    expect(terminal.written).toMatch(/\u001b\[\?25h$/);
    expect(process.listenerCount('exit')).toBe(listeners - 1);
  });

  it('can be taken away', async () => {
    const terminal = new Terminal(20, 6);
    const screen = new Screen(terminal);
    terminal.write('above\n');
    screen.draw(['one', 'two']);
    screen.clear();
    terminal.write('said\n');
    screen.draw(['one', 'two']);
    expect(await terminal.text()).toEqual(['above', 'said', 'one', 'two']);
    screen.release();
  });
});
