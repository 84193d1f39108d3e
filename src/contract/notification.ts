/**
 * Contract: what `--notify` sends, and how the training asks for it. A notification is a small workflow of its own, so that
 * a receiver that does not answer neither holds up the training nor ends with it.
 */
import type { AttentionKind } from './progress.js';
import type { Receipt } from './training.js';

export const NOTIFICATION_WORKFLOW = 'notification';
/** Signal to the training, with a sentence: a notification was not taken at first. */
export const UNDELIVERED_SIGNAL = 'undelivered';

/** Where notifications go. */
export interface NotifyTarget {
  /** May carry a secret in its query, so it is never shown, logged or put in the memo. */
  url: string;
  /** What people see instead: the URL without query and fragment. */
  label: string;
}

export type NotificationType = 'training.done' | 'training.parked' | 'training.failed' | 'training.cancelled';

/**
 * Body of a notification. A field added later keeps the version; a changed meaning raises it. Holds no URL with its query.
 */
export interface NotificationPayload {
  type: NotificationType;
  version: 1;
  /** When it happened; ISO 8601. */
  timestamp: string;
  data: {
    workflowId: string;
    /** Of the model. */
    name: string;
    /** API origin. */
    origin: string;
    sessionId?: string;
    /** `training.done` only. */
    modelId?: string;
    /** What happened, in a sentence or two. */
    message: string;
    /** `training.parked` only. */
    attention?: {
      id: string;
      kind: AttentionKind;
      message: string;
      /** ISO 8601. */
      since: string;
      /** When it tries again without a person; ISO 8601. */
      nextTryAt?: string;
      /** The corrections that apply, each with the command that gives it. */
      options: { action: string; command: string }[];
    };
    receipt: Receipt;
  };
}

/** Input of the workflow `notification`. */
export interface NotificationInput {
  target: NotifyTarget;
  /** Header `webhook-id`: the same at each try, so that a receiver knows what it has seen already. */
  webhookId: string;
  payload: NotificationPayload;
  /** Execution that is told where the receiver does not take it at first. */
  training: { workflowId: string; runId: string };
  /** Factor on the pauses between tries. Default 1. */
  timeScale?: number;
}
