/**
 * Client side: questions at the terminal. They stand on stderr, since stdout is data, and leave stdin as it was, so that
 * the process can end.
 */
import type * as prompts from '@inquirer/prompts';
import { InterruptedError } from './exit.js';
import type { Io } from './output.js';

/** What a prompt of @inquirer/prompts wants beside its question. */
interface PromptContext {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  signal: AbortSignal;
}

/** Puts one question. */
export type Prompt<T> = (context: PromptContext, given: typeof prompts) => Promise<T>;

/** Whether somebody sits there. */
export function canAsk({ stdin, stderr, env }: Io): boolean {
  return stdin?.isTTY === true && stderr.isTTY && env['TERM'] !== 'dumb';
}

/**
 * Asks one question; only where `canAsk`.
 *
 * @param prompt e.g. `(context, { confirm }) => confirm({ message: 'Go on?' }, context)`.
 * @param signal withdraws the question.
 * @throws InterruptedError where it is answered by Ctrl-C, by Ctrl-D or by a terminal that went away, or is withdrawn.
 */
export async function ask<T>({ stdin, stderr }: Io, prompt: Prompt<T>, signal?: AbortSignal): Promise<T> {
  if (stdin === undefined || signal?.aborted === true) throw new InterruptedError();
  const gone = new AbortController();
  const end = (): void => {
    gone.abort();
  };
  // A prompt hears Ctrl-C only. At the end of its input it would wait for ever, and the process end in the middle of it.
  const onKey = (_: unknown, key: { name?: string; ctrl?: boolean } | undefined): void => {
    if (key?.ctrl === true && key.name === 'd') end();
  };
  signal?.addEventListener('abort', end);
  stdin.ref();
  stdin.on('keypress', onKey).once('end', end).once('close', end);
  try {
    // Loaded when it is needed: most commands ask nothing.
    const loaded = await import('@inquirer/prompts');
    return await prompt({ input: stdin, output: stderr, signal: gone.signal }, loaded);
  } catch (error) {
    if (error instanceof Error && /^(ExitPrompt|AbortPrompt|CancelPrompt)Error$/.test(error.name)) {
      throw new InterruptedError();
    }
    throw error;
  } finally {
    signal?.removeEventListener('abort', end);
    stdin.off('keypress', onKey).off('end', end).off('close', end);
    // A terminal that was read from keeps a process alive.
    stdin.unref();
  }
}
