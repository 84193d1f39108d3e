/**
 * Client side, demo only: eight real audio files and the HTTP server that Mountsea (here the sandbox) fetches them from.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const SAMPLE_RATE = 16_000;
const SECONDS = 4;
/** A minor pentatonic scale, Hz. */
const SCALE = [220, 261.63, 293.66, 329.63, 392, 440, 523.25, 587.33];

export const TRACK_COUNT = 8;

export interface TrackServer {
  /** One URL for each track, in order. */
  urls: string[];
  close(): Promise<void>;
}

/** Serves the tracks on a free port of the loopback interface. */
export async function serveTracks(): Promise<TrackServer> {
  const server = createServer((request, response) => {
    const number = Number(/^\/track-0(\d)\.wav(\?|$)/.exec(request.url ?? '')?.[1]);
    if (!(number >= 1 && number <= TRACK_COUNT)) {
      response.writeHead(404).end();
      return;
    }
    const body = renderTrack(number);
    response.writeHead(200, { 'content-type': 'audio/wav', 'content-length': body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    urls: Array.from(
      { length: TRACK_COUNT },
      (_, index) => `http://127.0.0.1:${port}/track-0${index + 1}.wav`,
    ),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** A plucked melody, different for each number: a WAV file, 16 bit mono, about 128 kB. */
export function renderTrack(number: number): Buffer {
  const samples = new Int16Array(SAMPLE_RATE * SECONDS);
  const step = SAMPLE_RATE / 4;
  for (let index = 0; index < samples.length; index++) {
    const note = Math.floor(index / step);
    const frequency = SCALE[(note * number + number) % SCALE.length] ?? 220;
    const since = (index % step) / SAMPLE_RATE;
    samples[index] = 12_000 * Math.exp(-6 * since) * Math.sin(2 * Math.PI * frequency * since);
  }
  return Buffer.concat([wavHeader(samples.byteLength), Buffer.from(samples.buffer)]);
}

function wavHeader(dataBytes: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLE_RATE, 24);
  header.writeUInt32LE(SAMPLE_RATE * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(dataBytes, 40);
  return header;
}
