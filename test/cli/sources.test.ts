import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/exit.js';
import { labelOf, sourcesFrom } from '../../src/library/sources.js';

const urls = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `https://93.184.216.34/${index + 1}.mp3`);
const rules = { folder: '/nowhere', allowPrivateUrls: false, minClips: 6, warn: (): void => undefined };

describe('sources from arguments', () => {
  it('keep the order of the arguments and show no query', async () => {
    const sources = await sourcesFrom(
      urls(6).map((url) => `${url}?sig=sesame#part`),
      rules,
    );
    expect(sources.map(({ label }) => label)).toEqual(urls(6));
    expect(sources[0]).toMatchObject({ url: expect.stringContaining('sesame') as string });
  });

  it('are refused where two are the same file under two signatures, with their numbers', async () => {
    const [first = '', ...others] = urls(6);
    const again = [`${first}?Expires=1&Signature=a`, ...others, `${first}?Expires=2&Signature=b`];
    await expect(sourcesFrom(again, rules)).rejects.toThrow(/Files 1 and 7 are the same URL/);
  });

  it.each([
    ['a loopback address', 'http://127.0.0.1/a.mp3'],
    ['a private address', 'http://192.168.1.5/a.mp3'],
    ['the metadata service', 'http://169.254.169.254/a.mp3'],
    ['a name of this machine', 'http://localhost/a.mp3'],
    ['a name of this machine with a dot at its end', 'http://localhost./a.mp3'],
    ['an address in another spelling', 'http://0x7f000001/a.mp3'],
  ])('are refused on %s', async (_, url) => {
    await expect(sourcesFrom([...urls(5), url], rules)).rejects.toThrow(UsageError);
    await expect(sourcesFrom([...urls(5), url], { ...rules, allowPrivateUrls: true })).resolves.toHaveLength(
      6,
    );
  });

  // `.invalid` resolves nowhere, on any network.
  it('pass with a warning where their host is not known here, since Mountsea may know it', async () => {
    const warnings: string[] = [];
    const rulesThatWarn = { ...rules, warn: (line: string) => warnings.push(line) };
    const sources = await sourcesFrom([...urls(5), 'https://cdn.invalid/a.mp3?sig=sesame'], rulesThatWarn);
    expect(sources).toHaveLength(6);
    expect(warnings).toEqual([expect.stringMatching(/^File 6: cdn\.invalid cannot be looked up/)]);
  });

  it.each([
    'https://me:sesame@cdn.example/a.mp3',
    // No http, so refused for that; still nothing to repeat.
    'ftp://me:sesame@cdn.example/a.mp3?key=sesame',
  ])('are refused with a user name or password, which is not repeated: %s', async (url) => {
    const refused = sourcesFrom([...urls(5), url], rules);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.not.toThrow(/sesame/);
  });
});

describe('local files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-sources-'));
  const local = { ...rules, folder };
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  mkdirSync(join(folder, 'songs', 'live.mp3'), { recursive: true });
  for (const name of [
    '10.mp3',
    '2.MP3',
    '1.wav',
    '3.flac',
    '4 [mix].ogg',
    '11.m4a',
    'cover.jpg',
    '.hidden.mp3',
  ]) {
    writeFileSync(join(folder, 'songs', name), `bytes of ${name}`);
  }

  it('of a folder come in natural order, and what is left out is said: other files, folders, hidden ones', async () => {
    const said: string[] = [];
    const sources = await sourcesFrom(['./songs/'], { ...local, warn: (line) => said.push(line) });
    expect(sources.map(({ label }) => label)).toEqual(
      ['1.wav', '2.MP3', '3.flac', '4 [mix].ogg', '10.mp3', '11.m4a'].map((name) => `songs/${name}`),
    );
    expect(said).toEqual(['./songs/: 6 audio files; left out: cover.jpg, live.mp3/, 1 hidden.']);
  });

  it('are known by their bytes, and the worker gets an absolute path', async () => {
    const [source] = await sourcesFrom(['songs'], local);
    const bytes = 'bytes of 1.wav';
    expect(source).toEqual({
      label: 'songs/1.wav',
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
      at: { kind: 'path', path: join(folder, 'songs', '1.wav') },
    });
  });

  it('may be given by name, by glob and beside URLs; a name with brackets is first of all a name', async () => {
    const args = ['songs/4 [mix].ogg', ...urls(2), 'songs/1*', join(folder, 'songs', '3.flac')];
    const sources = await sourcesFrom(args, local);
    expect(sources.map(({ label }) => label)).toEqual([
      'songs/4 [mix].ogg',
      ...urls(2),
      'songs/1.wav',
      'songs/10.mp3',
      'songs/11.m4a',
      join(folder, 'songs', '3.flac'),
    ]);
  });

  it('with the same bytes are refused, with their names', async () => {
    writeFileSync(join(folder, 'copy.wav'), 'bytes of 1.wav');
    await expect(sourcesFrom(['songs', 'copy.wav'], local)).rejects.toThrow(
      /Files 1 \(songs\/1\.wav\) and 7 \(copy\.wav\) are the same bytes/,
    );
  });

  it.each([
    [
      'are not there',
      'nothing.mp3',
      /File 1 \(nothing\.mp3\): there is no such file in .*, and it is no http or https URL/,
    ],
    ['are empty', 'empty.mp3', /File 1 \(empty\.mp3\): it is empty/],
    // Read to its end it would be waited for without end.
    ['are no files', '/dev/zero', /File 1 \(\/dev\/zero\): it is no ordinary file/],
    ['match nothing', '*.aiff', /\*\.aiff matches no file/],
    ['are in a folder without audio', 'docs', /There is no audio in docs/],
  ])('are refused where they %s', async (_, argument, sentence) => {
    writeFileSync(join(folder, 'empty.mp3'), '');
    mkdirSync(join(folder, 'docs'), { recursive: true });
    await expect(sourcesFrom([argument], local)).rejects.toThrow(sentence);
  });

  it('that cannot be used are all named at once', async () => {
    const refused = sourcesFrom([...urls(5), 'nothing.mp3', 'ftp://cdn.example/a.mp3', '*.aiff'], local);
    await expect(refused).rejects.toThrow(/File 6 .*\nFile 7 .*\n\*\.aiff matches no file/);
  });
});

describe('the label of a URL', () => {
  it('is readable, but never lets control characters through', () => {
    expect(labelOf(new URL('https://cdn.example/N%C3%A4chte%20eins.mp3'))).toBe(
      'https://cdn.example/Nächte eins.mp3',
    );
    expect(labelOf(new URL('https://cdn.example/%1B%5B2J.mp3'))).toBe('https://cdn.example/%1B%5B2J.mp3');
    expect(labelOf(new URL('https://cdn.example/%ff.mp3'))).toBe('https://cdn.example/%ff.mp3');
  });
});
