/**
 * Client side: what is known of a session that is to be gone on with. What is paid for is found again; what is not
 * certain is left to be uploaded again rather than guessed at.
 */
import type { UploadedFile } from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import type { AdoptedSession, Clip, CreateAttempt, Source } from '../contract/training.js';
import { savedClips, type Snapshot } from './snapshot.js';

/** Characters of a label that memo and record keep. */
export const KEPT_LABEL_LENGTH = 200;

/**
 * Gives each source the clip that was made of it. A local file is known by its bytes; a URL as far as labels tell. A label
 * has no query, so two sources may have the same: the number decides then, and where it does not nothing is guessed.
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

function matchKept<K extends { file: number; source: string; sha256?: string }>(
  sources: readonly Source[],
  kept: readonly K[],
): { file: number; kept: K }[] {
  const free = new Set(kept);
  return sources.flatMap((source, index) => {
    const file = index + 1;
    const fitting = [...free].filter((one) => isMadeOf(one, source));
    const alike = sources.filter((other) => fitting.some((one) => isMadeOf(one, other)));
    const found =
      fitting.find((one) => one.file === file) ??
      (fitting.length === 1 && alike.length === 1 ? fitting[0] : undefined);
    if (found === undefined) return [];
    free.delete(found);
    return [{ file, kept: found }];
  });
}

function isMadeOf(kept: { source: string; sha256?: string }, source: Source): boolean {
  if (!('url' in source)) return kept.sha256 === source.sha256;
  return kept.sha256 === undefined && isCutOf(kept.source, source.label);
}

function isCutOf(kept: string, label: string): boolean {
  if (kept === label) return true;
  return kept.length >= KEPT_LABEL_LENGTH && label.startsWith(kept.slice(0, KEPT_LABEL_LENGTH - 1));
}

/** An upload that was under way. */
export interface KeptTask {
  taskId: string;
  file: number;
  source: string;
  /** Of a local file. */
  sha256?: string;
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
  { sessionId, origin }: { sessionId: string; origin: string },
  trainings: readonly Snapshot[],
  records: readonly TrainingRecord[],
): KnownSession | undefined {
  const isOfIt = (memory: { sessionId?: string; origin: string }): boolean =>
    memory.sessionId === sessionId && memory.origin === origin;
  const memories = [...trainings.map(({ memo }) => memo).filter(isOfIt), ...records.filter(isOfIt)];
  const [first] = memories;
  if (first === undefined) return undefined;
  const clips = new Map<string, Clip>();
  for (const memory of memories) {
    for (const clip of 'clips' in memory ? savedClips(memory) : clipsIn(memory)) {
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

/** A session that is to be gone on with, as far as the caller knows it. */
export interface NamedSession extends Omit<AdoptedSession, 'clips'> {
  /** Absent: those that the server remembers. */
  clips?: AdoptedSession['clips'];
}

/** The session with what the server remembers of it: clips where none are named, uploads under way, its age. */
export function recalled(
  { sessionId, clips: named, tasks: underWay = [], openedAt }: NamedSession,
  sources: readonly Source[],
  known: KnownSession | undefined,
): AdoptedSession {
  const clips = named ?? matchClips(sources, known?.clips ?? []);
  const tasks = [...underWay, ...matchTasks(sources, known?.tasks ?? [])].filter(
    ({ file }, index, all) =>
      !clips.some((clip) => clip.file === file) && all.findIndex((one) => one.file === file) === index,
  );
  const opened = known?.openedAt ?? openedAt;
  return {
    sessionId,
    clips,
    ...(tasks.length === 0 ? {} : { tasks }),
    ...(opened === undefined ? {} : { openedAt: opened }),
  };
}

function tasksIn({ uploads }: Snapshot['memo']): KeptTask[] {
  return uploads.flatMap(({ taskId, clipId, ...upload }) =>
    taskId === undefined || clipId !== undefined ? [] : [{ taskId, ...madeOf(upload) }],
  );
}

function clipsIn({ uploads }: Snapshot['memo']): Clip[] {
  return uploads.flatMap(({ clipId, ...upload }) =>
    clipId === undefined ? [] : [{ clipId, ...madeOf(upload) }],
  );
}

function madeOf({ file, label, sha256 }: Omit<UploadedFile, 'clipId' | 'taskId'>): Omit<Clip, 'clipId'> {
  return { file, source: label, ...(sha256 === undefined ? {} : { sha256 }) };
}

/** A training that adopted the session itself is younger than the session: its first attempt says since when. */
export function openingOf(startedAt: string, attempts: readonly CreateAttempt[]): string {
  return [startedAt, ...attempts.map(({ sentAt }) => sentAt)].sort()[0] ?? startedAt;
}
