/**
 * Client side: following as every command does it, be it a training or a song: the connection that is made again, Ctrl-C,
 * the question where it waits for somebody, and the words with which it is left. It draws nothing itself.
 */
import type { CorrectionAction } from '../../contract/correction.js';
import type { Attention } from '../../contract/progress.js';
import { connect, type Connected } from '../../library/connect.js';
import { looks, type LooksOptions } from '../../library/follow.js';
import { attachFollower } from '../../temporal/background.js';
import { readSettings } from '../../temporal/settings.js';
import { canAsk } from '../ask.js';
import { attend } from '../attention.js';
import { attentionOf } from '../correcting.js';
import { reasonLines, waitWords } from '../draw.js';
import { CommandError, Exit } from '../exit.js';
import { follow, type Followable, type Show } from '../follow.js';
import { untilInterrupted } from '../interrupted.js';
import { endJson, type Io, type Output, programIn } from '../output.js';
import { asCalled, folderOf, type JsonFlag } from './common.js';

export interface FollowFlags extends JsonFlag {
  detach?: boolean;
  wait?: number;
}

/** What is followed, and all that is its own about it. */
export interface Subject<S extends Followable> {
  noun: 'training' | 'song';
  workflowId: string;
  look: (connected: Connected) => Promise<S>;
  /** Where it is shown. `end`: what was drawn last stays. */
  view: (uiOf: (snapshot: S) => string | undefined) => Show<S> & { end(): void };
  /** Instead of following: what `--detach` gives. */
  leave: (connected: Connected) => Promise<void>;
  /** When it is done. @returns the exit code. */
  finish: (connected: Connected, interrupted: AbortSignal) => Promise<number>;
  /** After an end without what was wanted: what is left of it, and the command that goes on. */
  ended?: (connected: Connected, last: S) => Promise<void>;
  /** What it cost so far, in a few words. */
  spentIn: (snapshot: S) => string;
  /** What an answer costs, in a few words. */
  costOf: (option: CorrectionAction, attention: Attention, snapshot: S) => string;
  /** The commands that answer an attention. */
  answerLines: (attention: Attention, snapshot: S) => string[];
}

/** Follows until there is a reason to stop, and says what the reason was. */
export async function followSubject<S extends Followable>(
  subject: Subject<S>,
  connected: Connected,
  output: Output,
  flags: FollowFlags,
  io: Io,
): Promise<number> {
  const { noun, workflowId } = subject;
  const program = programIn(io.env);
  const comeBack = `${program} watch ${workflowId}`;
  if (flags.detach === true) {
    await subject.leave(connected);
    output.say(`It goes on by itself. To come back: ${comeBack}`);
    return Exit.stillRunning;
  }
  const settings = readSettings(io.env);
  const release = connected.isOwn ? attachFollower(settings) : (): void => undefined;
  const interrupted = untilInterrupted(['SIGINT', 'SIGTERM'], () => {
    if (output.isJson) endJson(io, true, Exit.interrupted);
  });
  let current = connected;
  const view = subject.view(({ runId }) => current.uiOf(workflowId, runId));
  // Through the view: a line written past it would break the picture in two.
  const note = (line: string): void => {
    view.note(asCalled(line, io));
  };
  const until = Date.now() + (flags.wait ?? Infinity);
  const looking = (): Omit<LooksOptions<S>, 'note' | 'signal'> => ({
    look: () => subject.look(current),
    reconnect: async () => {
      const next = await connect(settings, { purpose: 'if-state', env: io.env, say: note });
      if (next === undefined) throw new CommandError('The state of the background server is gone.');
      if (current !== connected) await current.close();
      current = next;
      return next.worker !== undefined;
    },
    isOwn: connected.isOwn,
    isCurrent: () => current.isCurrent(),
    waitMs: flags.wait === undefined ? undefined : Math.max(0, until - Date.now()),
    noun,
    workerCommand: `${program} worker`,
  });
  try {
    for (;;) {
      const show: Show<S> = {
        snapshot: (seen) => {
          view.snapshot(seen);
        },
        note,
      };
      const { exit, last } = await follow({ ...looking(), show, interrupted: interrupted.signal });
      view.end();
      if (exit === Exit.done) return await subject.finish(current, interrupted.signal);
      let end = exit;
      if (last !== undefined && isPark(exit, last) && output.isDrawn && canAsk(io)) {
        const attended = await attend({
          io,
          output,
          subject,
          snapshot: last,
          connected: () => current,
          // What is wrong with the connection is said when it matters: after an answer.
          looks: (signal) => looks({ ...looking(), note: () => undefined, signal }),
          interrupted: interrupted.signal,
          rules: { folder: folderOf(io), allowPrivateUrls: settings.allowPrivateUrls, warn: output.say },
        });
        if (attended === 'answered' || attended === 'withdrawn') continue;
        if (attended === 'interrupted') end = Exit.interrupted;
      }
      sayWhy(end, last, subject, comeBack, output);
      if (last !== undefined && last.status !== 'running') await subject.ended?.(current, last);
      return end;
    }
  } finally {
    view.end();
    interrupted.dispose();
    release();
    if (current !== connected) await current.close();
  }
}

/** It waits, and only for a person. */
function isPark(exit: Exit, last: Followable): boolean {
  return (exit === Exit.parked || exit === Exit.chargeUnknown) && attentionOf(last)?.nextTryAt === undefined;
}

function sayWhy<S extends Followable>(
  exit: Exit,
  last: S | undefined,
  { noun, spentIn, answerLines }: Subject<S>,
  comeBack: string,
  output: Output,
): void {
  const spent = last === undefined ? '' : ` So far: ${spentIn(last)}.`;
  const attention = last === undefined ? undefined : attentionOf(last);
  if (exit === Exit.stillRunning || (exit === Exit.interrupted && attention === undefined)) {
    output.say(`The ${noun} goes on.${spent} To come back: ${comeBack}`);
  } else if (last !== undefined && attention !== undefined) {
    // Records are not for people.
    if (output.isJson) for (const line of reasonLines(attention, output.canvas)) output.say(line);
    // Neither a question nor a picture that must fit has room for them; lines have them already.
    if (output.isDrawn || output.isJson) for (const line of answerLines(attention, last)) output.say(line);
    output.say(
      attention.nextTryAt === undefined
        ? `It waits for you: one of the commands above answers it and goes on. To come back: ${comeBack}`
        : `${waitWords(attention, output.canvas)}${spent} To come back: ${comeBack}`,
    );
  } else if (last !== undefined) {
    output.say(`Ended: ${last.status}.${spent}`);
  }
}
