/**
 * Client side: what is left of a training that ended without a model, and the command that goes on from it.
 */
import type { Trainings } from '../library/trainings.js';
import type { Snapshot } from '../library/snapshot.js';
import { commandOf } from './commandLine.js';
import { askedLike } from './like.js';

/**
 * The sentence with the command; undefined where no session was opened, so that nothing is left.
 *
 * @param folder that the user stands in; absolute.
 */
export async function howToGoOn(
  { workflowId, memo: { name, sessionId, uploads } }: Snapshot,
  { records }: Pick<Trainings, 'records'>,
  program: string,
  folder: string,
): Promise<string | undefined> {
  if (sessionId === undefined) return undefined;
  const clips = uploads.filter(({ clipId }) => clipId !== undefined).length;
  const { record } = await records.find(workflowId);
  const asked = record === undefined ? undefined : await askedLike(record, folder);
  // What names the files: the record, or where there is none whoever reads this.
  const like = asked === undefined ? ['--name', name, 'FILES…'] : ['--like', workflowId, ...asked.args];
  // Last, since what follows `--again` might be taken for its label.
  const args = ['train', ...like, '--session', sessionId, '--again'];
  const hints = [
    ...(asked?.isElsewhere === true ? ['in the folder that its files are in'] : []),
    ...(asked?.lacksQuery === true ? ['with the URLs whole: their queries are not kept'] : []),
  ];
  const how = hints.length === 0 ? '' : `, ${hints.join(' and ')}`;
  const paid = clips === 1 ? 'its clip is paid for' : `its ${clips} clips are paid for`;
  return `Session ${sessionId} can be gone on with${how}${clips === 0 ? '' : `; ${paid}`}:\n  ${commandOf(program, args)}`;
}
