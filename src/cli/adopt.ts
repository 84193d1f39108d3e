/**
 * Client side: a session begun elsewhere, or by a training that has ended, to be gone on with: `--session` with `--clip`,
 * or `--adopt`. What is paid for is found again; what is not certain is uploaded again rather than guessed at.
 */
import type { TrainingRecord } from '../contract/record.js';
import type { AdoptedSession, Clip, CreateAttempt, Source } from '../contract/training.js';
import { urlIdentity } from '../temporal/identity.js';
import { pairOf } from './arguments.js';
import { UsageError } from './exit.js';
import type { Snapshot } from '../library/snapshot.js';

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
    const index = sources.findIndex(({ url }) => identityOf(url) === identityOf(source));
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

/**
 * Gives each source the clip that was made of it, as far as labels tell. A label has no query, so two sources may have
 * the same: the number decides then, and where it does not nothing is guessed.
 */
export function matchClips(sources: readonly Source[], kept: readonly Clip[]): AdoptedSession['clips'] {
  return matchKept(sources, kept).map(({ file, kept: { clipId } }) => ({ file, clipId }));
}

/** As `matchClips`, for uploads that were under way. */
export function matchTasks(
  sources: readonly Source[],
  kept: readonly KeptTask[],
): NonNullable<AdoptedSession['tasks']> {
  return matchKept(sources, kept).map(({ file, kept: { taskId } }) => ({ file, taskId }));
}

function matchKept<K extends { file: number; source: string }>(
  sources: readonly Source[],
  kept: readonly K[],
): { file: number; kept: K }[] {
  const free = new Set(kept);
  return sources.flatMap(({ label }, index) => {
    const file = index + 1;
    const fitting = [...free].filter(({ source }) => isCutOf(source, label));
    const alike = sources.filter((other) => fitting.some(({ source }) => isCutOf(source, other.label)));
    const found =
      fitting.find((one) => one.file === file) ??
      (fitting.length === 1 && alike.length === 1 ? fitting[0] : undefined);
    if (found === undefined) return [];
    free.delete(found);
    return [{ file, kept: found }];
  });
}

/** Memo and record keep 200 characters of a label. */
function isCutOf(kept: string, label: string): boolean {
  if (kept === label) return true;
  return kept.length >= LABEL_KEPT && label.startsWith(kept.slice(0, LABEL_KEPT - 1));
}

const LABEL_KEPT = 200;

/** An upload that was under way. */
export interface KeptTask {
  taskId: string;
  file: number;
  source: string;
}

/** What this server remembers of a session. */
export interface KnownSession {
  clips: Clip[];
  /** Uploads that were under way when their training ended. */
  tasks: KeptTask[];
  /** Not later than the first moment at which its create may have been sent; ISO 8601. */
  openedAt: string;
}

/**
 * What trainings and records know of a session, together.
 *
 * @param trainings newest first, like the records.
 */
export function knownSession(
  sessionId: string,
  trainings: readonly Snapshot[],
  records: readonly TrainingRecord[],
): KnownSession | undefined {
  const memories = [
    ...trainings.map(({ memo }) => memo).filter((memo) => memo.sessionId === sessionId),
    ...records.filter((record) => record.sessionId === sessionId),
  ];
  const [first] = memories;
  if (first === undefined) return undefined;
  const clips = new Map<string, Clip>();
  for (const memory of memories) {
    for (const clip of 'clips' in memory ? memory.clips : clipsIn(memory)) {
      if (!clips.has(clip.clipId)) clips.set(clip.clipId, clip);
    }
  }
  const openings = memories.map((memory) => openingOf(memory.startedAt, memory.receipt.create.attempts));
  return {
    clips: [...clips.values()],
    tasks: memories.flatMap((memory) => ('uploads' in memory ? tasksIn(memory) : [])),
    openedAt: openings.sort()[0] ?? first.startedAt,
  };
}

function tasksIn({ uploads }: Snapshot['memo']): KeptTask[] {
  return uploads.flatMap(({ file, label, taskId, clipId }) =>
    taskId === undefined || clipId !== undefined ? [] : [{ taskId, file, source: label }],
  );
}

function clipsIn({ uploads }: Snapshot['memo']): Clip[] {
  return uploads.flatMap(({ file, label, clipId }) =>
    clipId === undefined ? [] : [{ clipId, file, source: label }],
  );
}

/** A training that adopted the session itself is younger than the session: its first attempt says since when. */
export function openingOf(startedAt: string, attempts: readonly CreateAttempt[]): string {
  return [startedAt, ...attempts.map(({ sentAt }) => sentAt)].sort()[0] ?? startedAt;
}

/** The sources of a saved training as arguments. @throws UsageError where one of them must be uploaded and cannot be. */
export function savedSources({ sources, clips }: TrainingRecord): string[] {
  const uploaded = new Set(clips.map(({ file }) => file));
  for (const { file, source } of sources) {
    if (uploaded.has(file) || source.length < LABEL_KEPT) continue;
    throw new UsageError(
      `File ${file} has no clip yet, and its URL is too long to be kept whole. Give all files as arguments.`,
    );
  }
  return [...sources].sort((a, b) => a.file - b.file).map(({ source }) => source);
}
