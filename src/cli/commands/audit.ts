/**
 * Client side: `audit`, the ledger beside the trainings. A worker reads the ledger, since a client has no key.
 */
import { Option } from 'commander';
import type { CreateRow } from '../../contract/money.js';
import type { TrainingRecord } from '../../contract/record.js';
import type { Receipt } from '../../contract/training.js';
import {
  type AccountLedger,
  type AccountReading,
  attemptsOf,
  audit as auditOf,
  type Audit,
  type AuditedAttempt,
  auditedCreate,
  type AuditedCreate,
  auditWindow,
  settled,
} from '../../money/audit.js';
import { readSettings } from '../../temporal/settings.js';
import { days } from '../arguments.js';
import { defineCommand, json } from '../command.js';
import type { Connected } from '../../library/connect.js';
import { auditLines } from '../draw.js';
import { Exit } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import type { JsonRecord } from '../schema.js';
import { connectOrSay, type JsonFlag } from './common.js';

const DAY_MS = 24 * 3_600_000;
const DEFAULT_DAYS = 30;

interface AuditFlags extends JsonFlag {
  days?: number;
}

export const auditCommand = defineCommand<AuditFlags>({
  name: 'audit',
  summary: 'the credit ledger beside the trainings',
  description: [
    'A worker reads the balance and the ledger, and each create that was booked is laid beside the creates that trainings here have sent. A receipt that was provisional is settled where only one row fits it. Rows and trainings that cannot be told apart are listed together and not assigned; what is left has no counterpart.',
    'Exit code 1 with "unknown" where no worker answers or no billing is configured.',
  ].join('\n\n'),
  options: [
    new Option('--days <n>', `how far back, at most 90 (default: ${DEFAULT_DAYS})`).argParser(days),
    json(),
  ],
  examples: [
    { line: 'audit', does: 'the last 30 days' },
    {
      line: 'audit --days 7 --json | jq .orphanRows',
      does: 'what was charged in a week and belongs to no training here',
    },
  ],
  run: ({ flags, io }) => audit(flags, io),
});

async function audit({ days = DEFAULT_DAYS, json }: AuditFlags, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, json === true);
  const connected = await connectOrSay(settings, output, io, { purpose: 'if-state' });
  try {
    const since = Date.now() - days * DAY_MS;
    const reading = await connected.account.read({ origin: settings.origin, since });
    const ledger = reading?.ledger;
    if (reading === undefined || ledger === undefined) return tellUnknown(reading, days, output);
    const { records, otherKeys } = await recordsOf(connected, settings.origin, reading.keyFingerprint);
    const window = auditWindow(settings.timeScale);
    const attempts = records.flatMap(({ record, receipt }) => attemptsOf(record, receipt, window));
    const found = auditOf(ledger.creates, attempts, since, ledger.at);
    const settledIds = await settle(connected, records, found);
    output.json(jsonOf(found, ledger, { days, reading, otherKeys, settledIds }));
    for (const line of auditLines(found, ledger, days)) output.data(line);
    if (settledIds.length > 0) output.say(`Settled: the receipts of ${settledIds.join(', ')}.`);
    if (otherKeys > 0) {
      output.say(
        `${otherKeys} trainings of other keys than the worker's (${reading.keyFingerprint}) are left out.`,
      );
    }
    return Exit.done;
  } finally {
    await connected.close();
  }
}

function tellUnknown(reading: AccountReading | undefined, days: number, output: Output): number {
  const why = reading === undefined ? 'no worker' : (reading.ledgerMissing ?? 'the ledger could not be read');
  output.json({ type: 'audit', version: JSON_VERSION, days, ledger: 'unknown', why });
  output.data(`unknown (${why})`);
  if (reading === undefined) {
    output.say(`A worker reads the ledger, and none answers. Start one: ${output.canvas.program} worker`);
  }
  return Exit.unexpected;
}

interface Kept {
  record: TrainingRecord;
  /** What is known newest. */
  receipt: Receipt;
}

/** Records of this API and key; those of another key are counted. */
async function recordsOf(
  { trainings }: Connected,
  origin: string,
  keyFingerprint: string,
): Promise<{ records: Kept[]; otherKeys: number }> {
  const [all, seen] = await Promise.all([trainings.records.list(), trainings.list()]);
  const here = all.filter((record) => record.origin === origin);
  const own = here.filter((record) => (record.keyFingerprint ?? keyFingerprint) === keyFingerprint);
  const receipts = new Map(seen.map(({ workflowId, memo }) => [workflowId, memo.receipt]));
  return {
    // A record is not touched between create and the end: until then the memo tells.
    records: own.map((record) => ({
      record,
      receipt: (record.end === 'open' ? receipts.get(record.workflowId) : undefined) ?? record.receipt,
    })),
    otherKeys: here.length - own.length,
  };
}

/** @returns the trainings whose receipts are settled now. */
async function settle({ trainings }: Connected, records: Kept[], found: Audit): Promise<string[]> {
  const next = records.flatMap(({ record }) => settled(record, found) ?? []);
  await Promise.all(next.map((record) => trainings.records.put(record)));
  return next.map(({ workflowId }) => workflowId);
}

function jsonOf(
  found: Audit,
  { at, balance, creates, uploads, unidentified }: AccountLedger,
  more: { days: number; reading: AccountReading; otherKeys: number; settledIds: string[] },
): JsonRecord {
  const { days, reading, otherKeys, settledIds } = more;
  return {
    type: 'audit',
    version: JSON_VERSION,
    days,
    keyFingerprint: reading.keyFingerprint,
    ledger: { at: new Date(at).toISOString(), balance, creates: creates.map(rowOf), uploads, unidentified },
    matched: found.matched.map(({ row, attempt }) => ({ row: rowOf(row), training: trainingOf(attempt) })),
    shared: found.shared.map(({ rows, attempts }) => ({
      rows: rows.map(rowOf),
      trainings: attempts.map(trainingOf),
    })),
    orphanRows: found.orphanRows.map(rowOf),
    orphanTrainings: found.orphanAttempts.map(trainingOf),
    unknown: found.unknown.map(trainingOf),
    waiting: found.waiting.map(trainingOf),
    refunds: found.refunds.map(({ row, attempts }) => ({
      row: rowOf(row),
      trainings: attempts.map(trainingOf),
    })),
    settled: settledIds,
    otherKeys,
  };
}

function rowOf({ id, at, amount }: CreateRow): { id: string; at: string; credits: number } {
  return { id, at: new Date(at).toISOString(), credits: amount };
}

function trainingOf(attempt: AuditedAttempt): AuditedCreate {
  return auditedCreate(attempt, attempt);
}
