/**
 * The lock on a home: at most one process runs the server and the worker of a `TUNESMITH_HOME`. The background process
 * takes it; every command reads its record. Two files, since a kernel lock is out of reach of plain Node: a chain of
 * claims says who may write (`claims/`), the record says which processes there are (`lock.json`).
 *
 * Libraries (proper-lockfile and its like) call a lock stale when its file grows old. A laptop that slept would lose
 * its lock to the next command and two servers would write one database, so here only the end of the process frees it.
 */
import { linkSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { homePaths, makePrivateFolder, readIfThere, temporaryBeside, writeWhole } from './files.js';
import {
  type ProcessId,
  endProcess,
  findByArguments,
  isRunning,
  isSameProcess,
  ownIdentity,
  processIdSchema,
} from './processes.js';
import { stateFileArguments } from './server.js';
import { OWN_VERSION } from './version.js';

const portsSchema = z.object({ port: z.number().int(), uiPort: z.number().int() });

const recordSchema = z.object({
  format: z.literal(1),
  /** `ended` stays behind: it holds the ports for next time and why a start failed. */
  phase: z.enum(['starting', 'ready', 'stopping', 'ended']),
  mode: z.enum(['foreground', 'background']),
  node: processIdSchema,
  server: processIdSchema.optional(),
  /** Of this server, or of the last one. */
  ports: portsSchema.optional(),
  /** Version of the server that runs, e.g. `1.29.1`. */
  serverVersion: z.string().optional(),
  tunesmithVersion: z.string(),
  /** Whose work the worker does; absent where there is none. */
  worker: z.object({ origin: z.string(), keyFingerprint: z.string() }).optional(),
  /** Of the secret that the worker signs notifications with; absent where it has none. */
  webhookFingerprint: z.string().optional(),
  /** Where its key comes from; absent where there is no worker. */
  keySource: z.enum(['MOUNTSEA_API_KEY', 'MOUNTSEA_API_KEY_FILE', 'login']).optional(),
  /** Where the worker keeps redacted exchanges with the API. */
  recordDir: z.string().optional(),
  /** What was said while starting. */
  progress: z.array(z.string()),
  /** Why it ended, where that was an error. */
  failure: z.string().optional(),
});
/** What `lock.json` says. */
export type LockRecord = z.infer<typeof recordSchema>;

/** Another process has this home. */
export class HomeInUseError extends Error {
  override readonly name = 'HomeInUseError';
  readonly record: LockRecord | undefined;

  constructor(home: string, holder: ProcessId, record: LockRecord | undefined) {
    super(`tunesmith already runs for ${home} (process ${holder.pid}); \`tunesmith down\` ends it.`);
    this.record = record;
  }
}

/** A home that this process has. */
export interface HeldLock {
  readonly record: Readonly<LockRecord>;
  /** Written before it returns. */
  update(change: { [Field in keyof LockRecord]?: LockRecord[Field] | undefined }): void;
  /** Leaves a record of phase `ended`. Never throws: whatever it cannot write, the end of the process frees the home. */
  release(failure?: string): void;
}

/** The record as it is; undefined where there is none, or none that can be read. */
export function readLock(home: string): LockRecord | undefined {
  const text = readIfThere(homePaths(home).lock);
  if (text === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    // Garbage says nothing; who may write is the claims' matter, and a server without a record is found by its arguments.
    return undefined;
  }
}

/** The running process that has this home. */
export function lockHolder(home: string): ProcessId | undefined {
  return claimant(homePaths(home).claims);
}

/**
 * Takes the home, and ends the server that a holder who died has left behind: SQLite lets two servers have one file.
 * @throws HomeInUseError
 */
export async function takeLock(home: string, mode: LockRecord['mode']): Promise<HeldLock> {
  makePrivateFolder(home);
  const { claims, lock } = homePaths(home);
  const claim = claimOnce(claims);
  const previous = readLock(home);
  if (claim === undefined) throw new HomeInUseError(home, lockHolder(home) ?? ownIdentity(), previous);
  try {
    await endLeftServers(home);
  } catch (error) {
    claim.release();
    throw error;
  }
  const record: LockRecord = {
    format: 1,
    phase: 'starting',
    mode,
    node: ownIdentity(),
    tunesmithVersion: OWN_VERSION,
    progress: [],
    ...(previous?.ports === undefined ? {} : { ports: previous.ports }),
  };
  const write = (): void => {
    writeWhole(lock, `${JSON.stringify(record, undefined, 2)}\n`);
  };
  write();
  return {
    record,
    update: (change) => {
      Object.assign(record, change);
      write();
    },
    release: (failure) => {
      record.phase = 'ended';
      delete record.server;
      delete record.worker;
      delete record.keySource;
      delete record.webhookFingerprint;
      delete record.recordDir;
      if (failure !== undefined) record.failure = failure;
      for (const step of [write, claim.release]) {
        try {
          step();
        } catch {
          // A full disk, or a home that was deleted.
        }
      }
    },
  };
}

/** Servers on this home's state whose node process is gone. Only meaningful where nobody has the home. */
export function leftServers(home: string): ProcessId[] {
  const recorded = readLock(home)?.server;
  // A holder that was killed between the start of its server and its record, or a broken record: by the arguments.
  const found = findByArguments(stateFileArguments(homePaths(home).stateFile));
  const known = recorded !== undefined && isRunning(recorded) ? [recorded] : [];
  return [...known, ...found.filter((id) => !isSameProcess(id, recorded))];
}

async function endLeftServers(home: string): Promise<void> {
  await Promise.all(leftServers(home).map((id) => endProcess(id)));
}

/** A claim that this process has. */
export interface Claim {
  release: () => void;
}

/** Claims further back than this are swept. More than one, so that no reader of the folder misses the newest. */
const KEPT_CLAIMS = 16;

/**
 * Claims what a folder stands for; undefined where a running process has it. The claims are numbered and the newest
 * alone counts. Only one process can link the next number, with its whole text; the newest is never removed, so that a
 * number is never used twice and a latecomer sees that it came late. A free claim is a newest one whose process is gone.
 */
export function claimOnce(folder: string): Claim | undefined {
  makePrivateFolder(folder);
  const own = ownIdentity();
  for (;;) {
    const newest = newestClaim(folder);
    if (isRunning(ownerOf(folder, newest))) return undefined;
    const mine = newest + 1;
    if (!linkClaim(folder, mine, own)) continue;
    if (newestClaim(folder) > mine) {
      rmSync(join(folder, String(mine)), { force: true });
      continue;
    }
    for (const old of claimNumbers(folder)) {
      if (old < mine - KEPT_CLAIMS) rmSync(join(folder, String(old)), { force: true });
    }
    return {
      release: () => {
        writeWhole(join(folder, String(mine)), 'released\n');
      },
    };
  }
}

/** The running process that has claimed the folder. */
function claimant(folder: string): ProcessId | undefined {
  const owner = ownerOf(folder, newestClaim(folder));
  return isRunning(owner) ? owner : undefined;
}

function claimNumbers(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function newestClaim(folder: string): number {
  return Math.max(0, ...claimNumbers(folder));
}

function ownerOf(folder: string, number: number): ProcessId | undefined {
  try {
    return processIdSchema.parse(JSON.parse(readIfThere(join(folder, String(number))) ?? ''));
  } catch {
    return undefined;
  }
}

function linkClaim(folder: string, number: number, owner: ProcessId): boolean {
  const target = join(folder, String(number));
  const temporary = temporaryBeside(target);
  writeWhole(temporary, JSON.stringify(owner));
  try {
    linkSync(temporary, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}
