/**
 * What the environment says, read once in each `main` and handed down as one object. Every process uses it; it opens
 * no connection. The variables are listed in docs/operations.md.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type ClientConfigProfile, loadClientConfigProfile } from '@temporalio/envconfig';
import envPaths from 'env-paths';
import ipaddr from 'ipaddr.js';
import { keptKey } from './keptKey.js';

export const DEFAULT_BASE_URL = 'https://api.mountsea.ai';
const DEFAULT_BILLING_URL = 'https://dk.mountsea.ai';

/** The environment holds something that cannot be used. The message is a sentence for the user; exit code 2. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** A variable cannot change in a process that runs; files can. `login`: keptKey.ts. */
export type KeySource = 'MOUNTSEA_API_KEY' | 'MOUNTSEA_API_KEY_FILE' | 'login';

export interface Settings {
  /** Where the API is, e.g. `https://api.mountsea.ai`. A path is kept as a prefix. */
  baseUrl: string;
  /** Origin of `baseUrl`: names the task queue. */
  origin: string;
  /** Where the billing API is; absent where none is configured: credits are then unknown. */
  billingUrl?: string;
  /** Folder of the background server's state (`TUNESMITH_HOME`); absolute. */
  home: string;
  /** Folder of things that can be fetched or built again, such as the server binary. */
  cache: string;
  /** Sources on loopback or private addresses are accepted (`TUNESMITH_ALLOW_PRIVATE_URLS=1`). */
  allowPrivateUrls: boolean;
  /** Factor on the workflow's durations; other than 1 only against a sandbox on this machine. */
  timeScale: number;
  /** The configured Temporal; absent: our own background server. */
  temporal?: ClientConfigProfile & { address: string };
  /** The API key in use now: files are read at each call, so that a rotated key is picked up. */
  apiKey: () => string | undefined;
  /** Where `apiKey` comes from now; undefined where there is none. */
  keySource: () => KeySource | undefined;
  billingKey: () => string | undefined;
  /**
   * What notifications are signed with, `whsec_…`; undefined where there is none.
   *
   * @throws SettingsError where it cannot be read, or is no such secret.
   */
  webhookSecret: () => string | undefined;
}

type Environment = Record<string, string | undefined>;

/** @throws SettingsError where a variable cannot be used. */
export function readSettings(env: Environment = process.env): Settings {
  const baseUrl = httpUrl('MOUNTSEA_BASE_URL', present(env, 'MOUNTSEA_BASE_URL') ?? DEFAULT_BASE_URL);
  const origin = new URL(baseUrl).origin;
  // The real ledger says nothing about another API, so another base URL has no billing host unless one is named.
  const billing =
    present(env, 'MOUNTSEA_BILLING_URL') ?? (baseUrl === DEFAULT_BASE_URL ? DEFAULT_BILLING_URL : undefined);
  const paths = envPaths('tunesmith', { suffix: '' });
  const temporal = configuredTemporal(env);
  const home = resolve(present(env, 'TUNESMITH_HOME') ?? paths.data);
  const found = (): { key: string; source: KeySource } | undefined => keyFrom(env, home, origin);
  const apiKey = (): string | undefined => found()?.key;
  return {
    baseUrl,
    origin,
    ...(billing === undefined ? {} : { billingUrl: httpUrl('MOUNTSEA_BILLING_URL', billing) }),
    home,
    cache: cacheFolder(),
    allowPrivateUrls: env['TUNESMITH_ALLOW_PRIVATE_URLS'] === '1',
    timeScale: timeScale(env, origin),
    ...(temporal === undefined ? {} : { temporal }),
    apiKey,
    keySource: () => found()?.source,
    billingKey: () => present(env, 'MOUNTSEA_BILLING_API_KEY') ?? apiKey(),
    webhookSecret: () => webhookSecret(env),
  };
}

/** Where things are kept that can be fetched or built again. */
export function cacheFolder(): string {
  return envPaths('tunesmith', { suffix: '' }).cache;
}

/** HMAC-SHA-256 of the origin under the key, first 8 hex digits: tells keys apart without telling the key. */
export function keyFingerprint(origin: string, apiKey: string): string {
  return createHmac('sha256', apiKey).update(origin).digest('hex').slice(0, 8);
}

/** Tells secrets of webhooks apart without telling them. */
export function webhookFingerprint(secret: string): string {
  return createHmac('sha256', secret).update('webhook').digest('hex').slice(0, 8);
}

/**
 * Whether a URL's host is this machine or a private network by its literal address or reserved name. A public name
 * that resolves to such an address is not seen here.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (isIP(host) !== 0) return ipaddr.process(host).range() !== 'unicast';
  return /(^|\.)(localhost|local|internal|home\.arpa)$/.test(host);
}

function configuredTemporal(env: Environment): (ClientConfigProfile & { address: string }) | undefined {
  const defined = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  let profile: ClientConfigProfile;
  try {
    profile = loadClientConfigProfile({ overrideEnvVars: defined });
  } catch (error) {
    throw new SettingsError(`Temporal's configuration cannot be read: ${(error as Error).message}`);
  }
  const { address } = profile;
  return address === undefined || address === '' ? undefined : { ...profile, address };
}

function present(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

function keyFrom(
  env: Environment,
  home: string,
  origin: string,
): { key: string; source: KeySource } | undefined {
  const said = secretFrom(env, 'MOUNTSEA_API_KEY', 'MOUNTSEA_API_KEY_FILE');
  if (said !== undefined) return { key: said.secret, source: said.source };
  // A file that is named and empty is no key, but it says that none is to be taken from elsewhere.
  if (present(env, 'MOUNTSEA_API_KEY_FILE') !== undefined) return undefined;
  const kept = keptKeyOf(home, origin);
  return kept === undefined ? undefined : { key: kept, source: 'login' };
}

/** From a variable, else from the file that another one names. */
function secretFrom<Name extends string, FileName extends string>(
  env: Environment,
  name: Name,
  fileName: FileName,
): { secret: string; source: Name | FileName } | undefined {
  const secret = present(env, name);
  if (secret !== undefined) return { secret, source: name };
  const file = present(env, fileName);
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new SettingsError(`${fileName} cannot be read: ${(error as Error).message}`);
  }
  return text === '' ? undefined : { secret: text, source: fileName };
}

function keptKeyOf(home: string, origin: string): string | undefined {
  try {
    return keptKey(home, origin);
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
}

/** 24 to 64 bytes in Base64, as Standard Webhooks ask for. */
function webhookSecret(env: Environment): string | undefined {
  const secret = secretFrom(env, 'TUNESMITH_WEBHOOK_SECRET', 'TUNESMITH_WEBHOOK_SECRET_FILE')?.secret;
  if (secret === undefined) return undefined;
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const { length } = Buffer.from(base64 ?? '', 'base64');
  if (base64 !== undefined && base64.length % 4 === 0 && length >= 24 && length <= 64) return secret;
  throw new SettingsError(
    'TUNESMITH_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in Base64, e.g. "whsec_$(openssl rand -base64 32)".',
  );
}

function httpUrl(name: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new SettingsError(`${name} must be an http or https URL.`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new SettingsError(`${name} must have no user, password, query or fragment.`);
  }
  return url.href.replace(/\/+$/, '');
}

function timeScale(env: Environment, origin: string): number {
  const text = present(env, 'TUNESMITH_TIME_SCALE');
  if (text === undefined) return 1;
  const scale = Number(text);
  if (!(scale > 0 && scale <= 1)) throw new SettingsError('TUNESMITH_TIME_SCALE must be in (0, 1].');
  if (scale !== 1 && !isPrivateHost(new URL(origin).hostname)) {
    throw new SettingsError(`TUNESMITH_TIME_SCALE is for a sandbox on this machine, not for ${origin}.`);
  }
  return scale;
}
