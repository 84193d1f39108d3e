/**
 * Workflow sandbox: the wait for what create bought. Done means `success` and a model id; everything else is "not yet",
 * or a question to a person (mountsea-api, quirks 5, 6 and 10). A failed training is paid for: it is sent again only by
 * a person, or where the ledger proves that it was given back and the input allows that.
 */
import { workflowInfo } from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import type { Correction } from '../contract/correction.js';
import type { SessionStatus } from '../contract/money.js';
import { changesTo } from './corrections.js';
import type { ParkRequest } from './parking.js';
import type { Parking } from './parking.js';
import { type Poller, untilSettled, type Watch } from './polling.js';
import { noteEnd, refundAttempt } from '../money/receipt.js';
import { median, provenRefund, refundSince } from '../money/refund.js';
import { optional } from './execution.js';
import type { Run } from './run.js';
import { NEW_SESSION, spentSentence } from './sentences.js';
import { judgementTimes } from './schedule.js';

/** A failure without any date may be that of an earlier create for so long (mountsea-api, quirk 6). */
const STALE_MS = 60_000;
/** How often the ledger is asked for a refund of a failed training before a person is. */
const REFUND_LOOKS_MS = [5_000, 30_000, 60_000, 120_000];

export type TrainingEnd =
  | { kind: 'model'; modelId: string }
  | { kind: 'corrected'; correction: Correction }
  /** Its credits were given back, and it may be sent once more. */
  | { kind: 'refunded'; decision: string };

export interface ModelWatch {
  /** What the session showed before create. */
  before: SessionStatus | undefined;
  /** Gets what each look at the task tells. */
  onLook: (outcome: TaskOutcome) => void;
  /** Ledger rows that were there before this create was sent, or while it trained. */
  earlierRows: (decision: string) => ReadonlySet<string>;
}

/** @throws ApplicationFailure `GivenUp` or `ParkExpired` out of a park. */
export async function awaitModel(
  run: Run,
  poller: Poller,
  parking: Parking,
  { before, onLook, earlierRows }: ModelWatch,
): Promise<TrainingEnd> {
  for (let old = before; ;) {
    const since = Date.now();
    const known = old;
    const watch = poller.watch('training', run.createTaskId ?? run.session.sessionId, (outcome) => {
      onLook(outcome);
      return judgeTraining(outcome, run.name, known, Date.now() - since > run.ms(STALE_MS));
    });
    let settled;
    try {
      settled = await untilSettled(run, parking, watch, () => {
        noteEnd(run.attempts, watch.raw === undefined ? undefined : 'unclear');
        return overduePark(run, watch);
      });
    } finally {
      watch.drop();
    }
    if ('correction' in settled) return { kind: 'corrected', correction: settled.correction };
    const { verdict } = settled;
    noteEnd(run.attempts, verdict.kind === 'model' ? undefined : verdict.kind);
    if (verdict.kind === 'model') {
      run.tell(`The session has the model ${verdict.modelId}.`);
      return verdict;
    }
    const end = verdict.kind === 'failed' ? await afterFailure(run, parking, earlierRows) : undefined;
    if (end !== undefined) return end;
    const correction = await parking.park({
      kind: verdict.kind === 'failed' ? 'training-failed' : 'answer-unclear',
      message: `${verdict.reason} ${spentSentence(run)} ${verdict.kind === 'failed' ? `Sending create again costs its credits again. ${NEW_SESSION}` : NEW_SESSION}`,
      evidence: [...(run.attempts.at(-1)?.evidence ?? []), verdict.raw.slice(0, 4_000)],
      options:
        verdict.kind === 'failed'
          ? ['keepWaiting', 'resendCreate', ...changesTo(run)]
          : ['keepWaiting', 'newSession'],
    });
    if (correction !== undefined && correction.action !== 'keepWaiting') {
      return { kind: 'corrected', correction };
    }
    // Looked at and waved through: only another end counts from now on.
    if (verdict.kind === 'failed') old = verdict.shown;
  }
}

/** Looks whether the credits of a failed training came back. */
async function afterFailure(
  run: Run,
  parking: Parking,
  earlierRows: ModelWatch['earlierRows'],
): Promise<TrainingEnd | undefined> {
  const { attempts } = run;
  const attempt = attempts.at(-1);
  if (attempt?.verdict !== 'charged') return undefined;
  const times = judgementTimes(run);
  const looks = run.input.retryRefunded === true ? REFUND_LOOKS_MS : REFUND_LOOKS_MS.slice(0, 1);
  for (const wait of looks) {
    await run.until(() => false, run.ms(wait), 'look for a refund');
    const { look, account } = await parking.mending(() =>
      run.activities.readWitnesses('look for a refund', {
        affinity: run.affinity,
        sessionId: run.session.sessionId,
        since: refundSince(Date.parse(attempt.sentAt), times),
        ...optional('anchor', attempt.balanceBefore),
        withAccount: true,
      }),
    );
    const rowId = provenRefund({
      look,
      account,
      workflowId: workflowInfo().workflowId,
      attempts,
      attempt,
      earlierRows: earlierRows(attempt.decision),
      times,
    });
    if (rowId === undefined) continue;
    refundAttempt(attempt, rowId);
    run.tell(`The ledger shows that the failed training was given back (row ${rowId}).`);
    run.show();
    // The order to train again is good for one send.
    if (run.input.retryRefunded !== true || attempt.decision.endsWith('+')) return undefined;
    return { kind: 'refunded', decision: `${attempt.decision}+` };
  }
  return undefined;
}

type TrainingVerdict =
  | { kind: 'model'; modelId: string }
  | { kind: 'failed'; reason: string; raw: string; shown: SessionStatus }
  | { kind: 'unclear'; reason: string; raw: string };

/** Pure. @returns undefined for "not yet". */
export function judgeTraining(
  outcome: TaskOutcome,
  name: string,
  before: SessionStatus | undefined,
  isLate: boolean,
): TrainingVerdict | undefined {
  switch (outcome.kind) {
    case 'pending':
    case 'unseen':
      return undefined;
    case 'failed': {
      if (isOldFailure(outcome, before, isLate)) return undefined;
      const code = outcome.code === undefined ? '' : ` (${outcome.code})`;
      return {
        kind: 'failed',
        reason: `Mountsea says that the training failed: ${outcome.reason}${code}.`,
        raw: outcome.raw,
        shown: {
          word: 'failed',
          ...(outcome.createdAt === undefined ? {} : { createdAt: outcome.createdAt }),
          ...(outcome.finishedAt === undefined ? {} : { finishedAt: outcome.finishedAt }),
          models: [],
        },
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

/** The end that the session showed before this create is none of this one. */
function isOldFailure(
  { createdAt, finishedAt }: Extract<TaskOutcome, { kind: 'failed' }>,
  before: SessionStatus | undefined,
  isLate: boolean,
): boolean {
  if (before === undefined || (before.word !== 'failed' && before.word !== 'timeout')) return false;
  if (createdAt === undefined && finishedAt === undefined) return !isLate;
  return createdAt === before.createdAt && finishedAt === before.finishedAt;
}

function overduePark(run: Run, { note, raw }: Pick<Watch<unknown>, 'note' | 'raw'>): ParkRequest {
  const minutes = (ms: number): number => Math.max(1, Math.round(ms / 60_000));
  const since = Date.parse(run.acceptedAt ?? run.startedAt);
  const running = minutes((Date.now() - since) / run.scale);
  const { trainingsMs } = run.experience;
  const usual =
    trainingsMs.length === 0
      ? '2 to 3 are usual'
      : `the longest of the last ${trainingsMs.length} took ${minutes(Math.max(...trainingsMs))} min, half of them at most ${minutes(median(trainingsMs))}`;
  if (raw !== undefined) {
    return {
      kind: 'answer-unclear',
      message: `Mountsea says success after ${running} min, but its answer names no model. ${spentSentence(run)} It goes on being looked at, ever more rarely. ${NEW_SESSION}`,
      evidence: [`raw answer: ${raw.slice(0, 4_000)}`],
      ...wayOutOf(run),
    };
  }
  return {
    kind: 'training-overdue',
    message: `The training has no model after running for ${running} min; ${usual}. ${spentSentence(run)} It goes on being looked at, ever more rarely. ${NEW_SESSION}`,
    evidence: [note ?? 'the last look was answered as usual: still under way'],
    ...wayOutOf(run),
  };
}

/** A create that only a ledger row speaks for may be somebody else's: then nothing trains here, and a person may send it. */
function wayOutOf({ isAcceptedByRow }: Run): Pick<ParkRequest, 'options' | 'isRisky'> {
  return isAcceptedByRow
    ? { options: ['keepWaiting', 'resendCreate', 'newSession'], isRisky: true }
    : { options: ['keepWaiting', 'newSession'] };
}
