/**
 * Preflight: what the bytes of a file say: whether they are audio, which, and how long. Extension and content type say
 * nothing here. Reads what it must and no more, so that a look costs some hundred kB whatever the file weighs.
 */
import { fileTypeFromBuffer } from 'file-type';
import { parseFromTokenizer } from 'music-metadata';
import { AbstractTokenizer, EndOfStreamError, type IReadChunkOptions } from 'strtok3';
import type { Sound } from './findings.js';

/** A file of which the beginning is there. */
export interface Bytes {
  head: Uint8Array;
  /** `head` is the whole file. */
  isWhole: boolean;
  /** Of the whole file, bytes. */
  size?: number;
  /** Other parts of it; `to` is not included. */
  more?: (from: number, to: number) => Promise<Uint8Array>;
  /** Parts cost nothing, so that all of it may be read where only the end tells how long it is. */
  isLocal?: boolean;
}

/** What bytes are, by their first ones. `kind` is a word for people. */
export type Recognised =
  | { as: 'audio'; kind: string; isUsual: boolean }
  | { as: 'web-page' | 'json' | 'other'; kind: string }
  | { as: 'unknown' };

/** Formats that uploads are known to take; of the others nobody here knows. */
const USUAL = new Set(['mp3', 'wav', 'flac', 'm4a', 'aac', 'ogg', 'opus', 'aiff']);

const KINDS: Partial<Record<string, string>> = {
  aif: 'aiff',
  oga: 'ogg',
  ogx: 'ogg',
  spx: 'ogg',
  m4b: 'm4a',
  m4p: 'm4a',
  f4a: 'm4a',
  f4b: 'm4a',
  asf: 'wma',
};

/** Containers that may hold audio alone. */
const CONTAINERS = new Set(['mp4', 'mov', 'm4v', 'webm', 'mkv', '3gp', 'ogv']);

export async function recognise(head: Uint8Array): Promise<Recognised> {
  const start = Buffer.from(head.subarray(0, 512)).toString('latin1');
  const type = await fileTypeFromBuffer(head.subarray(0, 64 * 1024)).catch(() => undefined);
  if (type !== undefined && type.ext !== 'xml') {
    const kind = KINDS[type.ext] ?? type.ext;
    const isAudio = type.mime.startsWith('audio/') || kind === 'ogg' || CONTAINERS.has(kind);
    return isAudio ? { as: 'audio', kind, isUsual: USUAL.has(kind) } : { as: 'other', kind };
  }
  const begin = start.replace(/^\u00ef\u00bb\u00bf/, '').trimStart();
  if (/^(<!doctype html|<html|<head|<body|<script|<!--)/i.test(begin)) {
    return { as: 'web-page', kind: 'a web page' };
  }
  if (/^[{[]\s*["{[\]}]/.test(begin)) return { as: 'json', kind: 'JSON' };
  if (type?.ext === 'xml' || begin.startsWith('<?xml')) return { as: 'other', kind: 'XML' };
  return isText(head.subarray(0, 512)) ? { as: 'other', kind: 'text' } : { as: 'unknown' };
}

/** What the audio is like, as far as it can be told. Never rejects. */
export async function soundOf(bytes: Bytes, kind: string): Promise<Sound> {
  try {
    const { format } = await parseFromTokenizer(new PartTokenizer(bytes), {
      duration: bytes.isWhole || bytes.isLocal === true,
      skipCovers: true,
      skipPostHeaders: true,
      mkvUseIndex: true,
    });
    const { codec, sampleRate, numberOfChannels } = format;
    const durationMs = await honestDuration(bytes, kind, format);
    return {
      kind: kind === 'mp4' && format.hasVideo !== true ? 'm4a' : kind,
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(codec === undefined || codec === '' ? {} : { codec }),
      ...(sampleRate === undefined ? {} : { sampleRate }),
      ...(numberOfChannels === undefined ? {} : { channels: numberOfChannels }),
    };
  } catch {
    return { kind };
  }
}

interface Format {
  duration?: number | undefined;
  sampleRate?: number | undefined;
  bitrate?: number | undefined;
  codec?: string | undefined;
  codecProfile?: string | undefined;
}

async function honestDuration(bytes: Bytes, kind: string, format: Format): Promise<number | undefined> {
  const { sampleRate, bitrate } = format;
  const { size } = bytes;
  let { duration } = format;
  // Only the last page says it, and the parser takes the last one that it saw for that.
  if (kind === 'ogg' || kind === 'opus') duration = await durationOfOgg(bytes, format);
  // A constant bit rate is believed after three frames, but silence at the beginning has one too.
  if (kind === 'mp3' && format.codecProfile === 'CBR' && !hasOneBitrate(await framesOf(bytes))) {
    return undefined;
  }
  // A recorder that was cut off, or that wrote to a pipe, leaves any length in the header.
  if (kind === 'wav' && size !== undefined && sampleRate !== undefined && bitrate !== undefined) {
    duration = Math.min(duration ?? Infinity, (size * 8) / bitrate);
  }
  return duration === undefined || !Number.isFinite(duration) || duration <= 0
    ? undefined
    : Math.round(duration * 1_000);
}

/** The longest page of an Ogg file is 65307 bytes. */
const LAST_PAGE_BYTES = 65_536;

async function durationOfOgg(bytes: Bytes, { sampleRate, codec }: Format): Promise<number | undefined> {
  const { head, isWhole, size, more } = bytes;
  let tail: Uint8Array;
  if (isWhole) tail = head.subarray(-LAST_PAGE_BYTES);
  else if (more !== undefined && size !== undefined)
    tail = await more(Math.max(0, size - LAST_PAGE_BYTES), size);
  else return undefined;
  const last = Buffer.from(tail);
  const at = last.lastIndexOf('OggS', undefined, 'latin1');
  if (at === -1 || at + 14 > last.length) return undefined;
  const samples = Number(last.readBigInt64LE(at + 6));
  // Opus counts in 48 kHz whatever was recorded.
  const rate = codec === 'Opus' ? 48_000 : sampleRate;
  return samples < 0 || rate === undefined ? undefined : samples / rate;
}

const BITRATES = {
  v1: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  v2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
const SAMPLE_RATES = [44_100, 48_000, 32_000];

/** A piece of the sound, behind the tag with its picture. */
async function framesOf({ head, more }: Bytes): Promise<Uint8Array> {
  let begin = 0;
  if (Buffer.from(head.subarray(0, 3)).toString('latin1') === 'ID3') {
    const [a = 0, b = 0, c = 0, d = 0] = head.subarray(6, 10);
    begin = 10 + ((a & 127) << 21) + ((b & 127) << 14) + ((c & 127) << 7) + (d & 127);
  }
  if (begin + PART_BYTES / 2 < head.length || more === undefined) return head.subarray(begin);
  return more(begin, begin + PART_BYTES);
}

/** Whether all frames of layer III there have the same bit rate, but for the first one, which may hold an index. */
function hasOneBitrate(bytes: Uint8Array): boolean {
  const seen = new Set<number>();
  const first = firstFrame(bytes);
  for (let at = first, length = 0; at + 4 <= bytes.length; at += length) {
    const frame = frameAt(bytes, at);
    if (frame === undefined) break;
    if (at > first) seen.add(frame.bitrate);
    length = frame.length;
  }
  return seen.size === 1;
}

/** The first one that is followed by another one. */
function firstFrame(bytes: Uint8Array): number {
  for (let at = 0; at + 4 <= bytes.length; at++) {
    const frame = frameAt(bytes, at);
    if (frame !== undefined && frameAt(bytes, at + frame.length) !== undefined) return at;
  }
  return bytes.length;
}

function frameAt(head: Uint8Array, at: number): { bitrate: number; length: number } | undefined {
  const [sync = 0, version = 0, rates = 0] = head.subarray(at, at + 3);
  if (sync !== 0xff || (version & 0xe6) !== 0xe2) return undefined;
  const kind = (version >> 3) & 3;
  const bitrate = (kind === 3 ? BITRATES.v1 : BITRATES.v2)[rates >> 4];
  const base = SAMPLE_RATES[(rates >> 2) & 3];
  if (kind === 1 || bitrate === undefined || bitrate === 0 || base === undefined) return undefined;
  const sampleRate = base / { 3: 1, 2: 2, 0: 4 }[kind as 0 | 2 | 3];
  const factor = kind === 3 ? 144_000 : 72_000;
  return { bitrate, length: Math.floor((factor * bitrate) / sampleRate) + ((rates >> 1) & 1) };
}

/** Together, beside the head; then a parser has to do with what it has. */
const MORE_BYTES = 4 * 1024 * 1024;
const MORE_PARTS = 12;
const PART_BYTES = 64 * 1024;
/** Of ID3v1, at the end of a file. */
const TAG_BYTES = 128;

/** Lets a parser walk through a file of which only parts are there. What is not there is fetched, within a limit. */
class PartTokenizer extends AbstractTokenizer {
  readonly fileInfo: { size?: number };
  readonly #bytes: Bytes;
  readonly #parts: { from: number; data: Uint8Array }[];
  #fetched = 0;

  constructor(bytes: Bytes) {
    super();
    this.#bytes = bytes;
    this.#parts = [{ from: 0, data: bytes.head }];
    const size = bytes.isWhole ? bytes.head.length : bytes.size;
    this.fileInfo = size === undefined ? {} : { size };
  }

  supportsRandomAccess(): boolean {
    return this.#bytes.isWhole || this.#bytes.more !== undefined;
  }

  setPosition(position: number): void {
    this.position = position;
  }

  async readBuffer(buffer: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const { position } = this.normalizeOptions(buffer, options);
    const length = await this.peekBuffer(buffer, options);
    this.position = position + length;
    return length;
  }

  async peekBuffer(buffer: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const { position, length, mayBeLess } = this.normalizeOptions(buffer, options);
    let copied = 0;
    while (copied < length) {
      const part = await this.#partAt(position + copied, length - copied);
      if (part === undefined) break;
      buffer.set(part.subarray(0, length - copied), copied);
      copied += Math.min(part.length, length - copied);
    }
    if (copied < length && mayBeLess !== true) throw new EndOfStreamError();
    return copied;
  }

  /** Bytes from a position on; undefined where there are none to be had. */
  async #partAt(position: number, wanted: number): Promise<Uint8Array | undefined> {
    const there = this.#parts.find(({ from, data }) => from <= position && position < from + data.length);
    if (there !== undefined) return there.data.subarray(position - there.from);
    const { more, size = 0 } = this.#bytes;
    if (position >= size) return undefined;
    if (more === undefined) {
      // Parsers look for a tag at the end, and stop where they cannot: there is none, as far as is known.
      return position >= size - TAG_BYTES ? new Uint8Array(size - position) : undefined;
    }
    const to = Math.min(size, position + Math.max(wanted, PART_BYTES));
    if (this.#bytes.isLocal !== true) {
      this.#fetched += to - position;
      if (this.#fetched > MORE_BYTES || this.#parts.length > MORE_PARTS) return undefined;
    }
    const data = await more(position, to);
    if (data.length === 0) return undefined;
    // The head and the part that is being read; a file is not kept in memory.
    if (this.#bytes.isLocal === true) this.#parts.splice(1);
    this.#parts.push({ from: position, data });
    return data;
  }
}

function isText(bytes: Uint8Array): boolean {
  return (
    bytes.length > 0 &&
    bytes.every((byte) => byte >= 0x20 || byte === 9 || byte === 10 || byte === 13) &&
    !bytes.includes(0x7f) &&
    !Buffer.from(bytes.subarray(0, -4)).toString('utf8').includes('\ufffd')
  );
}
