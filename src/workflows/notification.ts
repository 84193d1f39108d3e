/**
 * Workflow sandbox: one notification of a training (`--notify`). It has its own life: the receiver may be down for hours
 * without the training knowing more of it than a line in its timeline.
 */
import { ActivityFailure, getExternalWorkflowHandle, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import { type NotificationInput, UNDELIVERED_SIGNAL } from '../contract/notification.js';
import { TRAINING_DEFAULTS } from '../contract/training.js';
import { activityProfiles } from './profiles.js';

export async function notification(input: NotificationInput): Promise<void> {
  const { target, webhookId, payload, training } = input;
  const scale = input.timeScale ?? TRAINING_DEFAULTS.timeScale;
  const profiles = activityProfiles(scale, { timeoutMs: 60_000, heartbeatMs: 20_000 });
  const request = { target, webhookId, payload };
  try {
    await proxyActivities<Activities>(profiles.notify).deliverNotification(request);
    return;
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    const isFinal = error.retryState === 'NON_RETRYABLE_FAILURE';
    const why = error.cause?.message ?? error.message;
    const next = isFinal ? 'It is not tried again' : 'It is tried for another day';
    await tellTraining(
      training,
      `${target.label} did not take the notification ${payload.type}: ${why}. ${next}; the training goes on.`,
    );
    if (isFinal) throw error;
  }
  await proxyActivities<Activities>(profiles.notifyLate).deliverNotification(request);
}

async function tellTraining(
  { workflowId, runId }: NotificationInput['training'],
  sentence: string,
): Promise<void> {
  try {
    await getExternalWorkflowHandle(workflowId, runId).signal(UNDELIVERED_SIGNAL, sentence);
  } catch {
    // It has ended: what it has to say is in this workflow.
  }
}
