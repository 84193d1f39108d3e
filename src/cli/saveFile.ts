/**
 * Client side: the file of `--save`, which is a `TrainingRecord`. The worker of our own server writes it before create is
 * sent; this is how a command reads it (`--adopt`) and keeps it current while it follows.
 */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { FileProgress } from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import { makePrivateFolder, readIfThere, writeWhole } from '../temporal/files.js';
import { UsageError } from './exit.js';
import type { Snapshot, TrainingStatus } from '../library/snapshot.js';

const instant = z.iso.datetime();
const verdict = z.enum(['charged', 'not-charged', 'unknown']);
const amount = z.number().nonnegative();
const fileNumber = z.number().int().positive();
const text = z.string().min(1);

const savedTraining: z.ZodType<TrainingRecord> = z.object({
  version: z.literal(1),
  workflowId: text,
  name: z.string().trim().min(1),
  origin: z.url(),
  keyFingerprint: z.string().exactOptional(),
  sessionId: text.exactOptional(),
  createTaskId: text.exactOptional(),
  modelId: text.exactOptional(),
  end: z.enum(['open', 'done', 'failed', 'cancelled']),
  sources: z.array(
    z.object({
      file: fileNumber,
      source: text,
      sha256: text.exactOptional(),
      hasQuery: z.literal(true).exactOptional(),
    }),
  ),
  clips: z.array(z.object({ clipId: text, file: fileNumber, source: text })),
  receipt: z.object({
    create: z.object({
      verdict,
      credits: amount.exactOptional(),
      sends: amount,
      provisional: z.boolean().exactOptional(),
      evidence: z.array(z.string()),
      attempts: z.array(
        z.object({
          decision: z.string(),
          sessionId: text,
          taskId: text.exactOptional(),
          modelId: text.exactOptional(),
          sentAt: instant,
          verdict,
          credits: amount.exactOptional(),
          rowId: z.string().exactOptional(),
          refundRowId: z.string().exactOptional(),
          provisional: z.boolean().exactOptional(),
          ended: z.enum(['failed', 'unclear']).exactOptional(),
          sentBy: instant.exactOptional(),
          balanceBefore: z.number().exactOptional(),
          evidence: z.array(z.string()),
        }),
      ),
    }),
    uploads: z.object({ calls: amount, credits: z.union([z.number(), z.literal('unknown')]) }),
  }),
  startedAt: instant,
  updatedAt: instant,
});

/** @throws UsageError with a sentence where there is no such file, or it is none that `--save` writes. */
export function readSaveFile(path: string): TrainingRecord {
  let content: string | undefined;
  try {
    content = readIfThere(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  if (content === undefined) throw new UsageError(`There is no file ${path}.`);
  const parsed = parseSaved(content);
  if (typeof parsed === 'string') throw new UsageError(`${path} is no file that --save wrote: ${parsed}.`);
  return parsed;
}

/** @returns what is wrong with it, where something is. */
function parseSaved(content: string): TrainingRecord | string {
  return parseAs(savedTraining, content);
}

/** The file of `models --export`: an array of what `--save` keeps. @returns what is wrong with it, where something is. */
export function parseRecords(content: string): TrainingRecord[] | string {
  return parseAs(z.array(savedTraining), content);
}

function parseAs<T>(schema: z.ZodType<T>, content: string): T | string {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    return 'it is no JSON, or its end is missing';
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  return field === '' ? 'it holds no training' : `its field ${field} is missing or wrong`;
}

/**
 * Before anything is started: a file that holds something else must not be written over.
 *
 * @throws UsageError where the file is there and is none of a training of this name, nor of the session to be adopted.
 */
export function requireOwnSaveFile(
  path: string,
  { name, sessionId }: { name: string; sessionId: string | undefined },
): void {
  let content: string | undefined;
  try {
    content = readIfThere(path);
  } catch (error) {
    throw new UsageError(`--save ${path} cannot be used: ${(error as Error).message}`);
  }
  if (content === undefined) {
    requireWritable(path);
    return;
  }
  const there = parseSaved(content);
  if (typeof there === 'string') {
    throw new UsageError(`--save would write over ${path}, which is no file of --save: ${there}.`);
  }
  if (there.name === name || (sessionId !== undefined && there.sessionId === sessionId)) return;
  throw new UsageError(
    `--save would write over ${path}, which keeps the training "${there.name}". Give another file.`,
  );
}

/** What is found out only when create is due would hold the training up in the middle. */
function requireWritable(path: string): void {
  try {
    makePrivateFolder(dirname(path));
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw new UsageError(
      `--save ${path} cannot be written: ${(error as Error).message}. Nothing was started.`,
    );
  }
}

/** Keeps a file current with what a follower sees. */
export class SaveFile {
  readonly #path: string;
  readonly #say: (line: string) => void;
  readonly #keyFingerprint: string | undefined;
  /** An ended training answers no query: its files are as they were last. */
  #files: FileProgress[] | undefined;
  #written = '';

  /**
   * @param keyFingerprint of the worker, where it is known.
   * @param say gets a sentence where the file cannot be written; the training goes on.
   */
  constructor(path: string, keyFingerprint: string | undefined, say: (line: string) => void) {
    this.#path = path;
    this.#keyFingerprint = keyFingerprint;
    this.#say = say;
  }

  /** @param seenAt when the look began; ISO 8601. */
  take(snapshot: Snapshot, seenAt: string): void {
    this.#files = snapshot.progress?.files ?? this.#files;
    const record = snapshot.record ?? recordOf(snapshot, this.#files, this.#keyFingerprint, seenAt);
    const content = JSON.stringify({ ...record, updatedAt: '' });
    if (content === this.#written) return;
    try {
      const there = parseSaved(readIfThere(this.#path) ?? '');
      // The worker writes it too, and what it wrote meanwhile is newer than this look.
      const isNewer =
        typeof there !== 'string' &&
        there.workflowId === record.workflowId &&
        there.updatedAt > record.updatedAt &&
        // The registry's last word is written shortly before the end, and no look of that time outdates it.
        !(there.end === 'open' && record.end !== 'open');
      if (!isNewer) writeWhole(this.#path, `${JSON.stringify(record, null, 2)}\n`);
      this.#written = content;
    } catch (error) {
      this.#say(`${this.#path} cannot be written (${(error as Error).message}); the training goes on.`);
    }
  }
}

const ENDS: Record<TrainingStatus, TrainingRecord['end']> = {
  running: 'open',
  completed: 'done',
  cancelled: 'cancelled',
  failed: 'failed',
  terminated: 'failed',
  'timed-out': 'failed',
};

/** What can be seen of a training from outside, as a record. No URL has its query. */
function recordOf(
  { workflowId, status, memo, progress }: Snapshot,
  files: FileProgress[] | undefined,
  keyFingerprint: string | undefined,
  seenAt: string,
): TrainingRecord {
  const { name, origin, sessionId, modelId, receipt, startedAt } = progress ?? memo;
  const sources = files?.filter(({ state }) => state !== 'dropped') ?? [];
  return {
    version: 1,
    workflowId,
    name,
    origin,
    ...(keyFingerprint === undefined ? {} : { keyFingerprint }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(modelId === undefined ? {} : { modelId }),
    end: ENDS[status],
    sources:
      files === undefined
        ? memo.uploads.map(({ file, label, sha256 }) => ({ file, source: label, ...bytesOf(sha256) }))
        : sources.map(({ number, label, sha256 }) => ({
            file: number,
            source: label.slice(0, 200),
            ...bytesOf(sha256),
          })),
    clips:
      files === undefined
        ? memo.uploads.flatMap(({ file, label, clipId }) =>
            clipId === undefined ? [] : [{ clipId, file, source: label }],
          )
        : sources.flatMap(({ number, label, clipId, state }) =>
            clipId === undefined || state !== 'ready'
              ? []
              : [{ clipId, file: number, source: label.slice(0, 200) }],
          ),
    receipt,
    startedAt,
    updatedAt: memo.finishedAt ?? seenAt,
  };
}

function bytesOf(sha256: string | undefined): { sha256?: string } {
  return sha256 === undefined ? {} : { sha256 };
}
