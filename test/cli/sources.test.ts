import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/exit.js';
import { labelOf, sourcesFrom } from '../../src/library/sources.js';

const urls = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `https://93.184.216.34/${index + 1}.mp3`);
const rules = { allowPrivateUrls: false, minClips: 6, warn: (): void => undefined };

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

describe('the label of a URL', () => {
  it('is readable, but never lets control characters through', () => {
    expect(labelOf(new URL('https://cdn.example/N%C3%A4chte%20eins.mp3'))).toBe(
      'https://cdn.example/Nächte eins.mp3',
    );
    expect(labelOf(new URL('https://cdn.example/%1B%5B2J.mp3'))).toBe('https://cdn.example/%1B%5B2J.mp3');
    expect(labelOf(new URL('https://cdn.example/%ff.mp3'))).toBe('https://cdn.example/%ff.mp3');
  });
});
