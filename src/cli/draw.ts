/**
 * Client side: the one module that draws. Turns what is known of a training into lines for people; it writes nothing.
 */
import { createColors } from 'picocolors';
import type { CorrectionAction } from '../contract/correction.js';
import { fixFlags } from '../contract/fixFlags.js';
import type { Attention, FileProgress, FileState } from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import { CREATE_CREDITS, type Receipt, type TrainedModel } from '../contract/training.js';
import type { AccountLedger, Audit, AuditedAttempt } from '../money/audit.js';
import type { Snapshot } from '../library/snapshot.js';

export interface Canvas {
  /** Columns to draw on. */
  width: number;
  isColored: boolean;
  /** How the user calls the program, for commands to copy. */
  program: string;
}

/** More files than this are folded: what is ready and what waits becomes one line each. */
const FILE_LIMIT = 20;

/** The whole picture of a training that is followed, to be drawn over the last one. */
export function picture(snapshot: Snapshot, now: number, canvas: Canvas): string[] {
  const { memo, progress } = snapshot;
  const paint = createColors(canvas.isColored);
  const elapsed = clock(now - Date.parse(memo.startedAt));
  // Two gaps of two: the name is the only part that may be of any length.
  const name = cutMiddle(printable(memo.name), canvas.width - memo.phase.length - elapsed.length - 4);
  const lines = [fit(`${paint.bold(name)}  ${memo.phase}`, paint.dim(elapsed), canvas.width)];
  if (progress === undefined) lines.push(cutEnd(`  ${countsOf(snapshot)}`, canvas.width));
  else lines.push(...fileLines(progress.files, now, canvas));
  const attention = progress?.attention ?? memo.attention;
  if (attention !== undefined) lines.push('', ...attentionLines(attention, snapshot, canvas));
  const next = progress?.nextCheckAt;
  const check =
    next === undefined ? '' : `  next check in ${Math.max(0, Math.ceil((Date.parse(next) - now) / 1000))} s`;
  lines.push(paint.dim(cutEnd(`${receiptWords(progress?.receipt ?? memo.receipt)}${check}`, canvas.width)));
  return lines;
}

/** What is new in a snapshot, a line each, for output that cannot be drawn over. */
export function news(before: Snapshot | undefined, after: Snapshot, canvas: Canvas): string[] {
  const lines: string[] = [];
  const { progress, memo } = after;
  if (progress !== undefined) {
    const known = before?.progress?.timeline.at(-1)?.at ?? '';
    const seen = new Set(before?.progress?.timeline.map(({ at, text }) => `${at} ${text}`));
    for (const { at, text } of progress.timeline) {
      if (at >= known && !seen.has(`${at} ${text}`)) lines.push(`${timeOf(at)}  ${printable(text)}`);
    }
  } else if (memo.finishedAt !== undefined) {
    if (before?.status !== after.status) lines.push(`${timeOf(memo.finishedAt)}  ${endWords(after)}`);
  } else if (
    before === undefined ||
    countsOf(before) !== countsOf(after) ||
    before.memo.phase !== memo.phase
  ) {
    lines.push(`${memo.phase}: ${countsOf(after)}`);
  }
  const attention = progress?.attention ?? memo.attention;
  const attentionBefore = before?.progress?.attention ?? before?.memo.attention;
  if (attention !== undefined && needsTelling(attention, attentionBefore)) {
    lines.push(...attentionLines(attention, after, { ...canvas, isColored: false, width: Infinity }));
  }
  return lines;
}

/** A new one, or one that no longer mends itself: only now it needs somebody. */
function needsTelling(now: Attention, before: Attention | undefined): boolean {
  if (now.id !== before?.id) return true;
  return now.nextTryAt === undefined && before.nextTryAt !== undefined;
}

function endWords({ status, memo: { modelId } }: Snapshot): string {
  return modelId === undefined ? `The training ended: ${status}.` : `Model ${modelId} is ready.`;
}

/** One look at a training. */
export function statusLines(
  snapshot: Snapshot,
  uiUrl: string | undefined,
  now: number,
  canvas: Canvas,
): string[] {
  const { workflowId, status, memo, progress } = snapshot;
  const lines = [`${workflowId}  ${status}`];
  lines.push(...picture(snapshot, memo.finishedAt === undefined ? now : Date.parse(memo.finishedAt), canvas));
  if (uiUrl !== undefined) lines.push(uiUrl);
  const sessionId = progress?.sessionId ?? memo.sessionId;
  if (sessionId !== undefined) lines.push(`session ${sessionId}`);
  if (memo.modelId !== undefined) lines.push(`model   ${memo.modelId}`);
  lines.push(...evidenceLines(progress?.receipt ?? memo.receipt));
  return lines;
}

/** A table of trainings, one a line. */
export function listLines(trainings: Snapshot[]): string[] {
  if (trainings.length === 0) return ['No trainings yet.'];
  return columns(
    trainings.map((training) => [training.workflowId, stateWords(training), training.memo.modelId ?? '']),
  );
}

/** The state of a training in a word or two, from its memo. */
export function stateWords({ status, memo: { attention, phase } }: Snapshot): string {
  if (attention !== undefined) return `waits: ${attention.kind}`;
  return status === 'running' ? phase : status;
}

/** Ids are there to be copied: a narrow terminal wraps them rather than losing their end. */
function columns(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What a finished training gave. */
export function resultLines(result: TrainedModel): string[] {
  const { modelId, name, sessionId, clips, receipt } = result;
  return [
    `model   ${modelId}`,
    `name    ${printable(name)}`,
    `session ${sessionId}`,
    `clips   ${clips.length}`,
    ...clips.map(
      ({ file, clipId, source }) => `  ${String(file).padStart(3)}  ${clipId}  ${printable(source)}`,
    ),
    receiptWords(receipt),
    ...evidenceLines(receipt),
  ];
}

/** What was spent, in a few words. Unknown is said as such. */
export function receiptWords({ create, uploads }: Receipt): string {
  const { verdict, credits, provisional, attempts } = create;
  const known = credits === undefined ? undefined : `${credits} credits`;
  const unknown = attempts.filter((attempt) => attempt.verdict === 'unknown').length;
  const words = {
    charged: known ?? 'charged',
    'not-charged': 'not charged',
    // Of several sends some may be known.
    unknown: known === undefined ? 'charge unknown' : `${known}, charge unknown of ${unknown} more`,
  }[verdict];
  const rest = provisional === true ? ' (provisional)' : '';
  const calls = `${uploads.calls} ${uploads.calls === 1 ? 'upload' : 'uploads'}`;
  return `create: ${words}${rest} · ${calls}${uploads.credits === 'unknown' ? '' : `: ${uploads.credits} credits`}`;
}

/** Each create that was sent, and why its outcome is believed. */
function evidenceLines({ create }: Receipt): string[] {
  if (create.attempts.length === 0) return create.evidence.map(because);
  return create.attempts.flatMap(({ sentAt, verdict, credits, provisional, evidence }, index) => {
    const cost = credits === undefined ? '' : `: ${credits} credits`;
    const rest = provisional === true ? ' (provisional)' : '';
    return [
      `create ${index + 1}  ${dateOf(sentAt)}  ${VERDICTS[verdict]}${cost}${rest}`,
      ...evidence.map(because),
    ];
  });
}

const VERDICTS = { charged: 'charged', 'not-charged': 'not charged', unknown: 'charge unknown' } as const;

function because(evidence: string): string {
  return `  because ${printable(evidence)}`;
}

/** Trained models, one a line. */
export function modelLines(records: TrainingRecord[]): string[] {
  if (records.length === 0) return ['No models yet.'];
  return columns(
    records.map(({ name, modelId = '', updatedAt, receipt }) => [
      printable(name),
      modelId,
      dateOf(updatedAt).slice(0, 10),
      receiptWords(receipt),
    ]),
  );
}

/** The ledger beside the trainings. */
export function auditLines(
  { matched, shared, orphanRows, orphanAttempts, unknown, waiting, refunds }: Audit,
  { balance, creates, uploads, unidentified }: AccountLedger,
  days: number,
): string[] {
  const charges = creates.filter(({ amount }) => amount > 0);
  const total = charges.reduce((sum, { amount }) => sum + amount, 0);
  const section = (title: string, rows: string[][]): string[] =>
    rows.length === 0 ? [] : ['', title, ...columns(rows).map((line) => `  ${line}`)];
  const row = ({ id, at, amount }: AccountLedger['creates'][number]): string[] => [
    dateOf(new Date(at).toISOString()),
    `${amount} credits`,
    `row ${id}`,
  ];
  const lines = [
    `Last ${days} days: ${charges.length} creates booked, ${total} credits · ${uploads.count} uploads, ${uploads.total} credits · balance ${balance}`,
    ...section(
      'Creates with their trainings',
      matched.map(({ row: booked, attempt }) => [...row(booked), trainingWords(attempt)]),
    ),
  ];
  for (const { rows, attempts } of shared) {
    const left = rows.length - attempts.length;
    lines.push(
      ...section('Cannot be told apart: these rows…', rows.map(row)),
      '  …and these trainings',
      ...columns(attempts.map(attemptRow)).map((line) => `  ${line}`),
      ...(left > 0 ? [`  So at least ${left} of these rows have no training here.`] : []),
      ...(left < 0 ? [`  So at least ${-left} of these creates have no row.`] : []),
    );
  }
  lines.push(
    ...section('Rows without a training here: created by somebody else with this key', orphanRows.map(row)),
    ...section('Trainings that say charged, without a row', orphanAttempts.map(attemptRow)),
    ...section('Charge unknown, without a row', unknown.map(attemptRow)),
    ...section('Charged, and the row may still come', waiting.map(attemptRow)),
    ...section(
      'Given back',
      refunds.map(({ row: booked, attempts }) => [
        ...row(booked),
        attempts.length === 0 ? 'no training here' : attempts.map(trainingWords).join(' or '),
      ]),
    ),
  );
  if (unidentified > 0) {
    lines.push('', `${unidentified} rows do not say what they were for; one of them may be a create.`);
  }
  return lines;
}

function attemptRow(attempt: AuditedAttempt): string[] {
  return [dateOf(attempt.sentAt), VERDICTS[attempt.verdict], trainingWords(attempt)];
}

function trainingWords({ name, workflowId }: AuditedAttempt): string {
  return `${printable(name)} (${workflowId})`;
}

/** What a training needs, and the exact commands that answer it, each with what it costs. */
function attentionLines(
  attention: Attention,
  { workflowId, progress }: Pick<Snapshot, 'workflowId' | 'progress'>,
  canvas: Canvas,
): string[] {
  const paint = createColors(canvas.isColored);
  const { kind, message, evidence, options, nextTryAt } = attention;
  const wrap = (text: string, indent: string): string[] => wrapped(printable(text), indent, canvas.width);
  const lines = [paint.yellow(paint.bold(`Needs attention: ${kind}`)), ...wrap(message, '  ')];
  for (const line of evidence.slice(0, 8)) lines.push(...wrap(cutEnd(line, 400), '  - '));
  if (evidence.length > 8) lines.push(`  - and ${evidence.length - 8} more`);
  if (nextTryAt !== undefined) {
    const what = kind === 'charge-unknown' ? 'Asks' : 'Tries';
    lines.push(`  ${what} again by itself at ${timeOf(nextTryAt)}.`);
  }
  for (const option of options) {
    // Commands are there to be copied: they are never cut.
    lines.push(`  ${canvas.program} fix ${workflowId} ${fixFlags(option, attention, progress?.files ?? [])}`);
    lines.push(...wrap(costOf(option, attention), '    '));
  }
  return lines;
}

function costOf(option: CorrectionAction, attention: Attention): string {
  const { kind, riskOfSecondCharge = [] } = attention;
  const create = `${CREATE_CREDITS} credits${riskOfSecondCharge.includes(option) ? ', perhaps for the second time' : ''}`;
  // Bad files are met before create, which is ordered already.
  const again = kind === 'bad-files' ? '' : `, then sends create again: ${create}`;
  switch (option) {
    case 'retry':
      if (kind === 'bad-files') return 'uploads the bad files again, each upload is paid';
      if (kind === 'credentials' || kind === 'credits') return 'tries again now';
      return `sends create again: ${create} if it is accepted`;
    case 'rename':
      return `keeps the clips, and sends create under the other name: ${create}`;
    case 'replaceFiles':
      return `uploads the new files, each upload is paid${again}`;
    case 'dropFiles':
      return `leaves them out${again}`;
    case 'resendCreate':
      return `sends create again: ${create}`;
    case 'newSession':
      return `uploads all files again, each upload is paid, perhaps on another account; then create: ${create}`;
    case 'keepWaiting':
      return 'waits for another while, costs nothing';
    case 'giveUp':
      return 'ends the training; what is paid for stays at Mountsea';
  }
}

/** Mark, number, state and time of a file's line, with the gaps between them. */
const COLUMNS_BESIDE_NAME = 39;

const MARKS: Record<FileState, string> = {
  waiting: '·',
  staging: '⇡',
  uploading: '↑',
  processing: '…',
  overdue: '!',
  ready: '✓',
  failed: '✗',
  dropped: '-',
};

function fileLines(files: FileProgress[], now: number, canvas: Canvas): string[] {
  const isFolded = (state: FileState): boolean =>
    files.length > FILE_LIMIT && (state === 'ready' || state === 'waiting' || state === 'dropped');
  const shown = files.filter(({ state }) => !isFolded(state));
  const longest = Math.max(0, ...files.map(({ label }) => printable(nameOf(label)).length));
  const nameWidth = Math.max(12, Math.min(longest, canvas.width - COLUMNS_BESIDE_NAME));
  const lines = shown.slice(0, FILE_LIMIT).map((file) => fileLine(file, nameWidth, now, canvas));
  if (shown.length > FILE_LIMIT) lines.push(`    and ${shown.length - FILE_LIMIT} more`);
  for (const state of ['ready', 'waiting', 'dropped'] as const) {
    const count = files.filter((file) => file.state === state).length;
    if (count > 0 && isFolded(state)) lines.push(`  ${MARKS[state]} ${count} ${state}`);
  }
  return lines;
}

function fileLine(file: FileProgress, nameWidth: number, now: number, canvas: Canvas): string {
  const paint = createColors(canvas.isColored);
  const { state, number, label, tries, since, reason } = file;
  const isMoving =
    state === 'staging' || state === 'uploading' || state === 'processing' || state === 'overdue';
  const time = isMoving ? clock(now - Date.parse(since)) : '';
  const again = tries > 1 ? ` (try ${tries})` : '';
  const words = `${state}${again}`.padEnd(20);
  const why = reason === undefined || state === 'ready' ? '' : `  ${reason}`;
  const name = cutMiddle(printable(nameOf(label)), nameWidth);
  const line = `  ${MARKS[state]} ${String(number).padStart(3)}  ${name.padEnd(nameWidth)}  ${words} ${time.padStart(6)}${printable(why)}`;
  const color = {
    ready: paint.green,
    failed: paint.red,
    overdue: paint.yellow,
    waiting: paint.dim,
    dropped: paint.dim,
    staging: paint.cyan,
    uploading: paint.cyan,
    processing: paint.cyan,
  }[state];
  return color(cutEnd(line.trimEnd(), canvas.width));
}

function countsOf({ memo: { fileCounts, fileTotal } }: Snapshot): string {
  const counts = Object.entries(fileCounts).map(([state, count]) => `${count} ${state}`);
  return `${fileTotal} files: ${counts.join(', ')}`;
}

/** The last part of a path says most. */
function nameOf(label: string): string {
  const last = label.split('/').at(-1) ?? '';
  return last === '' ? label : last;
}

/** m:ss, or h:mm:ss. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const tail = String(s).padStart(2, '0');
  return h === 0 ? `${m}:${tail}` : `${h}:${String(m).padStart(2, '0')}:${tail}`;
}

/** Of this machine's clock, to the minute. */
function dateOf(iso: string): string {
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

function timeOf(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8);
}

/** Names, labels and answers come from outside: they must not move the cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
}

function fit(left: string, right: string, width: number): string {
  const bare = (text: string): number => text.replace(/\u001b\[\d+m/g, '').length;
  return `${left}${' '.repeat(Math.max(2, Math.min(width, 100) - bare(left) - bare(right)))}${right}`;
}

function cutEnd(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function cutMiddle(text: string, width: number): string {
  if (text.length <= width) return text;
  const half = Math.floor((width - 1) / 2);
  return `${text.slice(0, width - 1 - half)}…${text.slice(-half)}`;
}

function wrapped(text: string, indent: string, width: number): string[] {
  const space = ' '.repeat(indent.length);
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > width && line.trim() !== '' && line !== indent) {
      lines.push(line.trimEnd());
      line = space;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}
