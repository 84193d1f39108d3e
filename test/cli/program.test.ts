/**
 * The command line in this process: what can be told without a Temporal server. Each home is new and stays empty.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program.js';
import { wav } from '../support/audio.js';
import { recordsIn } from '../support/json.js';

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
  terminal?: { columns: number },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  if (terminal !== undefined) Object.assign(stderr, { isTTY: true, ...terminal });
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
  // Without a key, so that a check that is missing can start nothing either: the sentence tells them apart.
  it.each([
    ['no command', [], /Usage:/],
    ['a command nobody knows', ['trian'], /Did you mean train/],
    ['a flag nobody knows', ['train', '--name', 'x', '--liek', 'y', ...urls], /Did you mean --like/],
    ['too few files', ['train', '--name', 'x', ...urls.slice(1)], /at least 6 audio files; 5 were/],
    ['an empty name', ['train', '--name', ' ', ...urls], /--name must not be empty/],
    ['half a clip', ['train', '--name', 'x', '--min-clips', '6.5', ...urls], /whole number/],
    ['a wait that is no number', ['train', '--name', 'x', '--wait', 'long', ...urls], /number of seconds/],
    ['two corrections at once', ['fix', 'x', '--retry', '--give-up'], /Say one of/],
    ['a budget without --retry', ['fix', 'x', '--give-up', '--max-credits', '9'], /goes with --retry/],
    [
      'a second charge of nothing',
      ['fix', 'x', '--keep-waiting', '--accept-second-charge'],
      /goes with --resend-create/,
    ],
    ['a song without a model', ['generate', '--prompt', 'la', '--yes'], /--model is needed/],
    ['a song of nothing', ['generate', '--model', 'm', '--tags', 'x', '--yes'], /--prompt with the lyrics/],
    ['a song that nobody agreed to', ['generate', '--model', 'm', '--prompt', 'la'], /Add --yes to spend/],
    ['a weight beyond 1', ['generate', '--model', 'm', '--prompt', 'la', '--weirdness', '2'], /from 0 to 1/],
    ['half a replacement', ['fix', 'x', '--replace', '3'], /FILE=NEW/],
    [
      'a replacement that is a path',
      ['fix', 'x', '--replace', '3=a.mp3'],
      /source of file 3 \(a\.mp3\): there is no such file/,
    ],
    [
      'a replacement on this machine',
      ['fix', 'x', '--replace', '3=http://127.0.0.1/a'],
      /private or loopback/,
    ],
    [
      'a budget that cannot pay all uploads and create',
      ['train', '--name', 'x', '--max-credits', '129', ...urls],
      /6 uploads at 5 credits .* come to 130/,
    ],
    [
      'a budget that a dearer upload outgrows',
      ['train', '--name', 'x', '--max-credits', '130', '--upload-credits', '5.5', ...urls],
      /come to 133/,
    ],
    [
      'a clip without a session',
      ['train', '--name', 'x', '--clip', 'a=b', ...urls],
      /--clip needs --session/,
    ],
    ['a session and a file', ['train', '--session', 's', '--adopt', 'f'], /not both/],
    ['a file that is not there', ['train', '--adopt', 'nothing.json'], /There is no file .*nothing\.json/],
    ['no name', ['train', ...urls], /--name is needed/],
    ['a receiver that is no URL', ['train', '--name', 'x', '--notify', 'me', ...urls], /--notify must be/],
    [
      'a receiver on this machine',
      ['train', '--name', 'x', '--notify', 'http://[::1]:80/', ...urls],
      /--notify is on \[::1\], a private/,
    ],
    ['more days than Mountsea keeps', ['audit', '--days', '91'], /keeps 90 days/],
  ])('exits 2 with a sentence before anything is started: %s', async (_, argv, sentence) => {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
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

  it('of train without a key comes before that of files without a bucket', async () => {
    const names = Array.from({ length: 6 }, (_, index) => `${index}.wav`);
    names.forEach((name, index) => {
      writeFileSync(join(home, name), wav(index));
    });
    expect((await run(['train', '--name', 'x', ...names])).stderr).toContain('No API key');
    const withKey = await run(['train', '--name', 'x', ...names], { MOUNTSEA_API_KEY: 'k' });
    expect(withKey.stderr).toContain('TUNESMITH_S3_BUCKET');
  });
});

describe('what follows --again', () => {
  it.each([
    ['a folder by its path', './songs', '1 was'],
    ['a folder by its name', 'songs', '1 was'],
    ['a file', 'songs/1.wav', '1 was'],
    ['a URL', urls[0] ?? '', '1 was'],
    ['a label', 'live', '0 were'],
  ])('is the first file where it can be one: %s', async (_, next, given) => {
    mkdirSync(join(home, 'songs'));
    writeFileSync(join(home, 'songs', '1.wav'), wav(1));
    const { stderr } = await run(['train', '--name', 'x', '--yes', '--again', next]);
    expect(stderr).toContain(`at least 6 audio files; ${given} given`);
  });
});

it('breaks the sentence of an error between words at a terminal, and shows it with what that terminal has', async () => {
  const { stderr } = await run(['status', 'x'], { LANG: 'C' }, { columns: 40 });
  const lines = stderr.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line).toMatch(/^[\u0000-\u007f]+$/);
  expect(lines.join(' ')).toContain('Start one with `tunesmith train`.');
});

describe('a failure with --json', () => {
  it.each([
    ['a stream', ['train', '--json', '--name', 'x', ...urls.slice(1)], /at least 6 audio files; 5 were/],
    ['one document', ['status', 'x', '--json'], /There is no training/],
    ['what the parser refuses', ['watch', '--json', '--wait', 'long', 'x'], /number of seconds/],
    ['a command nobody knows', ['trian', '--json'], /unknown command/],
  ])('is a record on stdout, and a sentence on stderr: %s', async (_, argv, sentence) => {
    const { code, stdout, stderr } = await run(argv);
    expect(code).toBe(2);
    expect(recordsIn(stdout)).toEqual([
      {
        type: 'end',
        version: 1,
        exit: 2,
        ending: 'usage',
        message: expect.stringMatching(sentence) as string,
      },
    ]);
    expect(stderr).toMatch(sentence);
  });

  it('is not one of --help', async () => {
    const { code, stdout } = await run(['status', '--json', '--help']);
    expect({ code, isHelp: stdout.startsWith('Usage:') }).toEqual({ code: 0, isHelp: true });
    expect(stdout).not.toContain('"end"');
  });
});

describe('files that cannot be used', () => {
  const wrong = [
    ['no-file', /File 3 \(gone\.mp3\): there is no such file/],
    ['not-audio', /File 4 \(notes\.mp3\): it is no audio but text/],
    ['empty', /File 5 \(empty\.wav\): it is empty/],
    ['no-audio', /There is no audio in scans/],
    ['same-content', /Files 1 \(1\.wav\) and 7 \(again\.wav\) are the same bytes/],
  ] as const;

  function typed(): string[] {
    for (const name of ['1.wav', '2.wav', '8.wav']) {
      writeFileSync(join(home, name), wav(Number.parseInt(name)));
    }
    writeFileSync(join(home, 'again.wav'), wav(1));
    writeFileSync(join(home, 'notes.mp3'), 'Lyrics of the second verse, and no music at all.\n');
    writeFileSync(join(home, 'empty.wav'), '');
    mkdirSync(join(home, 'scans'));
    writeFileSync(join(home, 'scans', 'cover.jpg'), 'no music');
    return ['1.wav', '2.wav', 'gone.mp3', 'notes.mp3', 'empty.wav', 'scans', 'again.wav', '8.wav'];
  }

  it('are all shown by plan at once, for people and for programs', async () => {
    const argv = ['plan', '--name', 'x', ...typed()];
    const forPeople = await run(argv);
    expect(forPeople.code).toBe(2);
    for (const [, sentence] of wrong) expect(forPeople.stdout.replace(/\s+/g, ' ')).toMatch(sentence);
    expect(forPeople.stdout).toMatch(/8 +8\.wav +wav .* ok\n/);
    const forPrograms = await run([...argv, '--json']);
    expect(forPrograms.code).toBe(2);
    const [record] = recordsIn(forPrograms.stdout);
    if (record?.type !== 'plan') throw new Error(`no plan: ${forPrograms.stdout}`);
    expect(record.files).toHaveLength(8);
    const errors = record.findings.filter(({ level }) => level === 'error');
    expect(errors.map(({ code, files }) => [code, files])).toEqual(
      wrong.map(([code], index) => [code, [index + 3]]),
    );
  });

  it('are all shown by train, which starts nothing', async () => {
    const files = typed();
    const before = readdirSync(home);
    const { code, stderr, stdout } = await run(['train', '--json', '--yes', '--name', 'x', ...files], {
      MOUNTSEA_API_KEY: 'k',
    });
    expect(code).toBe(2);
    for (const [, sentence] of wrong) expect(stderr.replace(/\s+/g, ' ')).toMatch(sentence);
    expect(recordsIn(stdout).map(({ type }) => type)).toEqual(['plan', 'end']);
    expect(readdirSync(home)).toEqual(before);
  });
});

describe('train --notify', () => {
  const argv = ['train', '--name', 'x', '--notify', 'https://93.184.216.34/hook?token=sesame', ...urls];

  it('is refused without a secret to sign with, before anything is started', async () => {
    const { code, stderr } = await run(argv, { MOUNTSEA_API_KEY: 'k' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/needs TUNESMITH_WEBHOOK_SECRET/);
    expect(stderr).not.toContain('sesame');
    expect(readdirSync(home)).toEqual([]);
  });

  it('is refused with a secret that receivers could not use, which is not repeated', async () => {
    const { code, stderr } = await run(argv, {
      MOUNTSEA_API_KEY: 'k',
      TUNESMITH_WEBHOOK_SECRET: 'whsec_c2hvcnQ=',
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/24 to 64 bytes/);
    expect(stderr).not.toContain('c2hvcnQ');
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

  it('has no models', async () => {
    expect(await run(['models'])).toMatchObject({ code: 0, stdout: 'No models yet.\n' });
    expect(await run(['models', '--json'])).toMatchObject({ code: 0, stdout: '[]\n' });
  });

  it('down says so, for people and for programs', async () => {
    expect(await run(['down'])).toMatchObject({ code: 0, stdout: '', stderr: 'Nothing was running.\n' });
    const { code, stdout } = await run(['down', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ type: 'down', version: 1, outcome: 'not-running' });
  });
});
