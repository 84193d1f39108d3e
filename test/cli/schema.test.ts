import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENDINGS, jsonSchemas, parseRecord, RECORDS } from '../../src/cli/schema.js';

const folder = new URL('../../schemas/', import.meta.url);

describe('the JSON Schema files', () => {
  it('are those of the records: npm run docs writes them', () => {
    const names = readdirSync(folder);
    const files = Object.fromEntries(
      names.map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]),
    );
    expect(files).toEqual(jsonSchemas());
  });

  it('are all in the document, by their type', () => {
    const text = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');
    for (const type of Object.keys(RECORDS)) expect(text).toContain(`| \`${type}\``);
    for (const [exit, ending] of Object.entries(ENDINGS))
      expect(text).toMatch(new RegExp(`\\| ${exit} +\\| \`${ending}\` `));
  });

  it('allow a field that a later release adds', () => {
    expect(Object.values(jsonSchemas()).join('')).not.toContain('additionalProperties": false');
  });
});

describe('a record', () => {
  it('is refused where it has a field that its schema does not name, lacks one, or is of no known type', () => {
    const down = { type: 'down', version: 1, outcome: 'stopped' };
    expect(parseRecord(down)).toEqual(down);
    expect(() => parseRecord({ ...down, more: 1 })).toThrow(/more/);
    expect(() => parseRecord({ type: 'down', version: 1 })).toThrow(/outcome/);
    expect(() => parseRecord({ ...down, type: 'up' })).toThrow(/type/);
  });
});
