/**
 * Sandbox: what can be set and what it reports. Everything here is JSON, so that it can come from a file, from a request
 * to `/_sandbox/…` or from a test. docs/sandbox.md shows an example of each.
 */
import { z } from 'zod';

export const REQUEST_KINDS = [
  'prepare',
  'upload',
  'create',
  'status',
  'generate',
  'schema',
  'credits',
  'points',
] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

const when = z.enum(['before', 'after']);

/** What goes wrong. `before` and `after` mean the effect of the request: the task, the charge. */
const fault = z.discriminatedUnion('kind', [
  /** The connection is reset; no effect. */
  z.object({ kind: z.literal('refuse') }),
  /** The effect happens, the answer never comes: the connection is reset. */
  z.object({ kind: z.literal('lost') }),
  /** The connection is reset at once; the effect comes `afterMs` of the service later, if it is acceptable then. */
  z.object({ kind: z.literal('late'), afterMs: z.number().nonnegative() }),
  /** The connection stays open and silent. Default: after the effect. */
  z.object({ kind: z.literal('hang'), when: when.optional() }),
  /** The answer comes `delayMs` of real time late; the effect is there at once. */
  z.object({ kind: z.literal('slow'), delayMs: z.number().nonnegative() }),
  /** Another answer. Default: before the effect, so there is none. */
  z.object({
    kind: z.literal('status'),
    status: z.number().int().min(200).max(599),
    body: z.unknown().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    when: when.optional(),
  }),
  /** 429 without effect, with `Retry-After` as seconds or as an HTTP date. */
  z.object({
    kind: z.literal('rateLimit'),
    retryAfterSeconds: z.number().int().nonnegative(),
    form: z.enum(['seconds', 'date']).optional(),
  }),
  /** A redirect to another path; no effect. */
  z.object({ kind: z.literal('redirect') }),
  /** The effect happens; the body is an HTML page. */
  z.object({ kind: z.literal('garbage') }),
  /** The effect happens; the body breaks off in the middle. */
  z.object({ kind: z.literal('truncated') }),
  /** The task that this request starts will fail. */
  z.object({
    kind: z.literal('failTask'),
    reason: z.string().optional(),
    code: z.union([z.string(), z.number()]).optional(),
  }),
  /** The task that this request starts never ends: it stays `running`, or, a song, at `stream`. */
  z.object({ kind: z.literal('neverFinish'), at: z.enum(['running', 'stream']).optional() }),
  /** The training that this request starts ends as `success` without a model id. */
  z.object({ kind: z.literal('successWithoutModel') }),
  /** `status` answers what it answered before. */
  z.object({ kind: z.literal('staleStatus') }),
  /** `status` answers a word that is not documented. */
  z.object({ kind: z.literal('unknownStatus'), word: z.string().optional() }),
  /** `status` answers 404. */
  z.object({ kind: z.literal('notFoundAtFirst') }),
]);
export type Fault = z.infer<typeof fault>;

/** Which requests a fault befalls. */
export const faultRule = z.strictObject({
  on: z.enum(REQUEST_KINDS),
  /** The first of the matching requests that it befalls, from 1. Default 1. */
  nth: z.number().int().positive().optional(),
  /** How many of them. Default 1. */
  times: z.number().int().positive().optional(),
  /**
   * Only requests that hold these, or ask for a task that was started with them; `audioUrl` and `name` by a part of them.
   */
  match: z
    .strictObject({
      audioUrl: z.string().optional(),
      name: z.string().optional(),
      taskId: z.string().optional(),
    })
    .optional(),
  fault,
});
export type FaultRule = z.infer<typeof faultRule>;

/** How answers look on the wire. The defaults are the documented forms. */
export const shapes = z.strictObject({
  /** Where a task's payload is. */
  payloadKey: z.enum(['data', 'result']).default('data'),
  payloadForm: z.enum(['object', 'array']).default('object'),
  /** What a task without a payload shows. */
  emptyPayload: z.enum(['absent', 'object', 'null']).default('absent'),
  /** Where an upload's clip id is; `clip` and `clips` nest it. */
  clipIdField: z.enum(['id', 'clip_id', 'clipId', 'audio_id', 'clip', 'clips']).default('id'),
  /** Where a training's model id is; `nested` is deep inside, `text` in the middle of a sentence. */
  modelIdField: z.enum(['modelId', 'id', 'model', 'nested', 'text']).default('modelId'),
  statusCase: z.enum(['lower', 'upper']).default('lower'),
  failCode: z.enum(['number', 'string', 'absent']).default('string'),
  failReason: z.enum(['text', 'null', 'absent']).default('text'),
  /** Bodies of errors. */
  errorBody: z
    .enum(['nest', 'messages', 'errorObject', 'errorText', 'errorMessage', 'html', 'empty'])
    .default('nest'),
  /** Status of a POST that went well. */
  postStatus: z.union([z.literal(200), z.literal(201)]).default(201),
});
export type Shapes = z.infer<typeof shapes>;

/**
 * What is not documented about money and sessions, and so must be survived either way. Durations are of the service:
 * divided by the speed.
 */
export const profile = z.strictObject({
  /** When create's credits leave the balance. */
  chargeAt: z.enum(['send', 'start', 'completion']).default('send'),
  /** What becomes of the credits of a training that fails; `row` gives them back with a row of create's own path. */
  refundFailed: z.enum(['never', 'row']).default('never'),
  /** How long after the charge its row appears in the ledger. The balance moves at once. */
  ledgerLagMs: z.number().nonnegative().default(0),
  /** What `status` says of a session before its create. */
  sessionBeforeCreate: z.enum(['404', 'success']).default('404'),
  /** What `status` says of a session while it trains: the training, or what it said before, until the end. */
  sessionDuringTraining: z.enum(['live', 'unchanged']).default('live'),
  /** The task that create answers with: the session, as documented, or one of its own, of which the session tells nothing. */
  createTask: z.enum(['session', 'own']).default('session'),
  /** What becomes of a create on a session that trains or has a model; `refuse` is a 400, `conflict` a 409. */
  secondCreate: z.enum(['accept', 'refuse', 'conflict']).default('accept'),
  /** How often somebody else with the same key is charged for a create. 0 is never. */
  foreignCreateEveryMs: z.number().nonnegative().default(0),
  /** How often the balance is topped up, and by how much. 0 is never. */
  topUp: z
    .strictObject({
      everyMs: z.number().nonnegative().default(0),
      amount: z.number().positive().default(1_000),
    })
    .prefault({}),
  /** Whether a top-up has a row in the ledger. Without one the balance jumps. */
  topUpRow: z.boolean().default(true),
  /** Price list. */
  prices: z
    .strictObject({
      upload: z.number().nonnegative().default(5),
      create: z.number().nonnegative().default(100),
      generate: z.number().nonnegative().default(40),
    })
    .prefault({}),
  /** Models that one account may have. */
  modelLimit: z.number().int().positive().default(100),
  /** Accounts behind each key, at the start. */
  accounts: z.number().int().positive().default(2),
  /** Balance of each key at the start. */
  balance: z.number().nonnegative().default(10_000),
});
export type Profile = z.infer<typeof profile>;
/** Some of a profile's fields. */
export type ProfileChange = z.input<typeof profile>;

/**
 * A profile with some fields changed; of nested ones, too, only those that are named.
 *
 * @throws ZodError where the change is no part of a profile.
 */
export function profileWith(base: Profile, change: unknown): Profile {
  return profile.parse(merged(base, change));
}

function merged(base: unknown, change: unknown): unknown {
  if (!isRecord(base) || !isRecord(change)) return change;
  const changed = Object.entries(change).map(([name, value]) => [name, merged(base[name], value)]);
  return { ...base, ...Object.fromEntries(changed) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface SandboxOptions {
  /** Default 0: a free port. */
  port?: number;
  billingPort?: number;
  /** Address to listen on. Default 127.0.0.1. */
  host?: string;
  /** How many times faster than life the service works. Default 1. */
  speed?: number;
  /** Of durations and accounts. Default 1. */
  seed?: number;
  /** Keys it knows. Default `sandbox-key`. */
  apiKeys?: string[];
  faults?: FaultRule[];
  shapes?: z.input<typeof shapes>;
  profile?: ProfileChange;
  /** Answers from the recorded exchanges in this folder instead of simulating. */
  replayDir?: string;
}

/** One row of money. */
export interface Charge {
  /** As the ledger on the wire names the row. */
  id: string;
  kind: 'upload' | 'create' | 'generate' | 'refund' | 'topUp';
  /** Negative where credits came in. */
  amount: number;
  key: string;
  sessionId?: string;
  /** Somebody else's who uses the same key: no session here belongs to it. */
  foreign?: true;
  /** ms since 1970. */
  at: number;
}

export interface BrokenRule {
  rule:
    | 'clip of another session'
    | 'second paid create for one session'
    | 'polled faster than once a second'
    | 'key in a URL';
  detail: string;
}

/** What the sandbox saw: the other side of every receipt. */
export interface SandboxReport {
  requests: {
    counts: Partial<Record<RequestKind, number>>;
    /** The newest 2 000, oldest first. */
    log: { at: string; kind: RequestKind; outcome: string; subject?: string }[];
  };
  /** Most upload tasks that were open at one time. */
  maxConcurrentUploads: number;
  ledger: Charge[];
  sessions: {
    sessionId: string;
    account: string;
    /** Accepted ones. */
    creates: number;
    /** What each of these creates started, in order. */
    trainings: { taskId: string; name: string; state: string; createdAt: string }[];
    modelIds: string[];
    uploads: { taskId: string; audioUrl: string; state: string; clipId?: string }[];
  }[];
  brokenRules: BrokenRule[];
}
