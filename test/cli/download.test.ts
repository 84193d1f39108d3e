import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clipFileName, type Downloaded, downloadClips, type DownloadRules } from '../../src/cli/download.js';
import { type Handler, startServer, type TestServer } from '../support/http.js';

const AUDIO = Buffer.alloc(50_000, 7);

let folder: string;
let server: TestServer;
let answer: Handler;

beforeEach(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'tunesmith-')), 'songs');
  answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': AUDIO.length }).end(AUDIO);
  };
  server = await startServer((request, response) => {
    answer(request, response);
  });
});

afterEach(async () => {
  await server.close();
  rmSync(join(folder, '..'), { recursive: true });
});

function fetchOne(more: Partial<DownloadRules> = {}, path = '/c1.mp3'): Promise<Downloaded[]> {
  const clip = { id: 'c1d2e3f4-0000', audioUrl: `${server.url}${path}`, title: 'Neon' };
  const rules = { folder, allowPrivateUrls: true, signal: new AbortController().signal, pausesMs: [1, 1] };
  return downloadClips([clip], 'a title', { ...rules, ...more });
}

describe('a clip that is fetched', () => {
  it('is there whole under a name of its own, with nothing beside it', async () => {
    const [done] = await fetchOne();
    expect(done).toMatchObject({ path: join(folder, 'Neon c1d2e3f4.mp3'), bytes: AUDIO.length });
    expect(readFileSync(join(folder, 'Neon c1d2e3f4.mp3')).equals(AUDIO)).toBe(true);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('is never written over, and not fetched a second time', async () => {
    await fetchOne();
    writeFileSync(join(folder, 'Neon c1d2e3f4.mp3'), 'mine');
    expect(await fetchOne()).toMatchObject([{ wasThere: true }]);
    expect(readFileSync(join(folder, 'Neon c1d2e3f4.mp3'), 'utf8')).toBe('mine');
    expect(server.requests).toHaveLength(1);
  });

  it('is tried again where it broke off, and comes whole', async () => {
    const whole = answer;
    answer = (_, response) => {
      answer = whole;
      response.writeHead(200, { 'content-length': AUDIO.length });
      response.write(AUDIO.subarray(0, 20_000), () => response.socket?.destroy());
    };
    expect(await fetchOne()).toMatchObject([{ bytes: AUDIO.length }]);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('tells how far it is', async () => {
    const told: unknown[] = [];
    await fetchOne({ onProgress: (...progress) => told.push(progress) });
    expect(told.at(-1)).toEqual(['Neon c1d2e3f4.mp3', AUDIO.length, AUDIO.length]);
  });
});

describe('a clip that cannot be had', () => {
  it.each<[string, Handler, RegExp]>([
    ['a server that refuses it', (_, response) => response.writeHead(404).end(), /answered 404/],
    [
      'a page in its place',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      /no audio/,
    ],
    ['nothing in it', (_, response) => response.writeHead(200).end(), /empty file/],
    [
      'a body that always breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': 10 });
        response.write('12345', () => response.socket?.destroy());
      },
      /broke off/,
    ],
  ])('is named with the reason, and leaves nothing behind: %s', async (_, handler, why) => {
    answer = handler;
    const [done] = await fetchOne();
    expect(done).toMatchObject({ clipId: 'c1d2e3f4-0000' });
    expect(done && 'why' in done ? done.why : '').toMatch(why);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not asked for where its address is private, nor where it leads there', async () => {
    const [done] = await fetchOne({ allowPrivateUrls: false });
    expect(done && 'why' in done ? done.why : '').toContain('private or loopback');
    expect(server.requests).toHaveLength(0);
  });

  it('ends at once when it is interrupted', async () => {
    const controller = new AbortController();
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': AUDIO.length });
      response.write('begin', () => {
        controller.abort();
      });
    };
    expect(await fetchOne({ signal: controller.signal })).toMatchObject([{ why: 'interrupted' }]);
    expect(existsSync(folder) && readdirSync(folder)).toEqual([]);
  });
});

describe('the name of a file', () => {
  it.each([
    ['Night Drive', 'https://cdn1.suno.ai/c.mp3', 'Night Drive 5f0c1a9b.mp3'],
    ['../../etc/passwd', 'https://cdn1.suno.ai/c.mp3', 'etc passwd 5f0c1a9b.mp3'],
    ['a/b\\c:d*e?"<f>|\n\u202eg', 'https://cdn1.suno.ai/c.WAV?x=1', 'a b c d e f g 5f0c1a9b.wav'],
    ['夜のドライブ', 'https://audiopipe.suno.ai/?item_id=c', '夜のドライブ 5f0c1a9b.mp3'],
    ['...', 'https://cdn1.suno.ai/c.exe', 'song 5f0c1a9b.mp3'],
    ['x'.repeat(300), 'https://cdn1.suno.ai/c.m4a', `${'x'.repeat(80)} 5f0c1a9b.m4a`],
  ])('of %j is good on every system', (title, url, name) => {
    expect(clipFileName(title, '5f0c1a9b-1111-2222', url)).toBe(name);
  });
});
