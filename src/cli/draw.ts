/**
 * Client side: the one module that draws. Turns what is known of a training into lines for people; it writes nothing.
 */
import { createColors } from 'picocolors';
import type { CorrectionAction } from '../contract/correction.js';
import { fixFlags } from '../contract/fixFlags.js';
import { lastPartOf } from '../contract/labels.js';
import type {
  Attention,
  FileProgress,
  FileState,
  Outage,
  Phase,
  TrainingFacts,
  TrainingProgress,
} from '../contract/progress.js';
import type { TrainingRecord } from '../contract/record.js';
import {
  CREATE_CREDITS,
  type Receipt,
  type TimelineEntry,
  type TrainedModel,
  type UploadPrice,
} from '../contract/training.js';
import type { Snapshot } from '../library/snapshot.js';
import { aboutUploads, uploadCredits } from '../money/receipt.js';
import type { AccountLedger, Audit, AuditedAttempt } from '../money/audit.js';
import { spanWords, timeLeft } from './estimate.js';
import type { Followable } from './follow.js';
import {
  atBothEnds,
  columns,
  counted,
  cutEnd,
  cutMiddle,
  padded,
  printable,
  widthOf,
  wrapped,
} from './text.js';

export interface Canvas {
  /** Columns to draw on. */
  width: number;
  /** Most lines of a picture, where it is drawn over and must not scroll; absent: as many as it takes. */
  height?: number;
  isColored: boolean;
  /** How the user calls the program, for commands to copy. */
  program: string;
}

/** Where there is room for all of them, more files than this are folded all the same. */
const FILE_LIMIT = 20;
/** A line of a wide terminal is read more easily when its ends are not too far apart. */
const WIDEST = 110;

/**
 * The whole picture of a training: what it is, how far it is, each file, what it needs, how long, and what is spent.
 * With a height it fits, and the commands that answer an attention are left to `answerLines`.
 */
export function picture(snapshot: Snapshot, now: number, canvas: Canvas): string[] {
  const { memo, progress, workflowId } = snapshot;
  const { width, height = Infinity } = canvas;
  const paint = createColors(canvas.isColored);
  const head = [
    titleLine(printable(progress?.name ?? memo.name), workflowId, canvas),
    stageLine(snapshot, now, canvas),
  ];
  const attention = progress === undefined ? memo.attention : progress.attention;
  const asks =
    attention === undefined
      ? []
      : canvas.height === undefined
        ? attentionLines(attention, snapshot, canvas)
        : attentionHead(
            attention,
            now,
            canvas,
            progress !== undefined && isWhole(progress.files, now, canvas),
          );
  const needs = [...outageLines((progress ?? memo).outage, canvas), ...asks];
  const foot = [
    ...(memo.finishedAt === undefined && snapshot.status === 'running'
      ? [cutEnd(timeWords(snapshot, now), width)]
      : [cutEnd(`took ${clock(now - Date.parse(memo.startedAt))}`, width)]),
    ...(tellsSpent(attention, progress ?? memo, canvas) ? [] : [cutEnd(spentWords(progress ?? memo), width)]),
  ].map((line) => paint.dim(line));
  // Blank lines are the first to go.
  const isTight = head.length + needs.length + foot.length + 8 > height;
  const gap = isTight ? [] : [''];
  const rest = head.length + needs.length + foot.length + gap.length * (needs.length > 0 ? 3 : 2);
  const files =
    progress === undefined
      ? [cutEnd(`  ${countsOf(snapshot)}`, width)]
      : fileLines(progress.files, now, canvas, Math.max(1, height - rest));
  const lines = [...head, ...gap, ...files, ...(needs.length > 0 ? gap : []), ...needs, ...gap, ...foot];
  return lines.slice(0, height);
}

function titleLine(name: string, workflowId: string, { width, isColored }: Canvas): string {
  const paint = createColors(isColored);
  const end = Math.min(width, WIDEST);
  const isRoom = widthOf(name) + widthOf(workflowId) + 2 <= end;
  if (!isRoom) return paint.bold(cutMiddle(name, width));
  return atBothEnds(paint.bold(name), paint.dim(workflowId), end);
}

const STAGES: readonly { phase: Phase; title: string }[] = [
  { phase: 'preparing', title: 'prepare' },
  { phase: 'uploading', title: 'upload' },
  { phase: 'creating', title: 'create' },
  { phase: 'training', title: 'train' },
];

/** `✓ prepare   › upload 5/8   · create   · train` */
function stageLine({ memo, progress, status }: Snapshot, now: number, { width, isColored }: Canvas): string {
  const { phase, phaseSince, attention, sessionId } = progress ?? memo;
  const counts = progress === undefined ? memo.fileCounts : countStates(progress.files);
  const ready = counts.ready ?? 0;
  const wanted = (progress?.files.length ?? memo.fileTotal) - (counts.dropped ?? 0);
  const isDone: Partial<Record<Phase, boolean>> = {
    preparing: sessionId !== undefined && phase !== 'preparing',
    uploading: wanted > 0 && ready >= wanted,
    creating: phase === 'training' || phase === 'done',
    training: phase === 'done',
  };
  // One that ended on the way ended in the first stage that is not done.
  const current = (
    STAGES.find((stage) => stage.phase === phase) ?? STAGES.find((stage) => isDone[stage.phase] !== true)
  )?.phase;
  const paint = createColors(isColored);
  const strong = (color: (text: string) => string) => (text: string) => paint.bold(color(text));
  const here = { mark: '›', color: strong(paint.cyan) };
  if (attention !== undefined && attention.nextTryAt === undefined)
    Object.assign(here, { mark: '!', color: strong(paint.yellow) });
  if (status !== 'running') Object.assign(here, { mark: '✗', color: strong(paint.red) });
  const parts = STAGES.map((stage) => {
    const count = stage.phase === 'uploading' && wanted > 0 ? ` ${ready}/${wanted}` : '';
    const time =
      stage.phase === 'training' && phase === 'training' ? ` ${clock(now - Date.parse(phaseSince))}` : '';
    const { mark, color } =
      stage.phase === current && phase !== 'done'
        ? here
        : isDone[stage.phase] === true
          ? { mark: '✓', color: paint.green }
          : { mark: '·', color: paint.dim };
    return { text: `${mark} ${stage.title}${count}${time}`, color };
  });
  const plain = parts.map(({ text }) => text).join('   ');
  return widthOf(plain) > width
    ? cutEnd(plain, width)
    : parts.map(({ text, color }) => color(text)).join('   ');
}

/** How long so far, how long still, and when it is looked at next. */
function timeWords(snapshot: Snapshot, now: number): string {
  const { memo, progress } = snapshot;
  const parts = [`${clock(now - Date.parse(memo.startedAt))} so far`];
  if (progress !== undefined) {
    const left = leftWords(progress, now);
    if (left !== undefined) parts.push(left);
    // A look that is not answered is the next check.
    const next = progress.outage === undefined ? progress.nextCheckAt : undefined;
    const inMs = next === undefined ? 0 : Date.parse(next) - now;
    if (next !== undefined) parts.push(inMs > 0 ? `next check in ${lengthOf(inMs)}` : 'checks now');
  }
  return parts.join(' · ');
}

/** What is left, as far as it can be told from what was seen. */
function leftWords(progress: TrainingProgress, now: number): string | undefined {
  const left = timeLeft(progress, now);
  switch (left?.kind) {
    case undefined:
      return undefined;
    case 'unknown':
      return `time left unknown: no ${left.unseen} has ended yet`;
    case 'range': {
      const { count } = left.seen;
      return `${spanWords(left)} left, going by ${counted(count, 'training')}`;
    }
    case 'over': {
      const { count, longestMs } = left.seen;
      const others = count === 1 ? 'the one training seen' : `each of the last ${count} trainings`;
      return `trains longer than ${others} (${clock(longestMs)} at most)`;
    }
  }
}

/** A status line, for output that cannot be drawn over: it shows that there is life. */
export function statusLine(snapshot: Snapshot, now: number): string {
  const { memo, progress } = snapshot;
  const { phase, outage } = progress ?? memo;
  const counts = progress === undefined ? memo.fileCounts : countStates(progress.files);
  const total = progress?.files.length ?? memo.fileTotal;
  const files =
    outage !== undefined
      ? `: no usable answer from Mountsea, ${triesWords(outage).toLowerCase()}`
      : phase === 'training'
        ? ''
        : `: ${countWords(counts, total)}`;
  return `${timeOf(new Date(now).toISOString())}  ${phase}${files} · ${timeWords(snapshot, now)} · ${spentWords(progress ?? memo)}`;
}

/** Nothing is to be done, and nothing is lost: it is asked again until it answers. */
function outageLines(outage: Outage | undefined, canvas: Canvas): string[] {
  if (outage === undefined) return [];
  const paint = createColors(canvas.isColored);
  return [
    paint.yellow(cutEnd(`No usable answer from Mountsea. ${triesWords(outage)}.`, canvas.width)),
    cutEnd(`  ${printable(outage.why)}`, canvas.width),
  ];
}

function triesWords({ tries, nextTryAt }: Outage): string {
  return `Try ${tries + 1} ${nextTryAt === undefined ? 'is under way' : `is at ${timeOf(nextTryAt)}`}`;
}

/** What is new in a snapshot, a line each, for output that cannot be drawn over. */
export function news(before: Snapshot | undefined, after: Snapshot, canvas: Canvas): string[] {
  const lines: string[] = [];
  const { progress, memo } = after;
  const attention = progress === undefined ? memo.attention : progress.attention;
  const attentionBefore = before?.progress?.attention ?? before?.memo.attention;
  const asks = attention !== undefined && needsTelling(attention, attentionBefore) ? attention : undefined;
  if (progress !== undefined) {
    lines.push(...storyLines(before?.progress?.timeline, progress.timeline, asks));
  } else if (memo.finishedAt !== undefined) {
    // The story may have told its end already.
    if (before?.memo.finishedAt === undefined) lines.push(`${timeOf(memo.finishedAt)}  ${endWords(after)}`);
  } else if (
    before === undefined ||
    countsOf(before) !== countsOf(after) ||
    before.memo.phase !== memo.phase
  ) {
    lines.push(`${memo.phase}: ${countsOf(after)}`);
  }
  if (asks !== undefined) {
    const wide = { ...canvas, width: Infinity };
    lines.push(...reasonLines(asks, wide));
    // What mends itself is followed on: nobody has to do anything.
    if (asks.nextTryAt === undefined) lines.push(...answerLines(asks, after, wide));
  }
  return lines;
}

/**
 * What a timeline tells that it did not tell before, a line each.
 *
 * @param asks the attention that is told below, with what can be done about it.
 */
export function storyLines(
  before: readonly TimelineEntry[] | undefined,
  after: readonly TimelineEntry[],
  asks: Attention | undefined,
): string[] {
  const known = before?.at(-1)?.at ?? '';
  const seen = new Set(before?.map(({ at, text }) => `${at} ${text}`));
  // Its words may have changed since it was opened.
  const isToldBelow = ({ at, text }: TimelineEntry): boolean =>
    asks !== undefined && at >= asks.since && text.startsWith(`Waits (${asks.kind}): `);
  return after
    .filter((entry) => entry.at >= known && !seen.has(`${entry.at} ${entry.text}`) && !isToldBelow(entry))
    .map(({ at, text }) => `${timeOf(at)}  ${printable(text)}`);
}

/** A new one, or one that no longer mends itself: only now it needs somebody. */
export function needsTelling(now: Attention, before: Attention | undefined): boolean {
  if (now.id !== before?.id) return true;
  return now.nextTryAt === undefined && before.nextTryAt !== undefined;
}

function endWords(end: Snapshot): string {
  const { modelId } = end.memo;
  return modelId === undefined ? `The training ended: ${endedWords(end)}` : `Model ${modelId} is ready.`;
}

/** How a training ended and, where the server remembers it, why: a sentence. */
export function endedWords({ status, why }: Pick<Snapshot, 'status' | 'why'>): string {
  return why === undefined ? `${status}.` : `${status}. ${printable(why)}`;
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
  if (snapshot.why !== undefined) lines.push(...wrapped(printable(snapshot.why), '', canvas.width));
  lines.push(...picture(snapshot, memo.finishedAt === undefined ? now : Date.parse(memo.finishedAt), canvas));
  if (uiUrl !== undefined) lines.push(uiUrl);
  const sessionId = progress?.sessionId ?? memo.sessionId;
  if (sessionId !== undefined) lines.push(`session ${sessionId}`);
  const task = progress?.createTaskId;
  if (task !== undefined && task !== sessionId) lines.push(`task    ${task}`);
  if (memo.modelId !== undefined) lines.push(`model   ${memo.modelId}`);
  lines.push(...evidenceLines(progress?.receipt ?? memo.receipt, sessionId));
  return lines;
}

/** The id beside it tells names apart that begin and end alike. */
export const LISTED_NAME = 24;

/**
 * A table of trainings, one a line under a heading. Where the terminal is too narrow for its models each is below its
 * training, since ids are there to be copied; where it is too narrow for that, when each was started goes.
 */
export function listLines(trainings: Snapshot[], width: number): string[] {
  if (trainings.length === 0) return ['No trainings yet.'];
  const models = trainings.map(({ memo }) => memo.modelId ?? '');
  const rows = [
    ['ID', 'NAME', 'STATE', 'STARTED'],
    ...trainings.map((training) => [
      training.workflowId,
      cutMiddle(printable(training.memo.name), LISTED_NAME),
      stateWords(training),
      dateOf(training.memo.startedAt),
    ]),
  ];
  const whole = columns(
    rows.map((row, index) => [...row, index === 0 ? 'MODEL' : (models[index - 1] ?? '')]),
  );
  if (whole.every((line) => widthOf(line) <= width)) return whole;
  const short = columns(rows);
  const fitting = short.every((line) => widthOf(line) <= width)
    ? short
    : columns(rows.map((row) => row.slice(0, -1)));
  return fitting.flatMap((line, index) => {
    const model = models[index - 1] ?? '';
    return model === '' ? [line] : [line, `  ${model}`];
  });
}

/** The state of a training or a song in a word or two, from its memo. */
export function stateWords({ status, memo: { attention, phase } }: Followable): string {
  if (attention !== undefined) return `waits: ${attention.kind}`;
  return status === 'running' ? phase : status;
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
    ...evidenceLines(receipt, sessionId),
  ];
}

/**
 * What was spent, in a few words. Unknown is said as such, and an estimate as one.
 *
 * @param uploadPrice what an upload counts as where the receipt does not know; absent: no estimate.
 */
export function receiptWords({ create, uploads }: Receipt, uploadPrice?: UploadPrice): string {
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
  const calls = counted(uploads.calls, 'upload');
  return `create: ${words}${rest} · ${calls}${uploadCredits(uploads, uploadPrice)}`;
}

/** `receiptWords` of a training that is known as it is now. */
export function spentWords({ receipt, uploadPrice }: Pick<TrainingFacts, 'receipt' | 'uploadPrice'>): string {
  return receiptWords(receipt, uploadPrice);
}

/** Each create that was sent, and why its outcome is believed. Nothing paid for is lost with a session that was given up. */
function evidenceLines({ create }: Receipt, ownSessionId: string | undefined): string[] {
  if (create.attempts.length === 0) {
    return [`create  ${VERDICTS[create.verdict]}`, ...create.evidence.map(because)];
  }
  return create.attempts.flatMap((attempt, index) => {
    const { sentAt, verdict, credits, provisional, evidence, sessionId, modelId } = attempt;
    const isElsewhere = sessionId !== ownSessionId && verdict !== 'not-charged';
    const cost = credits === undefined ? '' : `: ${credits} credits`;
    const rest = provisional === true ? ' (provisional)' : '';
    return [
      `create ${index + 1}  ${dateOf(sentAt)}  ${VERDICTS[verdict]}${cost}${rest}`,
      ...(isElsewhere ? [`  in session ${sessionId}, which was given up`] : []),
      ...(modelId === undefined ? [] : [`  it made the model ${modelId}`]),
      ...evidence.map(because),
    ];
  });
}

const VERDICTS = { charged: 'charged', 'not-charged': 'not charged', unknown: 'charge unknown' } as const;

function because(evidence: string): string {
  return `  because ${printable(evidence)}`;
}

/** Trained models, one a line; two where the terminal is too narrow, since ids are there to be copied. */
export function modelLines(records: TrainingRecord[], width: number): string[] {
  if (records.length === 0) return ['No models yet.'];
  const rows = records.map(({ name, modelId = '', updatedAt, sources, receipt }) => [
    printable(name),
    modelId,
    dateOf(updatedAt).slice(0, 10),
    counted(sources.length, 'file'),
    receiptWords(receipt),
  ]);
  const lines = columns(rows);
  if (lines.every((line) => line.length <= width)) return lines;
  return rows.flatMap(([name = '', modelId = '', ...rest]) => {
    const first = `${modelId}  ${cutEnd(name, Math.max(8, width - modelId.length - 2))}`;
    return [first, `  ${rest.join('  ')}`];
  });
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
    `Last ${counted(days, 'day')}: ${counted(charges.length, 'create')} booked, ${total} credits · ${counted(uploads.count, 'upload')}, ${uploads.total} credits · balance ${balance}`,
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

/** Most lines of a message in a picture that must fit. */
const MESSAGE_LINES = 6;

/** What a training needs; the commands that answer it have no room in a picture. */
/** Whether what is shown of an attention says what was spent, as it is known now. */
function tellsSpent(
  attention: Attention | undefined,
  { receipt: { uploads }, uploadPrice }: Pick<TrainingFacts, 'receipt' | 'uploadPrice'>,
  { width, height }: Canvas,
): boolean {
  if (attention?.message.includes(` sent${uploadCredits(uploads, uploadPrice)}. `) !== true) return false;
  return height === undefined || wrapped(printable(attention.message), '  ', width).length <= MESSAGE_LINES;
}

/** @param isSaid the files have been shown with what is wrong with each. */
function attentionHead(attention: Attention, now: number, canvas: Canvas, isSaid: boolean): string[] {
  const { kind, message, nextTryAt } = attention;
  const lines = wrapped(printable(message), '  ', canvas.width).map((line) => cutEnd(line, canvas.width));
  const more = lines.length > MESSAGE_LINES ? ['  …'] : [];
  const again =
    nextTryAt === undefined
      ? []
      : [
          cutEnd(
            `  ${againWords(attention)} ${lengthOf(Math.max(0, Date.parse(nextTryAt) - now), 'in ')}`,
            canvas.width,
          ),
        ];
  const because =
    kind === 'bad-files'
      ? (isSaid ? [] : attention.evidence)
          .flatMap((line) => wrapped(printable(line), '  - ', canvas.width))
          .slice(0, MESSAGE_LINES)
      : attention.evidence.slice(0, 3).map((line) => cutEnd(`  - ${printable(line)}`, canvas.width));
  return [headingOf(attention, canvas), ...lines.slice(0, MESSAGE_LINES), ...more, ...because, ...again];
}

function headingOf({ kind, nextTryAt }: Attention, { isColored }: Canvas): string {
  const paint = createColors(isColored);
  // One that mends itself needs patience, not a person.
  return paint.yellow(paint.bold(nextTryAt === undefined ? `Needs attention: ${kind}` : `Waits: ${kind}`));
}

function againWords({ kind }: Attention): string {
  return `${kind === 'charge-unknown' ? 'Asks' : 'Tries'} again by itself`;
}

/** What a training needs, and the exact commands that answer it, each with what it costs. */
export function attentionLines(
  attention: Attention,
  snapshot: Asking,
  canvas: Canvas,
  cost: (option: CorrectionAction, attention: Attention, asking: Asking) => string = costOf,
): string[] {
  return [...reasonLines(attention, canvas), ...answerLines(attention, snapshot, canvas, cost)];
}

/** What an attention is shown of: a training, or a song, which has no files. */
interface Asking {
  workflowId: string;
  memo?: object & { uploadPrice?: UploadPrice };
  progress?: object & { files?: readonly FileProgress[]; uploadPrice?: UploadPrice };
}

/** What it needs, and why. */
export function reasonLines(attention: Attention, canvas: Canvas): string[] {
  const { message, evidence, nextTryAt } = attention;
  const wrap = (text: string, indent: string): string[] => wrapped(printable(text), indent, canvas.width);
  const lines = [headingOf(attention, canvas), ...wrap(message, '  ')];
  for (const line of evidence.slice(0, 8)) lines.push(...wrap(cutEnd(line, 400), '  - '));
  if (evidence.length > 8) lines.push(`  - and ${evidence.length - 8} more`);
  if (nextTryAt !== undefined) lines.push(`  ${againWords(attention)} at ${timeOf(nextTryAt)}.`);
  return lines;
}

/** What a training waits for that tries again by itself. */
export function waitWords({ kind }: Attention, { program }: Pick<Canvas, 'program'>): string {
  switch (kind) {
    case 'credentials':
      return `It goes on by itself when the key is right: \`${program} login\`, or MOUNTSEA_API_KEY where the worker runs.`;
    case 'credits':
      return 'It goes on by itself when the balance is topped up at Mountsea.';
    default:
      return 'It goes on by itself, or by you.';
  }
}

/**
 * The exact commands that answer an attention, each with what it costs.
 *
 * @param cost what an answer costs. Default: as it is with a training.
 */
export function answerLines(
  attention: Attention,
  asking: Asking,
  canvas: Canvas,
  cost: (option: CorrectionAction, attention: Attention, asking: Asking) => string = costOf,
): string[] {
  const { workflowId, progress } = asking;
  return attention.options.flatMap((option) => [
    // Commands are there to be copied: they are never cut.
    `  ${canvas.program} fix ${workflowId} ${fixFlags(option, attention, progress?.files ?? [])}`,
    ...wrapped(cost(option, attention, asking), '    ', canvas.width),
  ]);
}

/** What an answer costs, in a few words. */
export function costOf(
  option: CorrectionAction,
  attention: Attention,
  { memo, progress }: Pick<Asking, 'memo' | 'progress'>,
): string {
  const paid = `each upload is paid${aboutUploads(1, (progress ?? memo)?.uploadPrice)}`;
  const { kind, riskOfSecondCharge = [] } = attention;
  const create = `${CREATE_CREDITS} credits${riskOfSecondCharge.includes(option) ? ', perhaps for the second time' : ''}`;
  // Bad files are met before create, which is ordered already.
  const again = kind === 'bad-files' ? '' : `, then sends create again: ${create}`;
  switch (option) {
    case 'retry':
      if (kind === 'bad-files') return `uploads the bad files again, ${paid}`;
      if (kind === 'credentials' || kind === 'credits') return 'tries again now';
      return `sends create again: ${create} if it is accepted`;
    case 'rename':
      return `keeps the clips, and sends create under the other name: ${create}`;
    case 'replaceFiles':
      return `uploads the new files, ${paid}${again}`;
    case 'dropFiles':
      return `leaves them out${again}`;
    case 'resendCreate':
      return `sends create again: ${create}`;
    case 'newSession':
      return `uploads all files again, ${paid}, perhaps on another account; then create: ${create}`;
    case 'keepWaiting':
      return 'waits for another while, costs nothing';
    case 'giveUp':
      return 'ends the training; what is paid for stays at Mountsea';
  }
}

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

/** Folded first to last where there is no room for all files; those that need somebody never. */
const FOLDED = ['ready', 'waiting', 'dropped'] as const satisfies FileState[];

/** @param limit most lines. */
function fileLines(files: readonly FileProgress[], now: number, canvas: Canvas, limit: number): string[] {
  const longest = Math.max(0, ...files.map(({ label }) => widthOf(printable(lastPartOf(label)))));
  const numberWidth = Math.max(2, String(files.length).length);
  const nameWidth = Math.max(8, Math.min(longest, Math.floor(canvas.width * 0.4)));
  const lineOf = (file: FileProgress): string => fileLine(file, numberWidth, nameWidth, now, canvas);
  if (files.length <= Math.min(limit, canvas.height === undefined ? FILE_LIMIT : Infinity)) {
    return files.map(lineOf);
  }
  const paint = createColors(canvas.isColored);
  const counts = countStates(files);
  const folds = FOLDED.flatMap((state) => {
    const count = counts[state] ?? 0;
    return count === 0 ? [] : [paint.dim(`  ${MARKS[state]} ${count} ${state}`)];
  });
  const rank = ({ state }: FileProgress): number => (state === 'failed' || state === 'overdue' ? 0 : 1);
  const shown = files
    .filter(({ state }) => !FOLDED.some((folded) => folded === state))
    .sort((a, b) => rank(a) - rank(b));
  const room = Math.max(
    0,
    Math.min(limit - folds.length, canvas.height === undefined ? FILE_LIMIT : Infinity),
  );
  const kept = shown.length <= room ? shown : shown.slice(0, Math.max(0, room - 1));
  const left = shown.length - kept.length;
  return [
    ...kept.sort((a, b) => a.number - b.number).map(lineOf),
    ...(left > 0 ? [cutEnd(`    and ${left} more under way or bad`, canvas.width)] : []),
    ...folds,
  ].slice(0, limit);
}

/** Whether the lines of all files have room for what is said of them. */
function isWhole(files: readonly FileProgress[], now: number, canvas: Canvas): boolean {
  const lines = fileLines(files, now, { ...canvas, isColored: false }, Infinity);
  return lines.every((line) => !line.endsWith('…'));
}

/** `  ✓  3  song.mp3   ready       0:12  try 2` */
function fileLine(
  file: FileProgress,
  numberWidth: number,
  nameWidth: number,
  now: number,
  canvas: Canvas,
): string {
  const paint = createColors(canvas.isColored);
  const { state, number, label, tries, reason } = file;
  const name = padded(cutMiddle(printable(lastPartOf(label)), nameWidth), nameWidth);
  const again = tries > 1 ? `try ${tries}` : '';
  const why = reason === undefined || state === 'ready' ? '' : printable(reason);
  const note = [again, why].filter((part) => part !== '').join(': ');
  const line = `  ${MARKS[state]} ${String(number).padStart(numberWidth)}  ${name}  ${state.padEnd(10)} ${timeOfFile(file, now).padStart(6)}  ${note}`;
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

/** How long its upload takes, or took. */
function timeOfFile({ state, since, begunAt }: FileProgress, now: number): string {
  switch (state) {
    case 'staging':
    case 'uploading':
    case 'processing':
    case 'overdue':
      return clock(now - Date.parse(begunAt ?? since));
    case 'ready':
      return begunAt === undefined ? '' : clock(Date.parse(since) - Date.parse(begunAt));
    case 'waiting':
    case 'failed':
    case 'dropped':
      return '';
  }
}

function countStates(files: readonly FileProgress[]): Partial<Record<FileState, number>> {
  const counts: Partial<Record<FileState, number>> = {};
  for (const { state } of files) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function countsOf({ memo: { fileCounts, fileTotal } }: Snapshot): string {
  return countWords(fileCounts, fileTotal);
}

function countWords(counts: Partial<Record<FileState, number>>, total: number): string {
  const words = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
  return `${counted(total, 'file')}: ${words.join(', ')}`;
}

/** m:ss, or h:mm:ss. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const tail = String(s).padStart(2, '0');
  return h === 0 ? `${m}:${tail}` : `${h}:${String(m).padStart(2, '0')}:${tail}`;
}

/** Of this machine's clock, to the minute. */
export function dateOf(iso: string): string {
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function timeOf(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8);
}

/** For people, to the second: `45 s`, `12 min`, `3 h`. */
function lengthOf(ms: number, before = ''): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 120) return `${before}${seconds} s`;
  return seconds < 7_200
    ? `${before}${Math.ceil(seconds / 60)} min`
    : `${before}${Math.ceil(seconds / 3600)} h`;
}
