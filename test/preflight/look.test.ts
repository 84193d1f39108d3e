/**
 * The look at each source, over real HTTP: servers that mislead, break and dawdle as those on the web do.
 */
import type { lookup } from 'node:dns';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Look } from '../../src/preflight/findings.js';
import { lookAt, type LookOptions } from '../../src/preflight/look.js';
import { isPrivateHost } from '../../src/temporal/settings.js';
import * as audio from '../support/audio.js';
import { type Handler, startServer, type TestServer } from '../support/http.js';

const MINUTE = 60_000;

let handler: Handler;
let server: TestServer;
let other: TestServer;

beforeAll(async () => {
  server = await startServer((request, response) => {
    handler(request, response);
  });
  other = await startServer((request, response) => {
    handler(request, response);
  });
});

afterEach(() => {
  server.requests.length = 0;
});

afterAll(async () => {
  await server.close();
  await other.close();
});

async function look(path: string, options: Partial<LookOptions> = {}): Promise<Look> {
  const url = URL.canParse(path) ? path : `${server.url}${path}`;
  const [seen] = await lookAt([{ number: 3, label: 'x', url }], { needsMs: 15 * MINUTE, ...options });
  if (seen === undefined) throw new Error('no look');
  return seen;
}

/** As most servers do: parts of the file where they are asked for. */
function serving(file: Buffer, headers: Record<string, string> = { 'content-type': 'audio/mpeg' }): Handler {
  return (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) {
      response.writeHead(200, { 'content-length': file.length, ...headers }).end(file);
    } else if (Number(from) >= file.length) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
    } else {
      const part = file.subarray(Number(from), Number(to) + 1);
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`;
      response
        .writeHead(206, { 'content-range': range, 'content-length': part.length, ...headers })
        .end(part);
    }
  };
}

const codes = ({ findings }: Look): string[] => findings.map(({ level, code }) => `${level} ${code}`);

describe('audio behind a URL', () => {
  it.each([
    ['WAV', audio.wav(), { kind: 'wav', durationMs: 4_000, sampleRate: 16_000, channels: 1 }],
    ['MP3', audio.mp3(2_000), { kind: 'mp3', durationMs: 52_245, sampleRate: 44_100, channels: 2 }],
    ['MP3 with a big picture', audio.mp3(2_000, { tagBytes: 400_000 }), { kind: 'mp3', durationMs: 52_245 }],
    ['FLAC', audio.flac(100), { kind: 'flac', codec: 'FLAC', durationMs: 100_000 }],
    ['M4A with its index at the end', audio.m4a(100, 900_000), { kind: 'm4a', durationMs: 100_000 }],
    ['Opus', audio.opus(100), { kind: 'opus', codec: 'Opus', durationMs: 100_000 }],
  ])('is known by its bytes, with its length: %s', async (_, file, expected) => {
    handler = serving(file, { 'content-type': 'application/octet-stream' });
    expect(await look('/a')).toMatchObject({ ...expected, size: file.length, findings: [] });
    expect(server.requests.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('costs no more than its beginning where the server gives the whole file whatever is asked', async () => {
    const file = audio.mp3(60_000);
    let sent = 0;
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': file.length, 'content-type': 'audio/mpeg' });
      let at = 0;
      const push = (): void => {
        for (; at < file.length; at += 65_536) {
          sent = at;
          if (!response.write(file.subarray(at, at + 65_536))) {
            at += 65_536;
            response.once('drain', push);
            return;
          }
        }
        response.end();
      };
      push();
    };
    const seen = await look('/a');
    expect(seen).toMatchObject({ kind: 'mp3', size: file.length, durationMs: 1_567_347, findings: [] });
    expect(sent).toBeLessThan(file.length / 2);
  });

  it.each([
    ['a bit rate that varies and no index', audio.mp3(4_000, { kbps: [32, 32, 32, 32, 32, 128] })],
    ['only the beginning of an Opus file', audio.opus(100)],
    ['only the beginning of an M4A with its index at the end', audio.m4a(100, 900_000)],
  ])('has no length where it cannot be told honestly: %s', async (_, file) => {
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': file.length }).end(file);
    };
    const seen = await look('/a');
    expect(seen.findings).toEqual([]);
    expect(seen.kind).toBeDefined();
    expect(seen.durationMs).toBeUndefined();
  });

  it('is read without a length, and packed', async () => {
    const file = audio.flac(100);
    handler = (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/flac' });
      response.write(file.subarray(0, 100));
      response.end(file.subarray(100));
    };
    expect(await look('/chunked')).toMatchObject({ kind: 'flac', durationMs: 100_000, size: file.length });
    handler = (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(file));
    };
    const packed = await look('/gzip');
    expect(packed).toMatchObject({ kind: 'flac', durationMs: 100_000, findings: [] });
    expect(packed.size).toBeUndefined();
  });

  it('is asked for without cookie or credential, also after a redirect that sets them', async () => {
    const file = audio.wav();
    handler = (request, response) => {
      if (request.path !== '/here') {
        response
          .writeHead(302, {
            location: `${other.url.replace('//', '//me:secret@')}/here`,
            'set-cookie': 'a=b',
          })
          .end();
      } else serving(file)(request, response);
    };
    other.requests.length = 0;
    expect(await look('/from')).toMatchObject({ kind: 'wav', findings: [] });
    const headers = [...server.requests, ...other.requests].map((request) => Object.keys(request.headers));
    expect(headers.length).toBeGreaterThanOrEqual(2);
    expect(headers.flat()).not.toContain('cookie');
    expect(headers.flat()).not.toContain('authorization');
  });

  it('under a wrong content type is noted and stops nothing', async () => {
    handler = serving(audio.wav(), { 'content-type': 'text/plain; charset=x' });
    const seen = await look('/a');
    expect(codes(seen)).toEqual(['note content-type']);
    expect(seen.findings[0]?.message).toBe('File 3 (x): its server calls it text/plain, but it is wav.');
  });

  it('is told from other audio by its content, and is the same under another signature', async () => {
    handler = serving(audio.wav(1), { etag: '"one"' });
    const [first, again] = [await look('/a?token=1'), await look('/a?token=2')];
    handler = serving(audio.wav(2), { etag: '"one"' });
    const second = await look('/a?token=1');
    expect(again.content).toBe(first.content);
    expect(second.content).not.toBe(first.content);
  });
});

describe('what is no audio', () => {
  const page = '<!DOCTYPE html><html><title>Sign in</title></html>';

  it.each([
    ['a web page with status 200', page, 'error web-page', /gives a web page, not the file/],
    ['a JSON error with status 200', '{"error":"no such file"}', 'error not-audio', /no audio but JSON/],
    ['an XML error with status 200', '<?xml version="1.0"?><Error/>', 'error not-audio', /no audio but XML/],
    ['text', 'Not found, sorry', 'error not-audio', /no audio but text/],
    [
      'an archive',
      Buffer.from('PK\u0003\u0004aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
      'error not-audio',
      /but zip/,
    ],
    [
      'bytes that nobody knows',
      Buffer.alloc(600, 1),
      'warning unusual-format',
      /no audio format that is known/,
    ],
    ['nothing', '', 'error empty', /is empty/],
  ])('is refused or doubted: %s', async (_, body, code, sentence) => {
    handler = serving(Buffer.from(body), { 'content-type': 'audio/mpeg' });
    const seen = await look('/a.mp3');
    expect(codes(seen)).toEqual([code]);
    expect(seen.findings[0]?.message).toMatch(sentence);
  });

  it.each([
    ['https://drive.google.com/file/d/1a/view', /page of Google Drive.*uc\?export=download&id=/],
    ['https://www.dropbox.com/scl/fi/x/a.mp3?rlkey=sesame&dl=0', /page of Dropbox.*dl=1/],
    ['https://1drv.ms/u/s!abc', /page of OneDrive.*download=1/],
  ])('is a share page: the form that works is named (%s)', async (url, sentence) => {
    handler = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    };
    // Stands in for the web: the name leads to the server here, which speaks no TLS.
    const seen = await look(
      url.replace('https:', 'http:').replace(/^(http:\/\/[^/]+)/, `$1:${server.port}`),
      {
        lookup: ((_host: string, _options: object, callback: (e: null, a: object[]) => void) => {
          callback(null, [{ address: '127.0.0.1', family: 4 }]);
        }) as unknown as typeof lookup,
      },
    );
    expect(seen.findings[0]?.message).toMatch(sentence);
    expect(seen.findings[0]?.message).not.toContain('sesame');
  });
});

describe('an answer that is no file', () => {
  it.each([
    [401, 'error http-status'],
    [404, 'error http-status'],
    [410, 'error http-status'],
    [403, 'warning http-status'],
    [503, 'warning http-status'],
    [429, 'warning http-status'],
  ])(
    '%i is the end where it is certain, and doubted where Mountsea may fare otherwise',
    async (status, code) => {
      handler = (_, response) => {
        response.writeHead(status).end();
      };
      expect(codes(await look('/a'))).toEqual([code]);
      // Bad luck gets a second chance.
      expect(server.requests).toHaveLength(status >= 500 || status === 429 ? 2 : 1);
    },
  );

  it('of a store that refuses a signature is the end, with the store’s own word', async () => {
    handler = (_, response) => {
      response
        .writeHead(403)
        .end('<Error><Code>SignatureDoesNotMatch</Code><StringToSign>sesame</StringToSign></Error>');
    };
    const seen = await look('/a?X-Amz-Signature=abc');
    expect(codes(seen)).toEqual(['error http-status']);
    expect(seen.findings[0]?.message).toBe(
      'File 3 (x): its server answers 403 SignatureDoesNotMatch. Sign the URL again.',
    );
  });

  it('is asked for once more when the first connection broke', async () => {
    const file = audio.wav();
    let asked = 0;
    handler = (request, response) => {
      if (++asked === 1) response.socket?.destroy();
      else serving(file)(request, response);
    };
    expect(await look('/a')).toMatchObject({ kind: 'wav', findings: [] });
  });

  it('comes from nowhere: refused connections and names that nobody knows are doubted', async () => {
    const closed = await startServer(() => undefined);
    await closed.close();
    expect(codes(await look(closed.url))).toEqual(['warning unreachable']);
    expect(codes(await look('http://cdn.invalid/a.mp3'))).toEqual(['warning unknown-host']);
  });

  it('may drip: what came in time is judged, and the server is called slow', async () => {
    const file = audio.mp3(4_000);
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': file.length });
      // And then nothing more, until the look gives up.
      response.write(file.subarray(0, 4_000));
    };
    const seen = await look('/a', { timeoutMs: 3_000 });
    expect(seen).toMatchObject({ kind: 'mp3', size: file.length });
    expect(codes(seen)).toEqual(['warning slow']);
    handler = () => undefined;
    const silent = await look('/a', { timeoutMs: 600 });
    expect(silent.findings[0]?.message).toMatch(/no answer in time/);
  });
});

describe('redirects', () => {
  const to = (location: string): Handler => {
    return (_, response) => {
      response.writeHead(302, { location }).end();
    };
  };

  it('are followed, a few, and never in a circle', async () => {
    const file = audio.wav();
    handler = (request, response) => {
      const hop = Number(request.path.slice(1));
      if (hop >= 5) serving(file)(request, response);
      else to(`/${hop + 1}`)(request, response);
    };
    expect(await look('/1')).toMatchObject({ kind: 'wav', findings: [] });
    handler = to('/a');
    expect((await look('/a')).findings[0]?.message).toMatch(/redirects in a circle/);
    let hop = 0;
    handler = (request, response) => {
      to(`/${++hop}`)(request, response);
    };
    expect((await look('/a')).findings[0]?.message).toMatch(/more than 10 times/);
    expect(hop).toBe(11);
    handler = to('file:///etc/passwd');
    expect((await look('/a')).findings[0]?.message).toMatch(/no http or https/);
  });

  // The first host is public by the rule here, the others are not.
  const rule = (host: string): boolean => host !== '127.0.0.1' && isPrivateHost(host);

  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://[::1]/',
    'http://10.0.0.1/',
    'http://localhost/',
  ])('into a private network end there, and nothing is sent: %s', async (location) => {
    handler = to(location);
    const seen = await look('/a', { isPrivateHost: rule });
    expect(codes(seen)).toEqual(['error private-address']);
    expect(seen.findings[0]?.message).toContain('TUNESMITH_ALLOW_PRIVATE_URLS=1');
  });

  /** Answers each question for a name with the next address. */
  function names(addresses: string[]): { lookup: typeof lookup; asked: () => number } {
    let asked = 0;
    const answer = (_host: string, _options: object, callback: (e: null, a: object[]) => void): void => {
      callback(null, [{ address: addresses[asked++], family: 4 }]);
    };
    return { lookup: answer as unknown as typeof lookup, asked: () => asked };
  }

  it('to a name that leads into a private network send nothing', async () => {
    const before = server.connections();
    const { lookup: one } = names(['127.0.0.1']);
    const seen = await look(`http://x.example:${server.port}/a`, { isPrivateHost, lookup: one });
    expect(codes(seen)).toEqual(['error private-address']);
    expect(server.connections()).toBe(before);
  });

  // A name that answers first with a public address and then with a private one (DNS rebinding).
  it('connect to the address that was looked at, whatever the name says afterwards', async () => {
    handler = serving(audio.wav());
    const { lookup: two, asked } = names(['127.0.0.1', '169.254.169.254']);
    const seen = await look(`http://x.example:${server.port}/a`, { isPrivateHost: rule, lookup: two });
    expect(seen).toMatchObject({ kind: 'wav', findings: [] });
    expect(asked()).toBe(1);
  });
});

describe('a signed URL', () => {
  const now = Date.UTC(2026, 10, 25, 12, 0, 0);
  const at = (ms: number): string => String((now + ms) / 1_000);
  const policy = Buffer.from(
    JSON.stringify({
      Statement: [{ Condition: { DateLessThan: { 'AWS:EpochTime': (now - 1_000) / 1_000 } } }],
    }),
  )
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('=', '_')
    .replaceAll('/', '~');

  it.each([
    ['S3', `X-Amz-Date=20261125T110000Z&X-Amz-Expires=3599&X-Amz-Signature=a`],
    ['Google', `X-Goog-Date=20261125T110000Z&X-Goog-Expires=3599&X-Goog-Signature=a`],
    ['Azure', 'sv=1&se=2026-11-25T11%3A59%3A59Z&sig=a'],
    ['CloudFront', `Expires=${at(-1_000)}&Signature=a&Key-Pair-Id=K`],
    ['CloudFront with a policy', `Policy=${policy}&Signature=a&Key-Pair-Id=K`],
  ])('that has expired is not even asked for: %s', async (_, query) => {
    const seen = await look(`/a?${query}`, { now });
    expect(codes(seen)).toEqual(['error signature-expired']);
    expect(server.requests).toHaveLength(0);
  });

  it('that ends before the uploads may need it is warned of, one that does not is fine', async () => {
    handler = serving(audio.wav());
    const short = await look(`/a?Expires=${at(10 * MINUTE)}&Signature=a`, { now });
    expect(codes(short)).toEqual(['warning signature-expires']);
    expect(short.findings[0]?.message).toContain('good for 10 min only, and the uploads may need 15 min');
    const long = await look(`/a?Expires=${at(16 * MINUTE)}&Signature=a`, { now });
    expect(long).toMatchObject({ expiresAt: '2026-11-25T12:16:00.000Z', findings: [] });
    // Without a signature beside it a parameter of that name means something else.
    expect((await look('/a?expires=1', { now })).expiresAt).toBeUndefined();
  });
});

describe('a hundred URLs', () => {
  it('are looked at a few at once, in their order', async () => {
    const file = audio.wav();
    let [now, most] = [0, 0];
    handler = (request, response) => {
      most = Math.max(most, ++now);
      setImmediate(() => {
        now--;
        serving(file)(request, response);
      });
    };
    const subjects = Array.from({ length: 100 }, (_, index) => ({
      number: index + 1,
      label: 'x',
      url: `${server.url}/${index}`,
    }));
    const looks = await lookAt(subjects, { needsMs: 0 });
    expect(looks.map(({ number }) => number)).toEqual(subjects.map(({ number }) => number));
    expect(looks.every(({ findings }) => findings.length === 0)).toBe(true);
    expect(most).toBeLessThanOrEqual(8);
  });
});

describe('a local file', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tunesmith-preflight-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function lookAtBytes(bytes: Buffer | undefined): Promise<Look> {
    const path = join(folder, 'a.mp3');
    rmSync(path, { force: true });
    if (bytes !== undefined) writeFileSync(path, bytes);
    const [seen] = await lookAt([{ number: 3, label: 'a.mp3', path }], { needsMs: 0 });
    if (seen === undefined) throw new Error('no look');
    return seen;
  }

  it('is read to its end where only the end tells how long it is', async () => {
    const seen = await lookAtBytes(audio.opus(100));
    expect(seen).toMatchObject({ kind: 'opus', durationMs: 100_000, findings: [] });
    expect(seen.content).toMatch(/^sha256 [0-9a-f]{64}$/);
  });

  it('that is missing, empty, a folder or no audio is refused', async () => {
    expect((await lookAtBytes(undefined)).findings[0]).toMatchObject({ code: 'no-file', level: 'error' });
    expect(codes(await lookAtBytes(Buffer.alloc(0)))).toEqual(['error empty']);
    expect(codes(await lookAtBytes(Buffer.from('<html>')))).toEqual(['error web-page']);
    const [seen] = await lookAt([{ number: 1, label: 'x', path: folder }], { needsMs: 0 });
    expect(seen?.findings[0]).toMatchObject({ code: 'no-file', short: 'a folder' });
  });
});
