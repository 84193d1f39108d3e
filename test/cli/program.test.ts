/**
 * The command line in this process: what can be told without a Temporal server. Each home is new and stays empty.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program.js';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tunesmith-program-'));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

async function run(
  argv: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await main(argv, {
    env: { TUNESMITH_HOME: home, ...env },
    // All that `main` needs of a stream that is no terminal.
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
    cwd: home,
  });
  const textOf = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  return { code, stdout: textOf(stdout), stderr: textOf(stderr) };
}

const urls = Array.from({ length: 6 }, (_, index) => `https://93.184.216.34/${index + 1}.mp3`);

describe('a usage error', () => {
  it.each([
    ['no command', []],
    ['a command nobody knows', ['trian']],
    ['a flag of no release yet', ['train', '--name', 'x', '--save', 'file', ...urls]],
    ['too few files', ['train', '--name', 'x', ...urls.slice(1)]],
    ['an empty name', ['train', '--name', ' ', ...urls]],
    ['half a clip', ['train', '--name', 'x', '--min-clips', '6.5', ...urls]],
    ['a wait that is no number', ['train', '--name', 'x', '--wait', 'long', ...urls]],
    ['two corrections at once', ['fix', 'x', '--retry', '--give-up']],
  ])('exits 2 before anything is started: %s', async (_, argv) => {
    const { code, stdout, stderr } = await run(argv, { MOUNTSEA_API_KEY: 'k' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(readdirSync(home)).toEqual([]);
  });

  // As a prefix it fits every training: `cancel "$ID"` with ID unset must not cancel the only one.
  it.each(['status', 'watch', 'result', 'cancel', 'fix'])('is an empty id: %s', async (command) => {
    const { code, stderr } = await run([command, '']);
    expect(code).toBe(2);
    expect(stderr).toContain('must not be empty');
  });

  it('of train without a key names both variables that hold one', async () => {
    const { code, stderr } = await run(['train', '--name', 'x', ...urls]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/MOUNTSEA_API_KEY, or MOUNTSEA_API_KEY_FILE/);
    expect(readdirSync(home)).toEqual([]);
  });
});

describe('a command in a sentence', () => {
  const noKey = ['train', '--name', 'x', ...urls];

  it('is as the user calls the program', async () => {
    expect((await run(noKey)).stderr).toContain('`tunesmith demo`');
    const underNpm = await run(noKey, { npm_lifecycle_event: 'tunesmith' });
    expect(underNpm.stderr).toContain('`npm run -s tunesmith -- demo`');
  });
});

describe('in a home where nothing was ever started', () => {
  it('list is empty, for people and for programs', async () => {
    expect(await run(['list'])).toMatchObject({ code: 0, stdout: 'No trainings yet.\n' });
    expect(await run(['list', '--json'])).toMatchObject({ code: 0, stdout: '[]\n' });
  });

  it('down says so, for people and for programs', async () => {
    expect(await run(['down'])).toMatchObject({ code: 0, stdout: '', stderr: 'Nothing was running.\n' });
    const { code, stdout } = await run(['down', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ type: 'down', version: 1, outcome: 'not-running' });
  });
});
