import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isPrivateHost, keyFingerprint, readSettings } from '../../src/temporal/settings.js';

const NO_FILE = { TEMPORAL_CONFIG_FILE: join(tmpdir(), 'tunesmith-no-such-file.toml') };

describe('settings from the environment', () => {
  it('asks the real ledger only about the real API', () => {
    expect(readSettings({ ...NO_FILE }).billingUrl).toBe('https://dk.mountsea.ai');
    expect(
      readSettings({ ...NO_FILE, MOUNTSEA_BASE_URL: 'http://127.0.0.1:9000' }).billingUrl,
    ).toBeUndefined();
  });

  it('knows no Temporal server unless an address is configured, so that no stranger on the default port is used', () => {
    expect(readSettings({ ...NO_FILE }).temporal).toBeUndefined();
    expect(readSettings({ ...NO_FILE, TEMPORAL_NAMESPACE: 'music' }).temporal).toBeUndefined();
  });

  it('passes address and namespace on together', () => {
    const { temporal } = readSettings({
      ...NO_FILE,
      TEMPORAL_ADDRESS: 'box:7233',
      TEMPORAL_NAMESPACE: 'music',
    });
    expect(temporal).toMatchObject({ address: 'box:7233', namespace: 'music' });
  });

  it('reads a key file again when it has changed', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tunesmith-')), 'key');
    writeFileSync(file, 'first\n');
    const settings = readSettings({ ...NO_FILE, MOUNTSEA_API_KEY_FILE: file });
    expect(settings.apiKey()).toBe('first');
    writeFileSync(file, 'second\n');
    expect(settings.apiKey()).toBe('second');
  });

  it.each([
    [{ MOUNTSEA_BASE_URL: 'ftp://x' }, /MOUNTSEA_BASE_URL/],
    [{ MOUNTSEA_BASE_URL: 'https://api.example/?key=secret' }, /query/],
    [{ MOUNTSEA_BASE_URL: 'https://me:secret@api.example' }, /password/],
    [{ TUNESMITH_TIME_SCALE: '0' }, /TUNESMITH_TIME_SCALE/],
    [{ TUNESMITH_TIME_SCALE: '0.1' }, /sandbox on this machine/],
  ])('refuses %o with a sentence that repeats no secret', (env, sentence) => {
    const read = (): unknown => readSettings({ ...NO_FILE, ...env });
    expect(read).toThrow(sentence);
    expect(read).not.toThrow(/secret/);
  });
});

describe('the fingerprint of a key', () => {
  it('tells keys and origins apart and does not hold the key', () => {
    const prints = [
      keyFingerprint('https://a.example', 'one'),
      keyFingerprint('https://a.example', 'two'),
      keyFingerprint('https://b.example', 'one'),
    ];
    expect(new Set(prints).size).toBe(3);
    for (const print of prints) expect(print).toMatch(/^[0-9a-f]{8}$/);
  });
});

describe('a private host', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '192.168.0.9',
    '169.254.169.254',
    '[::1]',
    '[fd00::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    'nas.local',
    '0.0.0.0',
  ])('is %s', (host) => {
    expect(isPrivateHost(host)).toBe(true);
  });

  it.each(['93.184.216.34', 'cdn.example', '[2606:2800:220:1::1]', 'localhost.example'])(
    'is not %s',
    (host) => {
      expect(isPrivateHost(host)).toBe(false);
    },
  );
});
