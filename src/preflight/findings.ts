/**
 * Preflight: the words for what was seen of a source. Plain data, so that a table, JSON and a plan's hash can be made of it.
 */

/** What a training is made of, as far as preflight cares. */
export type Subject = RemoteSubject | LocalSubject;

interface Named {
  /** Number of the file, from 1. */
  number: number;
  /** What people see of it: no query. */
  label: string;
  /** What it is at the beginning of a sentence. Default: `File N`. */
  what?: string;
}

export interface RemoteSubject extends Named {
  /** http or https; may be signed, so it is never repeated. */
  url: string;
}

export interface LocalSubject extends Named {
  /** Absolute. */
  path: string;
  /** Of its bytes, 64 hex digits, where it is known already; else it is computed. */
  sha256?: string;
}

/**
 * How much a finding matters. `error`: Mountsea would certainly refuse, nothing is started. `warning`: it may bite after
 * money is spent, so a person has to accept it. `note`: good to know.
 */
export type Level = 'error' | 'warning' | 'note';

export interface Finding {
  level: Level;
  /** For programs; stays the same when the sentence changes. */
  code: FindingCode;
  /** Numbers of the files it is about; none: the whole training. */
  files: number[];
  /** A few words for a table. */
  short: string;
  /** A whole sentence: what it is, and what to do about it. */
  message: string;
}

/** Of one source first, then of several or of the whole. */
export const FINDING_CODES = [
  'unreachable',
  'unknown-host',
  'private-address',
  'redirects',
  'http-status',
  'slow',
  'empty',
  'web-page',
  'not-audio',
  'unusual-format',
  'content-type',
  'signature-expired',
  'signature-expires',
  'no-file',
  'no-audio',
  'bad-url',
  'too-long',
  'same-content',
  'name-length',
  'file-count',
  'drop-count',
  'balance',
  'budget',
  'key-refused',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** What is known of the audio. A field is absent where it could not be told honestly. */
export interface Sound {
  /** e.g. `mp3`, by the first bytes. */
  kind: string;
  /** ms. */
  durationMs?: number;
  codec?: string;
  /** Hz. */
  sampleRate?: number;
  channels?: number;
}

/** What was seen of one source. */
export interface Look extends Partial<Sound> {
  number: number;
  label: string;
  /** Bytes of the whole file. */
  size?: number;
  /** As the server calls it. */
  contentType?: string;
  /** ISO 8601: until when the URL is signed. */
  expiresAt?: string;
  /** What tells the content from another: SHA-256 of the bytes of a local file; size, ETag and first bytes of a URL. */
  content?: string;
  findings: Finding[];
}

/** The worst of a list; undefined where nothing was found. */
export function worstOf(findings: readonly Finding[]): Finding | undefined {
  const order: Level[] = ['error', 'warning', 'note'];
  return [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level))[0];
}
