/**
 * Pure: what a credit ledger proves. Runs in the workflow sandbox, in activities and in the command line, so that money
 * is judged by one piece of code everywhere.
 */
import type { CreateRow } from '../contract/money.js';

/** A row as far as it matters here. */
export interface BookedRow {
  id: string;
  /** ms since 1970. */
  at: number;
  kind: 'create' | 'upload' | 'generate' | 'other' | 'unidentified';
  amount: number;
  before?: number;
  after?: number;
}

/** What a row must be known by to be told apart: the API's path, and the amount by which the balance went down. */
export function bookedRowOf(row: {
  id: string;
  createdAt: number;
  apiPath?: string;
  finalAmount: number;
  beforeCredits?: number;
  afterCredits?: number;
}): BookedRow {
  const { id, createdAt, apiPath, finalAmount, beforeCredits: before, afterCredits: after } = row;
  // Whether a charge is written as 100 or as -100 is not documented; the balances beside it are plain.
  const amount = before !== undefined && after !== undefined ? before - after : Math.abs(finalAmount);
  return {
    id,
    at: createdAt,
    kind: kindOf(amount, apiPath),
    amount,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function kindOf(amount: number, apiPath = ''): BookedRow['kind'] {
  // What adds credits and does not say what for is no create.
  if (apiPath.trim() === '') return amount < 0 ? 'other' : 'unidentified';
  if (/customModel\/create\b/i.test(apiPath)) return 'create';
  if (/customModel\/upload\b/i.test(apiPath)) return 'upload';
  if (/suno\/v\d+\/generate\b/i.test(apiPath)) return 'generate';
  return 'other';
}

/**
 * Whether the rows lead from one balance to another without a gap, so that no row in between is missing. Charges after
 * the second balance do not matter: the ledger is read after the balance, and others go on spending.
 *
 * A balance may come again (a charge, a refund of the same amount), so the doubtful cases are not closed: the rows must be
 * whole from the earliest place where the balance was `from` to the newest row, and after the last place where it was
 * `to` it may only have gone down.
 *
 * @param rows in any order; those before the first balance are passed over.
 */
export function isClosedChain(rows: readonly BookedRow[], from: number, to: number): boolean {
  const ordered = inOrder(rows);
  const place = ordered.findIndex(({ before, after }) => before === from || after === from);
  if (place === -1) return from === to;
  const begin = ordered[place]?.before === from ? place : place + 1;
  let closed = from === to;
  let balance = from;
  for (const { before, after } of ordered.slice(begin)) {
    if (before !== balance || after === undefined) return false;
    closed = after === to || (closed && after < before);
    balance = after;
  }
  return closed;
}

/** By time; rows of one moment in the order in which their balances follow each other. */
function inOrder(rows: readonly BookedRow[]): BookedRow[] {
  const left = [...rows].sort((a, b) => a.at - b.at);
  const ordered: BookedRow[] = [];
  while (left.length > 0) {
    const at = left[0]?.at;
    const last = ordered.at(-1)?.after;
    const group = left.filter((row) => row.at === at);
    const heads = group.filter(({ before }) => !group.some(({ after }) => after === before));
    const next = group.find(({ before }) => before === last) ?? heads[0] ?? group[0];
    if (next === undefined) break;
    ordered.push(next);
    left.splice(left.indexOf(next), 1);
  }
  return ordered;
}

/** A create that would explain a row. */
export interface Explainer {
  /** Earliest and latest time at which its charge may be booked, ms since 1970. */
  from: number;
  to: number;
  /** Its row, where that is known. */
  rowId?: string;
}

export interface Matching<E extends Explainer> {
  pairs: { row: CreateRow; explainer: E }[];
  unexplained: CreateRow[];
  /** Explainers that have no row. */
  waiting: E[];
}

/**
 * Gives as many rows as possible to explainers, one each. A known row goes to its own; then the row with the earliest end
 * of its choice comes first, which for intervals gives the largest matching.
 */
export function matchRows<E extends Explainer>(
  rows: readonly CreateRow[],
  explainers: readonly E[],
): Matching<E> {
  const charges = rows.filter(({ amount }) => amount > 0).sort((a, b) => a.at - b.at);
  const free = new Set(explainers);
  const pairs: Matching<E>['pairs'] = [];
  const take = (row: CreateRow, explainer: E): void => {
    free.delete(explainer);
    pairs.push({ row, explainer });
  };
  const open = charges.filter((row) => {
    const own = [...free].find(({ rowId }) => rowId === row.id);
    if (own !== undefined) take(row, own);
    return own === undefined;
  });
  const unexplained: CreateRow[] = [];
  for (const row of open) {
    const fitting = [...free].filter(
      ({ from, to, rowId }) => rowId === undefined && from <= row.at && row.at <= to,
    );
    const first = fitting.sort((a, b) => a.to - b.to)[0];
    if (first === undefined) unexplained.push(row);
    else take(row, first);
  }
  return { pairs, unexplained, waiting: [...free] };
}

/** Rows that may be left over: each of them is, in one of the largest matchings. */
export function spareRows(rows: readonly CreateRow[], explainers: readonly Explainer[]): Set<CreateRow> {
  const { pairs, unexplained } = matchRows(rows, explainers);
  const spare = new Set(unexplained);
  // A spare row may take the explainer of another one, which is then spare. The set grows while it is walked.
  for (const row of spare) {
    for (const { row: other, explainer } of pairs) if (fits(row, explainer)) spare.add(other);
  }
  return spare;
}

/** The explainers that each row fits, and the rows that fit each explainer. Nothing is assigned. */
export function fits(row: CreateRow, { from, to, rowId }: Explainer): boolean {
  return rowId === undefined ? from <= row.at && row.at <= to : rowId === row.id;
}
