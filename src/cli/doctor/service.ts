/**
 * Client side: what `doctor` looks at beyond this machine's files: the background server, the Temporal server in use, its
 * workers, and, by one of these, the account. Starts nothing and spends nothing.
 */
import { existsSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { CREATE_CREDITS } from '../../contract/training.js';
import { Account } from '../../library/account.js';
import { glimpse, type Glimpse } from '../../library/connect.js';
import { describeMismatch } from '../../temporal/background.js';
import { configuredAddress } from '../../temporal/connection.js';
import { homePaths } from '../../temporal/files.js';
import { taskQueueFor } from '../../temporal/identity.js';
import { leftServers, lockHolder, readLock } from '../../temporal/lock.js';
import { retentionOf } from '../../temporal/namespace.js';
import { DEFAULT_PORTS, isFree } from '../../temporal/server.js';
import { keyFingerprint, type Settings } from '../../temporal/settings.js';
import { spanOf } from '../../preflight/words.js';
import { OWN_VERSION } from '../../temporal/version.js';
import { type Finding, note, ok, problem, unknown } from './finding.js';

const ANSWER_MS = 5_000;
/** A worker asks for work at least this often. */
const POLLED_WITHIN_MS = 90_000;
const LEAST_RETENTION_DAYS = 30;

/** @param patienceMs how long a Temporal server may take to answer. */
export async function serviceFindings(settings: Settings, patienceMs = ANSWER_MS): Promise<Finding[]> {
  return settings.temporal === undefined
    ? ownFindings(settings, patienceMs)
    : configuredFindings(settings, patienceMs);
}

async function ownFindings(settings: Settings, patienceMs: number): Promise<Finding[]> {
  const { home } = settings;
  let there: Glimpse | undefined;
  try {
    there = await glimpse(settings, patienceMs);
  } catch {
    // It ended just now.
  }
  if (there === undefined) {
    return [
      ...(await whyNotRunning(home)),
      ...accountUnknown(
        'no worker',
        'A worker that runs is asked: `tunesmith up`, or the first `train`, starts one.',
      ),
    ];
  }
  try {
    const { background } = there;
    const record = readLock(home);
    const findings = [
      ok('background', `runs, process ${background?.pid ?? 0}, Web UI ${background?.uiUrl ?? ''}`),
    ];
    const mismatch = background === undefined ? undefined : mismatchOf(background, settings);
    if (mismatch !== undefined) findings.push(mismatch);
    if (background?.worker === undefined) {
      const missing = problem(
        'worker',
        'The background server has no worker, since it has no API key.',
        '`tunesmith login`',
      );
      return [...findings, ...(mismatch === undefined ? [missing] : []), ...accountUnknown('no worker')];
    }
    findings.push(ok('worker', `for ${background.worker.origin}, key ${background.worker.keyFingerprint}`));
    if (background.worker.origin !== settings.origin) return [...findings, ...accountUnknown('no worker')];
    return [
      ...findings,
      ...versionFindings(record?.tunesmithVersion),
      ...(await accountFindings(there, settings)),
    ];
  } finally {
    await there.close();
  }
}

function mismatchOf(background: NonNullable<Glimpse['background']>, settings: Settings): Finding | undefined {
  let sentence: string | undefined;
  try {
    sentence = describeMismatch(background, settings);
  } catch {
    // Its key cannot be read; said with the key.
  }
  if (sentence === undefined) return undefined;
  const [found = '', mend = ''] = sentence.split(/ (?=To (?:change|start))/);
  return problem('worker', found, mend);
}

/** Another version that runs since before an upgrade. */
function versionFindings(running: string | undefined): Finding[] {
  if (running === undefined || running === OWN_VERSION) return [];
  return [
    note(
      'version',
      `The background process is tunesmith ${running}, this is ${OWN_VERSION}.`,
      '`tunesmith down`: the next command starts this one.',
    ),
  ];
}

async function whyNotRunning(home: string): Promise<Finding[]> {
  const record = readLock(home);
  const { backgroundLog, stateFile } = homePaths(home);
  const holder = lockHolder(home);
  if (holder !== undefined) {
    return [
      problem(
        'background',
        `Process ${holder.pid} has ${home} (${record?.phase ?? 'no record'}), but its server does not answer.`,
        'Wait for a moment and look again; then `tunesmith down`. Its log: ' + backgroundLog,
      ),
    ];
  }
  const findings: Finding[] = [];
  if (record?.failure !== undefined) {
    findings.push(
      problem(
        'background',
        `It ended with an error: ${record.failure}`,
        `The next command tries again. Its log: ${backgroundLog}`,
      ),
    );
  } else if (record !== undefined && record.phase !== 'ended') {
    findings.push(note('background', 'It was killed. The next command brings it back, and trainings go on.'));
  } else {
    const isNew = !existsSync(stateFile);
    findings.push(
      ok(
        'background',
        isNew
          ? 'was never started here; `train` starts it'
          : 'does not run; the next command that needs it starts it',
      ),
    );
  }
  const left = existsSync(home) ? leftServers(home) : [];
  if (left.length > 0) {
    findings.push(
      note(
        'background',
        `A Temporal server without its process is left (${left.map(({ pid }) => pid).join(', ')}); the next command ends it.`,
      ),
    );
  }
  const { port, uiPort } = record?.ports ?? DEFAULT_PORTS;
  const taken = [];
  for (const one of [port, uiPort]) if (!(await isFree(one))) taken.push(one);
  if (taken.length > 0 && left.length === 0) {
    findings.push(
      note('ports', `Somebody else listens on ${taken.join(' and ')}; the next free ones are taken.`),
    );
  }
  return findings;
}

async function configuredFindings(settings: Settings, patienceMs: number): Promise<Finding[]> {
  const { temporal, origin } = settings;
  const { namespace } = temporal === undefined ? { namespace: 'default' } : configuredAddress(temporal);
  const where = `${temporal?.address ?? ''}, namespace ${namespace}`;
  let there: Glimpse | undefined;
  try {
    there = await glimpse(settings, patienceMs);
  } catch (error) {
    return [
      problem(
        'temporal',
        `${where}: it does not answer (${messageOf(error)}).`,
        'Check TEMPORAL_ADDRESS, TLS and key of the profile; or unset TEMPORAL_ADDRESS to use the server that tunesmith brings.',
      ),
      ...accountUnknown('no Temporal server'),
    ];
  }
  if (there === undefined) return [];
  try {
    const namespaceFinding = await namespaceFindingOf(there.client, namespace, where);
    if (namespaceFinding.verdict === 'problem') return [namespaceFinding, ...accountUnknown('no namespace')];
    const queue = taskQueueFor(origin);
    const pollers = await pollersOf(there.client, namespace, queue);
    if (pollers.length === 0) {
      return [
        namespaceFinding,
        problem(
          'worker',
          `No worker polls ${queue}, the task queue of ${origin}.`,
          'Start one where the key is: `tunesmith worker`. It needs the same MOUNTSEA_BASE_URL, address and namespace.',
        ),
        ...accountUnknown('no worker'),
      ];
    }
    return [
      namespaceFinding,
      ok(
        'worker',
        `${pollers.length === 1 ? 'one polls' : `${pollers.length} poll`} ${queue}: ${pollers.join(', ')}`,
      ),
      ...(await accountFindings(there, settings)),
    ];
  } finally {
    await there.close();
  }
}

async function namespaceFindingOf(client: Client, namespace: string, where: string): Promise<Finding> {
  try {
    const kept = await client.withDeadline(Date.now() + ANSWER_MS, () => retentionOf(client, namespace));
    if (kept === undefined || kept >= LEAST_RETENTION_DAYS) return ok('temporal', where);
    return note(
      'temporal',
      `${where}: histories are kept for ${Math.round(kept * 10) / 10} days only. Models stay known by their records.`,
      '`tunesmith setup`',
    );
  } catch (error) {
    if (!/not found/i.test(messageOf(error))) return unknown('temporal', `${where}: ${messageOf(error)}`);
    return problem(
      'temporal',
      `The server at ${where.split(',')[0] ?? ''} has no namespace ${namespace}.`,
      '`tunesmith setup` creates it; or set TEMPORAL_NAMESPACE.',
    );
  }
}

/** Who asked for workflow tasks lately. */
async function pollersOf(client: Client, namespace: string, queue: string): Promise<string[]> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: queue },
  });
  return pollers
    .filter(
      ({ lastAccessTime: at }) =>
        at === undefined || at === null || Date.now() - tsToMs(at) < POLLED_WITHIN_MS,
    )
    .map(({ identity }) => identity ?? 'unnamed');
}

/** By the worker: a client has no key and never talks to Mountsea. */
async function accountFindings({ client }: Glimpse, settings: Settings): Promise<Finding[]> {
  const account = new Account(client);
  let reading;
  try {
    reading = await account.read({ origin: settings.origin, since: Date.now(), checksKey: true });
  } catch (error) {
    return accountUnknown(messageOf(error));
  }
  if (reading === undefined) {
    return [
      problem(
        'answer',
        'A worker is there but takes no work.',
        'Look at its log, or restart it: `tunesmith down`, or end it and `tunesmith worker`.',
      ),
      ...accountUnknown('no worker answers'),
    ];
  }
  const { key, ledger, ledgerMissing = 'billing did not answer', keyFingerprint: used } = reading;
  const findings: Finding[] = [];
  const said = key?.said ?? 'the worker does not say';
  if (key?.verdict === 'accepted') findings.push(ok('account', `Mountsea takes the key ${used}.`));
  else if (key?.verdict === 'refused') {
    findings.push(
      problem('account', `Mountsea refuses the worker's key ${used}: ${said}`, mendOfKey(settings)),
    );
  } else if (key?.verdict === 'missing') {
    findings.push(problem('account', 'The worker has no API key just now.', mendOfKey(settings)));
  } else findings.push(unknown('account', `Whether Mountsea takes the key is unknown: ${said}`));
  if (ledger === undefined) {
    findings.push(
      unknown(
        'balance',
        `unknown (${ledgerMissing})`,
        'Trainings work; charges are then told apart less surely. MOUNTSEA_BILLING_API_KEY and MOUNTSEA_BILLING_URL name another key and host.',
      ),
    );
  } else if (ledger.balance < CREATE_CREDITS) {
    findings.push(
      problem(
        'balance',
        `${ledger.balance} credits, and create alone costs ${CREATE_CREDITS}.`,
        'Top the account up at Mountsea.',
      ),
    );
  } else findings.push(ok('balance', `${ledger.balance} credits`));
  findings.push(clockFinding(reading.clockAheadMs));
  const own = ownFingerprint(settings);
  if (own !== undefined && own !== used && used !== '' && settings.temporal !== undefined) {
    findings.push(
      note('account', `The worker uses another key (${used}) than yours (${own}); the worker's counts.`),
    );
  }
  return findings;
}

/** From here on it is said, and from there on times of both clocks are no longer told apart rightly (`skewMs`). */
const CLOCK_NOTED_MS = 60_000;
const CLOCK_WRONG_MS = 120_000;

/**
 * The worker's clock beside Mountsea's.
 *
 * @param aheadMs of the worker, ms; negative: behind. Undefined where the answers do not tell.
 */
export function clockFinding(aheadMs: number | undefined): Finding {
  if (aheadMs === undefined) return unknown('clock', "unknown (Mountsea's answers do not tell its time)");
  const off = Math.abs(aheadMs);
  if (off <= CLOCK_NOTED_MS) return ok('clock', 'that of the worker and that of Mountsea agree');
  const how = `The worker's clock is ${spanOf(off)} ${aheadMs > 0 ? 'ahead of' : 'behind'} Mountsea's.`;
  const mend =
    'Have that machine set its clock by NTP: `timedatectl set-ntp true` on Linux, or date and time in its settings.';
  return off > CLOCK_WRONG_MS
    ? problem(
        'clock',
        `${how} What became of a create is told by comparing both: a charge may be missed, or taken for somebody else's.`,
        mend,
      )
    : note('clock', `${how} From 2 min on charges may be told apart wrongly.`, mend);
}

function mendOfKey({ temporal }: Settings): string {
  return temporal === undefined
    ? '`tunesmith login` with the right one.'
    : 'Put the key of that worker right.';
}

function ownFingerprint({ origin, apiKey }: Settings): string | undefined {
  try {
    const key = apiKey();
    return key === undefined ? undefined : keyFingerprint(origin, key);
  } catch {
    return undefined;
  }
}

function accountUnknown(why: string, mend?: string): Finding[] {
  return [
    unknown('account', `unknown (${why})`, mend),
    unknown('balance', `unknown (${why})`),
    unknown('clock', `unknown (${why})`),
  ];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
