import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/mountsea/redact.js';

const KEY = 'k"y/4f1d+0c7e';

function redactor() {
  const created = createRedactor();
  created.learn(KEY);
  return created;
}

describe('redaction', () => {
  it.each([
    ['a key', `is ${KEY} valid?`],
    ['a key in a URL', `path/${encodeURIComponent(KEY)}/x`],
    ['a key in JSON', JSON.stringify({ echo: KEY })],
  ])('removes %s', (_, text) => {
    const clean = redactor().text(text);
    expect(clean).toContain('[removed]');
    expect(clean).not.toMatch(/4f1d/);
  });

  it('removes a key that begins like another as a whole', () => {
    const both = createRedactor();
    both.learn('abcd');
    both.learn('abcd-efgh');
    expect(both.text('x abcd-efgh y abcd z')).toBe('x [removed] y [removed] z');
  });

  it('goes on removing a key that was rotated out', () => {
    const rotated = redactor();
    rotated.learn('new-key');
    expect(rotated.text(`${KEY} new-key`)).toBe('[removed] [removed]');
  });

  it('is not confused by an empty key', () => {
    const empty = createRedactor();
    empty.learn('');
    expect(empty.text('abc')).toBe('abc');
  });

  it.each([
    ['Authorization: Bearer s3cret-value', 'Authorization: [removed]'],
    ['authorization=s3cret', 'authorization=[removed]'],
    ['{"Authorization":"Basic s3cret"}', '{"Authorization":"[removed]"}'],
    ['{"x-api-key": "s3cret","a":1}', '{"x-api-key": "[removed]","a":1}'],
    [String.raw`{"m":"{\"X-API-Key\":\"s3cret\"}"}`, String.raw`{"m":"{\"X-API-Key\":\"[removed]\"}"}`],
    ['api_key=s3cret&b=1', 'api_key=[removed]&b=1'],
    ['the token Bearer s3cret-value is bad', 'the token Bearer [removed] is bad'],
  ])('removes the secret of %s', (text, expected) => {
    expect(createRedactor().text(text)).toBe(expected);
  });

  it.each([
    ['see https://a.example/b.mp3?X-Amz-Signature=s3cret&x=1 now', 'see https://a.example/b.mp3 now'],
    ['("http://a.example?sig=s3cret#s3cret")', '("http://a.example")'],
    ['https://user:s3cret@a.example/b', 'https://a.example/b'],
    [String.raw`{"u":"https:\/\/a.example\/b?sig=s3cret"}`, String.raw`{"u":"https:\/\/a.example\/b"}`],
    [
      String.raw`{"m":"{\"u\":\"https://a.example/b?s=s3cret\"}"}`,
      String.raw`{"m":"{\"u\":\"https://a.example/b\"}"}`,
    ],
    ['GET /b.mp3?x=1&X-Amz-Signature=s3cret failed', 'GET /b.mp3?x=1&X-Amz-Signature=[removed] failed'],
    ['https://a.example/b?u=1 https://c.example/d?v=2', 'https://a.example/b https://c.example/d'],
  ])('removes the query of the URL in %s', (text, expected) => {
    expect(createRedactor().text(text)).toBe(expected);
  });

  it('leaves ids, names and ordinary sentences alone', () => {
    const text = 'Clip a1b2c3d4-e5f6-7890 of "My model" failed: why? Ask support (bearer of bad news).';
    expect(createRedactor().text(text)).toBe(text);
  });

  it('cuts after it has removed, so that no half of a key stays', () => {
    const clean = redactor().raw(`${'x'.repeat(8188)}${KEY}`);
    expect(clean).toHaveLength(8192);
    expect(clean).not.toContain('k"');
  });

  it('makes one line without control characters', () => {
    expect(createRedactor().line('a\u001b[31m\r\n\tb\u0000c  d\u2028e')).toBe('a [31m b c d e');
    expect(createRedactor().line('abcdef', 4)).toBe('abc…');
  });

  it('goes through JSON, names of properties included', () => {
    expect(
      redactor().json({
        a: [`x ${KEY}`, 1, null, true],
        apiKey: 'whatever',
        Authorization: { a: 1 },
        [KEY]: 'b',
      }),
    ).toEqual({
      a: ['x [removed]', 1, null, true],
      apiKey: '[removed]',
      Authorization: '[removed]',
      '[removed]': 'b',
    });
  });
});
