/**
 * Tests: tiny audio files of each kind, made by hand, with the length that they say they have.
 */
import { renderTrack } from '../../src/cli/demo/tracks.js';

/** 4 s, 16 kHz, mono. */
export function wav(number = 1): Buffer {
  return renderTrack(number);
}

const MP3_BITRATES = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/**
 * MPEG 1 layer III at 44.1 kHz, stereo; a frame is 26.12 ms. The first one is silence, the others hold what `fill` says.
 *
 * @param kbps of each frame, in turn.
 */
export function mp3(frames: number, { kbps = [128], fill = 0, tagBytes = 0 } = {}): Buffer {
  const parts: Buffer[] = [];
  if (tagBytes > 0) {
    const tag = Buffer.alloc(10 + tagBytes);
    tag.write('ID3\u0004', 'latin1');
    for (const [index, shift] of [21, 14, 7, 0].entries()) tag[6 + index] = (tagBytes >> shift) & 127;
    parts.push(tag);
  }
  for (let number = 0; number < frames; number++) {
    const rate = kbps[number % kbps.length] ?? 128;
    const frame = Buffer.alloc(Math.floor((144_000 * rate) / 44_100), number === 0 ? 0 : fill);
    frame.set([0xff, 0xfb, (MP3_BITRATES.indexOf(rate) + 1) << 4, 0x00]);
    frame.fill(0, 4, 40);
    parts.push(frame);
  }
  return Buffer.concat(parts);
}

/** Header only says how long it is: FLAC needs no more. */
export function flac(seconds: number): Buffer {
  const info = Buffer.alloc(34);
  info.writeUInt16BE(4096, 0);
  info.writeUInt16BE(4096, 2);
  const samples = 44_100 * seconds;
  // 20 bits sample rate, 3 channels - 1, 5 bits a sample - 1, 36 samples.
  info.writeBigUInt64BE((44_100n << 44n) | (1n << 41n) | (15n << 36n) | BigInt(samples), 10);
  return Buffer.concat([Buffer.from('fLaC'), Buffer.from([0x80, 0, 0, 34]), info, Buffer.alloc(2_000, 7)]);
}

function box(type: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

function numbers(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
  return buffer;
}

/** AAC in MP4, its index behind its sound as recorders write it. */
export function m4a(seconds: number, soundBytes = 3_000): Buffer {
  const matrix = numbers(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);
  const mvhd = box(
    'mvhd',
    numbers(0, 0, 0, 1_000, seconds * 1_000, 0x10000, 0x01000000, 0, 0),
    matrix,
    Buffer.alloc(24),
    numbers(2),
  );
  const tkhd = box('tkhd', numbers(7, 0, 0, 1, 0, seconds * 1_000, 0, 0, 0, 0), matrix, numbers(0, 0));
  const mdhd = box('mdhd', numbers(0, 0, 0, 44_100, seconds * 44_100, 0x55c40000));
  const hdlr = box('hdlr', numbers(0, 0), Buffer.from('soun'), Buffer.alloc(13));
  const entry = box(
    'mp4a',
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]),
    Buffer.alloc(8),
    Buffer.from([0, 2, 0, 16, 0, 0, 0, 0]),
    numbers(44_100 * 65_536),
  );
  const stbl = box(
    'stbl',
    box('stsd', numbers(0, 1), entry),
    box('stts', numbers(0, 0)),
    box('stsc', numbers(0, 0)),
    box('stsz', numbers(0, 0, 0)),
    box('stco', numbers(0, 0)),
  );
  const minf = box(
    'minf',
    box('smhd', numbers(0, 0)),
    box('dinf', box('dref', numbers(0, 1), box('url ', numbers(1)))),
    stbl,
  );
  const moov = box('moov', mvhd, box('trak', tkhd, box('mdia', mdhd, hdlr, minf)));
  return Buffer.concat([
    box('ftyp', Buffer.from('M4A \0\0\0\0M4A mp42')),
    box('mdat', Buffer.alloc(soundBytes, 5)),
    moov,
  ]);
}

/** Opus in Ogg; only the last page says how long it is. */
export function opus(seconds: number, pages = 40): Buffer {
  const page = (sequence: number, flags: number, samples: bigint, body: Buffer): Buffer => {
    const lacing = [...new Array<number>(Math.floor(body.length / 255)).fill(255), body.length % 255];
    const head = Buffer.alloc(27);
    head.write('OggS', 0, 'latin1');
    head[5] = flags;
    head.writeBigInt64LE(samples, 6);
    head.writeUInt32LE(77, 14);
    head.writeUInt32LE(sequence, 18);
    head[26] = lacing.length;
    return Buffer.concat([head, Buffer.from(lacing), body]);
  };
  const id = Buffer.alloc(19);
  id.write('OpusHead\u0001\u0002', 'latin1');
  id.writeUInt32LE(48_000, 12);
  const tags = Buffer.concat([
    Buffer.from('OpusTags'),
    Buffer.from([4, 0, 0, 0]),
    Buffer.from('test'),
    Buffer.alloc(4),
  ]);
  const total = BigInt(seconds) * 48_000n;
  const sound = Array.from({ length: pages }, (_, index) =>
    page(
      index + 2,
      index === pages - 1 ? 4 : 0,
      (total * BigInt(index + 1)) / BigInt(pages),
      Buffer.alloc(10_000, 9),
    ),
  );
  return Buffer.concat([page(0, 2, 0n, id), page(1, 0, 0n, tags), ...sound]);
}
