/**
 * Client side: what a training would cost and whether it would work, before anything is started. Looks at the sources and
 * asks the worker for the balance; sends nothing else. What it says has a hash, so that a later start can be held to it.
 */
import { createHash } from 'node:crypto';
import {
  CREATE_CREDITS,
  type Source,
  type TrainCustomModelInput,
  TRAINING_DEFAULTS,
} from '../contract/training.js';
import { type Finding, type Look, type Subject, worstOf } from '../preflight/findings.js';
import { findingsOfTraining, tooLong } from '../preflight/limits.js';
import type { LookOptions } from '../preflight/look.js';
import { trainingWorkflowId, sourceIdentity } from '../temporal/identity.js';
import { isPrivateHost } from '../temporal/settings.js';
import { songPrice } from '../money/songs.js';
import type { AccountPrices, PricesUnknown } from './account.js';
import { type Candidate, isUsable } from './sources.js';

export interface Plan {
  /** Of everything that a decision to spend stands on. The balance and signatures of URLs are not in it. */
  hash: string;
  name: string;
  origin: string;
  files: PlannedFile[];
  /** Of the files and of the whole, as `files` and the training are numbered. */
  findings: Finding[];
  price: Price;
  balance: Balance;
  /** Trainings of the same files under other names, newest first. */
  sameFiles: Relative[];
}

export interface PlannedFile {
  number: number;
  label: string;
  /** False for a file whose clip is there already, or on its way. */
  isUploaded: boolean;
  /** Absent for one that is not uploaded, or was staged before. */
  look?: Look;
}

export interface Price {
  uploads: number;
  /** Of one upload, credits. */
  uploadCredits: number;
  /** `ledger`: the dearest that was seen. */
  basis: 'ledger' | 'assumption';
  createCredits: number;
  /** Of the song that is ordered with it; as others saw it, since Mountsea does not say. */
  songCredits?: number;
  /** Where every upload succeeds at its first try. */
  total: number;
  /** Where every upload needs all of its tries, which no one asks about again; a limit that was set holds. */
  most: number;
}

export type Balance = { before: number; after: number } | { unknown: string };

/** A training of the same files. */
export interface Relative {
  workflowId: string;
  name: string;
  modelId?: string;
}

/** What somebody wants to train. One with a source that cannot be used is planned, and never started. */
export type Planned = Omit<TrainCustomModelInput, 'sources'> & { sources: readonly Candidate[] };

/** Whether all of its sources can be used. */
export function isStartable(planned: Planned): planned is TrainCustomModelInput {
  return planned.sources.every(isUsable);
}

/** Files that would be uploaded, by number. */
export function filesToUpload({ sources, session }: Pick<Planned, 'sources' | 'session'>): number[] {
  const there = new Set([...(session?.clips ?? []), ...(session?.tasks ?? [])].map(({ file }) => file));
  return sources.map((_, index) => index + 1).filter((number) => !there.has(number));
}

export interface LookRules {
  allowPrivateUrls: boolean;
  /** Gets how many files are done, of how many. */
  onLooked?: (done: number, total: number) => void;
}

/** Looks at each file that would be uploaded. */
export async function lookAtUploads(
  input: Planned,
  { allowPrivateUrls, onLooked }: LookRules,
): Promise<Look[]> {
  const uploads = filesToUpload(input);
  const subjects = uploads.flatMap((number) => subjectOf(number, input.sources[number - 1]));
  const looks = await lookAtAll(subjects, {
    needsMs: uploadTime(subjects.length, input.concurrency),
    ...(allowPrivateUrls ? {} : { isPrivateHost }),
    onLooked: (done) => onLooked?.(done, subjects.length),
  });
  const unusable = uploads.flatMap((number) => unusableLook(number, input.sources[number - 1]));
  return [...looks, ...unusable].sort((a, b) => a.number - b.number);
}

/** There is nothing to look at; what is wrong is known. */
function unusableLook(number: number, candidate: Candidate | undefined): Look[] {
  if (candidate === undefined || isUsable(candidate)) return [];
  const { label, finding } = candidate;
  return [{ number, label, findings: [{ ...finding, files: [number] }] }];
}

/**
 * A source that takes the place of another.
 *
 * @param what it is, at the beginning of a sentence.
 * @returns what is wrong with it.
 */
export async function lookAtReplacement(
  what: string,
  source: Source,
  { allowPrivateUrls }: LookRules,
): Promise<Finding[]> {
  const subjects = subjectOf(0, source).map((subject) => ({ ...subject, what }));
  const [look] = await lookAtAll(subjects, {
    needsMs: uploadTime(1),
    ...(allowPrivateUrls ? {} : { isPrivateHost }),
  });
  return look === undefined ? [] : [...look.findings, ...tooLong(look, what)];
}

/** Loaded when it is needed: it brings parsers of every format along, and most commands look at no file. */
async function lookAtAll(subjects: readonly Subject[], options: LookOptions): Promise<Look[]> {
  const { lookAt } = await import('../preflight/look.js');
  return lookAt(subjects, options);
}

/** A file that is staged already was looked at when it was. */
function subjectOf(number: number, source: Candidate | undefined): Subject[] {
  if (source === undefined || !isUsable(source)) return [];
  const { label } = source;
  if ('url' in source) return [{ number, label, url: source.url }];
  return source.at.kind === 'path' ? [{ number, label, path: source.at.path, sha256: source.sha256 }] : [];
}

/** Of one try of one file: a slow one, so that nothing expires under way. */
const UPLOAD_MS = 60_000;
const LEAST_MS = 15 * 60_000;

/** For how long the sources must stay where they are, ms. */
function uploadTime(uploads: number, concurrency: number = TRAINING_DEFAULTS.concurrency): number {
  return Math.max(LEAST_MS, Math.ceil(uploads / concurrency) * TRAINING_DEFAULTS.tries * UPLOAD_MS);
}

/**
 * @param looks of `lookAtUploads` for this input.
 * @param account `unknown` with the reason in a few words where nobody could say.
 * @param others trainings and records that are known here.
 */
export function planOf(
  input: Planned,
  looks: readonly Look[],
  account: AccountPrices | PricesUnknown,
  others: readonly (Relative & { origin: string })[],
): Plan {
  const { name, origin, sources } = input;
  const { minClips, onBadFile } = { ...TRAINING_DEFAULTS, ...input };
  const price = priceOf(input, 'unknown' in account ? undefined : account.uploadCredits);
  const balance: Balance =
    'unknown' in account
      ? { unknown: account.unknown }
      : { before: account.balance, after: account.balance - price.total };
  const uploads = new Set(filesToUpload(input));
  const files = sources.map(({ label }, index) => {
    const number = index + 1;
    const look = looks.find((one) => one.number === number);
    return { number, label, isUploaded: uploads.has(number), ...(look === undefined ? {} : { look }) };
  });
  return {
    hash: hashOf(input, files, price),
    name,
    origin,
    files,
    findings: [
      ...looks.flatMap(({ findings }) => findings),
      ...findingsOfTraining(looks, {
        name,
        minClips,
        onBadFile,
        ...(isCounted(sources) ? { fileCount: sources.length } : {}),
      }),
      ...ofMoney(price, balance, input.maxCredits),
      ...('unknown' in account ? ofKey(account) : []),
    ],
    price,
    balance,
    sameFiles: relativesOf(input, others),
  };
}

/** How many files a folder or a glob without audio was meant to have, nobody knows. */
function isCounted(sources: readonly Candidate[]): boolean {
  return sources.every((source) => isUsable(source) || source.finding.code !== 'no-audio');
}

/** What stops a training: errors always, warnings unless they are accepted. */
export function obstaclesOf({ findings }: Pick<Plan, 'findings'>, acceptWarnings: boolean): Finding[] {
  return findings.filter(({ level }) => level === 'error' || (level === 'warning' && !acceptWarnings));
}

/** The worst that is known of one file. */
export function worstOfFile(number: number, findings: readonly Finding[]): Finding | undefined {
  return worstOf(findings.filter(({ files }) => files.includes(number)));
}

function priceOf(input: Planned, seen: number | undefined): Price {
  const uploads = filesToUpload(input).length;
  const uploadCredits = seen ?? input.uploadCredits ?? TRAINING_DEFAULTS.uploadCredits;
  const song = input.song === undefined ? undefined : songPrice(input.song.credits);
  const { tries, maxCredits = Infinity } = { ...TRAINING_DEFAULTS, ...input };
  const rest = CREATE_CREDITS + (song ?? 0);
  return {
    uploads,
    uploadCredits,
    basis: seen === undefined ? 'assumption' : 'ledger',
    createCredits: CREATE_CREDITS,
    ...(song === undefined ? {} : { songCredits: song }),
    total: uploads * uploadCredits + rest,
    most: Math.min(uploads * tries * uploadCredits + rest, maxCredits),
  };
}

function ofMoney({ total }: Price, balance: Balance, maxCredits = Infinity): Finding[] {
  const finding = (code: 'balance' | 'budget', message: string): Finding => ({
    level: 'warning',
    code,
    files: [],
    short: 'credits',
    message,
  });
  const findings: Finding[] = [];
  if ('before' in balance && balance.after < 0) {
    findings.push(
      finding(
        'balance',
        `The balance of ${balance.before} credits does not pay for ${total}: the training would wait for more in the middle.`,
      ),
    );
  }
  if (total > maxCredits) {
    findings.push(
      finding(
        'budget',
        `--max-credits ${maxCredits} does not pay for ${total}: the training would wait in the middle.`,
      ),
    );
  }
  return findings;
}

function ofKey({ refusedKey }: PricesUnknown): Finding[] {
  if (refusedKey === undefined) return [];
  return [
    {
      level: 'error',
      code: 'key-refused',
      files: [],
      short: 'API key',
      message: `Mountsea refuses the API key ${refusedKey} of the worker. Put it right: \`tunesmith login\`, or where the worker has it from.`,
    },
  ];
}

/** The id is made of origin, name and sources: with the name of the other it is the other's. */
function relativesOf(input: Planned, others: readonly (Relative & { origin: string })[]): Relative[] {
  if (!isStartable(input)) return [];
  const { origin, name, sources } = input;
  const identities = sources.map(sourceIdentity);
  const found = others.filter((other) => {
    if (other.origin !== origin || other.name === name) return false;
    const id = trainingWorkflowId({ origin, name: other.name, sources: identities });
    return other.workflowId === id || other.workflowId.startsWith(`${id}-again-`);
  });
  const ids = found.map(({ workflowId }) => workflowId);
  return found
    .filter(({ workflowId }, index) => ids.indexOf(workflowId) === index)
    .map(({ workflowId, name: otherName, modelId }) => ({
      workflowId,
      name: otherName,
      ...(modelId === undefined ? {} : { modelId }),
    }));
}

/** What the hash is made of, in the words that say what has changed. */
const FIELDS = ['the name', 'the API', 'the options', 'the price'] as const;
/** Hex digits of a field, and of a file: few enough to be pasted, so one change in 256 goes unnamed. */
const PART_LENGTH = 2;
const DIGEST_LENGTH = 16;

/**
 * One digest of everything, and behind it a short one of each field and of each file. The digest decides; the rest
 * tells, on any machine and without a memory, what it is that has changed.
 */
function hashOf(input: Planned, files: readonly PlannedFile[], price: Price): string {
  const { name, origin, sources, session, song } = input;
  const { minClips, onBadFile, maxCredits, retryRefunded = false } = { ...TRAINING_DEFAULTS, ...input };
  const { uploadCredits, total } = price;
  const fields: Record<(typeof FIELDS)[number], unknown> = {
    'the name': name,
    'the API': origin,
    'the options': [
      minClips,
      onBadFile,
      maxCredits ?? null,
      retryRefunded,
      session?.sessionId ?? null,
      song?.request ?? null,
    ],
    'the price': [price.uploads, uploadCredits, total],
  };
  const contents = sources.map((source, index) => {
    const { look, isUploaded } = files[index] ?? {};
    return [isUsable(source) ? sourceIdentity(source) : source, isUploaded, look?.content ?? null];
  });
  return [
    digestOf([fields, contents]).slice(0, DIGEST_LENGTH),
    FIELDS.map((field) => partOf(fields[field])).join(''),
    contents.map(partOf).join(''),
  ].join('-');
}

function partOf(value: unknown): string {
  return digestOf(value).slice(0, PART_LENGTH);
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** Whether a text can be the hash of a plan. */
export function isPlanHash(text: string): boolean {
  return /^[0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]+$/.test(text);
}

/** What is no longer as it was when the hash was made; none where it still holds. */
export function changesSince(hash: string, { hash: now }: Plan): string[] {
  if (hash === now) return [];
  const [, fieldsThen = [], filesThen = []] = hash.split('-').map(partsIn);
  const [, fieldsNow = [], filesNow = []] = now.split('-').map(partsIn);
  const changed: string[] = FIELDS.filter((_, index) => fieldsThen[index] !== fieldsNow[index]);
  if (filesThen.length !== filesNow.length) {
    changed.push(`the files (${filesThen.length} then, ${filesNow.length} now)`);
  } else {
    const files = filesNow.flatMap((file, index) => (file === filesThen[index] ? [] : [index + 1]));
    if (files.length > 0) changed.push(`file ${files.join(', ')}`);
  }
  return changed.length === 0 ? ['something that the hash cannot name'] : changed;
}

function partsIn(digits: string): string[] {
  return Array.from({ length: Math.ceil(digits.length / PART_LENGTH) }, (_, index) =>
    digits.slice(index * PART_LENGTH, (index + 1) * PART_LENGTH),
  );
}
