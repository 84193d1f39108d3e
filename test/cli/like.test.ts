/**
 * `--like` and `--from`: what a record or a list gives, and what is asked for.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sourcesIn } from '../../src/cli/fromFile.js';
import { askedLike, sourcesLike } from '../../src/cli/like.js';
import type { RecordedSource } from '../../src/contract/record.js';
import type { FileSource, UrlSource } from '../../src/contract/training.js';

const CDN = 'https://cdn.example/a.mp3';

const like = (
  sources: RecordedSource[],
  given: (UrlSource | FileSource)[] = [],
): { found?: unknown; why?: string; said: string[] } => {
  const said: string[] = [];
  try {
    const found = sourcesLike({ name: 'Night', sources }, given, (line) => said.push(line));
    return { found, said };
  } catch (error) {
    return { why: (error as Error).message, said };
  }
};

const file = (label: string, sha256: string): FileSource => ({
  label,
  sha256,
  bytes: 1,
  at: { kind: 'path', path: `/${label}` },
});

describe('what is asked for beside --like', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-asked-'));
  const recorded = (number: number, source: string): RecordedSource => ({
    file: number,
    source,
    sha256: createHash('sha256').update(source).digest('hex'),
  });
  for (const path of ['songs/a.mp3', 'songs/b [live].mp3', 'c.mp3']) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), path);
  }
  writeFileSync(join(folder, 'songs', 'cover.jpg'), '');
  const [a, b, c] = [
    recorded(1, 'songs/a.mp3'),
    recorded(2, 'songs/b [live].mp3'),
    recorded(3, 'c.mp3'),
  ] as const;
  const asked = (...sources: RecordedSource[]): ReturnType<typeof askedLike> =>
    askedLike({ sources }, folder);

  it('is the folder of local files where it has no others, else each of them', async () => {
    expect(await asked(a, b)).toEqual({ args: ['songs'], lacksQuery: false, isElsewhere: false });
    expect((await asked(a)).args).toEqual(['songs/a.mp3']);
    expect((await asked(a, b, c)).args).toEqual(['songs/a.mp3', 'songs/b [live].mp3', 'c.mp3']);
  });

  it('says where files are not what they were, seen from here', async () => {
    writeFileSync(join(folder, 'd.mp3'), 'other bytes');
    expect((await asked(recorded(1, 'd.mp3'))).isElsewhere).toBe(true);
    expect((await askedLike({ sources: [a, b] }, tmpdir())).isElsewhere).toBe(true);
  });

  it('has no URL that the record keeps whole, and marks one whose query is gone', async () => {
    const signed = { file: 2, source: CDN, hasQuery: true as const };
    expect(await asked({ file: 1, source: CDN }, signed)).toEqual({
      args: [`${CDN}?`],
      lacksQuery: true,
      isElsewhere: false,
    });
  });
});

describe('the sources of a record', () => {
  it('are its URLs, in the order of its files', () => {
    const sources = [
      { file: 2, source: 'https://cdn.example/b.mp3' },
      { file: 1, source: CDN },
    ];
    expect(like(sources).found).toEqual([CDN, 'https://cdn.example/b.mp3']);
  });

  it('are asked for where the record has not all of them, each with the reason', () => {
    const { why } = like([
      { file: 1, source: CDN, hasQuery: true },
      { file: 2, source: 'songs/b.mp3', sha256: 'bb' },
      // As it is shown; what it was may have been %2520.
      { file: 3, source: 'https://cdn.example/50%20.mp3' },
      { file: 4, source: `https://cdn.example/${'x'.repeat(180)}` },
      { file: 5, source: 'https://cdn.example/fine.mp3' },
    ]);
    expect(why).toContain(`file 1, ${CDN} (the query of its URL is not kept)`);
    expect(why).toContain('file 2, songs/b.mp3 (a local file)');
    expect(why).toMatch(/file 3, .* \(its URL is not kept whole\)/);
    expect(why).toMatch(/file 4, .* \(its URL is not kept whole\)/);
    expect(why).not.toContain('file 5');
  });

  it('are taken from what is given: a signed URL by its path, a local file by its bytes, whatever it is called', () => {
    const signed = { url: `${CDN}?sig=new`, label: CDN };
    const [local, other] = [file('renamed.mp3', 'bb'), file('other.mp3', 'cc')];
    const { found, said } = like(
      [
        { file: 1, source: 'songs/b.mp3', sha256: 'bb' },
        { file: 2, source: CDN, hasQuery: true },
      ],
      [other, signed, local],
    );
    expect(found).toEqual([local, signed]);
    expect(said.join()).toContain(': 1 local file.');
  });

  it('have no place for a URL that is none of them', () => {
    const { why } = like(
      [{ file: 1, source: CDN }],
      [{ url: 'https://x.example/1', label: 'https://x.example/1' }],
    );
    expect(why).toContain('https://x.example/1 is none of the files of "Night"');
  });
});

describe('a list of sources', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-from-'));
  const list = (text: string, name = 'list.txt'): string[] => {
    mkdirSync(join(folder, 'lists'), { recursive: true });
    writeFileSync(join(folder, name), text);
    return sourcesIn(name, folder);
  };

  it('is one a line, without empty lines and remarks', () => {
    expect(list(`\uFEFF#EXTM3U\r\n\r\n ${CDN}?a=#b \r\nsongs/a b.mp3\r\n`)).toEqual([
      `${CDN}?a=#b`,
      'songs/a b.mp3',
    ]);
  });

  it('has paths that count from its own folder', () => {
    expect(list(`../songs/a.mp3\n/abs/b.mp3\n${CDN}`, 'lists/a.m3u')).toEqual([
      join('songs', 'a.mp3'),
      '/abs/b.mp3',
      CDN,
    ]);
  });

  it.each([
    ['is empty', '# nothing\n', /holds no source/],
    ['is not there', undefined, /--from nowhere\.txt cannot be read/],
  ])('is refused where it %s', (_, text, sentence) => {
    expect(() => (text === undefined ? sourcesIn('nowhere.txt', folder) : list(text))).toThrow(sentence);
  });
});
