/**
 * Sandbox: fetches a source as Mountsea would and looks whether its bytes are audio.
 */
import { request, interceptors, Agent } from 'undici';

const MAX_BYTES = 100 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/** @returns undefined for audio, else why it is none. Never throws. */
export async function whyNotAudio(url: string, signal: AbortSignal): Promise<string | undefined> {
  const dispatcher = new Agent({ connect: { timeout: TIMEOUT_MS } }).compose(
    interceptors.redirect({ maxRedirections: 5 }),
  );
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (statusCode < 200 || statusCode > 299) {
      await body.dump();
      return `the audio URL was answered ${statusCode}`;
    }
    let bytes = 0;
    let head = Buffer.alloc(0);
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (head.length < 64) head = Buffer.concat([head, chunk]).subarray(0, 64);
      bytes += chunk.length;
      if (bytes > MAX_BYTES) return 'the file is larger than 100 MB';
    }
    return formatOf(head) === undefined ? 'the file is no audio' : undefined;
  } catch (error) {
    return `the audio URL cannot be fetched: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await dispatcher.close();
  }
}

/** By the first bytes; the extension and the content type say nothing. */
export function formatOf(head: Buffer): string | undefined {
  const text = (from: number, to: number): string => head.subarray(from, to).toString('latin1');
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WAVE') return 'wav';
  if (text(0, 4) === 'FORM' && text(8, 12).startsWith('AIF')) return 'aiff';
  if (text(0, 3) === 'ID3') return 'mp3';
  if (head.length > 1 && head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0) return 'mp3';
  if (text(0, 4) === 'fLaC') return 'flac';
  if (text(0, 4) === 'OggS') return 'ogg';
  if (text(4, 8) === 'ftyp') return 'm4a';
  return undefined;
}
