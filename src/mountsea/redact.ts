/**
 * Worker side: takes secrets out of every text that leaves this room, whether an error, a raw answer or a recording.
 * Such texts end in Temporal's history, in logs and in files that people send to each other.
 */

/** Removes secrets from texts and JSON values. */
export interface Redactor {
  /** Remembers a key for the life of the client: a rotated one may still be echoed by a late answer. */
  learn(key: string): void;
  /** @returns the text without secrets. */
  text(text: string): string;
  /** @returns the text without secrets, then cut: cutting first could leave half a key that is no longer known. */
  raw(text: string): string;
  /** As `raw`, in one line, without control characters (they move cursors), at most `length` characters. */
  line(text: string, length?: number): string;
  /** @returns a copy of a JSON value in which every string is without secrets. */
  json(value: unknown): unknown;
}

const RAW_LENGTH = 8192;
const LINE_LENGTH = 500;
const REMOVED = '[removed]';

const SECRET_NAMES = '(?:proxy-)?authorization|x-api-key|api[-_]?key';
/** `Authorization: Bearer abc`, `"x-api-key":"abc"`, `api_key=abc`, also where the quotes are escaped. */
const NAMED_SECRET = new RegExp(
  String.raw`\b(${SECRET_NAMES})((?:\\?["'])?\s*[:=]\s*(?:\\?["'])?)(?:(?:Bearer|Basic)\s+)?[^\s"'\\,;&}<]+`,
  'gi',
);
const SECRET_PROPERTY = new RegExp(`^(?:${SECRET_NAMES})$`, 'i');
const BEARER = /\b(Bearer)\s+[\w.~+/=-]{8,}/gi;
/** Also with slashes escaped as some JSON writers do. */
const URL_IN_TEXT = /\bhttps?:(?:\\?\/){2}(?:[^\s"'<>\\]|\\\/)+/gi;
const USER_INFO = /^(https?:(?:\\?\/){2})[^/\\?#]*@/i;
/** Signatures in a path and query that has lost its host. */
const SIGNATURE = /([?&](?:x-(?:amz|goog)-[\w-]+|sig|signature|token|key)=)[^\s"'&\\<>]+/gi;

export function createRedactor(): Redactor {
  /** Longest first, so that a key that begins like another leaves no tail behind. */
  let secrets: string[] = [];

  const text = (dirty: string): string => {
    let clean = dirty;
    for (const secret of secrets) clean = clean.replaceAll(secret, REMOVED);
    return clean
      .replace(URL_IN_TEXT, bareUrl)
      .replace(NAMED_SECRET, `$1$2${REMOVED}`)
      .replace(BEARER, `$1 ${REMOVED}`)
      .replace(SIGNATURE, `$1${REMOVED}`);
  };

  return {
    learn(key) {
      if (key === '' || secrets.includes(key)) return;
      const spellings = [key, encodeURIComponent(key), JSON.stringify(key).slice(1, -1)];
      secrets = [...new Set([...secrets, ...spellings])].sort((a, b) => b.length - a.length);
    },
    text,
    raw: (dirty) => cut(text(dirty), RAW_LENGTH),
    line: (dirty, length = LINE_LENGTH) => cut(oneLine(text(dirty)), length),
    json: (value) => redactJson(value, text),
  };
}

function redactJson(value: unknown, text: (dirty: string) => string): unknown {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map((item) => redactJson(item, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      text(name),
      SECRET_PROPERTY.test(name) ? REMOVED : redactJson(item, text),
    ]),
  );
}

/** Punctuation at the end belongs to the sentence around the URL. */
function bareUrl(url: string): string {
  return url.replace(/[?#].*?([.,;:!)\]}]*)$/s, '$1').replace(USER_INFO, '$1');
}

function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
