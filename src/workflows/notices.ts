/**
 * Workflow sandbox: when somebody is told by `--notify`. Each notification is an abandoned child workflow: it has its own
 * tries, and outlives the training. Starting one is all that the training ever waits for.
 */
import {
  CancellationScope,
  defineSignal,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { fixFlags } from '../contract/fixFlags.js';
import {
  NOTIFICATION_WORKFLOW,
  type NotificationInput,
  type NotificationPayload,
  type NotificationType,
  type NotifyTarget,
  UNDELIVERED_SIGNAL,
} from '../contract/notification.js';
import type { Attention, FileProgress, TrainingMemo } from '../contract/progress.js';

const END_TYPES = {
  done: 'training.done',
  failed: 'training.failed',
  cancelled: 'training.cancelled',
} as const satisfies Partial<Record<TrainingMemo['phase'], NotificationType>>;

export class Notices {
  readonly #target: NotifyTarget;
  readonly #timeScale: number;
  /** Attentions that somebody was told of. */
  readonly #told = new Set<string>();
  readonly #starting: Promise<unknown>[] = [];

  /** @param tell puts a sentence into the timeline. */
  constructor(target: NotifyTarget, timeScale: number, tell: (text: string) => void) {
    this.#target = target;
    this.#timeScale = timeScale;
    let isTold = false;
    setHandler(defineSignal<[string]>(UNDELIVERED_SIGNAL), (text) => {
      if (!isTold) tell(text);
      isTold = true;
    });
  }

  /**
   * Looks whether there is something new to tell: an attention that needs a person.
   *
   * @param lasting attentions that try again by themselves and have done so for long.
   */
  look(memo: TrainingMemo, files: readonly FileProgress[], lasting: ReadonlySet<string>): void {
    const { attention } = memo;
    if (attention === undefined || this.#told.has(attention.id)) return;
    if (attention.nextTryAt !== undefined && !lasting.has(attention.id)) return;
    this.#told.add(attention.id);
    this.#start('training.parked', `parked-${attention.id}`, memo, attention.message, {
      attention: attentionOf(attention, files),
    });
  }

  /** The training has ended. Resolves when all that is to be told is on its way. */
  async end(memo: TrainingMemo, message: string): Promise<void> {
    const { phase, modelId } = memo;
    if (phase === 'done' || phase === 'failed' || phase === 'cancelled') {
      // The same model after a reset is no news.
      const which = modelId?.replace(/^.*:/, '') ?? workflowInfo().runId;
      this.#start(END_TYPES[phase], `${phase}-${which}`, memo, message, {
        ...(modelId === undefined ? {} : { modelId }),
      });
    }
    await CancellationScope.nonCancellable(() => Promise.all(this.#starting));
  }

  #start(
    type: NotificationType,
    event: string,
    { name, origin, sessionId, receipt }: TrainingMemo,
    message: string,
    more: Pick<NotificationPayload['data'], 'attention' | 'modelId'>,
  ): void {
    const { workflowId, runId } = workflowInfo();
    // A dot would part it from the timestamp in what is signed.
    const webhookId = `${workflowId}-${event}`.replaceAll('.', '-');
    const input: NotificationInput = {
      target: this.#target,
      webhookId,
      payload: {
        type,
        version: 1,
        timestamp: new Date().toISOString(),
        data: {
          workflowId,
          name,
          origin,
          ...(sessionId === undefined ? {} : { sessionId }),
          message,
          ...more,
          receipt,
        },
      },
      training: { workflowId, runId },
      ...(this.#timeScale === 1 ? {} : { timeScale: this.#timeScale }),
    };
    const started = CancellationScope.nonCancellable(() =>
      startChild(NOTIFICATION_WORKFLOW, {
        workflowId: `notify-${webhookId}`,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: `${type} to ${this.#target.label}`.slice(0, 190),
      }),
    );
    // Told already by an earlier run, or not to be told at all: neither is a matter of the training.
    this.#starting.push(started.catch(() => undefined));
  }
}

function attentionOf(
  attention: Attention,
  files: readonly FileProgress[],
): NonNullable<NotificationPayload['data']['attention']> {
  const { id, kind, message, since, nextTryAt, options } = attention;
  const { workflowId } = workflowInfo();
  return {
    id,
    kind,
    message,
    since,
    ...(nextTryAt === undefined ? {} : { nextTryAt }),
    options: options.map((action) => ({
      action,
      command: `tunesmith fix ${workflowId} ${fixFlags(action, attention, files)}`,
    })),
  };
}
