import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  columns,
  cutEnd,
  cutMiddle,
  flowing,
  printable,
  toAscii,
  widthOf,
  wrapped,
} from '../../src/cli/text.js';

const names = fc.string({ unit: 'grapheme', maxLength: 60 }).map(printable);

describe('a text that is cut', () => {
  it('is never wider than it may be, whatever it is written in', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 50 }), (name, width) => {
        expect(widthOf(cutEnd(name, width))).toBeLessThanOrEqual(width);
        expect(widthOf(cutMiddle(name, width))).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('keeps its beginning and its end, and no half of a character', () => {
    expect(cutMiddle('01 夜のドライブ.mp3', 14)).toBe('01 夜の…ブ.mp3');
    expect(cutEnd('👩‍🚀👩‍🚀👩‍🚀', 5)).toBe('👩‍🚀👩‍🚀…');
  });
});

describe('a terminal without Unicode', () => {
  it('gets ASCII of the same width', () => {
    expect(toAscii('  ✓ 1  夜.mp3 … · ✗')).toBe('  + 1  ??.mp3 ~ . x');
    fc.assert(
      fc.property(names, (name) => {
        expect(toAscii(name)).toMatch(/^[\u0000-\u007f]*$/);
        expect(widthOf(toAscii(name))).toBe(widthOf(name));
      }),
    );
  });
});

it('a table has its columns one under the other', () => {
  expect(columns([['夜', 'a'], ['plain', 'b'], ['x']])).toEqual(['夜     a', 'plain  b', 'x']);
});

it('a text is broken between words', () => {
  expect(wrapped('one two three', '  - ', 11)).toEqual(['  - one two', '    three']);
});

it('prose is broken between words, and what is there to be copied is not', () => {
  const text = 'The training goes on. To come back: tunesmith watch train-night-drive-0a1b2c';
  expect(flowing(text, 'tunesmith', 40)).toEqual([
    'The training goes on. To come back:',
    'tunesmith watch train-night-drive-0a1b2c',
  ]);
  expect(flowing(text, 'tunesmith', 80)).toEqual([text]);
  expect(flowing('Not checked yet: `tunesmith doctor` does it.', 'tunesmith', 24)).toEqual([
    'Not checked yet:',
    '`tunesmith doctor` does',
    'it.',
  ]);
  expect(flowing('  a table row  that is wider', 'tunesmith', 10)).toEqual(['  a table row  that is wider']);
});
