import { afterEach, expect, it, vi } from 'vitest';
import { untilInterrupted } from '../../src/cli/interrupted.js';

afterEach(() => {
  vi.restoreAllMocks();
});

it('the first Ctrl-C aborts, the second ends the process at once after its last word', () => {
  const left: unknown[] = [];
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    left.push(code);
    return undefined as never;
  });
  const { signal, dispose } = untilInterrupted(['SIGUSR2'], () => left.push('last'));
  process.emit('SIGUSR2', 'SIGUSR2');
  expect({ isAborted: signal.aborted, left }).toEqual({ isAborted: true, left: [] });
  process.emit('SIGUSR2', 'SIGUSR2');
  expect(left).toEqual(['last', 130]);
  dispose();
  expect(process.listenerCount('SIGUSR2')).toBe(0);
});
