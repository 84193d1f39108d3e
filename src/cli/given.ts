/**
 * Client side: what is given to train from, beside the arguments: a list (`--from`), and the files of an earlier training
 * (`--like`).
 */
import { Option } from 'commander';
import type { Source } from '../contract/training.js';
import { expanded } from '../library/sources.js';
import type { Settings } from '../temporal/settings.js';
import { notEmpty } from './arguments.js';
import { folderOf } from './commands/common.js';
import { sourcesIn } from './fromFile.js';
import { recordLike, sourcesLike } from './like.js';
import type { Io, Output } from './output.js';

export interface GivenFlags {
  from?: string;
  like?: string;
}

export const givenOptions = (): Option[] => [
  new Option(
    '--from <file>',
    'a list of sources, one a line; a line that begins with # is a remark; - is stdin',
  ).argParser(notEmpty),
  new Option(
    '--like <id>',
    'the files of a model or training, and its name unless --name is given; with --again it is rebuilt',
  )
    .argParser(notEmpty)
    .conflicts('adopt'),
];

/**
 * @param typed the arguments.
 * @returns arguments and known sources, and the name that goes with them where there is one.
 * @throws UsageError where a list cannot be read, or a record cannot give its files.
 */
export async function givenOf(
  typed: string[],
  { from, like }: GivenFlags,
  settings: Settings,
  output: Output,
  io: Io,
): Promise<{ args: (string | Source)[]; name?: string }> {
  const folder = folderOf(io);
  const args = from === undefined ? typed : [...sourcesIn(from, folder), ...typed];
  if (like === undefined) return { args };
  const record = await recordLike(like, settings, output, io);
  const { allowPrivateUrls } = settings;
  const given = await expanded(args, { folder, allowPrivateUrls, warn: output.say });
  return { args: sourcesLike(record, given, output.say), name: record.name };
}
