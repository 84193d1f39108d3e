/**
 * Preflight: until when a signed URL is good, by the query that signs it. Pure; a URL whose signature nobody here knows is
 * taken to have none.
 */

export interface Signature {
  /** ms since 1970. */
  expiresAt: number;
}

/**
 * @returns undefined where the URL is not signed in a way known here, or has no end.
 */
export function signatureOf(url: string): Signature | undefined {
  const query = new Map([...new URL(url).searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  const ends = SCHEMES.map((end) => end(query)).filter((at) => at !== undefined && Number.isFinite(at));
  return ends[0] === undefined ? undefined : { expiresAt: ends[0] };
}

/** Whether a URL carries a signature at all, with or without an end. */
export function isSigned(url: string): boolean {
  const names = [...new URL(url).searchParams.keys()].map((name) => name.toLowerCase());
  return names.some((name) => /^(x-(amz|goog|oss|cos|tos)-signature|signature|sig|q-signature)$/.test(name));
}

type Query = ReadonlyMap<string, string>;

const SCHEMES: ((query: Query) => number | undefined)[] = [
  // S3 and Google Cloud Storage, version 4, and those who copied it: a date and the seconds from it on.
  ...['amz', 'goog', 'oss', 'tos'].map((vendor) => (query: Query) => {
    const begin = compactDate(query.get(`x-${vendor}-date`));
    const seconds = wholeNumber(query.get(`x-${vendor}-expires`));
    return begin === undefined || seconds === undefined ? undefined : begin + seconds * 1_000;
  }),
  // CloudFront, S3 version 2, Google Cloud Storage version 2: seconds since 1970 beside a signature.
  (query) => {
    const end = wholeNumber(query.get('expires'));
    return end === undefined || !query.has('signature') ? undefined : end * 1_000;
  },
  // CloudFront with a policy of its own: the end is inside, in a base64 with three letters changed.
  (query) => (query.has('key-pair-id') ? endOfPolicy(query.get('policy')) : undefined),
  // Azure: an ISO date.
  (query) => (query.has('sig') ? isoDate(query.get('se')) : undefined),
  // Tencent: `begin;end`.
  (query) => {
    const end = wholeNumber(query.get('q-sign-time')?.split(';')[1]);
    return end === undefined ? undefined : end * 1_000;
  },
];

/** e.g. `20261125T223000Z`. */
function compactDate(text: string | undefined): number | undefined {
  const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '') ?? [];
  if (y === undefined) return undefined;
  return Date.UTC(Number(y), Number(m) - 1, Number(d), Number(h), Number(min), Number(s));
}

function isoDate(text: string | undefined): number | undefined {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? undefined : at;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

function endOfPolicy(policy: string | undefined): number | undefined {
  if (policy === undefined) return undefined;
  const base64 = policy.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/');
  const [, seconds] =
    /"DateLessThan"\s*:\s*\{\s*"AWS:EpochTime"\s*:\s*(\d{1,12})/.exec(
      Buffer.from(base64, 'base64').toString('utf8'),
    ) ?? [];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
