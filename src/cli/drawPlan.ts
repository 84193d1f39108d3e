/**
 * Client side: a plan as people see it. Turns it into lines; it writes nothing.
 */
import { createColors } from 'picocolors';
import { lastPartOf } from '../contract/labels.js';
import { type Plan, type PlannedFile, type Price, worstOfFile } from '../library/plan.js';
import type { Finding } from '../preflight/findings.js';
import { sizeWords } from '../preflight/words.js';
import { type Canvas, clock } from './draw.js';
import { cutEnd, cutMiddle, padded, printable, widthOf, wrapped } from './text.js';

/** From this width on there is room for what the sound is like. */
const WIDE = 110;
const GAP = '  ';
const NAME_LEAST = 12;
const VERDICT_MOST = 24;

interface Column {
  title: string;
  of: (file: PlannedFile) => string;
  side?: 'right';
  wide?: true;
}

/**
 * Everything that a decision to spend stands on.
 *
 * @param fileLimit with more files than this those that are fine are one line.
 */
export function planLines(plan: Plan, canvas: Canvas, fileLimit = Infinity): string[] {
  return [...checkLines(plan, canvas, fileLimit), ...summaryOf(plan, canvas)];
}

/** The files and what is wrong with them, without what it would cost. */
export function checkLines(plan: Plan, canvas: Canvas, fileLimit = Infinity): string[] {
  return [...tableOf(plan, canvas, fileLimit), ...findingLines(plan.findings, canvas)];
}

function tableOf({ files, findings }: Plan, canvas: Canvas, fileLimit: number): string[] {
  const paint = createColors(canvas.isColored);
  const isFine = ({ number }: PlannedFile): boolean => worstOfFile(number, findings) === undefined;
  const folded = files.length > fileLimit ? files.filter(isFine) : [];
  const shown = files.filter((file) => !folded.includes(file));
  const verdictOf = (file: PlannedFile): string =>
    file.look === undefined
      ? file.isUploaded
        ? ''
        : 'has its clip'
      : (worstOfFile(file.number, findings)?.short ?? 'ok');
  const columns: Column[] = [
    { title: '#', of: ({ number }) => String(number), side: 'right' },
    { title: 'file', of: ({ label }) => printable(lastPartOf(label)) },
    { title: 'kind', of: ({ look }) => look?.kind ?? '' },
    { title: 'codec', of: ({ look }) => printable(look?.codec ?? ''), wide: true },
    { title: 'rate', of: ({ look }) => rateWords(look?.sampleRate), side: 'right', wide: true },
    { title: 'channels', of: ({ look }) => String(look?.channels ?? ''), side: 'right', wide: true },
    { title: 'length', of: lengthOf, side: 'right' },
    {
      title: 'size',
      of: ({ look }) => (look?.size === undefined ? '' : sizeWords(look.size)),
      side: 'right',
    },
    { title: 'verdict', of: verdictOf },
  ];
  const used = columns.filter(({ wide }) => wide !== true || canvas.width >= WIDE);
  const cells = shown.map((file) => used.map(({ of }) => of(file)));
  const widths = used.map(({ title }, column) =>
    Math.max(widthOf(title), ...cells.map((row) => widthOf(row[column] ?? ''))),
  );
  const last = widths.length - 1;
  widths[last] = Math.min(widths[last] ?? 0, VERDICT_MOST);
  // The name is the only cell that may be of any length.
  const rest = widths.reduce((sum, width, column) => (column === 1 ? sum : sum + width + GAP.length), 0);
  widths[1] = Math.max(NAME_LEAST, Math.min(widths[1] ?? 0, canvas.width - rest));
  const line = (row: string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        const cut = column === 1 ? cutMiddle(cell, width) : cutEnd(cell, width);
        return padded(cut, width, used[column]?.side === 'right' ? 'right' : 'left');
      })
      .join(GAP)
      .trimEnd();
  if (shown.length === 0 && folded.length > 0) return [`${folded.length} files, all of them fine`];
  const lines = [
    paint.dim(line(used.map(({ title }) => title))),
    ...shown.map((file, index) =>
      colored(line(cells[index] ?? []), worstOfFile(file.number, findings), canvas),
    ),
  ];
  if (folded.length > 0) lines.push(paint.dim(`and ${folded.length} that are fine`));
  return lines;
}

function colored(line: string, finding: Finding | undefined, canvas: Canvas): string {
  const paint = createColors(canvas.isColored);
  if (finding?.level === 'error') return paint.red(line);
  return finding?.level === 'warning' ? paint.yellow(line) : line;
}

const TITLES = { error: 'Wrong', warning: 'Doubtful', note: 'Note' } as const;

/** What is wrong first; each in a sentence. */
export function findingLines(findings: readonly Finding[], canvas: Canvas): string[] {
  const paint = createColors(canvas.isColored);
  const paints = { error: paint.red, warning: paint.yellow, note: paint.dim };
  return (['error', 'warning', 'note'] as const).flatMap((level) => {
    const fitting = findings.filter((finding) => finding.level === level);
    if (fitting.length === 0) return [];
    return [
      '',
      paints[level](TITLES[level]),
      ...fitting.flatMap(({ message }) => wrapped(printable(message), '  - ', canvas.width)),
    ];
  });
}

function summaryOf({ hash, price, balance, sameFiles }: Plan, canvas: Canvas): string[] {
  const rows = [
    ['Price', priceWords(price)],
    [
      'Balance',
      'unknown' in balance
        ? `unknown (${printable(balance.unknown)})`
        : `${balance.before} credits, ${about(price)}${balance.after} afterwards`,
    ],
    ...sameFiles.map(({ name, workflowId, modelId }) => [
      'Same files',
      `were trained as "${printable(name)}" already: ${modelId ?? workflowId}`,
    ]),
    ['Plan', hash],
  ];
  return ['', ...rows.flatMap(([title = '', text = '']) => wrapped(text, padded(title, 12), canvas.width))];
}

/** What an assumption is part of is an estimate. */
export function about({ basis, uploads, songCredits }: Price): string {
  return (basis === 'assumption' && uploads > 0) || songCredits !== undefined ? 'about ' : '';
}

/** e.g. `8 uploads at 5 (an assumption) and create at 100: about 140 credits, up to 220 where uploads fail and are repeated`. */
export function priceWords(price: Price): string {
  const { uploads, uploadCredits, basis, createCredits, songCredits, total, most } = price;
  const create = `create at ${createCredits}`;
  const rest =
    songCredits === undefined ? ` and ${create}` : `, ${create} and a song at about ${songCredits}`;
  const sum = `${about(price)}${total} credits`;
  if (uploads === 0) return `no upload${songCredits === undefined ? ',' : ''}${rest}: ${sum}`;
  const from = basis === 'ledger' ? 'the dearest seen' : 'an assumption; --upload-credits';
  const count = uploads === 1 ? '1 upload' : `${uploads} uploads`;
  const repeated = most > total ? `, up to ${most} where uploads fail and are repeated` : '';
  return `${count} at ${uploadCredits} (${from})${rest}: ${sum}${repeated}`;
}

function lengthOf({ look }: PlannedFile): string {
  if (look?.durationMs !== undefined) return clock(look.durationMs);
  return look?.kind === undefined ? '' : 'unknown';
}

function rateWords(sampleRate: number | undefined): string {
  return sampleRate === undefined ? '' : `${sampleRate / 1_000} kHz`;
}
