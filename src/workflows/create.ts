/**
 * Workflow sandbox: the request that costs 100 credits, and the wait for what it bought. It is sent once for each decision
 * to spend; an outcome that proves nothing is never answered by sending again.
 */
import { CancellationScope, sleep } from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import { ActivityFailureType } from '../contract/failures.js';
import type { AttentionKind } from '../contract/progress.js';
import { type ProvenFailure, provenFailure } from './failures.js';
import { evidenceOf, type Parking } from './parking.js';
import type { Poller } from './polling.js';
import type { Run } from './run.js';

/** Documented price (mountsea-api, section 2). */
const CREATE_CREDITS = 100;
const RATE_LIMIT_TRIES = 10;
const RATE_LIMIT_WAIT_MS = 15_000;
const NOT_SENT_WAIT_MS = { first: 2_000, longest: 60_000 };

/**
 * Sends create and returns the task to wait for. Sends again only after proof that the last send had no effect.
 *
 * @throws ApplicationFailure `GivenUp` or `ParkExpired` out of a park.
 */
export async function createTraining(run: Run, parking: Parking, clipIds: string[]): Promise<string> {
  for (let refusals = 0, unsent = 0; ;) {
    const failure = await submitOnce(run, parking, clipIds);
    if (typeof failure === 'string') return failure;
    switch (failure.type) {
      case ActivityFailureType.NotSent:
      case ActivityFailureType.WrongOrigin:
        run.tell(`Create did not leave: ${failure.message}`);
        await sleep(run.ms(Math.min(NOT_SENT_WAIT_MS.first * 2 ** unsent++, NOT_SENT_WAIT_MS.longest)), {
          summary: 'create was not sent: next try',
        });
        break;
      case ActivityFailureType.RateLimited:
        refusals += 1;
        if (refusals >= RATE_LIMIT_TRIES) {
          await park(run, parking, 'create-rejected', failure);
          refusals = 0;
          break;
        }
        run.tell(`Create was refused for now: ${failure.message}`);
        await sleep(failure.details.retryAfterMs ?? run.ms(RATE_LIMIT_WAIT_MS), {
          summary: 'create was refused for now: next try',
        });
        break;
      case ActivityFailureType.AccountLimit:
        await park(run, parking, 'account-limit', failure);
        break;
      case ActivityFailureType.Refused:
      case ActivityFailureType.Credentials:
      case ActivityFailureType.InsufficientCredits:
        await park(run, parking, 'create-rejected', failure);
        break;
      case ActivityFailureType.Ambiguous:
        await park(run, parking, 'charge-unknown', failure);
        // A person waits: if create did arrive, the session itself shows it. Asking costs nothing.
        return run.session.sessionId;
    }
  }
}

/**
 * Waits for the model of a create. `success` without a model id is "not yet" (mountsea-api, quirk 5).
 *
 * @throws ApplicationFailure `GivenUp` or `ParkExpired` out of a park.
 */
export async function awaitModel(
  run: Run,
  poller: Poller,
  parking: Parking,
  taskId: string,
): Promise<string> {
  for (;;) {
    const watch = poller.watch('training', taskId, (outcome) => judgeTraining(outcome, run.input.name));
    for (;;) {
      await run.until(() => watch.verdict !== undefined || watch.isOverdue);
      if (watch.verdict !== undefined) break;
      const action = await parking.park(
        {
          kind: 'training-overdue',
          message: `The training has no model after ${minutesSince(run)} min; 2 to 3 are usual. It goes on being looked at.`,
          evidence: [watch.note ?? 'the last look was answered as usual: still under way'],
          options: ['keepWaiting'],
        },
        () => watch.verdict !== undefined,
      );
      if (action === 'keepWaiting') watch.extend();
    }
    const { verdict } = watch;
    if (verdict.kind === 'model') {
      if (run.receipt.create.verdict !== 'charged')
        recordCharge(run, `the session has the model ${verdict.modelId}`);
      return verdict.modelId;
    }
    await parking.park({
      kind: verdict.kind === 'failed' ? 'training-failed' : 'answer-unclear',
      message: `${verdict.reason} ${spentSentence(run)}`,
      evidence: [verdict.raw.slice(0, 4_000)],
      options: ['keepWaiting'],
    });
  }
}

/** Create was accepted, whatever its answer was; the ledger is not asked yet. */
export function recordCharge(run: Run, proof: string): void {
  const { create } = run.receipt;
  create.verdict = 'charged';
  create.credits = CREATE_CREDITS;
  create.evidence = [proof, `${CREATE_CREDITS} credits is the documented price; no ledger was read`];
}

type TrainingVerdict =
  | { kind: 'model'; modelId: string }
  | { kind: 'failed'; reason: string; raw: string }
  | { kind: 'unclear'; reason: string; raw: string };

/** Pure. */
function judgeTraining(outcome: TaskOutcome, name: string): TrainingVerdict | undefined {
  switch (outcome.kind) {
    case 'pending':
    case 'unseen':
      return undefined;
    case 'failed': {
      const code = outcome.code === undefined ? '' : ` (${outcome.code})`;
      return {
        kind: 'failed',
        reason: `Mountsea says that the training failed: ${outcome.reason}${code}.`,
        raw: outcome.raw,
      };
    }
    case 'succeeded': {
      const { models, raw } = outcome;
      const named = models.filter((model) => model.name === name);
      const [model, ...others] = models.length > 1 ? named : models;
      if (model !== undefined && others.length === 0) return { kind: 'model', modelId: model.modelId };
      if (models.length === 0) return undefined;
      return { kind: 'unclear', reason: `The answer names ${models.length} models.`, raw };
    }
  }
}

/** @returns the task id, or what the failure proves. The receipt is right before this returns. */
async function submitOnce(run: Run, parking: Parking, clipIds: string[]): Promise<string | ProvenFailure> {
  const { sessionId, origin, keyFingerprint } = run.session;
  const { create } = run.receipt;
  const send = async (): Promise<string> => {
    create.sends += 1;
    create.verdict = 'unknown';
    create.evidence = ['create was sent; its outcome is not known yet'];
    run.show();
    try {
      // Cancellation waits for the truth about the charge.
      const { taskId } = await CancellationScope.nonCancellable(() =>
        run.activities.submitTraining(`create ${run.input.name} from ${clipIds.length} clips: 100 credits`, {
          affinity: { origin, keyFingerprint },
          sessionId,
          clipIds,
          name: run.input.name,
        }),
      );
      recordCharge(run, `create was accepted as task ${taskId}`);
      return taskId;
    } catch (error) {
      const failure = provenFailure(error);
      if (failure !== undefined && failure.type !== ActivityFailureType.Ambiguous) {
        create.verdict = 'not-charged';
        create.evidence = [`create was not accepted: ${failure.message}`];
      } else {
        create.evidence = [`nothing is proved: ${failure?.message ?? 'the activity failed unexpectedly'}`];
      }
      throw error;
    } finally {
      run.show();
    }
  };
  try {
    return await parking.mending(send);
  } catch (error) {
    const failure = provenFailure(error);
    if (failure === undefined) throw error;
    return failure;
  }
}

async function park(run: Run, parking: Parking, kind: AttentionKind, failure: ProvenFailure): Promise<void> {
  await parking.park({
    kind,
    message: `${SENTENCES[kind] ?? ''} ${spentSentence(run)}`,
    evidence: evidenceOf(failure),
    options: kind === 'charge-unknown' ? ['keepWaiting'] : [],
  });
}

const SENTENCES: Partial<Record<AttentionKind, string>> = {
  'create-rejected': 'Mountsea refuses the create request.',
  'account-limit': 'The account of this session has all the models it may have.',
  'charge-unknown': 'Create may or may not have been accepted, so it is not sent again.',
};

function spentSentence({ receipt: { create } }: Run): string {
  switch (create.verdict) {
    case 'charged':
      return `${create.credits ?? CREATE_CREDITS} credits are spent.`;
    case 'not-charged':
      return 'It was not charged; the clips are kept.';
    case 'unknown':
      return `Whether its ${CREATE_CREDITS} credits are spent is unknown.`;
  }
}

function minutesSince(run: Run): number {
  const since = Date.parse(run.progress().phaseSince);
  return Math.round((Date.now() - since) / run.scale / 60_000);
}
