/**
 * Client side: what `doctor` looks at on this machine: the program, its folders, the key, the server binary, proxies. Opens
 * no connection and leaves nothing behind.
 */
import { accessSync, constants, existsSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { homePaths } from '../../temporal/files.js';
import { stateVersion } from '../../temporal/server.js';
import { findServerBinary, whichIn } from '../../temporal/serverBinary.js';
import { isPrivateHost, keyFingerprint, type Settings } from '../../temporal/settings.js';
import { LEAST_NODE_VERSION, OWN_VERSION } from '../../temporal/version.js';
import { type Finding, note, ok, problem } from './finding.js';

/** The server binary takes 252 MB, and a history its part. */
const LEAST_FREE_BYTES = 500_000_000;
const OWN_ENTRY = fileURLToPath(new URL('../../client.js', import.meta.url));

export interface Machine {
  env: NodeJS.ProcessEnv;
  settings: Settings;
  /** e.g. `20.19.2`. Default: of this process. */
  nodeVersion?: string;
  /** Bytes free on the disk of a folder. Default: what the system says. */
  freeBytes?: (folder: string) => number;
}

export async function machineFindings(machine: Machine): Promise<Finding[]> {
  return [
    nodeFinding(machine),
    programFinding(machine),
    ...homeFindings(machine),
    keyFinding(machine),
    ...addressFindings(machine),
    ...(await binaryFindings(machine)),
    ...proxyFindings(machine),
  ];
}

function nodeFinding({ nodeVersion = process.versions.node }: Machine): Finding {
  const least = LEAST_NODE_VERSION;
  const found = `Node ${nodeVersion}, tunesmith ${OWN_VERSION}`;
  if (nodeVersion.localeCompare(least, 'en', { numeric: true }) >= 0) return ok('node', found);
  return problem(
    'node',
    `${found}; it needs Node ${least}.`,
    `Install Node ${least} or later: https://nodejs.org`,
  );
}

function programFinding({ env }: Machine): Finding {
  const path = whichIn(env, 'tunesmith');
  if (path === undefined) {
    return note(
      'path',
      '`tunesmith` is not on the PATH.',
      'In the repository `npm link` puts it there; or `npm run -s tunesmith -- <command>`.',
    );
  }
  const isOwn = existsSync(OWN_ENTRY) && realpathSync(path) === realpathSync(OWN_ENTRY);
  return isOwn
    ? ok('path', path)
    : note(
        'path',
        `\`tunesmith\` on the PATH is another one: ${path}.`,
        'Call this one by its path, or remove that one.',
      );
}

function homeFindings({ settings: { home, cache, temporal }, freeBytes = freeBytesOf }: Machine): Finding[] {
  const findings: Finding[] = [];
  for (const [check, folder, variable] of [
    ['home', home, 'TUNESMITH_HOME'],
    ['cache', cache, 'XDG_CACHE_HOME'],
  ] as const) {
    // With another Temporal nothing is kept here but a key.
    if (check === 'cache' && temporal !== undefined) continue;
    const there = nearest(folder);
    const why = whyNotWritable(there);
    if (why !== undefined) {
      findings.push(
        problem(
          check,
          `${folder} cannot be written: ${why}`,
          `Make it yours, or set ${variable} to a folder of yours.`,
        ),
      );
      continue;
    }
    const free = freeBytes(there);
    const words = `${folder}, ${(free / 1e9).toFixed(1)} GB free`;
    findings.push(
      free < LEAST_FREE_BYTES
        ? problem(
            check,
            `${words}: too little for server and state.`,
            `Free some space, or set ${variable} to a folder on another disk.`,
          )
        : ok(check, words),
    );
  }
  return findings;
}

function keyFinding({ settings }: Machine): Finding {
  const { home, origin, temporal } = settings;
  let key, source;
  try {
    [key, source] = [settings.apiKey(), settings.keySource()];
  } catch (error) {
    return problem('key', (error as Error).message, 'Put the file right, or `tunesmith login`.');
  }
  if (key === undefined || source === undefined) {
    return temporal === undefined
      ? problem(
          'key',
          `There is no API key for ${origin}.`,
          '`tunesmith login`, or set MOUNTSEA_API_KEY. Without a key: `tunesmith demo`.',
        )
      : note('key', 'There is none here; only workers need one.');
  }
  const found = `${keyFingerprint(origin, key)}, ${source === 'login' ? 'kept by login' : `from ${source}`}`;
  const { keys } = homePaths(home);
  if (source === 'login' && process.platform !== 'win32' && (statSync(keys).mode & 0o077) !== 0) {
    return problem(
      'key',
      `${found}, but others may read ${keys}.`,
      '`tunesmith login` writes it anew for you alone; think of another key.',
    );
  }
  return ok('key', found);
}

function addressFindings({ settings, env }: Machine): Finding[] {
  const { baseUrl, origin, allowPrivateUrls, billingUrl, timeScale } = settings;
  const isPrivate = isPrivateHost(new URL(origin).hostname);
  const findings = [
    isPrivate
      ? note('api', `${baseUrl}, on this machine or a private network: a sandbox.`)
      : ok('api', baseUrl),
  ];
  if (billingUrl === undefined) {
    findings.push(note('billing', 'None is configured: credits stay unknown.', 'Set MOUNTSEA_BILLING_URL.'));
  }
  if (allowPrivateUrls && !isPrivate) {
    findings.push(
      note(
        'sources',
        'TUNESMITH_ALLOW_PRIVATE_URLS=1: private addresses are accepted, which Mountsea cannot fetch.',
        'Unset it; it is for the sandbox.',
      ),
    );
  }
  if (timeScale !== 1)
    findings.push(note('time', `TUNESMITH_TIME_SCALE=${env['TUNESMITH_TIME_SCALE'] ?? ''}.`));
  return findings;
}

async function binaryFindings({ settings, env }: Machine): Promise<Finding[]> {
  if (settings.temporal !== undefined) return [];
  const tried: string[] = [];
  const { stateFile } = homePaths(settings.home);
  try {
    const { path, version, from } = await findServerBinary({
      cache: settings.cache,
      env,
      say: (line) => tried.push(line.replace(/^Temporal server, /, '')),
      stateVersion: stateVersion(stateFile),
      isOffline: true,
    });
    const named = env['TUNESMITH_TEMPORAL_CLI']?.trim() ?? '';
    if (named !== '' && from !== 'TUNESMITH_TEMPORAL_CLI') {
      return [
        problem(
          'server',
          `TUNESMITH_TEMPORAL_CLI is no use (${tried.join('; ')}).`,
          'Put the path right, or unset it.',
        ),
      ];
    }
    return [ok('server', `Temporal server ${version} (${from}): ${path}`)];
  } catch {
    const go = whichIn(env, 'go');
    return [
      note(
        'server',
        `No Temporal server is here yet. The first start downloads one${go === undefined ? '' : `, or builds it with ${go} (about 5 minutes)`}.`,
        go === undefined
          ? 'Where downloads are blocked: install Go, or the Temporal CLI (https://docs.temporal.io/cli).'
          : undefined,
      ),
    ];
  }
}

function proxyFindings({ env }: Machine): Finding[] {
  const set = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'https_proxy', 'http_proxy', 'all_proxy'].filter(
    (name) => (env[name] ?? '') !== '',
  );
  if (set.length === 0) return [];
  return [
    note(
      'proxy',
      `${set.join(', ')} is set, but the worker speaks to the API directly.`,
      'Where only the proxy leads out, run `tunesmith worker` on a machine that reaches the API.',
    ),
  ];
}

/** The folder itself, or the nearest above it that is there. */
function nearest(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(at) || at === dirname(at)) return at;
  }
}

function whyNotWritable(folder: string): string | undefined {
  try {
    if (!statSync(folder).isDirectory()) return `${folder} is no folder`;
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES'
      ? `${folder} belongs to somebody else`
      : (error as Error).message;
  }
}

function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
