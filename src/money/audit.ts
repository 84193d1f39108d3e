/**
 * Pure: lays the create rows of a ledger beside the creates that trainings sent. What is not unique is listed and never
 * assigned: a row names no training. Also the words in which a worker is asked for the ledger.
 */
import { ADOPTED_DECISION } from '../contract/account.js';
import type { CreateRow } from '../contract/money.js';
import type { TrainingRecord } from '../contract/record.js';
import type { CreateAttempt, Receipt } from '../contract/training.js';
import { applyClosed, createReceipt } from './receipt.js';

/** A short workflow by which a client, which has no key, asks a worker for the ledger. */
export const READ_ACCOUNT_WORKFLOW = 'readAccount';

export interface ReadAccountInput {
  /** API origin that the client means; a worker of another one refuses. */
  origin: string;
  /** Rows from this time on, ms since 1970. */
  since: number;
  /** Also whether the API takes the key: one more read, free of charge. */
  checksKey?: boolean;
}

/** What the API says to a key. */
export interface KeyCheck {
  /** `unknown`: it did not say, e.g. in an outage. */
  verdict: 'accepted' | 'refused' | 'missing' | 'unknown';
  /** What it said, where it was not accepted. */
  said?: string;
}

/** What a worker says of the account behind its key. */
export interface AccountReading {
  /** Of the worker's key; empty where it has none just now. */
  keyFingerprint: string;
  /** Where it was asked for. */
  key?: KeyCheck;
  /** Absent where billing could not be asked. */
  ledger?: AccountLedger;
  /** Why `ledger` is absent. */
  ledgerMissing?: string;
  /** How far ahead of Mountsea's clock the worker's is, ms; negative: behind. Absent where its answers do not tell. */
  clockAheadMs?: number;
}

export interface AccountLedger {
  /** When the balance was read, ms since 1970. */
  at: number;
  balance: number;
  /** Oldest first; a negative amount is a refund. */
  creates: CreateRow[];
  uploads: { count: number; total: number };
  /** The dearest upload of these rows, credits; absent where there is none. */
  dearestUpload?: number;
  /** Rows that do not say what they were for. One of them may be a create. */
  unidentified: number;
}

/** A create that a training sent, as far as an audit looks at it. */
export interface AuditedAttempt extends Pick<
  CreateAttempt,
  'decision' | 'sessionId' | 'sentAt' | 'verdict' | 'credits' | 'rowId' | 'provisional'
> {
  workflowId: string;
  name: string;
  /** When its charge may be booked, ms since 1970. */
  from: number;
  to: number;
}

/** How long before and after a send its charge may be booked, ms: clocks differ, and a training takes its time. */
export interface AuditWindow {
  beforeMs: number;
  afterMs: number;
}

/** Of real time; a sandbox that runs faster has shorter ones. */
export function auditWindow(timeScale: number): AuditWindow {
  return { beforeMs: 2 * 60_000 * timeScale, afterMs: 20 * 60_000 * timeScale };
}

export interface Audit {
  /** One row and one create that fit only each other, or whose row was known. */
  matched: { row: CreateRow; attempt: AuditedAttempt }[];
  /** Which of the rows belongs to which of the creates cannot be told; there may be more of one than of the other. */
  shared: { rows: CreateRow[]; attempts: AuditedAttempt[] }[];
  /** Rows in the time of no training that is known here. */
  orphanRows: CreateRow[];
  /** Charged, says the training, but the ledger has no row of that time. */
  orphanAttempts: AuditedAttempt[];
  /** Nobody knows whether it was charged, and the ledger has no row of that time. */
  unknown: AuditedAttempt[];
  /** Charged, and its row may still come. */
  waiting: AuditedAttempt[];
  /** Rows that give credits back, each with the creates in whose time it lies. */
  refunds: { row: CreateRow; attempts: AuditedAttempt[] }[];
}

/**
 * The creates of a record that may have a row.
 *
 * @param receipt what is known newest of the training: a record is written at its beginning and at its end only.
 */
export function attemptsOf(
  training: TrainingRecord,
  receipt: Receipt,
  { beforeMs, afterMs }: AuditWindow,
): AuditedAttempt[] {
  return receipt.create.attempts.filter(mayHaveRow).map((attempt) => {
    const { decision, sentAt, rowId, provisional } = attempt;
    // The create of an adopted session was sent at some time between its opening and the adoption.
    const sentBy = decision === ADOPTED_DECISION ? Date.parse(training.startedAt) : Date.parse(sentAt);
    return {
      ...auditedCreate(training, attempt),
      ...(rowId === undefined ? {} : { rowId }),
      ...(provisional === undefined ? {} : { provisional }),
      from: Date.parse(sentAt) - beforeMs,
      to: Math.max(sentBy, Date.parse(sentAt)) + afterMs,
    };
  });
}

/** What is told of a create, wherever an audit names one. */
export type AuditedCreate = Pick<
  AuditedAttempt,
  'workflowId' | 'name' | 'sessionId' | 'decision' | 'sentAt' | 'verdict' | 'credits'
>;

export function auditedCreate(
  training: Pick<TrainingRecord, 'workflowId' | 'name'>,
  attempt: Pick<CreateAttempt, 'decision' | 'sentAt' | 'verdict' | 'credits' | 'sessionId'>,
): AuditedCreate {
  const { workflowId, name } = training;
  const { decision, sessionId, sentAt, verdict, credits } = attempt;
  return {
    workflowId,
    name,
    sessionId,
    decision,
    sentAt,
    verdict,
    ...(credits === undefined ? {} : { credits }),
  };
}

/** One that was refused has none; one that was given back has one for the charge and one for the refund. */
function mayHaveRow({ verdict, refundRowId }: CreateAttempt): boolean {
  return verdict !== 'not-charged' || refundRowId !== undefined;
}

/**
 * @param since rows from this time on were read, ms since 1970.
 * @param now when they were read.
 */
export function audit(
  creates: readonly CreateRow[],
  all: readonly AuditedAttempt[],
  since: number,
  now: number,
): Audit {
  const attempts = withoutEchoes(all).filter(({ to }) => to >= since);
  const result: Audit = {
    matched: [],
    shared: [],
    orphanRows: [],
    orphanAttempts: [],
    unknown: [],
    waiting: [],
    refunds: [],
  };
  const rows = new Set(creates.filter(({ amount }) => amount > 0));
  const free = new Set(attempts);
  for (const attempt of attempts) {
    const row = [...rows].find(({ id }) => id === attempt.rowId);
    if (row === undefined) continue;
    result.matched.push({ row, attempt });
    rows.delete(row);
    free.delete(attempt);
  }
  for (const group of groupsOf(rows, free)) place(group, result, since, now);
  result.matched.sort((a, b) => a.row.at - b.row.at);
  for (const row of creates.filter(({ amount }) => amount < 0)) {
    result.refunds.push({ row, attempts: attempts.filter((attempt) => isInTime(row, attempt)) });
  }
  return result;
}

/** A session that was adopted has the create of the training that it was adopted from: that is one create, not two. */
function withoutEchoes(attempts: readonly AuditedAttempt[]): AuditedAttempt[] {
  const isEcho = ({ decision, sessionId }: AuditedAttempt): boolean =>
    decision === ADOPTED_DECISION &&
    attempts.some((other) => other.decision !== ADOPTED_DECISION && other.sessionId === sessionId);
  return attempts.filter((attempt) => !isEcho(attempt));
}

interface Group {
  rows: CreateRow[];
  attempts: AuditedAttempt[];
}

/** Rows and creates that hang together, since one fits the other, directly or over others. */
function groupsOf(rows: ReadonlySet<CreateRow>, attempts: ReadonlySet<AuditedAttempt>): Group[] {
  const [rowsLeft, attemptsLeft] = [new Set(rows), new Set(attempts)];
  const groups: Group[] = [];
  const grow = (group: Group): Group => {
    for (let size = -1; size !== group.rows.length + group.attempts.length;) {
      size = group.rows.length + group.attempts.length;
      for (const row of rowsLeft) {
        if (!group.attempts.some((attempt) => isInTime(row, attempt))) continue;
        rowsLeft.delete(row);
        group.rows.push(row);
      }
      for (const attempt of attemptsLeft) {
        if (!group.rows.some((row) => isInTime(row, attempt))) continue;
        attemptsLeft.delete(attempt);
        group.attempts.push(attempt);
      }
    }
    return group;
  };
  for (const row of rowsLeft) {
    rowsLeft.delete(row);
    groups.push(grow({ rows: [row], attempts: [] }));
  }
  // What is left fits no row.
  for (const attempt of attemptsLeft) groups.push({ rows: [], attempts: [attempt] });
  return groups;
}

function place({ rows, attempts }: Group, result: Audit, since: number, now: number): void {
  const [row, ...moreRows] = rows;
  const [attempt, ...moreAttempts] = attempts;
  if (row !== undefined && attempt === undefined) {
    result.orphanRows.push(row, ...moreRows);
  } else if (row !== undefined && attempt !== undefined) {
    if (moreRows.length + moreAttempts.length === 0) result.matched.push({ row, attempt });
    else result.shared.push({ rows, attempts });
  } else if (attempt !== undefined) {
    placeWithoutRow(attempt, result, since, now);
  }
}

function placeWithoutRow(attempt: AuditedAttempt, result: Audit, since: number, now: number): void {
  // Its row may be older than the oldest one that was read.
  if (attempt.from < since || attempt.verdict === 'not-charged') return;
  if (attempt.verdict === 'unknown') result.unknown.push(attempt);
  else if (attempt.to > now) result.waiting.push(attempt);
  else result.orphanAttempts.push(attempt);
}

function isInTime({ at }: CreateRow, { from, to }: AuditedAttempt): boolean {
  return from <= at && at <= to;
}

/**
 * Puts into a record what the audit proves of its provisional receipt.
 *
 * @returns undefined where it proves nothing new. A create whose outcome is unknown stays so: a row in its time may be
 *   somebody else's.
 */
export function settled(record: TrainingRecord, { matched }: Audit): TrainingRecord | undefined {
  if (record.end === 'open') return undefined;
  const own = matched.filter(
    ({ attempt: { workflowId, verdict, provisional } }) =>
      workflowId === record.workflowId && verdict === 'charged' && provisional === true,
  );
  if (own.length === 0) return undefined;
  const { create } = record.receipt;
  const attempts = create.attempts.map((attempt) => ({ ...attempt }));
  const rows = own.map(({ row, attempt }) => [attempt.decision, { id: row.id, amount: row.amount }] as const);
  applyClosed(attempts, { rows: Object.fromEntries(rows) });
  return { ...record, receipt: { ...record.receipt, create: createReceipt(attempts, create.sends) } };
}
