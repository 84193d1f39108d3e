/**
 * Workflow sandbox: the record of one training, for ever open, with the record as its memo. It looks after a receipt that
 * the ledger had not settled when the training ended.
 */
import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setHandler,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { RowsSeen, SettledReceipt } from '../activities/settleReceipt.js';
import {
  closedRecord,
  RECORD_MEMO,
  RECORD_SIGNAL,
  type RecordInput,
  type TrainingRecord,
} from '../contract/record.js';
import { TRAINING_DEFAULTS } from '../contract/training.js';
import { isUnsettled } from '../money/receipt.js';
import { provenFailure } from './failures.js';
import { activityProfiles } from './profiles.js';
import { judgementTimes } from './schedule.js';

/** Pauses between the looks after an unsettled receipt; then it stays as it is. */
const SETTLE_AFTER_MS = [1, 5, 15, 20, 20, 60, 6 * 60, 24 * 60].map((minutes) => minutes * 60_000);
/**
 * Pauses between the looks whether an open training was terminated, which it cannot tell itself. The first one is longer
 * than a smooth training takes.
 */
const LOOK_AFTER_MS = { first: 10 * 60_000, longest: 24 * 3_600_000, growth: 2 };
/** Records taken before it continues as new. */
const RECORDS_EACH_RUN = 500;

export async function trainingRecord(input: RecordInput): Promise<never> {
  const { timeScale: scale = TRAINING_DEFAULTS.timeScale } = input;
  const ms = (realMs: number): number => Math.max(1, Math.round(realMs * scale));
  const { settleReceipt, lookForEnd } = proxyActivities<Activities>(
    activityProfiles(scale, { timeoutMs: 60_000, heartbeatMs: 20_000 }).witnesses,
  );
  let record = input.record;
  let taken = 0;
  // A training that was terminated may have told its memo more than the account workflow.
  let isTold = false;
  const take = (told: TrainingRecord): void => {
    // A training that is reset, and then cancelled, knows nothing of the model that it has made.
    const modelId = told.modelId ?? record?.modelId;
    const next = modelId === undefined ? told : { ...told, modelId };
    record = next;
    taken += 1;
    isTold = false;
    upsertMemo({ [RECORD_MEMO]: next });
  };
  setHandler(defineSignal<[TrainingRecord]>(RECORD_SIGNAL), take);
  // The server carries the memo of the first start over to the next run, not the newest one.
  if (record !== undefined && workflowInfo().continuedFromExecutionRunId !== undefined) {
    upsertMemo({ [RECORD_MEMO]: record });
  }
  const isFull = (): boolean =>
    taken >= (input.recordsEachRun ?? RECORDS_EACH_RUN) || workflowInfo().continueAsNewSuggested;
  for (;;) {
    const seen = taken;
    if (record !== undefined && (needsSettling(record) || (!isTold && mayHaveSpent(record)))) {
      let lastLook: RowsSeen | undefined;
      for (const wait of SETTLE_AFTER_MS) {
        if (await condition(() => taken !== seen, ms(wait))) break;
        let settled: SettledReceipt;
        try {
          settled = await settleReceipt({
            record,
            ...(lastLook === undefined ? {} : { lastLook }),
            now: Date.now(),
            ...judgementTimes({ ms }),
          });
        } catch (error) {
          // A look that cannot be had is no reason to lose the record.
          if (provenFailure(error) === undefined) throw error;
          continue;
        }
        isTold = true;
        const { receipt, look } = settled;
        lastLook = look ?? lastLook;
        // A newer record may have come meanwhile: it knows more.
        if (taken !== seen) break;
        record = { ...record, receipt };
        upsertMemo({ [RECORD_MEMO]: record });
        if (!needsSettling(record)) break;
      }
    }
    if (record?.end === 'open') {
      const { first, longest, growth } = LOOK_AFTER_MS;
      for (let wait = first; !isFull(); wait = Math.min(wait * growth, longest)) {
        if (await condition(() => taken !== seen, ms(wait))) break;
        const ended = await lookForEnd({ workflowId: record.workflowId });
        if (taken !== seen) break;
        if (ended === undefined) continue;
        take(closedRecord(record, ended.memo, new Date().toISOString()));
        break;
      }
    }
    await condition(() => taken !== seen || isFull());
    if (isFull()) {
      await sleep(1);
      return continueAsNew<typeof trainingRecord>({ ...input, ...(record === undefined ? {} : { record }) });
    }
  }
}

function mayHaveSpent({ end, receipt: { create } }: TrainingRecord): boolean {
  return end !== 'open' && create.attempts.length > 0;
}

function needsSettling({ end, sessionId, receipt: { create } }: TrainingRecord): boolean {
  return end !== 'open' && create.attempts.some((attempt) => isUnsettled(attempt, sessionId));
}
