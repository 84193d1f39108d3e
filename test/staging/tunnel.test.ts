/**
 * The file server behind a tunnel, with a real reverse proxy process in the tunnel's place.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Tunnel, type TunnelOptions } from '../../src/staging/tunnel.js';
import { waitUntil } from '../support/waitUntil.js';
import { writeLocalFile } from './localFile.js';

const PROXY = fileURLToPath(new URL('../support/reverseProxy.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tunesmith-tunnel-'));
const tunnels: Tunnel[] = [];
let marks = 0;

/** @returns a tunnel, and whether its process is there. */
function open(options: Partial<TunnelOptions> = {}): { tunnel: Tunnel; isUp: () => boolean } {
  const mark = `tunnel-of-test-${process.pid}-${++marks}`;
  const command = `node ${PROXY} {port} ${mark}`;
  const tunnel = new Tunnel({ command, allowPrivateUrls: true, ...options });
  tunnels.push(tunnel);
  return { tunnel, isUp: () => isRunning(mark) };
}

/** Of the proxy itself, not of the shell or the guard around it. */
function isRunning(mark: string): boolean {
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  return processes.split('\n').some((line) => line.startsWith('node ') && line.includes(mark));
}

afterEach(async () => {
  await Promise.all(tunnels.splice(0).map((tunnel) => tunnel.close()));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('a file behind a tunnel', () => {
  it('is fetched through it, whole and in ranges, and nothing else is', async () => {
    const { tunnel } = open();
    const file = writeLocalFile(folder, 'one.mp3', '0123456789');
    const url = await tunnel.urlOf(file);
    expect(await tunnel.urlOf(file)).toBe(url);
    expect(new URL(url).pathname).toMatch(/^\/[\w-]{32}\.mp3$/);
    const whole = await fetch(url);
    expect(await whole.text()).toBe('0123456789');
    expect(whole.headers.get('content-type')).toBe('audio/mpeg');
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
    for (const [range, status, text] of [
      ['bytes=2-4', 206, '234'],
      ['bytes=7-', 206, '789'],
      ['bytes=-3', 206, '789'],
      ['bytes=5-99', 206, '56789'],
      ['bytes=10-', 416, ''],
      ['lines=1-2', 200, '0123456789'],
    ] as const) {
      const answer = await fetch(url, { headers: { range } });
      expect([range, answer.status, await answer.text()]).toEqual([range, status, text]);
    }
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(405);
    const { origin } = new URL(url);
    for (const path of ['/', '/one.mp3', '/../../etc/passwd', `${new URL(url).pathname}/..`]) {
      expect(await statusOf(origin, path)).toBe(404);
    }
  });

  it('that changes is not given out, and is not taken in', async () => {
    const { tunnel } = open();
    const file = writeLocalFile(folder, 'two.wav', 'sound of two');
    const url = await tunnel.urlOf(file);
    writeFileSync(file.path, 'something longer than before');
    expect((await fetch(url)).status).toBe(410);
    await expect(tunnel.urlOf(file)).rejects.toThrow(/has changed since the training was started/);
  });

  it('is gone when it is taken back, and the tunnel ends with the last one', async () => {
    const { tunnel, isUp } = open({ lingerMs: 300 });
    const [one, two] = [
      writeLocalFile(folder, 'a.wav', 'sound of a'),
      writeLocalFile(folder, 'b.wav', 'sound of b'),
    ];
    const url = await tunnel.urlOf(one);
    await tunnel.urlOf(two);
    expect(isUp()).toBe(true);
    tunnel.takeBack(one);
    expect((await fetch(url)).status).toBe(404);
    tunnel.takeBack(two);
    await waitUntil('the tunnel is down', () => !isUp());
    // The next file brings it back, at another address.
    const again = await tunnel.urlOf(one);
    expect(again).not.toBe(url);
    expect(await (await fetch(again)).text()).toBe('sound of a');
  });
});

describe('a tunnel', () => {
  it('that does not come up, or leads elsewhere, is said', async () => {
    const file = writeLocalFile(folder, 'three.wav', 'sound of three');
    const broken = open({ command: 'exit 3 # {port}' }).tunnel;
    await expect(broken.urlOf(file)).rejects.toThrow(/TUNESMITH_TUNNEL ended at once \(code 3\)/);
    const command = `node ${PROXY} 9 elsewhere-{port}`;
    const elsewhere = open({ command, startMs: 1_500 }).tunnel;
    await expect(elsewhere.urlOf(file)).rejects.toThrow(/leads back to this machine within 1.5 s/);
    await waitUntil('it has ended', () => !isRunning('elsewhere-'));
  });

  it('ends with its worker, however that ends', async () => {
    const mark = `tunnel-of-killed-${process.pid}`;
    const file = writeLocalFile(folder, 'four.wav', 'sound of four');
    const module = new URL('../../dist/staging/tunnel.js', import.meta.url).href;
    const script = `
      const { Tunnel } = await import(${JSON.stringify(module)});
      const tunnel = new Tunnel({ command: ${JSON.stringify(`node ${PROXY} {port} ${mark}`)}, allowPrivateUrls: true });
      console.log(await tunnel.urlOf(${JSON.stringify(file)}));
      setInterval(() => {}, 1000);
    `;
    const worker = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
    let output = '';
    worker.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await waitUntil('its tunnel is up', () => output.includes('http') && isRunning(mark));
    worker.kill('SIGKILL');
    await waitUntil('the tunnel has ended too', () => !isRunning(mark));
  });
});

/** `fetch` would tidy the path. */
function statusOf(origin: string, path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
