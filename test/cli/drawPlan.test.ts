import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { planLines, priceWords } from '../../src/cli/drawPlan.js';
import { cutMiddle, padded, wrapped } from '../../src/cli/text.js';
import type { TrainCustomModelInput } from '../../src/contract/training.js';
import { filesToUpload, planOf } from '../../src/library/plan.js';
import type { Finding, Look } from '../../src/preflight/findings.js';

const canvas = (width: number): { width: number; isColored: boolean; program: string } => ({
  width,
  isColored: false,
  program: 'tunesmith',
});

const names = [
  'Nächte.mp3',
  '夜のドライブ、とても長い名前の曲、そして更に長い名前、まだ終わらない.mp3',
  'evil\u001b[2J.mp3',
  `${'long-'.repeat(30)}.mp3`,
];

function made(files: number, findings: Record<number, Finding> = {}): string[] {
  const input: TrainCustomModelInput = {
    name: 'Night Drive',
    origin: 'https://api.mountsea.ai',
    sources: Array.from({ length: files }, (_, index) => {
      const url = `https://cdn.example/${index}/${names[index % names.length] ?? ''}`;
      return { url, label: url };
    }),
  };
  const looks = filesToUpload(input).map((number): Look => {
    const finding = findings[number];
    return {
      number,
      label: 'x',
      kind: 'mp3',
      codec: 'MPEG 1 Layer 3',
      sampleRate: 44_100,
      channels: 2,
      size: 5_200_000,
      content: String(number),
      ...(number === 2 ? {} : { durationMs: 200_000 }),
      findings: finding === undefined ? [] : [finding],
    };
  });
  return [80, 160].flatMap((width) => {
    const lines = planLines(
      planOf(input, looks, { balance: 1_000, uploadCredits: 5 }, []),
      canvas(width),
      20,
    );
    for (const line of lines) {
      // A hash is there to be copied: it is never cut.
      if (!line.startsWith('Plan ')) expect(stringWidth(line), line).toBeLessThanOrEqual(width);
    }
    return lines;
  });
}

describe('the table of a plan', () => {
  it('fits 80 and 160 columns, whatever the names are made of, and moves no cursor', () => {
    const text = made(8).join('\n');
    expect(text).not.toContain('\u001b');
    expect(text).toMatch(/mp3 +3:20 +5\.2 MB +ok/);
    expect(text).toMatch(/mp3 +MPEG 1 Layer 3 +44\.1 kHz +2 +unknown +5\.2 MB +ok/);
    expect(text).toContain(
      '8 uploads at 5 (the dearest seen) and create at 100: 140 credits, up to 220 where uploads',
    );
    expect(text).toContain('1000 credits, 860 afterwards');
  });

  it('is short for many files: those that are fine are one line, the others are all there', () => {
    const finding: Finding = {
      level: 'error',
      code: 'web-page',
      files: [70],
      short: 'a web page',
      message: 'File 70: it gives a web page, not the file.',
    };
    const lines = made(100, { 70: finding });
    expect(lines.length).toBeLessThan(40);
    expect(lines.join('\n')).toMatch(/70 .* a web page\nand 99 that are fine/);
    expect(lines.join('\n')).toContain('  - File 70: it gives a web page');
    // No heading over nothing.
    expect(made(100)[0]).toBe('100 files, all of them fine');
  });
});

describe('the price of a plan', () => {
  const song = { request: { model: 'x', prompt: 'la' } } as unknown as TrainCustomModelInput['song'];
  const urls = Array.from({ length: 6 }, (_, index) => ({ url: `https://x/${index}`, label: `${index}` }));
  const wordsOf = (more: Partial<TrainCustomModelInput>, uploadCredits?: number): string => {
    const input = { name: 'x', origin: 'https://x', sources: urls, ...more };
    const account = uploadCredits === undefined ? { unknown: 'why' } : { balance: 1, uploadCredits };
    return priceWords(planOf(input, [], account, []).price);
  };
  const clips = urls.map((_, index) => ({ clipId: `c${index}`, file: index + 1, source: 'x' }));

  it('says what may come on top without another question: each file has its tries', () => {
    expect(wordsOf({}, 5)).toMatch(/: 130 credits, up to 190 where uploads fail and are repeated$/);
    expect(wordsOf({ maxCredits: 150 }, 5)).toMatch(/: 130 credits, up to 150 where/);
    expect(wordsOf({ maxCredits: 130 }, 5)).toMatch(/: 130 credits$/);
    expect(wordsOf({ session: { sessionId: 's', clips } }, 5)).toBe(
      'no upload, and create at 100: 100 credits',
    );
  });

  it('is called an estimate where a part of it is one', () => {
    expect(wordsOf({})).toMatch(/: about 130 credits,/);
    expect(wordsOf({ song } as Partial<TrainCustomModelInput>, 5)).toMatch(
      /song at about 40: about 170 credits,/,
    );
  });
});

describe('text in columns', () => {
  it('is cut and filled by what it takes on a terminal', () => {
    expect(stringWidth(cutMiddle('夜のドライブ', 7))).toBeLessThanOrEqual(7);
    expect(padded('夜', 4)).toBe('夜  ');
    expect(wrapped('one two three', '  - ', 12)).toEqual(['  - one two', '    three']);
  });
});
