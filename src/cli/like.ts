/**
 * Client side: `--like`: the sources of a training that was recorded, to be trained from again. A record has no query of a URL
 * and no file, so what it cannot give is asked for: signed URLs whole, local files by their folder.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { RecordedSource, TrainingRecord } from '../contract/record.js';
import type { Source } from '../contract/training.js';
import { KEPT_LABEL_LENGTH } from '../library/sessions.js';
import { labelOf } from '../library/sources.js';
import { AUDIO_EXTENSIONS, bytesOf, extensionOf } from '../staging/localFile.js';
import type { Settings } from '../temporal/settings.js';
import { connectOrSay } from './commands/common.js';
import { UsageError } from './exit.js';
import type { Io, Output } from './output.js';
import { counted } from './text.js';

/** More than these are not named in a sentence. */
const NAMED = 8;

/** @throws UsageError where no training fits, or it has no record yet. */
export async function recordLike(
  id: string,
  settings: Settings,
  output: Output,
  io: Io,
): Promise<TrainingRecord> {
  const connected = await connectOrSay(settings, output, io, { purpose: 'if-state' });
  try {
    const { trainings } = connected;
    const workflowId = await trainings.resolve(id);
    const { record } = await trainings.records.find(workflowId);
    if (record !== undefined) return record;
    throw new UsageError(`${workflowId} has no record yet: it is written before create is sent.`);
  } finally {
    await connected.close();
  }
}

/**
 * @param given what the user typed beside, expanded: it stands for those sources that it is.
 * @param warn gets a sentence about files that are none of them.
 * @returns URLs and known sources, in the order of the record.
 * @throws UsageError where a source can be had neither from the record nor from what is given, or a URL is none of them.
 */
export function sourcesLike(
  { name, sources }: Pick<TrainingRecord, 'name' | 'sources'>,
  given: readonly Source[],
  warn: (line: string) => void,
): (string | Source)[] {
  const left = new Set(given);
  const missing: string[] = [];
  const found = [...sources]
    .sort((a, b) => a.file - b.file)
    .map((recorded) => {
      const match = [...left].find((source) => isSame(recorded, source));
      if (match !== undefined) {
        left.delete(match);
        return match;
      }
      const why = whyNotKept(recorded);
      if (why !== undefined) missing.push(`file ${recorded.file}, ${recorded.source} (${why})`);
      return recorded.source;
    });
  if (missing.length > 0) {
    const more = missing.length > NAMED ? `; and ${missing.length - NAMED} more` : '';
    throw new UsageError(
      `The record of "${name}" cannot give all of its files. Give these as arguments, signed URLs whole and local files by their folder: ${missing.slice(0, NAMED).join('; ')}${more}.`,
    );
  }
  const stray = [...left].find((source) => 'url' in source);
  if (stray !== undefined) {
    throw new UsageError(
      `${stray.label} is none of the files of "${name}". --like trains from the same files.`,
    );
  }
  if (left.size > 0)
    warn(`Left out, since "${name}" was not trained from them: ${counted(left.size, 'local file')}.`);
  return found;
}

/** What `--like` cannot take from the record, as arguments. */
export interface AskedLike {
  /** Local files, as their folder where that has no other audio; and URLs with a `?` where their query stood. */
  args: string[];
  /** The query of a URL is missing. */
  lacksQuery: boolean;
  /** Local files that are not where the arguments say, seen from this folder. */
  isElsewhere: boolean;
}

/**
 * @param folder that the user stands in; absolute.
 * @returns what stands beside `--like` in a command that trains from the same sources.
 */
export async function askedLike(
  { sources }: Pick<TrainingRecord, 'sources'>,
  folder: string,
): Promise<AskedLike> {
  const local = sources.filter(({ sha256 }) => sha256 !== undefined);
  const urls = sources
    .filter((source) => source.sha256 === undefined && whyNotKept(source) !== undefined)
    .map(({ source }) => `${source}?`);
  const areHere = await Promise.all(
    local.map(async ({ source, sha256 }) => {
      const here = await bytesOf(resolve(folder, source)).catch(() => undefined);
      return here?.sha256 === sha256;
    }),
  );
  const paths = local.map(({ source }) => source);
  return {
    args: [...((await folderOfAll(paths, folder)) ?? paths), ...urls],
    lacksQuery: urls.length > 0,
    isElsewhere: areHere.includes(false),
  };
}

/** @returns undefined where they lie in several folders, or others lie beside them. */
async function folderOfAll(paths: readonly string[], folder: string): Promise<[string] | undefined> {
  const [first, ...others] = new Set(paths.map((path) => dirname(path)));
  if (first === undefined || others.length > 0) return undefined;
  const names = await readdir(resolve(folder, first)).catch(() => []);
  const audio = names.filter((name) => !name.startsWith('.') && AUDIO_EXTENSIONS.includes(extensionOf(name)));
  const isAll = audio.length === paths.length && paths.every((path) => audio.includes(basename(path)));
  return isAll ? [first] : undefined;
}

function isSame({ source: kept, sha256 }: RecordedSource, source: Source): boolean {
  if (!('url' in source)) return source.sha256 === sha256;
  if (sha256 !== undefined) return false;
  return kept === source.label || (kept.length >= KEPT_LABEL_LENGTH && source.label.startsWith(kept));
}

/** Why the label alone does not lead to the bytes; undefined where it does. */
function whyNotKept({ source, sha256, hasQuery }: RecordedSource): string | undefined {
  if (sha256 !== undefined) return 'a local file';
  if (hasQuery === true) return 'the query of its URL is not kept';
  // A label is made readable and cut, and not every one leads back.
  const url = URL.canParse(source) ? new URL(source) : undefined;
  const isWhole = url !== undefined && source.length < KEPT_LABEL_LENGTH && labelOf(url) === source;
  return isWhole ? undefined : 'its URL is not kept whole';
}
