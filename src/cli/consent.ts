/**
 * Client side: before credits are spent. What a training would cost and whether it would work is shown, and somebody says
 * yes: at the terminal, by `--yes`, or by the hash of a plan that still holds.
 */
import { InvalidArgumentError, Option } from 'commander';
import type { TrainCustomModelInput } from '../contract/training.js';
import type { Connected } from '../library/connect.js';
import {
  changesSince,
  isPlanHash,
  isStartable,
  lookAtUploads,
  obstaclesOf,
  type Plan,
  type Planned,
  planOf,
} from '../library/plan.js';
import type { Finding, Look } from '../preflight/findings.js';
import type { Settings } from '../temporal/settings.js';
import { ask, canAsk } from './ask.js';
import { about, checkLines, findingLines, planLines, priceWords } from './drawPlan.js';
import { InterruptedError, UsageError } from './exit.js';
import { type Io, JSON_VERSION, type Output } from './output.js';
import type { JsonRecord } from './schema.js';

export interface ConsentFlags {
  yes?: boolean;
  acceptWarnings?: boolean;
  plan?: string;
}

export const consentOptions = (): Option[] => [
  new Option('--yes', 'spend without a question'),
  acceptWarnings(),
  new Option('--plan <hash>', 'only if nothing has changed since `plan` gave this hash').argParser(planHash),
];

export const acceptWarnings = (): Option =>
  new Option('--accept-warnings', 'also where something is doubtful, which may show after credits are spent');

function planHash(text: string): string {
  if (!isPlanHash(text)) throw new InvalidArgumentError('It must be the hash that `plan` printed.');
  return text;
}

/** @throws UsageError where nobody is there to be asked, and nobody said yes beforehand. */
export function requireSomebody({ yes }: ConsentFlags, io: Io): void {
  if (yes === true || canAsk(io)) return;
  throw new UsageError(
    'Nothing was started: this spends credits, and without a terminal nobody can be asked. Add --yes to spend them; `tunesmith plan` with the same arguments shows how many.',
  );
}

export interface Asked {
  connected: Connected;
  /** Looks at the sources, where that was done already. */
  early: Look[] | undefined;
  flags: ConsentFlags;
  settings: Settings;
  output: Output;
  io: Io;
}

/**
 * Looks, shows, asks. Returns where credits may be spent.
 *
 * @throws UsageError where they may not; nothing was started.
 */
export async function requireConsent(
  input: TrainCustomModelInput,
  { connected, early, flags, settings, output, io }: Asked,
): Promise<void> {
  requireSomebody(flags, io);
  const plan = await makePlan(input, connected, settings, output, early);
  requireUnchanged(plan, flags, output);
  const obstacles = obstaclesOf(plan, flags.acceptWarnings === true || flags.yes !== true);
  if (obstacles.length > 0) refuse(plan, obstacles, output);
  if (flags.yes === true) {
    for (const line of findingLines(plan.findings, output.canvas)) output.say(line);
    output.say(`${capital(priceWords(plan.price))}.`);
    return;
  }
  for (const line of planLines(plan, output.canvas, FILES_SHOWN)) output.say(line);
  const doubts = plan.findings.some(({ level }) => level === 'warning') ? ' all the same' : '';
  const question = `Train "${input.name}"${doubts} for ${about(plan.price)}${plan.price.total} credits?`;
  if (!(await isYes(question, io))) throw new UsageError('Nothing was started; nothing is spent.');
}

/** More than this push the question off the screen; those that are fine are then one line. */
const FILES_SHOWN = 20;

/**
 * Where a source cannot be used nothing can be found or started, so everything that is wrong is said at once.
 *
 * @throws UsageError where one cannot.
 */
export async function requireUsable(
  planned: Planned,
  settings: Pick<Settings, 'allowPrivateUrls'>,
  output: Output,
): Promise<TrainCustomModelInput> {
  if (isStartable(planned)) return planned;
  const plan = planOf(planned, await lookAtUploads(planned, settings), { unknown: 'not asked' }, []);
  return refuse(plan, obstaclesOf(plan, true), output);
}

/** @throws UsageError where a source is wrong for certain. */
export function requireNoErrors(input: Planned, looks: Look[], output: Output): void {
  const plan = planOf(input, looks, { unknown: 'not asked' }, []);
  const errors = obstaclesOf(plan, true);
  if (errors.length > 0) refuse(plan, errors, output);
}

/**
 * For a source that takes the place of another: shown and asked like those of a training.
 *
 * @throws UsageError where it may not be used.
 */
export async function requireGood(
  findings: readonly Finding[],
  flags: Pick<ConsentFlags, 'acceptWarnings'>,
  output: Output,
  io: Io,
): Promise<void> {
  for (const line of findingLines(findings, output.canvas)) output.say(line);
  const obstacles = obstaclesOf({ findings: [...findings] }, flags.acceptWarnings === true);
  if (obstacles.length === 0) return;
  const isDoubt = obstacles.every(({ level }) => level === 'warning');
  if (isDoubt && canAsk(io) && (await isYes('Use it all the same?', io))) return;
  throw new UsageError(`The training was not changed: ${whatToDo(obstacles)}`);
}

/** @param early looks at the sources, where that was done already. */
export async function makePlan(
  input: Planned,
  connected: Connected | undefined,
  { allowPrivateUrls }: Pick<Settings, 'allowPrivateUrls'>,
  output: Output,
  early?: Look[],
): Promise<Plan> {
  const { sources } = input;
  if (early === undefined) output.say(`Looking at ${sources.length} files…`);
  const isWithoutWorker = connected === undefined || (connected.isOwn && connected.worker === undefined);
  const [looks, account, others] = await Promise.all([
    early ?? lookAtUploads(input, { allowPrivateUrls }),
    isWithoutWorker ? { unknown: 'no worker' } : connected.account.prices(input.origin),
    connected === undefined ? [] : knownTrainings(connected),
  ]);
  return planOf(input, looks, account, others);
}

/** As `--json` shows it. */
export function planRecord({ files, balance, ...plan }: Plan, more: object = {}): JsonRecord {
  return {
    type: 'plan',
    version: JSON_VERSION,
    ...plan,
    ...more,
    balance: 'unknown' in balance ? { unknown: balance.unknown } : balance,
    files: files.map(({ look, ...file }) => ({ ...file, ...(look === undefined ? {} : seenIn(look)) })),
  };
}

/** All but what stands elsewhere in the record. */
function seenIn(look: Look): Omit<Look, 'number' | 'label' | 'content' | 'findings'> {
  const seen: Partial<Look> = { ...look };
  for (const field of ['number', 'label', 'content', 'findings'] as const)
    Reflect.deleteProperty(seen, field);
  return seen;
}

async function knownTrainings({
  trainings,
}: Connected): Promise<{ workflowId: string; name: string; origin: string; modelId?: string }[]> {
  const [seen, records] = await Promise.all([trainings.list(), trainings.records.list()]);
  // A record knows its model however long ago that was.
  return [
    ...records.map(({ workflowId, name, origin, modelId }) => ({ workflowId, name, origin, modelId })),
    ...seen.map(({ workflowId, memo: { name, origin, modelId } }) => ({ workflowId, name, origin, modelId })),
  ].map(({ modelId, ...one }) => ({ ...one, ...(modelId === undefined ? {} : { modelId }) }));
}

function requireUnchanged(plan: Plan, { plan: hash }: ConsentFlags, output: Output): void {
  const changes = hash === undefined ? [] : changesSince(hash, plan);
  if (changes.length === 0) return;
  output.json(planRecord(plan));
  for (const line of planLines(plan, output.canvas, FILES_SHOWN)) output.say(line);
  throw new UsageError(
    `Nothing was started: since that plan ${listOf(changes)} changed. If it is fine as it is now: --plan ${plan.hash}`,
  );
}

function refuse(plan: Plan, obstacles: readonly Finding[], output: Output): never {
  output.json(planRecord(plan));
  for (const line of checkLines(plan, output.canvas, FILES_SHOWN)) output.say(line);
  output.say('');
  throw new UsageError(`Nothing was started: ${whatToDo(obstacles)}`);
}

function whatToDo(obstacles: readonly Finding[]): string {
  const errors = obstacles.filter(({ level }) => level === 'error');
  const [first] = errors.length > 0 ? errors : obstacles;
  const more = (errors.length > 0 ? errors : obstacles).length - 1;
  const sentence = `${first?.message ?? ''}${more > 0 ? ` (And ${more} more, above.)` : ''}`;
  return errors.length > 0 ? sentence : `${sentence} To spend credits all the same add --accept-warnings.`;
}

/** Default no: somebody who only presses Enter spends nothing. */
async function isYes(message: string, io: Io): Promise<boolean> {
  try {
    return await ask(io, (context, { confirm }) => confirm({ message, default: false }, context));
  } catch (error) {
    if (error instanceof InterruptedError) return false;
    throw error;
  }
}

function listOf(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
