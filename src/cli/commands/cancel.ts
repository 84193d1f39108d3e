/**
 * Client side: `cancel`. Mountsea has no cancel, so what counts is what is said about the money at each phase.
 */
import { defineCommand, idOrSong, json } from '../command.js';
import type { ChargeVerdict } from '../../contract/training.js';
import type { Connected } from '../../library/connect.js';
import { endedWords, spentWords } from '../draw.js';
import { Exit, exitOfEnd } from '../exit.js';
import { type Output, recordOf } from '../output.js';
import type { Snapshot } from '../../library/snapshot.js';
import { remoteWords } from '../../money/receipt.js';
import { howToGoOn } from '../goOn.js';
import { folderOf, isRunning, type JsonFlag, withTraining } from './common.js';
import { cancelSong } from './songs.js';
import { untilStopped } from './stopping.js';

export const cancelCommand = defineCommand<JsonFlag, [string?]>({
  name: 'cancel',
  summary: 'cancel a training or a song, and say what is spent',
  description: [
    'Mountsea has no cancel. Before create nothing but the uploads is spent; while create is out it waits for the truth about the charge; afterwards 100 credits are spent and Mountsea goes on training in the session, which can be gone on with later. A training that has its model already ends as done.',
  ].join('\n\n'),
  arguments: [idOrSong()],
  options: [json()],
  examples: [{ line: 'cancel "Night Drive"', does: 'stop it, and hear what is spent' }],
  isFor: isRunning,
  takesSongs: true,
  run: (call) =>
    withTraining(
      call,
      (connected, workflowId, output) => cancel(connected, workflowId, output, folderOf(call.io)),
      cancelSong,
    ),
});

/** @param folder that the user stands in; absolute. */
async function cancel(
  connected: Connected,
  workflowId: string,
  output: Output,
  folder: string,
): Promise<number> {
  const { trainings } = connected;
  const before = await trainings.look(workflowId);
  if (before.status !== 'running') {
    output.json(recordOf(before));
    output.say(`${workflowId} has ended already: ${endedWords(before)} ${spentWords(before.memo)}.`);
    const goOn =
      before.status === 'completed'
        ? undefined
        : await howToGoOn(before, trainings, output.canvas.program, folder);
    if (goOn !== undefined) output.say(goOn);
    return Exit.done;
  }
  await trainings.cancel(workflowId);
  const end = await untilStopped('training', () => trainings.look(workflowId), output, waitsFor);
  return tellEnd(end, connected, output, folder);
}

/** What a training that is to stop still waits for: the truth about a charge that may have been made, or its books. */
function waitsFor({ progress }: Snapshot): string | undefined {
  if (progress === undefined) return undefined;
  const { attention, phase, modelId } = progress;
  if (modelId !== undefined) return `It has its model already, and ends as done: ${modelId}`;
  if (attention?.kind === 'charge-unknown') {
    return `It ends when it is known what became of create. ${attention.message}`;
  }
  return phase === 'creating'
    ? 'Create is out: it ends when it is known whether it was accepted.'
    : undefined;
}

async function tellEnd(
  end: Snapshot,
  { trainings }: Connected,
  output: Output,
  folder: string,
): Promise<number> {
  const { status, memo } = end;
  const { receipt } = memo;
  output.json(recordOf(end));
  output.say(`Ended: ${status}. ${spentWords(memo)}.`);
  if (status === 'completed') {
    output.say(`It had its model before it could stop: ${memo.modelId ?? ''}`);
    return Exit.done;
  }
  const { program } = output.canvas;
  output.say(moneySentence(end, program));
  const goOn = await howToGoOn(end, trainings, program, folder);
  if (goOn !== undefined) output.say(goOn);
  return exitOfEnd(receipt.create.verdict);
}

function moneySentence({ memo: { receipt }, workflowId }: Snapshot, program: string): string {
  const { verdict, attempts } = receipt.create;
  const paid: Record<ChargeVerdict, string> = {
    'not-charged': 'Create was not charged: nothing but the uploads is spent.',
    charged: 'Create is paid for.',
    unknown: `Whether create was charged is not known; the ledger is looked at for another day, and \`${program} status ${workflowId}\` shows what comes of it.`,
  };
  return [paid[verdict], ...remoteWords(attempts, 'training')].join(' ');
}
