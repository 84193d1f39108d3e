/**
 * Client side: the question at the terminal when a training or a song that is followed needs a person. Each choice has its price, and
 * leaving it parked is always one. The question is withdrawn when somebody else answers, or the cause goes away.
 */
import { createColors } from 'picocolors';
import type { CorrectionAction } from '../contract/correction.js';
import { fixFlags } from '../contract/fixFlags.js';
import { lastPartOf } from '../contract/labels.js';
import type { Attention, FileProgress } from '../contract/progress.js';
import type { Connected } from '../library/connect.js';
import { lookAtReplacement } from '../library/plan.js';
import { sourceFrom, type SourceRules } from '../library/sources.js';
import { ask, type Prompt } from './ask.js';
import { attentionOf, filesOf, sendCorrection, type Wish } from './correcting.js';
import type { Canvas } from './draw.js';
import { InterruptedError, UsageError } from './exit.js';
import type { Followable } from './follow.js';
import type { Io, Output } from './output.js';
import { cutMiddle, padded, printable, widthOf, wrapped } from './text.js';

/**
 * `answered`: the correction was taken. `withdrawn`: there is nothing to answer any more. `left`: it stays parked.
 * `interrupted`: so it does, and the person wants to go.
 */
export type Attended = 'answered' | 'withdrawn' | 'left' | 'interrupted';

export interface AttendOptions<S extends Followable> {
  io: Io;
  output: Output;
  /** How it is spoken of. */
  subject: {
    noun: 'training' | 'song';
    /** What an answer costs, in a few words. */
    costOf: (option: CorrectionAction, attention: Attention, snapshot: S) => string;
  };
  /** As it was seen last. */
  snapshot: S;
  /** The connection in use; a lost one is made again meanwhile. */
  connected: () => Connected;
  /** It is looked at again and again, until the signal is aborted or nobody shall wait any longer. */
  looks: (signal: AbortSignal) => AsyncIterable<S>;
  /** Aborted by a signal to this process. */
  interrupted: AbortSignal;
  rules: SourceRules;
}

/** Asks until there is an answer that is taken; only where somebody is there. */
export async function attend<S extends Followable>(options: AttendOptions<S>): Promise<Attended> {
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
  const put: Put = (prompt) => ask(io, prompt, over.signal);
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
        // A late answer, or one that does not apply: the workflow says why, and may be asked again.
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

type Put = <T>(prompt: Prompt<T>) => Promise<T>;

/** @returns the wish; `again` where the person thought better of it. */
async function wishFor<S extends Followable>(
  attention: Attention,
  snapshot: S,
  put: Put,
  { io, output, rules, subject: { noun, costOf } }: AttendOptions<S>,
): Promise<Wish | 'left' | 'again'> {
  const costIn = (option: CorrectionAction): string => costOf(option, attention, snapshot);
  const action = await put((context, { select }) =>
    select<CorrectionAction | 'left'>(
      {
        message: 'What now?',
        choices: choicesOf(attention, output.canvas, costIn),
        // A key that was pressed too early spends nothing.
        default: 'left',
        pageSize: Math.min(24, Math.max(6, (io.stderr.rows || 24) - 4)),
      },
      context,
    ),
  );
  if (action === 'left') return 'left';
  const files = (filesOf(snapshot) ?? []).filter(({ state }) => state !== 'dropped');
  const flags = fixFlags(action, attention, files);
  if (flags.includes('--accept-second-charge')) {
    const what = noun === 'song' ? 'The song' : 'Create';
    const message = `${what} may be charged for the second time. To accept that, type yes:`;
    const typed = await put((context, { input }) => input({ message }, context));
    return typed.trim() === 'yes' ? { action, acceptSecondCharge: true } : 'again';
  }
  switch (action) {
    case 'rename': {
      const name = await put((context, { input }) =>
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
      const credits = await put((context, { input }) =>
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
        const typed = await put((context, { input }) =>
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
      const message = action === 'giveUp' ? `This ends the ${noun}. Sure?` : `This ${costIn(action)}. Sure?`;
      return (await put((context, { confirm }) => confirm({ message, default: false }, context)))
        ? { action }
        : 'again';
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
  costIn: (option: CorrectionAction) => string,
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
    ...attention.options.map((option) => choice(option, TITLES[option], costIn(option))),
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
  const numbers = await put((context, { checkbox }) => checkbox({ message, choices, pageSize: 10 }, context));
  return files.filter(({ number }) => numbers.includes(number));
}

function nameOf({ label }: FileProgress): string {
  return printable(lastPartOf(label));
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
