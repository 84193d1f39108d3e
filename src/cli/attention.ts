/**
 * Client side: the question at the terminal when a training that is followed needs a person. Each choice has its price, and
 * leaving it parked is always one. The question is withdrawn when somebody else answers, or the cause goes away.
 */
import { checkbox, confirm, input, select } from '@inquirer/prompts';
import { createColors } from 'picocolors';
import type { CorrectionAction } from '../contract/correction.js';
import { fixFlags } from '../contract/fixFlags.js';
import type { Attention, FileProgress } from '../contract/progress.js';
import type { Connected } from '../library/connect.js';
import { lookAtReplacement } from '../library/plan.js';
import type { Snapshot } from '../library/snapshot.js';
import { sourceFrom, type SourceRules } from '../library/sources.js';
import { ask, type PromptContext } from './ask.js';
import { attentionOf, sendCorrection, type Wish } from './correcting.js';
import { type Canvas, costOf } from './draw.js';
import { InterruptedError, UsageError } from './exit.js';
import type { Io, Output } from './output.js';
import { cutMiddle, padded, printable, widthOf, wrapped } from './text.js';

/**
 * `answered`: the correction was taken. `withdrawn`: there is nothing to answer any more. `left`: it stays parked.
 * `interrupted`: so it does, and the person wants to go.
 */
export type Attended = 'answered' | 'withdrawn' | 'left' | 'interrupted';

export interface AttendOptions {
  io: Io;
  output: Output;
  /** As it was seen last. */
  snapshot: Snapshot;
  /** The connection in use; a lost one is made again meanwhile. */
  connected: () => Connected;
  /** The training, again and again, until the signal is aborted or nobody shall wait any longer. */
  looks: (signal: AbortSignal) => AsyncIterable<Snapshot>;
  /** Aborted by a signal to this process. */
  interrupted: AbortSignal;
  rules: SourceRules;
}

/** Asks until there is an answer that is taken; only where somebody is there. */
export async function attend(options: AttendOptions): Promise<Attended> {
  const { io, output, connected, interrupted } = options;
  let { snapshot } = options;
  const asked = attentionOf(snapshot);
  if (asked === undefined) return 'withdrawn';
  const over = new AbortController();
  const state: { end: Attended } = { end: 'interrupted' };
  const finish = (how: Attended): void => {
    state.end = how;
    over.abort();
  };
  const stop = (): void => {
    finish('interrupted');
  };
  interrupted.addEventListener('abort', stop);
  const watching = (async () => {
    for await (const seen of options.looks(over.signal)) {
      snapshot = seen;
      if (!isSame(attentionOf(seen), asked)) {
        finish('withdrawn');
        return;
      }
    }
    if (!over.signal.aborted) finish('left');
  })().catch((error: unknown) => {
    output.say(error instanceof Error ? error.message : String(error));
    finish('left');
  });
  const put = <T>(prompt: (context: PromptContext) => Promise<T>): Promise<T> => ask(io, prompt, over.signal);
  try {
    if (interrupted.aborted) return 'interrupted';
    output.say('');
    for (;;) {
      const wish = await wishFor(asked, snapshot, put, options);
      if (wish === 'left') return 'left';
      if (wish === 'again') continue;
      try {
        await sendCorrection(wish, snapshot, connected(), output, io);
        return 'answered';
      } catch (error) {
        // A late answer, or one that does not apply: the training says why, and may be asked again.
        if (!(error instanceof Error)) throw error;
        output.say(error.message);
      }
    }
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    if (state.end === 'withdrawn')
      output.say('The question is withdrawn: it was answered, or has mended itself.');
    return state.end;
  } finally {
    over.abort();
    interrupted.removeEventListener('abort', stop);
    await watching;
  }
}

function isSame(now: Attention | undefined, asked: Attention): boolean {
  return now?.id === asked.id && now.nextTryAt === undefined;
}

type Put = <T>(prompt: (context: PromptContext) => Promise<T>) => Promise<T>;

/** @returns the wish; `again` where the person thought better of it. */
async function wishFor(
  attention: Attention,
  snapshot: Snapshot,
  put: Put,
  { io, output, rules }: AttendOptions,
): Promise<Wish | 'left' | 'again'> {
  const action = await put((context) =>
    select<CorrectionAction | 'left'>(
      {
        message: 'What now?',
        choices: choicesOf(attention, output.canvas),
        // A key that was pressed too early spends nothing.
        default: 'left',
        pageSize: Math.min(24, Math.max(6, (io.stderr.rows || 24) - 4)),
      },
      context,
    ),
  );
  if (action === 'left') return 'left';
  const files = (snapshot.progress?.files ?? []).filter(({ state }) => state !== 'dropped');
  const flags = fixFlags(action, attention, files);
  if (flags.includes('--accept-second-charge')) {
    const typed = await put((context) =>
      input({ message: 'Create may be charged for the second time. To accept that, type yes:' }, context),
    );
    return typed.trim() === 'yes' ? { action, acceptSecondCharge: true } : 'again';
  }
  switch (action) {
    case 'rename': {
      const name = await put((context) =>
        input(
          {
            message: 'The new name of the model:',
            validate: (text) => text.trim() !== '' || 'A name is needed.',
          },
          context,
        ),
      );
      return { action, name };
    }
    case 'retry': {
      if (!flags.includes('--max-credits')) return { action };
      const credits = await put((context) =>
        input(
          {
            message: 'The new limit, credits:',
            validate: (text) => isCredits(text) || 'A number of credits.',
          },
          context,
        ),
      );
      return { action, maxCredits: Number(credits) };
    }
    case 'replaceFiles': {
      const chosen = await whichFiles('Which files have another source?', files, output, put);
      const replacements = [];
      for (const file of chosen) {
        const typed = await put((context) =>
          input(
            {
              message: `The new source of file ${file.number}, ${nameOf(file)} (a URL or a file):`,
              validate: (text) => whyNoSource(text, rules),
            },
            context,
          ),
        );
        replacements.push({
          file: String(file.number),
          source: await sourceFrom(typed.trim(), 'The new source', rules),
        });
      }
      return replacements.length === 0 ? 'again' : { action, replacements };
    }
    case 'dropFiles': {
      const chosen = await whichFiles('Which files are left out?', files, output, put);
      return chosen.length === 0 ? 'again' : { action, drop: chosen.map(({ number }) => String(number)) };
    }
    case 'giveUp':
    case 'newSession': {
      const message =
        action === 'giveUp' ? 'This ends the training. Sure?' : `This ${costOf(action, attention)}. Sure?`;
      return (await put((context) => confirm({ message, default: false }, context))) ? { action } : 'again';
    }
    case 'resendCreate':
    case 'keepWaiting':
      return { action };
  }
}

/** What each correction is called where it is a choice. */
const TITLES: Record<CorrectionAction, string> = {
  retry: 'Try again',
  rename: 'Another name',
  replaceFiles: 'Other sources',
  dropFiles: 'Leave files out',
  resendCreate: 'Send create again',
  newSession: 'New session',
  keepWaiting: 'Keep waiting',
  giveUp: 'Give up',
};
const LEAVE = 'Leave it parked';

/** The choices of the question. A price that has no room beside its title goes on below: it is never cut. */
export function choicesOf(
  attention: Attention,
  canvas: Canvas,
): { name: string; short: string; value: CorrectionAction | 'left' }[] {
  const paint = createColors(canvas.isColored);
  const titleWidth = Math.max(...Object.values(TITLES).map(widthOf));
  const choice = <V>(value: V, title: string, cost: string): { name: string; short: string; value: V } => {
    const [first = '', ...more] = wrapped(cost, '', Math.max(10, canvas.width - titleWidth - 5));
    return {
      name: [
        `${padded(title, titleWidth)}  ${paint.dim(first)}`,
        // The mark of the choice takes two columns more.
        ...more.map((line) => `${' '.repeat(titleWidth + 4)}${paint.dim(line)}`),
      ].join('\n'),
      short: title,
      value,
    };
  };
  return [
    ...attention.options.map((option) => choice(option, TITLES[option], costOf(option, attention))),
    choice('left' as const, LEAVE, 'answer later; nothing is lost'),
  ];
}

/** The bad ones are chosen already. */
async function whichFiles(
  message: string,
  files: readonly FileProgress[],
  { canvas }: Output,
  put: Put,
): Promise<FileProgress[]> {
  const choices = files.map((file) => ({
    name: cutMiddle(`${file.number}  ${nameOf(file)}  ${file.state}`, canvas.width - 6),
    value: file.number,
    checked: file.state === 'failed' || file.state === 'overdue',
  }));
  const numbers = await put((context) => checkbox({ message, choices, pageSize: 10 }, context));
  return files.filter(({ number }) => numbers.includes(number));
}

function nameOf({ label }: FileProgress): string {
  return printable(label.split('/').at(-1) ?? label);
}

function isCredits(text: string): boolean {
  const value = Number(text);
  return text.trim() !== '' && value >= 0 && value < Infinity;
}

/** @returns true, or why it is none. */
async function whyNoSource(text: string, rules: SourceRules): Promise<true | string> {
  try {
    const what = 'The new source';
    const source = await sourceFrom(text.trim(), what, { ...rules, warn: () => undefined });
    // Of what is only doubtful the person who types it knows better.
    const wrong = (await lookAtReplacement(what, source, rules)).find(({ level }) => level === 'error');
    return wrong?.message ?? true;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}
