/**
 * `doctor` in situations that are really broken, as far as they need no Temporal server (else test/e2e/doctor.test.ts).
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { localFilesFindings } from '../../src/cli/doctor/localFiles.js';
import { type Machine, machineFindings } from '../../src/cli/doctor/machine.js';
import { clockFinding, serviceFindings } from '../../src/cli/doctor/service.js';
import { main } from '../../src/cli/program.js';
import { parseRecord } from '../../src/cli/schema.js';
import { homePaths } from '../../src/temporal/files.js';
import { keepKey } from '../../src/temporal/keptKey.js';
import { ownIdentity } from '../../src/temporal/processes.js';
import { readSettings } from '../../src/temporal/settings.js';

let folder: string;
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-doctor-'));
  home = join(folder, 'home');
  env = { TUNESMITH_HOME: home, TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'), MOUNTSEA_API_KEY: 'sk-1' };
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function onMachine(more: Partial<Machine> = {}, variables: NodeJS.ProcessEnv = {}): Promise<Finding[]> {
  const all = { ...env, ...variables };
  return machineFindings({ env: all, settings: readSettings(all), ...more });
}

async function ofServices(variables: NodeJS.ProcessEnv = {}): Promise<Finding[]> {
  return serviceFindings(readSettings({ ...env, ...variables }), 300);
}

const named = (findings: Finding[], check: string): Finding | undefined =>
  findings.find((finding) => finding.check === check);

/** What it leaves of a home that was used before. */
function leaveRecord(record: object): void {
  mkdirSync(home, { recursive: true });
  const base = {
    format: 1,
    mode: 'background',
    node: { ...ownIdentity(), pid: 2 ** 22 },
    tunesmithVersion: '0',
  };
  writeFileSync(homePaths(home).lock, JSON.stringify({ ...base, progress: [], ...record }));
}

describe('doctor finds on the machine', () => {
  it('nothing wrong where nothing is, and leaves no trace', async () => {
    const findings = await onMachine();
    expect(findings.filter(({ verdict }) => verdict === 'problem')).toEqual([]);
    expect(named(findings, 'key')?.found).toMatch(/^[0-9a-f]{8}, from MOUNTSEA_API_KEY$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('no key, and says how to give one', async () => {
    const finding = named(await onMachine({}, { MOUNTSEA_API_KEY: '' }), 'key');
    expect(finding).toMatchObject({ verdict: 'problem' });
    expect(finding?.mend).toContain('`tunesmith login`');
  });

  it('a key that others may read, a file that is damaged, and one that is not there', async () => {
    const origin = 'https://api.mountsea.ai';
    const keyless = { MOUNTSEA_API_KEY: '' };
    keepKey(home, origin, 'sk-secret');
    chmodSync(homePaths(home).keys, 0o644);
    expect(named(await onMachine({}, keyless), 'key')).toMatchObject({ verdict: 'problem' });
    writeFileSync(homePaths(home).keys, '{"sk-secret');
    const damaged = named(await onMachine({}, keyless), 'key');
    expect(damaged).toMatchObject({ verdict: 'problem' });
    expect(JSON.stringify(damaged)).not.toContain('sk-secret');
    const gone = { MOUNTSEA_API_KEY: '', MOUNTSEA_API_KEY_FILE: join(folder, 'gone') };
    expect(named(await onMachine({}, gone), 'key')).toMatchObject({ verdict: 'problem' });
  });

  it('a home that is no folder, and a full disk', async () => {
    writeFileSync(home, '');
    expect(named(await onMachine(), 'home')).toMatchObject({ verdict: 'problem' });
    expect(named(await onMachine({}, { TUNESMITH_HOME: join(home, 'below') }), 'home')).toMatchObject({
      verdict: 'problem',
    });
    rmSync(home);
    expect(named(await onMachine({ freeBytes: () => 1e6 }), 'home')?.found).toContain(
      '0.0 GB free: too little',
    );
  });

  it('an old Node', async () => {
    expect(named(await onMachine({ nodeVersion: '18.20.4' }), 'node')).toMatchObject({ verdict: 'problem' });
    expect(named(await onMachine({ nodeVersion: '20.18.1' }), 'node')).toMatchObject({ verdict: 'ok' });
  });

  it('a server binary that is none, and none at all', async () => {
    const broken = join(folder, 'temporal');
    writeFileSync(broken, '#!/bin/sh\nexit 1\n');
    chmodSync(broken, 0o700);
    const settings = { ...readSettings(env), cache: join(folder, 'cache') };
    const none = await machineFindings({ env: { ...env, PATH: '' }, settings });
    expect(named(none, 'server')?.found).toContain('No Temporal server is here yet');
    const found = await machineFindings({
      env: { ...env, PATH: '', TUNESMITH_TEMPORAL_CLI: broken },
      settings,
    });
    expect(named(found, 'server')?.found).not.toMatch(/^Temporal server/);
  });

  it('another tunesmith on the PATH, and none', async () => {
    const other = join(folder, 'tunesmith');
    symlinkSync(process.execPath, other);
    expect(named(await onMachine({}, { PATH: folder }), 'path')?.found).toContain('another one');
    expect(named(await onMachine({}, { PATH: '' }), 'path')?.found).toContain('not on the PATH');
  });

  it('a proxy, a sandbox, and private addresses that the real service cannot fetch', async () => {
    const findings = await onMachine({}, { HTTPS_PROXY: 'http://x', TUNESMITH_ALLOW_PRIVATE_URLS: '1' });
    expect(named(findings, 'proxy')).toMatchObject({ verdict: 'note' });
    expect(named(findings, 'sources')).toMatchObject({ verdict: 'note' });
    const sandbox = await onMachine({}, { MOUNTSEA_BASE_URL: 'http://127.0.0.1:9' });
    expect(named(sandbox, 'api')?.found).toContain('a sandbox');
    expect(named(sandbox, 'billing')).toMatchObject({ verdict: 'note' });
  });
});

describe('doctor finds of local files', () => {
  const of = (variables: NodeJS.ProcessEnv, prove = () => Promise.resolve()): Promise<Finding[]> =>
    localFilesFindings({ PATH: folder, ...variables }, home, prove);

  it('that nothing is set up, or that what is set up cannot be read', async () => {
    expect(await of({})).toMatchObject([{ verdict: 'note' }]);
    expect(await of({ TUNESMITH_TUNNEL: 'cloudflared' })).toMatchObject([{ verdict: 'problem' }]);
  });

  it('whether the bucket can be used', async () => {
    const bucket = { TUNESMITH_S3_BUCKET: 'songs', AWS_ENDPOINT_URL_S3: 'https://s3.example' };
    expect(await of(bucket)).toMatchObject([{ verdict: 'ok' }]);
    const found = await of(bucket, () => Promise.reject(new Error('Access Denied')));
    expect(found).toMatchObject([
      { verdict: 'problem', found: 'bucket songs at s3.example cannot be used: Access Denied' },
    ]);
  });

  it('whether the program of the tunnel is there', async () => {
    const tunnel = { TUNESMITH_TUNNEL: 'my-tunnel --to {port}' };
    expect(await of(tunnel)).toMatchObject([{ verdict: 'problem' }]);
    symlinkSync(process.execPath, join(folder, 'my-tunnel'));
    expect(await of(tunnel)).toMatchObject([{ verdict: 'ok', found: 'by a tunnel: my-tunnel' }]);
  });
});

describe('doctor finds of the background server', () => {
  it('that it was never started, and then says what is unknown', async () => {
    const findings = await ofServices();
    expect(named(findings, 'background')?.found).toContain('never started');
    expect(named(findings, 'balance')).toEqual({
      check: 'balance',
      verdict: 'unknown',
      found: 'unknown (no worker)',
    });
  });

  it('why it did not start', async () => {
    leaveRecord({ phase: 'ended', failure: 'the disk was full' });
    expect(named(await ofServices(), 'background')).toMatchObject({
      verdict: 'problem',
      found: 'It ended with an error: the disk was full',
    });
  });

  it('that it was killed, and that somebody else has its port', async () => {
    const stranger = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => stranger.once('listening', resolve));
    const { port } = stranger.address() as { port: number };
    leaveRecord({ phase: 'ready', ports: { port, uiPort: port } });
    const findings = await ofServices();
    stranger.close();
    expect(named(findings, 'background')?.found).toContain('was killed');
    expect(named(findings, 'ports')?.found).toContain(String(port));
  });

  it('that a configured one does not answer', async () => {
    const finding = named(await ofServices({ TEMPORAL_ADDRESS: '127.0.0.1:1' }), 'temporal');
    expect(finding).toMatchObject({ verdict: 'problem' });
    expect(finding?.mend).toContain('TEMPORAL_ADDRESS');
  });
});

describe('doctor finds of the clocks', () => {
  it.each([
    [undefined, 'unknown', /do not tell/],
    [-60_000, 'ok', /agree/],
    [61_000, 'note', /1 min ahead of Mountsea's/],
    [-90_000, 'note', /1 min behind Mountsea's/],
    [600_000, 'problem', /10 min ahead of .* a charge may be missed/],
  ] as const)('what %s ms mean: %s', (aheadMs, verdict, words) => {
    const finding = clockFinding(aheadMs);
    expect(finding).toMatchObject({ check: 'clock', verdict });
    expect(finding.found).toMatch(words);
    expect(finding.mend?.includes('NTP') ?? false).toBe(verdict === 'note' || verdict === 'problem');
  });
});

describe('the command', () => {
  it('exits 1 with a problem and has a record of its own', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const io = { env: { ...env, MOUNTSEA_API_KEY: '' }, stdout, stderr, cwd: folder };
    expect(await main(['doctor', '--json'], io as unknown as Parameters<typeof main>[1])).toBe(1);
    const record = parseRecord(JSON.parse(String(stdout.read())));
    expect(record).toMatchObject({ type: 'doctor', isWell: false });
    expect(String(stderr.read())).toBe('One thing is wrong.\n');
  });

  it('does not call well what it could not look at, and says how it can', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const io = { env, stdout, stderr, cwd: folder };
    expect(await main(['doctor'], io as unknown as Parameters<typeof main>[1])).toBe(0);
    expect(String(stdout.read())).toMatch(/\? +account +unknown \(no worker\)\n +-> .* up`/);
    expect(String(stderr.read())).toBe('Nothing wrong was found; not checked: account, balance, clock.\n');
  });

  it('gives a mend with every problem', async () => {
    leaveRecord({ phase: 'ended', failure: 'x' });
    const findings = [
      ...(await onMachine({ nodeVersion: '18.0.0', freeBytes: () => 0 }, { MOUNTSEA_API_KEY: '' })),
      ...(await ofServices({ TEMPORAL_ADDRESS: '127.0.0.1:1' })),
    ];
    const bare = findings.filter(({ verdict, mend }) => verdict === 'problem' && mend === undefined);
    expect(bare).toEqual([]);
  });
});
