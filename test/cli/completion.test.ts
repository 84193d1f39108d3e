/**
 * Completion: what may come next, and the scripts in the real shells where they are installed (bash is everywhere).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { idCandidates } from '../../src/cli/commands/completion.js';
import { COMMAND_GROUPS } from '../../src/cli/commands/index.js';
import { type Ask, complete } from '../../src/cli/completion.js';
import { answerOf, COMPLETION_SCRIPTS, SHELLS, typedWords } from '../../src/cli/completionScripts.js';
import type { Followable } from '../../src/cli/follow.js';
import { main } from '../../src/cli/program.js';
import { type Described, snapshotOf } from '../../src/library/snapshot.js';
import { songSeen } from '../support/songSeen.js';

const NAME = 'Night "Drive" $1';
const ask: Ask = (what) =>
  Promise.resolve(
    {
      trainings: [{ value: NAME, description: 'uploading' }],
      models: [{ value: 'chirp-custom:5f0c', description: NAME }],
      sessions: [{ value: 'a1b2', description: NAME }],
    }[what],
  );

async function values(...words: string[]): Promise<string[]> {
  const { candidates, files } = await complete(words, COMMAND_GROUPS, ask);
  return [...candidates.map(({ value }) => value), ...(files ? ['FILES'] : [])];
}

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-completion-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('what may come next', () => {
  it('is a command, and no hidden one', async () => {
    const all = await values('');
    expect(all).toContain('train');
    expect(all.filter((value) => value.startsWith('_'))).toEqual([]);
    expect(await values('wa')).toEqual(['watch']);
    expect(await values('help', 'wa')).toEqual(['watch']);
  });

  it('is a flag of the command, and not one that was given, unless it may be given again', async () => {
    expect(await values('fix', 'x', '--re')).toEqual(['--rename', '--replace', '--retry', '--resend-create']);
    expect(await values('watch', '--json', '--')).toEqual(['--wait', '--help']);
    expect(await values('fix', 'x', '--drop', '3', '--dr')).toEqual(['--drop']);
  });

  it('is a choice', async () => {
    expect(await values('train', '--on-bad-file', '')).toEqual(['ask', 'drop', 'fail']);
    expect(await values('train', '--on-bad-file=d')).toEqual(['--on-bad-file=drop']);
    expect(await values('completion', 'z')).toEqual(['zsh']);
  });

  it('is a training, once', async () => {
    expect(await values('watch', '')).toEqual([NAME]);
    expect(await values('watch', '--wait', '9', 'Ni')).toEqual([NAME]);
    expect(await values('watch', NAME, '')).toEqual([]);
  });

  it('is a training or a song: by name where only one has it, else by id', () => {
    const startTime = new Date(0);
    const training = (workflowId: string, name: string): Followable => {
      const running = { name: 'RUNNING' } as Described['status'];
      const seen = snapshotOf({ workflowId, runId: 'r', status: running, memo: {}, startTime });
      return { ...seen, memo: { ...seen.memo, name } };
    };
    const song = (workflowId: string, title: string): Followable => songSeen(workflowId, { title });
    const all = [training('train-a', 'Night'), song('song-b', 'Neon'), song('song-c', 'Night')];
    expect(idCandidates(all, undefined, '')).toEqual([
      { value: 'train-a', description: 'Night · preparing' },
      { value: 'Neon', description: 'song · sending · song-b' },
      { value: 'song-c', description: 'Night · song · sending' },
    ]);
    const isNight = ({ workflowId }: Followable): boolean => workflowId === 'song-c';
    expect(idCandidates(all, isNight, '').map(({ value }) => value)).toEqual(['song-c']);
  });

  it('may be a song where the command takes one', () => {
    const takers = COMMAND_GROUPS.flatMap(({ commands }) => commands).filter(({ takesSongs }) => takesSongs);
    expect(takers.map(({ name }) => name).sort()).toEqual(['cancel', 'fix', 'result', 'status', 'watch']);
  });

  it('is a session, a file, or nothing that could be known', async () => {
    expect(await values('train', '--session', '')).toEqual(['a1b2']);
    expect(await values('train', '--save', '')).toEqual(['FILES']);
    expect(await values('train', '--name', '')).toEqual([]);
    expect(await values('nonsense', '')).toEqual([]);
  });

  it('behind -- is no flag', async () => {
    expect(await values('watch', '--', '--')).toEqual([]);
  });
});

describe('an answer to bash', () => {
  async function forBash(line: string, replaced: string): Promise<string[]> {
    const args = [line, replaced];
    return answerOf('bash', args, await complete(typedWords('bash', args), COMMAND_GROUPS, ask));
  }

  it('stands on the line as a shell reads it back', async () => {
    expect(await forBash('tunesmith watch ', '')).toEqual(['Night\\ \\"Drive\\"\\ \\$1']);
    expect(await forBash('tunesmith watch "Ni', 'Ni')).toEqual(['Night \\"Drive\\" \\$1']);
    expect(await forBash("tunesmith watch 'Ni", 'Ni')).toEqual([NAME]);
    expect(await forBash('tunesmith watch Night\\ ', 'Night\\ ')).toEqual(['Night\\ \\"Drive\\"\\ \\$1']);
  });

  it('is the part behind the = that bash replaces', async () => {
    expect(await forBash('tunesmith train --on-bad-file=d', 'd')).toEqual(['drop']);
    expect(await forBash('tunesmith train --on-bad-file=', '')).toEqual(['ask', 'drop', 'fail']);
  });

  it('does not take what stands before the command for a word of it', async () => {
    expect(await forBash('TUNESMITH_HOME=/x tunesmith wa', 'wa')).toEqual(['watch']);
  });
});

describe('__complete', () => {
  it('starts nothing, and says nothing where there is nothing to ask', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const io = { env: { TUNESMITH_HOME: folder }, stdout, stderr, cwd: folder };
    const run = (...words: string[]): Promise<number> =>
      main(['__complete', 'zsh', '--', ...words], io as unknown as Parameters<typeof main>[1]);
    expect([await run('watch', ''), await run('watc')]).toEqual([0, 0]);
    expect(String(stdout.read())).toBe('watch\tfollow a training or a song\n');
    expect(stderr.read()).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is quiet where the configured server does not answer', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const env = { TUNESMITH_HOME: folder, TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const io = { env, stdout, stderr, cwd: folder } as unknown as Parameters<typeof main>[1];
    expect(await main(['__complete', 'fish', '--', 'watch', ''], io)).toBe(0);
    expect([stdout.read(), stderr.read()]).toEqual([null, null]);
  });
});

describe.each(SHELLS)('the script for %s', (shell) => {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;

  it.skipIf(!isThere)('is one that the shell can read', () => {
    const path = join(folder, 'script');
    writeFileSync(path, COMPLETION_SCRIPTS[shell]);
    const { status, stderr } = spawnSync(shell, ['-n', path]);
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  });
});

describe('in a shell', () => {
  /** A `tunesmith` on the PATH that writes its arguments down and gives an answer. */
  function stub(answer: string[]): NodeJS.ProcessEnv {
    const path = join(folder, 'tunesmith');
    const text = `#!/bin/sh\nprintf '%s\\n' "$@" > '${folder}/asked'\ncat <<'END'\n${answer.join('\n')}\nEND\n`;
    writeFileSync(path, text);
    chmodSync(path, 0o700);
    return { PATH: `${folder}:${process.env['PATH'] ?? ''}`, HOME: folder };
  }
  const asked = (): string[] => readFileSync(join(folder, 'asked'), 'utf8').split('\n').slice(0, -1);

  it('bash asks with the line up to the cursor and takes each line as a candidate', () => {
    const script = `${COMPLETION_SCRIPTS.bash}
COMP_LINE='tunesmith watch Ni --json' COMP_POINT=18 COMP_WORDS=(tunesmith watch Ni --json) COMP_CWORD=2
_tunesmith tunesmith Ni watch
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = stub(['Night\\ Drive', 'Nine']);
    const out = execFileSync('bash', ['--norc', '-c', script], { env, encoding: 'utf8' });
    expect(out).toBe('Night\\ Drive\nNine\n');
    expect(asked()).toEqual(['__complete', 'bash', '--', 'tunesmith watch Ni', 'Ni']);
  });

  it.skipIf(spawnSync('fish', ['-c', 'true']).status !== 0)('fish completes', () => {
    const env = stub(['Night Drive\tuploading']);
    const script = `${COMPLETION_SCRIPTS.fish}\ncomplete -C 'tunesmith watch --json Ni'`;
    const out = execFileSync('fish', ['--no-config', '-c', script], { env, encoding: 'utf8' });
    expect(out).toBe('Night Drive\tuploading\n');
    expect(asked()).toEqual(['__complete', 'fish', '--', 'watch', '--json', 'Ni']);
    const quoted = script.replace('--json Ni', '"Night Dr');
    execFileSync('fish', ['--no-config', '-c', quoted], { env });
    expect(asked()).toEqual(['__complete', 'fish', '--', 'watch', 'Night Dr']);
  });
});
