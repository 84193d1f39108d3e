/**
 * Client side: a session begun elsewhere, or by a training that has ended, to be gone on with: `--session` with `--clip`,
 * or `--adopt`. What is paid for is found again; what is not certain is uploaded again rather than guessed at.
 */
import { resolve } from 'node:path';
import type { TrainingRecord } from '../contract/record.js';
import type { AdoptedSession, FileSource, Source } from '../contract/training.js';
import { bytesOf } from '../staging/localFile.js';
import { sourceIdentity } from '../temporal/identity.js';
import { pairOf } from './arguments.js';
import { KEPT_LABEL_LENGTH } from '../library/sessions.js';
import { sourceFrom, type SourceRules } from '../library/sources.js';
import { UsageError } from './exit.js';

/** A clip as the user named it. */
export interface NamedClip {
  clipId: string;
  /** A source: what the file was uploaded from. */
  source: string;
}

/** @throws UsageError where the flags contradict each other. */
export function requireOneWay(flags: { session?: string; clip?: string[]; adopt?: string }): void {
  if (flags.session !== undefined && flags.adopt !== undefined) {
    throw new UsageError('Say --session or --adopt, not both: the file of --adopt names its session.');
  }
  if (flags.clip !== undefined && flags.session === undefined) {
    throw new UsageError(
      flags.adopt === undefined
        ? '--clip needs --session: a clip belongs to the session that it was uploaded to.'
        : 'Say --clip or --adopt, not both: the file of --adopt names its clips.',
    );
  }
}

/** @throws UsageError where a `--clip` is none, or one is named twice. */
export function namedClips(values: readonly string[]): NamedClip[] {
  const clips = values.map((value) => {
    const pair = pairOf(value);
    if (pair === undefined) throw new UsageError('--clip must be ID=SOURCE, e.g. --clip 5f0c…=https://….');
    const [clipId, source] = pair;
    return { clipId, source };
  });
  const ids = clips.map(({ clipId }) => clipId);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new UsageError(`--clip names ${twice} twice: a clip is one file.`);
  return clips;
}

/** A clip, and the source that the user named for it. */
export interface SourcedClip {
  clipId: string;
  source: Source;
}

/** @throws UsageError where a source is none. */
export async function clipSources(clips: readonly NamedClip[], rules: SourceRules): Promise<SourcedClip[]> {
  const found: SourcedClip[] = [];
  for (const { clipId, source } of clips) {
    found.push({ clipId, source: await sourceFrom(source, `The source of clip ${clipId}`, rules) });
  }
  return found;
}

/** @throws UsageError where two clips have the same source. */
export function filesOfClips(
  sources: readonly Source[],
  clips: readonly SourcedClip[],
): AdoptedSession['clips'] {
  const found = clips.map(({ clipId, source }) => {
    const identity = sourceIdentity(source);
    return { file: sources.findIndex((one) => sourceIdentity(one) === identity) + 1, clipId };
  });
  const files = found.map(({ file }) => file);
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw new UsageError(`Two --clip have file ${twice} as their source.`);
  return found;
}

/**
 * The sources of a saved training as arguments. A local file that has its clip need not be here.
 *
 * @throws UsageError where one of them must be uploaded and cannot be.
 */
export async function savedSources(
  { sources, clips }: TrainingRecord,
  folder: string,
): Promise<(string | Source)[]> {
  const uploaded = new Set(clips.map(({ file }) => file));
  const found: (string | Source)[] = [];
  for (const { file, source, sha256 } of [...sources].sort((a, b) => a.file - b.file)) {
    const hasClip = uploaded.has(file);
    if (sha256 !== undefined) {
      found.push(await savedFile(file, source, sha256, hasClip, folder));
    } else if (hasClip || source.length < KEPT_LABEL_LENGTH) {
      found.push(source);
    } else {
      throw new UsageError(
        `File ${file} has no clip yet, and its URL is too long to be kept whole. Give all files as arguments.`,
      );
    }
  }
  return found;
}

async function savedFile(
  file: number,
  label: string,
  sha256: string,
  hasClip: boolean,
  folder: string,
): Promise<FileSource> {
  const path = resolve(folder, label);
  const here = await bytesOf(path).catch(() => undefined);
  if (!hasClip && here?.sha256 !== sha256) {
    const why = here === undefined ? 'is not' : 'has other bytes';
    throw new UsageError(
      `File ${file}, ${label}, has no clip yet, and it ${why} in ${folder}. Give all files, or their folder, as arguments.`,
    );
  }
  return { label, sha256, bytes: here?.sha256 === sha256 ? here.bytes : 0, at: { kind: 'path', path } };
}
