/**
 * Questions at the terminal, on streams that pass for one. That a real terminal is released is seen in test/e2e.
 */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ask, canAsk } from '../../src/cli/ask.js';
import { InterruptedError } from '../../src/cli/exit.js';
import type { Io } from '../../src/cli/output.js';
import { main } from '../../src/cli/program.js';
import { waitUntil } from '../support/waitUntil.js';

function terminal(): { io: Io; stdin: PassThrough; shown: () => string; stdout: PassThrough } {
  const isTTY = true;
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    ref: () => undefined,
    unref: () => undefined,
    setRawMode: () => undefined,
  });
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80, rows: 24 });
  const stdout = new PassThrough();
  let text = '';
  stderr.on('data', (chunk) => (text += String(chunk)));
  const io = { env: {}, stdin, stdout, stderr, cwd: '/' } as unknown as Io;
  return { io, stdin, stdout, shown: () => text };
}

const goOn = (io: Io): Promise<boolean> =>
  ask(io, (context, { confirm }) => confirm({ message: 'Go on?', default: false }, context));

describe('a question', () => {
  it('stands on stderr and is answered from stdin, which is released', async () => {
    const { io, stdin, stdout, shown } = terminal();
    const answer = goOn(io);
    await waitUntil('it is asked', () => shown().includes('Go on?'));
    stdin.write('y\r');
    expect(await answer).toBe(true);
    expect(stdout.read()).toBeNull();
    expect(stdin.isPaused()).toBe(true);
    for (const event of ['end', 'close', 'data']) expect(stdin.listenerCount(event)).toBeLessThan(2);
  });

  it('may be asked a second time', async () => {
    const { io, stdin, shown } = terminal();
    for (const count of [1, 2]) {
      const answer = goOn(io);
      await waitUntil('it is asked', () => shown().split('Go on?').length > count);
      stdin.write('y\r');
      expect(await answer).toBe(true);
    }
  });

  it.each([
    ['Ctrl-C', (stdin: PassThrough) => stdin.write('\x03')],
    ['Ctrl-D', (stdin: PassThrough) => stdin.write('\x04')],
    ['the end of the terminal', (stdin: PassThrough) => stdin.end()],
  ])('is left by %s', async (_, leave) => {
    const { io, stdin, shown } = terminal();
    const answer = goOn(io);
    await waitUntil('it is asked', () => shown().includes('Go on?'));
    leave(stdin);
    await expect(answer).rejects.toThrow(InterruptedError);
  });

  it('is not asked where nobody could answer', () => {
    const { io } = terminal();
    expect(canAsk(io)).toBe(true);
    expect(canAsk({ ...io, env: { TERM: 'dumb' } })).toBeFalsy();
    expect(canAsk({ ...io, stderr: new PassThrough() as unknown as NodeJS.WriteStream })).toBeFalsy();
    expect(canAsk({ env: {}, stdout: io.stdout, stderr: io.stderr, cwd: '/' })).toBeFalsy();
  });
});

describe('an id that is left out', () => {
  it.each(['status', 'watch', 'result', 'cancel', 'fix'])(
    'is exit 2 and a sentence where nobody can be asked: %s',
    async (command) => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const io = { env: { TUNESMITH_HOME: '/nonexistent' }, stdout, stderr, cwd: '/' } as unknown as Io;
      expect(await main(command === 'fix' ? ['fix', '--retry'] : [command], io)).toBe(2);
      expect(String(stderr.read())).toMatch(
        /^Say which training( or song)?: .*`tunesmith list` shows them all/,
      );
    },
  );
});
