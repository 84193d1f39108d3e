/**
 * Client side: the wait of `cancel`, be it for a training or a song.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../exit.js';
import type { Followable } from '../follow.js';
import type { Output } from '../output.js';

const LOOK_EVERY_MS = 250;
/** Looks in a row that no worker answers. */
const PATIENT_LOOKS = 2;

/**
 * Looks until what was asked to stop has stopped.
 *
 * @param waitsFor why it has not yet, as a sentence; each is said once.
 * @throws CommandError where no worker answers.
 */
export async function untilStopped<S extends Followable>(
  noun: 'training' | 'song',
  look: () => Promise<S>,
  output: Output,
  waitsFor: (now: S) => string | undefined = () => undefined,
): Promise<S> {
  output.say('Asked it to stop.');
  let said: string | undefined;
  for (let unanswered = 0; unanswered <= PATIENT_LOOKS;) {
    const now = await look();
    if (now.status !== 'running') return now;
    const why = waitsFor(now);
    if (why !== undefined && why !== said) output.say(why);
    said = why ?? said;
    unanswered = now.progress === undefined ? unanswered + 1 : 0;
    await sleep(LOOK_EVERY_MS);
  }
  throw new CommandError(
    `No worker answers. The ${noun} is cancelled as soon as one runs: \`tunesmith worker\`.`,
  );
}
