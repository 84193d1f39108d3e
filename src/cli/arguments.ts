/**
 * Client side: what flags and arguments may be. Each parser gives the value or a sentence for commander to show.
 */
import { InvalidArgumentError } from 'commander';

export function notEmpty(text: string): string {
  // It would be a prefix of every training, and so the only one's.
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}

export function days(text: string): number {
  const value = wholeNumber(text);
  if (value > 90) throw new InvalidArgumentError('Mountsea keeps 90 days.');
  return value;
}

export function credits(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value < Infinity)) {
    throw new InvalidArgumentError('It must be a number of credits.');
  }
  return value;
}

/** @returns ms. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number of seconds.');
  return value * 1_000;
}

/** @returns ms. */
export function duration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text) ?? [];
  const factor = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''];
  const ms = Number(amount) * (factor ?? Number.NaN);
  if (!(ms > 0)) throw new InvalidArgumentError('It must be a duration such as 90s, 30m, 2h or 7d.');
  return ms;
}

/** For a flag that may be given again: all its values, in order. */
export function collected(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** `LEFT=RIGHT`, split at the first `=`. @returns undefined where one side is empty. */
export function pairOf(text: string): [string, string] | undefined {
  const at = text.indexOf('=');
  const [left, right] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  return at === -1 || left === '' || right === '' ? undefined : [left, right];
}
