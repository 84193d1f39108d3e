/**
 * Client side: turns what is known of a song into lines for people; it writes nothing. What a training looks like is in
 * `draw.ts`.
 */
import { createColors } from 'picocolors';
import type { Attention } from '../contract/progress.js';
import type { CorrectionAction } from '../contract/correction.js';
import type { GeneratedSong, SongClip, SongReceipt, SongTerms } from '../contract/song.js';
import { songPrice } from '../money/songs.js';
import type { SingingModel, SongSnapshot } from '../library/songs.js';
import type { Downloaded } from './download.js';
import {
  answerLines,
  attentionLines,
  type Canvas,
  clock,
  dateOf,
  LISTED_NAME,
  needsTelling,
  reasonLines,
  stateWords,
  storyLines,
} from './draw.js';
import { columns, cutEnd, cutMiddle, printable } from './text.js';

/**
 * What is new in a look at a song, a line each.
 *
 * @param isDrawn somebody sits there: what it waits for is asked afterwards, with the answers.
 */
export function songNews(
  before: SongSnapshot | undefined,
  after: SongSnapshot,
  canvas: Canvas,
  isDrawn: boolean,
): string[] {
  const lines: string[] = [];
  const { progress, memo } = after;
  const attention = progress?.attention ?? memo.attention;
  const known = before?.progress?.attention ?? before?.memo.attention;
  const asks = attention !== undefined && needsTelling(attention, known) ? attention : undefined;
  if (progress !== undefined) {
    lines.push(...storyLines(before?.progress?.timeline, progress.timeline, asks));
    const heard = new Set(before?.progress?.clips.map(({ audioUrl }) => audioUrl));
    // What streams may be heard at once; what is finished is told with the result.
    for (const { audioUrl = '' } of memo.phase === 'done' ? [] : progress.clips) {
      if (!heard.has(audioUrl)) lines.push(`  ${printable(audioUrl)}`);
    }
  } else if (after.status === 'running' && before?.memo.phase !== memo.phase) {
    lines.push(`${printable(memo.title)}: ${memo.phase}`);
  }
  if (asks !== undefined) {
    const room = isDrawn ? canvas : { ...canvas, width: Infinity };
    lines.push(...reasonLines(asks, room));
    // What mends itself is followed on: nobody has to do anything.
    if (!isDrawn && asks.nextTryAt === undefined) lines.push(...songAnswerLines(asks, after, room));
  }
  return lines;
}

/** One line that is drawn over while a song is made. */
export function songLine(
  { memo, progress }: SongSnapshot,
  now: number,
  { width, isColored }: Canvas,
): string {
  const { title, phase, phaseSince } = progress ?? memo;
  const next = progress?.nextCheckAt;
  const check =
    next === undefined ? '' : ` · next look in ${Math.max(0, Math.ceil((Date.parse(next) - now) / 1_000))} s`;
  const words = `${printable(title)} · ${progress?.taskStatus ?? phase} ${clock(now - Date.parse(phaseSince))}${check}`;
  return createColors(isColored).dim(cutEnd(words, width));
}

/** What a song needs, and the exact commands that answer it, each with what it costs. */
export function songAttentionLines(attention: Attention, snapshot: SongSnapshot, canvas: Canvas): string[] {
  return attentionLines(attention, snapshot, canvas, costIn(snapshot));
}

/** The exact commands that answer the attention of a song, each with what it costs. */
export function songAnswerLines(attention: Attention, snapshot: SongSnapshot, canvas: Canvas): string[] {
  return answerLines(attention, snapshot, canvas, costIn(snapshot));
}

const costIn =
  (snapshot: SongSnapshot) =>
  (option: CorrectionAction, attention: Attention): string =>
    songCostOf(option, attention, snapshot);

/** What an answer costs, in a few words. */
export function songCostOf(
  option: CorrectionAction,
  { kind, riskOfSecondCharge = [] }: Attention,
  { memo }: Pick<SongSnapshot, 'memo'>,
): string {
  switch (option) {
    case 'retry':
      if (kind === 'credentials' || kind === 'credits') return 'tries again now';
      return `sends it again: about ${priceIn(memo.receipt)} credits${riskOfSecondCharge.includes(option) ? ', perhaps for the second time' : ''}`;
    case 'keepWaiting':
      return 'waits for another while, costs nothing';
    default:
      return 'ends it; what is paid for stays at Mountsea';
  }
}

function priceIn({ generate }: SongReceipt): number {
  return songPrice(generate.attempts.at(-1)?.credits);
}

/** What was spent, in a few words. Unknown is said as such. */
export function songReceiptWords({ generate }: SongReceipt): string {
  const { verdict, credits, provisional } = generate;
  const rest = provisional === true ? ' (provisional)' : '';
  const known = credits === undefined ? '' : `${credits} credits`;
  switch (verdict) {
    case 'charged':
      return `song: ${known === '' ? 'charged' : known}${rest}`;
    case 'not-charged':
      return 'song: not charged';
    case 'unknown':
      return `song: ${known === '' ? '' : `${known}${rest}, `}charge unknown${known === '' ? '' : ' of one more send'}`;
  }
}

/** One look at a song. */
export function songStatusLines(snapshot: SongSnapshot, uiUrl: string | undefined, canvas: Canvas): string[] {
  const { workflowId, status, memo, progress } = snapshot;
  const { title, model, modelName, phase, taskId, clips, receipt, attention } = progress ?? memo;
  const word = progress?.taskStatus === undefined ? '' : ` (${printable(progress.taskStatus)})`;
  return [
    `${workflowId}  ${status}`,
    `${printable(title)}  ${phase}${word}`,
    `model   ${modelName === undefined ? '' : `${printable(modelName)}  `}${printable(model)}`,
    ...(taskId === undefined ? [] : [`task    ${printable(taskId)}`]),
    ...clips.map(clipLine),
    ...(attention === undefined ? [] : songAttentionLines(attention, snapshot, canvas)),
    ...(uiUrl === undefined ? [] : [uiUrl]),
    songReceiptWords(receipt),
    ...receipt.generate.evidence.map((line) => `  because ${printable(line)}`),
  ];
}

/** A table of songs, one a line under a heading. */
export function songListLines(songs: readonly SongSnapshot[]): string[] {
  if (songs.length === 0) return ['No songs yet.'];
  return columns([
    ['ID', 'TITLE', 'STATE', 'STARTED', 'MODEL'],
    ...songs.map((song) => {
      const { title, startedAt, modelName, model } = song.memo;
      return [
        song.workflowId,
        cutMiddle(printable(title), LISTED_NAME),
        stateWords(song),
        dateOf(startedAt),
        printable(modelName ?? model),
      ];
    }),
  ]);
}

/** What a finished song gave. */
export function songResultLines({ title, model, modelName, clips, receipt }: GeneratedSong): string[] {
  return [
    `title   ${printable(title)}`,
    `model   ${modelName === undefined ? '' : `${printable(modelName)}  `}${printable(model)}`,
    ...clips.map(clipLine),
    songReceiptWords(receipt),
    ...receipt.generate.evidence.map((line) => `  because ${printable(line)}`),
  ];
}

function clipLine({ id, audioUrl = '', duration }: SongClip): string {
  const length = duration === undefined ? '' : `  ${clock(duration * 1_000)}`;
  return `clip    ${printable(id)}${length}  ${printable(audioUrl)}`;
}

/** Before it is ordered: what, for how much, and what is left. */
export function termsLines(
  title: string,
  { model, name }: SingingModel,
  terms: SongTerms | undefined,
): string[] {
  const price = songPrice(terms?.seenCredits);
  const why =
    terms?.seenCredits === undefined
      ? 'about 40 credits, as others saw it; Mountsea does not say'
      : `about ${price} credits, the dearest in the ledger`;
  return [
    `Song     ${printable(title)}`,
    `Model    ${name === undefined ? '' : `${printable(name)}  `}${printable(model)}`,
    `Price    ${why}`,
    `Balance  ${balanceWords(terms, price)}`,
  ];
}

function balanceWords(terms: SongTerms | undefined, price: number): string {
  if (terms === undefined) return 'unknown (no worker)';
  const { balance, balanceMissing = 'no reason given' } = terms;
  if (balance === undefined) return `unknown (${printable(balanceMissing)})`;
  const rest = balance - price;
  return rest < 0 ? `${balance} credits: too low` : `${balance} credits, about ${rest} afterwards`;
}

/** What became of the downloads, for people. */
export function downloadLines(done: readonly Downloaded[]): string[] {
  return done.map((one) => {
    if ('why' in one) return `Clip ${printable(one.clipId)} could not be fetched: ${printable(one.why)}.`;
    if (one.wasThere === true) return `${one.path} is there already.`;
    return `Saved ${one.path} (${sizeWords(one.bytes ?? 0)}).`;
  });
}

/** One line that is written over while a clip comes. */
export function downloadLine(
  name: string,
  bytes: number,
  total: number | undefined,
  { width }: Canvas,
): string {
  const part = total === undefined ? sizeWords(bytes) : `${Math.floor((100 * bytes) / total)} %`;
  return `Fetching ${printable(name)}  ${part}`.slice(0, width - 1);
}

function sizeWords(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
