/**
 * Help and documents: made of the definitions, and so true as long as each example can be typed.
 */
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { COMMAND_GROUPS } from '../../src/cli/commands/index.js';
import { manual } from '../../src/cli/manual.js';
import { main } from '../../src/cli/program.js';
import { createParser, type Parsed } from '../../src/cli/parser.js';
import { wordsOf } from '../support/shellWords.js';

const COMMANDS = COMMAND_GROUPS.flatMap(({ commands }) => commands).filter(
  ({ isHidden }) => isHidden !== true,
);
const NAMES = COMMANDS.map(({ name }) => name);
const EXAMPLES = COMMANDS.flatMap(({ name, examples }) => examples.map((example) => ({ name, ...example })));

/** Parses without running. */
async function parse(argv: string[]): Promise<{ name?: string; parsed?: Parsed; stderr: string }> {
  const stream = new PassThrough() as unknown as NodeJS.WriteStream;
  let found: { name: string; parsed: Parsed } | undefined;
  const parser = createParser(
    COMMAND_GROUPS,
    { env: {}, stdout: stream, stderr: stream },
    ({ name }, parsed) => {
      found = { name, parsed };
      return Promise.resolve();
    },
  );
  await parser.parseAsync(argv, { from: 'user' }).catch(() => undefined);
  return { ...found, stderr: (stream.read() as Buffer | null)?.toString() ?? '' };
}

async function help(argv: string[], columns = 80): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io = { env: {}, stdout: Object.assign(stdout, { columns }), stderr, cwd: '/' };
  expect(await main(argv, io as unknown as Parameters<typeof main>[1])).toBe(0);
  return (stdout.read() as Buffer).toString();
}

describe('an example', () => {
  it.each(EXAMPLES)('can be typed: $line', async ({ name, line, does }) => {
    const { stderr, ...found } = await parse(wordsOf(line));
    expect({ stderr, name: found.name }).toEqual({ stderr: '', name });
    expect(does).not.toMatch(/[.]$/);
  });

  it('is there for every command', () => {
    expect(COMMANDS.filter(({ examples }) => examples.length === 0).map(({ name }) => name)).toEqual([]);
  });

  it('that a definition does not know is refused', async () => {
    expect((await parse(wordsOf('status "Night Drive" --exit-statu'))).stderr).toMatch(
      /unknown option '--exit-statu'\n\(Did you mean --exit-status\?\)/,
    );
  });
});

describe('--help', () => {
  it('lists every command in its group, exit codes and environment', async () => {
    const text = await help(['--help']);
    for (const { title } of COMMAND_GROUPS) expect(text).toContain(`\n${title}:\n`);
    for (const name of NAMES) expect(text).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(text).toMatch(/^ {2}130 {2}interrupted by Ctrl-C/m);
    expect(text).toMatch(/^ {2}MOUNTSEA_API_KEY /m);
  });

  it.each(NAMES.filter((name) => name !== 'sandbox'))('of %s has its examples', async (name) => {
    const text = await help([name, '--help']);
    for (const { line } of EXAMPLES.filter((example) => example.name === name)) {
      expect(text).toContain(`\n  tunesmith ${line}\n`);
    }
  });

  it('names the program as it was called', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const io = { env: { npm_lifecycle_event: 'tunesmith' }, stdout, stderr, cwd: '/' };
    await main(['watch', '--help'], io as unknown as Parameters<typeof main>[1]);
    expect((stdout.read() as Buffer).toString()).toContain(
      '\n  npm run -s tunesmith -- watch "Night Drive"\n',
    );
  });
});

describe('docs/cli.md', () => {
  it('is up to date (else: npm run docs)', () => {
    const path = fileURLToPath(new URL('../../docs/cli.md', import.meta.url));
    expect(readFileSync(path, 'utf8')).toBe(manual(COMMAND_GROUPS));
  });
});

describe('words of a shell line', () => {
  it.each([
    [`a "b c" 'd "e"' f=g\\ h`, ['a', 'b c', 'd "e"', 'f=g h']],
    ['a {1,2}.mp3 > b', ['a', '1.mp3', '2.mp3']],
    [`a --json | jq -r '.[0]'`, ['a', '--json']],
    ['a < key.txt', ['a']],
    ['a ""', ['a', '']],
  ])('%s', (line, words) => {
    expect(wordsOf(line)).toEqual(words);
  });
});
