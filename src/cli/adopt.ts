/**
 * Client side: a session begun elsewhere, or by a training that has ended, to be gone on with: `--session` with `--clip`,
 * or `--adopt`. What is paid for is found again; what is not certain is uploaded again rather than guessed at.
 */
import type { TrainingRecord } from '../contract/record.js';
import type { AdoptedSession, Source } from '../contract/training.js';
import { urlIdentity } from '../temporal/identity.js';
import { pairOf } from './arguments.js';
import { KEPT_LABEL_LENGTH } from '../library/sessions.js';
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

/** The arguments, with those sources of clips that are not among them behind them. */
export function withClipSources(args: readonly string[], clips: readonly NamedClip[]): string[] {
  const known = new Set(args.map(identityOf));
  return [...args, ...clips.map(({ source }) => source).filter((source) => !known.has(identityOf(source)))];
}

/** @throws UsageError where two clips have the same source. */
export function filesOfClips(
  sources: readonly Source[],
  clips: readonly NamedClip[],
): AdoptedSession['clips'] {
  const found = clips.map(({ clipId, source }) => {
    const index = sources.findIndex((one) =>
      'url' in one ? identityOf(one.url) === identityOf(source) : one.label === source,
    );
    return { file: index + 1, clipId };
  });
  const files = found.map(({ file }) => file);
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw new UsageError(`Two --clip have file ${twice} as their source.`);
  return found;
}

function identityOf(source: string): string {
  return URL.canParse(source) ? urlIdentity(source) : source;
}

/** The sources of a saved training as arguments. @throws UsageError where one of them must be uploaded and cannot be. */
export function savedSources({ sources, clips }: TrainingRecord): string[] {
  const uploaded = new Set(clips.map(({ file }) => file));
  for (const { file, source } of sources) {
    if (uploaded.has(file) || source.length < KEPT_LABEL_LENGTH) continue;
    throw new UsageError(
      `File ${file} has no clip yet, and its URL is too long to be kept whole. Give all files as arguments.`,
    );
  }
  return [...sources].sort((a, b) => a.file - b.file).map(({ source }) => source);
}
