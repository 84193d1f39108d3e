/**
 * How things are named at the Temporal server: the task queue of an API, the workflow id of a training. Client and
 * worker must agree on every byte here.
 */
import { createHash } from 'node:crypto';
import type { Source } from '../contract/training.js';

/** Task queue of the workers of one API origin, so that a sandbox and the real service never share work. */
export function taskQueueFor(origin: string): string {
  return `tunesmith-${sha256(origin).slice(0, 12)}`;
}

/** Workflow id of the account workflow of one API origin: a client without a key finds it. */
export function accountWorkflowIdFor(origin: string): string {
  return `account-${sha256(origin).slice(0, 12)}`;
}

/**
 * Query parameters that sign a URL and change each time it is signed. Short or common names count only beside the
 * parameter that marks their scheme, since two files may well differ in a `policy` or `st` of their own.
 */
const SIGNATURE_SCHEMES: { marker: RegExp; parameters: RegExp }[] = [
  { marker: /^x-(amz|goog|oss|cos|tos)-signature$/i, parameters: /^x-(amz|goog|oss|cos|tos)-/i },
  {
    marker: /^signature$/i,
    parameters:
      /^(signature|expires|policy|key-pair-id|hash-algorithm|awsaccesskeyid|googleaccessid|ossaccesskeyid)$/i,
  },
  { marker: /^sig$/i, parameters: /^(sig|se|sp|st|sr|sv|spr|sip|ske|skoid|sks|skt|sktid|skv)$/i },
  { marker: /^q-signature$/i, parameters: /^q-/i },
];

/** What a source URL names, whatever it is signed with today: scheme, host, path and the rest of the query, sorted. */
export function urlIdentity(url: string): string {
  const parsed = new URL(url);
  const names = [...parsed.searchParams.keys()];
  const schemes = SIGNATURE_SCHEMES.filter(({ marker }) => names.some((name) => marker.test(name)));
  const query = [...parsed.searchParams].filter(
    ([name]) => !schemes.some(({ parameters }) => parameters.test(name)),
  );
  query.sort(byText);
  return `${parsed.origin}${parsed.pathname}?${new URLSearchParams(query).toString()}`;
}

/** What a source is, wherever it lies and whatever it is signed with: `urlIdentity`, or `sha256:…` of a local file. */
export function sourceIdentity(source: Source): string {
  return 'url' in source ? urlIdentity(source.url) : `sha256:${source.sha256}`;
}

/** Workflow id of a training: the same command gives the same id. */
export interface TrainingIdentity {
  origin: string;
  name: string;
  /** `sourceIdentity` of each source; their order does not matter. */
  sources: string[];
  /** Label of a deliberate second training of the same content (`--again`). */
  again?: string;
}

/** e.g. `train-night-drive-1f0a9c3b5d7e`, with `-again-2` behind it for a second one. */
export function trainingWorkflowId(identity: TrainingIdentity): string {
  const { origin, name, sources, again } = identity;
  const digest = sha256(JSON.stringify([origin, name, [...sources].sort()]));
  const slug = slugOf(name);
  const base = `train-${slug === '' ? 'model' : slug}-${digest.slice(0, 12)}`;
  return again === undefined ? base : `${base}-again-${again}`;
}

/** Lower case, only letters, digits and single hyphens, at most 32 characters. */
export function slugOf(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 32)
    .replace(/^-+|-+$/g, '');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function byText([a, av]: [string, string], [b, bv]: [string, string]): number {
  return `${a}=${av}` < `${b}=${bv}` ? -1 : 1;
}
