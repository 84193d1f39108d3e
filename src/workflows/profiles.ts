/**
 * Workflow sandbox: how each activity may be repeated and how long it may take. Whole profiles, never partial: a retry
 * policy with a field left out silently repeats without limit. docs/architecture.md explains each number.
 */
import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';

/**
 * A worker that died in the middle of a request proves nothing, so its time-out must not make Temporal send the
 * request again. The server matches these names in `nonRetryableErrorTypes` (server: service/history/workflow/retry).
 */
const LOST_WORKER = ['TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat'];

/** @param scale factor on the back-off; time-outs stay, since requests and processes do not get faster. */
// The literal type is the point: it is checked by `satisfies` below.
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types
export function activityProfiles(scale: number) {
  const ms = (value: number): number => Math.max(1, Math.round(value * scale));
  const profiles = {
    /** May be repeated: it costs nothing, and a lost answer only leaves an unused session behind. */
    prepare: {
      startToCloseTimeout: 45_000,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
      },
    },
    /** Repeated only where it provably had no effect: the activity marks everything else as not retryable. */
    upload: {
      startToCloseTimeout: 75_000,
      heartbeatTimeout: 20_000,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
        nonRetryableErrorTypes: LOST_WORKER,
      },
    },
    /** Reads. An outage of hours is carried here, once a minute, without growing the history. */
    check: {
      startToCloseTimeout: 45_000,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
      retry: {
        initialInterval: ms(5_000),
        backoffCoefficient: 2,
        maximumInterval: ms(60_000),
        maximumAttempts: Infinity,
      },
    },
    /** 100 credits: at most once. Whether to send again is never Temporal's decision. */
    submit: {
      startToCloseTimeout: 75_000,
      heartbeatTimeout: 20_000,
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      retry: {
        initialInterval: ms(2_000),
        backoffCoefficient: 1,
        maximumInterval: ms(2_000),
        maximumAttempts: 1,
      },
    },
  } satisfies Record<string, ActivityOptions>;
  return Object.freeze(profiles);
}

/** The activities as the workflow calls them: each with its profile and a summary for the Web UI. */
// Inferred from the activities themselves, so that it cannot drift.
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types
export function activitiesFor(scale: number) {
  const profiles = activityProfiles(scale);
  const { prepareSession } = proxyActivities<Activities>(profiles.prepare);
  const { uploadClip } = proxyActivities<Activities>(profiles.upload);
  const { checkTasks } = proxyActivities<Activities>(profiles.check);
  const { submitTraining } = proxyActivities<Activities>(profiles.submit);
  const withSummary = <T extends ActivityOptions>(profile: T, summary: string): T & { summary: string } => ({
    ...profile,
    summary,
  });
  return {
    prepareSession: (summary: string, input: Parameters<Activities['prepareSession']>[0]) =>
      prepareSession.executeWithOptions(withSummary(profiles.prepare, summary), [input]),
    uploadClip: (summary: string, input: Parameters<Activities['uploadClip']>[0]) =>
      uploadClip.executeWithOptions(withSummary(profiles.upload, summary), [input]),
    checkTasks: (summary: string, input: Parameters<Activities['checkTasks']>[0]) =>
      checkTasks.executeWithOptions(withSummary(profiles.check, summary), [input]),
    submitTraining: (summary: string, input: Parameters<Activities['submitTraining']>[0]) =>
      submitTraining.executeWithOptions(withSummary(profiles.submit, summary), [input]),
  };
}
