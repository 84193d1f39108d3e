/**
 * Tells running processes apart for good: a pid alone may long belong to somebody else. Used by the CLI and by the
 * background process before they wait for a process or end it. Knows nothing of Temporal.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** A process for good: no other one ever has the same pid and start. */
export const processIdSchema = z.object({
  pid: z.number().int().positive(),
  /** When it started, in the words of the operating system; only good for comparing. */
  startedAt: z.string(),
});
export type ProcessId = z.infer<typeof processIdSchema>;

/** The running process of this pid; undefined where none runs. A zombie does not run any more. */
export function identify(pid: number): ProcessId | undefined {
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** This process. */
export function ownIdentity(): ProcessId {
  const own = identify(process.pid);
  if (own === undefined) throw new Error('The operating system does not say when this process started.');
  return own;
}

export function isSameProcess(a: ProcessId | undefined, b: ProcessId | undefined): boolean {
  return a !== undefined && a.pid === b?.pid && a.startedAt === b.startedAt;
}

/** False also where the pid now belongs to another process. */
export function isRunning(id: ProcessId | undefined): boolean {
  return id !== undefined && isSameProcess(identify(id.pid), id);
}

/** Sends a signal to exactly this process; nothing where it is gone. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isRunning(id)) return;
  try {
    process.kill(id.pid, signal);
  } catch (error) {
    // It may end between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** @returns whether it is gone within `timeoutMs`. */
export async function waitForEnd(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(id)) {
    if (performance.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

/**
 * SIGTERM, and SIGKILL where that does not end it in time.
 * @throws where even SIGKILL does not end it.
 */
export async function endProcess(id: ProcessId, graceMs = 15_000): Promise<void> {
  signalProcess(id, 'SIGTERM');
  if (await waitForEnd(id, graceMs)) return;
  signalProcess(id, 'SIGKILL');
  if (await waitForEnd(id, 10_000)) return;
  throw new Error(`Process ${id.pid} cannot be ended.`);
}

/** Running processes whose command line holds all these arguments. */
export function findByArguments(wanted: string[]): ProcessId[] {
  const pids = process.platform === 'linux' ? pidsFromProc(wanted) : pidsFromPs(wanted);
  return pids.map(identify).filter((id) => id !== undefined);
}

function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') return startFromProc(pid);
  if (process.platform === 'win32') return startFromPowerShell(pid);
  return startFromPs(pid);
}

/** Field 22 of /proc/<pid>/stat counts from boot, so the boot is part of it. */
function startFromProc(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the program's name, which may hold spaces and brackets.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = rest[18];
  if (ticks === undefined || state === 'Z' || state === 'X') return undefined;
  return `${bootId()}:${ticks}`;
}

let knownBootId: string | undefined;
function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return knownBootId;
}

function startFromPs(pid: number): string | undefined {
  // ps prints local time in the user's language: both must be the same in every process that compares.
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const { stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env, encoding: 'utf8' });
  const match = /^\s*(\S+)\s+(\S.*\S)\s*$/.exec(stdout);
  if (match === null || match[1]?.startsWith('Z') === true) return undefined;
  return match[2];
}

function startFromPowerShell(pid: number): string | undefined {
  const script = `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`;
  const { stdout } = spawnSync('powershell', ['-NoProfile', '-Command', script], { encoding: 'utf8' });
  const text = stdout.trim();
  return /^\d+$/.test(text) ? text : undefined;
}

function pidsFromProc(wanted: string[]): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const argv = commandLine(pid);
      return wanted.every((argument) => argv.includes(argument));
    });
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function pidsFromPs(wanted: string[]): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' });
  // There is no ps on Windows; a server without a record is then not found.
  return ((stdout as string | null) ?? '')
    .split('\n')
    .filter((line) => wanted.every((argument) => line.includes(argument)))
    .map((line) => Number.parseInt(line, 10));
}
