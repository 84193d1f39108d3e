import { describe, expect, it } from 'vitest';
import { lastPartOf, nameAmong } from '../../src/contract/labels.js';

const files = [
  'live/song.mp3',
  'studio/song.mp3',
  'https://cdn.example/other.mp3',
  'https://cdn.example/',
].map((label, index) => ({ number: index + 1, label }));

describe('the name of a file in a sentence', () => {
  it('is the last part of its label, with its number where another one is called the same', () => {
    expect(files.map((file) => nameAmong(file, files))).toEqual([
      'song.mp3 (file 1)',
      'song.mp3 (file 2)',
      'other.mp3',
      'https://cdn.example/',
    ]);
    expect(lastPartOf('plain.mp3')).toBe('plain.mp3');
  });

  it('is cut where it is very long, and those that are the same then have their numbers', () => {
    const long = ['a', 'b'].map((end, index) => ({ number: index + 1, label: `/${'x'.repeat(300)}${end}` }));
    expect(long.map((file) => nameAmong(file, long))).toEqual([
      expect.stringMatching(/^x{79}… \(file 1\)$/),
      expect.stringMatching(/^x{79}… \(file 2\)$/),
    ]);
  });
});
