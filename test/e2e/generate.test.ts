/**
 * `generate` from the command line against a configured Temporal server, with a worker process of its own.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.js';
import { recordsIn } from '../support/json.js';
import { createRig, type Rig } from '../support/rig.js';
import { onTerminal } from '../support/terminal.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
let folder: string;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
});

beforeEach(() => {
  rig.sandbox.reset();
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-songs-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await rig.close();
});

const generate = (...more: string[]): string[] => [
  'generate',
  '--model',
  'chirp-v5',
  '--prompt',
  'la la',
  '--out',
  folder,
  ...more,
];
const songs = (): number => rig.sandbox.report().ledger.filter(({ kind }) => kind === 'generate').length;

describe('generate', () => {
  it('says the price and the balance, makes the song, and leaves its files and their paths', async () => {
    const { code, stdout, stderr } = await runCli(generate('--yes', '--title', 'Neon'), rig.env);
    expect(code).toBe(0);
    expect(stderr).toMatch(/Price +about 40 credits/);
    expect(stderr).toMatch(/Balance +10000 credits, about 9960 afterwards/);
    const paths = stdout.trimEnd().split('\n');
    expect(paths).toHaveLength(2);
    expect(
      readdirSync(folder)
        .map((file) => join(folder, file))
        .sort(),
    ).toEqual([...paths].sort());
    expect(paths[0]).toMatch(/Neon [0-9a-f]{8}\.wav$/);
    expect(songs()).toBe(1);
  });

  it('leaves one whose answer was lost to a person, who hears of it by watch and answers by fix', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'lost' } }]);
    const first = await runCli(generate('--yes', '--json'), rig.env);
    expect(first.code).toBe(6);
    const [last] = recordsIn(first.stdout)
      .filter(({ type }) => type === 'song')
      .slice(-1);
    const id = last?.type === 'song' ? last.workflowId : '';
    expect(last).toMatchObject({ attention: { kind: 'charge-unknown' } });

    expect((await runCli(['watch', id], rig.env)).stderr).toContain(
      `fix ${id} --retry --accept-second-charge`,
    );
    expect((await runCli(['fix', id, '--retry'], rig.env)).code).toBe(2);
    const unsaid = await runCli(['fix', id], rig.env);
    expect(unsaid.code).toBe(2);
    const flags = [...unsaid.stderr.matchAll(/fix song-\S+ (--.*)/g)].map(([, flag]) => flag);
    expect(flags).toEqual(['--keep-waiting', '--retry --accept-second-charge', '--give-up']);
    const other = await runCli(['fix', id, '--drop', 'x.mp3'], rig.env);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('--drop does not apply to charge-unknown. What applies: --keep-waiting');
    expect(songs()).toBe(1);
    expect((await runCli(['fix', id, '--retry', '--accept-second-charge'], rig.env)).code).toBe(0);
    expect(songs()).toBe(2);

    const result = await runCli(['result', id, '--out', folder, '--json'], rig.env);
    expect(recordsIn(result.stdout)).toMatchObject([{ type: 'generated', files: [{}, {}] }]);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('asks on a terminal, and starts nothing where the answer is Enter', async () => {
    const terminal = onTerminal(generate(), rig.env);
    await waitUntil('it asks', () => terminal.output().includes('Make it for about 40 credits?'));
    terminal.type('\r');
    expect(await terminal.code).toBe(2);
    expect(terminal.output()).toContain('Nothing was started');
    expect(rig.sandbox.report().requests.counts.generate).toBeUndefined();
  });

  it('asks on a terminal what to do where the song waits, with the price, and goes on to its files', async () => {
    rig.sandbox.addFaults([{ on: 'generate', fault: { kind: 'failTask', reason: 'lyrics refused' } }]);
    const { output, type, code } = onTerminal(generate('--yes'), rig.env);
    await waitUntil('it asks', () => output().includes('What now?'));
    expect(output()).toContain('lyrics refused');
    expect(output()).toContain('sends it again: about 40 credits');
    // Typing goes to the choice that begins so.
    type('Try');
    await waitUntil('it is chosen', () => output().includes('❯ Try again'));
    type('\r');
    expect(await code).toBe(0);
    expect(output()).toContain('Taken: retry for song-failed.');
    expect(readdirSync(folder)).toHaveLength(2);
    expect(songs()).toBe(2);
  });
});

describe('a finished training', () => {
  it('ends with the command that makes a song with it, which works as it is', async () => {
    const name = `Model ${process.pid}`;
    const { code, stdout, stderr } = await runCli(
      ['train', '--yes', '--name', name, ...rig.tracks.urls],
      rig.env,
    );
    expect(code).toBe(0);
    const command = stderr.trimEnd().split('\n').at(-1) ?? '';
    expect(command).toBe(`  tunesmith generate --model ${stdout.trimEnd()} --prompt 'YOUR LYRICS'`);
    const song = await runCli(
      ['generate', '--model', name, '--prompt', 'YOUR LYRICS', '--yes', '--detach'],
      rig.env,
    );
    expect(song.code).toBe(7);
    expect(song.stdout).toMatch(/^song-\S+\n$/);
    const id = song.stdout.trimEnd();
    expect((await runCli(['status', id, '--json'], rig.env)).stdout).toContain(stdout.trimEnd());
    expect((await runCli(['list', '--songs'], rig.env)).stdout).toContain(id);
  });

  it('brings the song that was ordered with it, and gives the model id alone on stdout', async () => {
    const name = `Sings ${process.pid}`;
    const args = ['train', '--yes', '--name', name, '--try', 'la la', ...rig.tracks.urls];
    const { code, stdout, stderr } = await runCli(args, { ...rig.env, INIT_CWD: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^chirp-custom:[0-9a-f-]{36}\n$/);
    // Whether the price of an upload was seen before is a matter of the tests before this one.
    expect(stderr).toMatch(
      /8 uploads at 5 \((an assumption; --upload-credits|the dearest seen)\), create at 100 and a song at about 40: (about )?180 credits/,
    );
    expect(readdirSync(folder)).toHaveLength(2);
    expect(songs()).toBe(1);
  });
});
