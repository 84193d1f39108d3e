/**
 * Workflow sandbox: looks at all pending tasks of a training or a song. A tick is one durable timer and one `checkTasks`; it asks
 * every pending task, since leaving some out was seen to hide a failed upload.
 */
import { isCancellation } from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import type { Correction } from '../contract/correction.js';
import { type Execution, now } from './execution.js';
import type { Parking, ParkRequest } from './parking.js';
import { DEADLINE_MS, gapAfter, MINIMUM_GAP_MS, type TaskKind } from './schedule.js';

/** A task under watch. Resolved once `verdict` is set; until then it is pending, however old. */
export interface Watch<T> {
  readonly taskId: string;
  readonly verdict: T | undefined;
  /** A successful look came later than the deadline. */
  readonly isOverdue: boolean;
  /** The status that was last seen, where it is no usual one. */
  readonly note: string | undefined;
  /** Where the last look said `success` and that was no end: its payload. */
  readonly raw: string | undefined;
  /** Moves the deadline: a person keeps waiting. */
  extend(): void;
  /** Stops looking. */
  drop(): void;
}

interface Pending {
  taskId: string;
  kind: TaskKind;
  since: number;
  lastLookAt: number;
  dueAt: number;
  deadlineAt: number;
  isOverdue: boolean;
  note: string | undefined;
  raw: string | undefined;
  /** True where the outcome settled the task. */
  settle: (outcome: TaskOutcome) => boolean;
}

/** Waits until a task is settled, or a person wants something else. While it is overdue it parks, and is looked at on. */
export async function untilSettled<T>(
  run: Execution,
  parking: Parking,
  watch: Watch<T>,
  overdue: () => ParkRequest,
): Promise<{ verdict: T } | { correction: Correction }> {
  for (;;) {
    await run.until(() => watch.verdict !== undefined || watch.isOverdue);
    if (watch.verdict !== undefined) return { verdict: watch.verdict };
    const correction = await parking.park(overdue(), () => watch.verdict !== undefined);
    if (correction === undefined) continue;
    if (correction.action !== 'keepWaiting') return { correction };
    watch.extend();
  }
}

export class Poller {
  readonly #run: Execution;
  readonly #parking: Parking;
  readonly #pending = new Set<Pending>();

  /** Starts looking as soon as there is something to look at; a failure of the looking ends the other waits. */
  constructor(run: Execution, parking: Parking) {
    this.#run = run;
    this.#parking = parking;
    this.#loop().catch((error: unknown) => {
      // A cancellation reaches the story by itself.
      if (!isCancellation(error)) run.fail(error);
    });
  }

  /**
   * Watches a task that was started just now.
   *
   * @param judge gives the verdict where an outcome settles the task, else undefined.
   */
  watch<T>(kind: TaskKind, taskId: string, judge: (outcome: TaskOutcome) => T | undefined): Watch<T> {
    const since = Date.now();
    let verdict: T | undefined;
    const deadline = (): number => Date.now() + this.#run.ms(DEADLINE_MS[kind]);
    const pending: Pending = {
      taskId,
      kind,
      since,
      lastLookAt: since,
      dueAt: since + this.#run.ms(gapAfter(kind, 0, Math.random())),
      deadlineAt: deadline(),
      isOverdue: false,
      note: undefined,
      raw: undefined,
      settle: (outcome) => {
        verdict = judge(outcome);
        return verdict !== undefined;
      },
    };
    this.#pending.add(pending);
    return {
      taskId,
      get verdict() {
        return verdict;
      },
      get isOverdue() {
        return pending.isOverdue;
      },
      get note() {
        return pending.note;
      },
      get raw() {
        return pending.raw;
      },
      extend: () => {
        pending.deadlineAt = deadline();
        pending.isOverdue = false;
      },
      drop: () => {
        this.#pending.delete(pending);
      },
    };
  }

  async #loop(): Promise<void> {
    const run = this.#run;
    for (;;) {
      run.nextCheckAt = undefined;
      await run.until(() => this.#pending.size > 0);
      // What began to be watched may have been dropped again by whoever else woke up with it.
      if (this.#pending.size === 0) continue;
      const dueAt = this.#nextDue();
      run.nextCheckAt = new Date(dueAt).toISOString();
      const wait = dueAt - Date.now();
      if (wait > 0) {
        const isChanged = (): boolean => this.#pending.size === 0 || this.#nextDue() < dueAt;
        if (await run.until(isChanged, wait, `next look at ${tasks(this.#pending.size)}`)) continue;
      }
      await this.#look();
      run.show();
    }
  }

  async #look(): Promise<void> {
    const run = this.#run;
    const latest = Date.now() - run.ms(MINIMUM_GAP_MS);
    const asked = [...this.#pending].filter(({ lastLookAt }) => lastLookAt <= latest);
    if (asked.length === 0) return;
    const taskIds = asked.map(({ taskId }) => taskId);
    const outcomes = await this.#parking.mending(() =>
      run.activities.checkTasks(`look at ${tasks(taskIds.length)}`, {
        affinity: run.affinity,
        taskIds,
        ...(asked.some(({ kind }) => kind === 'song') ? { withSongs: true } : {}),
      }),
    );
    for (const pending of asked) {
      const outcome = outcomes.find(({ taskId }) => taskId === pending.taskId);
      if (outcome !== undefined) this.#take(pending, outcome);
    }
  }

  #take(pending: Pending, outcome: TaskOutcome): void {
    const run = this.#run;
    const at = Date.now();
    pending.lastLookAt = at;
    const age = (at - pending.since) / run.scale;
    const gap = run.ms(gapAfter(pending.kind, age, Math.random()));
    if (outcome.kind === 'unseen') {
      pending.note = outcome.why;
      pending.dueAt = at + Math.max(gap, outcome.retryAfterMs ?? 0);
      return;
    }
    pending.dueAt = at + gap;
    if (pending.settle(outcome)) {
      this.#pending.delete(pending);
      return;
    }
    pending.note = noteOf(outcome, pending.note, run);
    pending.raw = outcome.kind === 'succeeded' ? outcome.raw : undefined;
    if (at > pending.deadlineAt) pending.isOverdue = true;
  }

  #nextDue(): number {
    return Math.min(...[...this.#pending].map(({ dueAt }) => dueAt));
  }
}

/** A word that is not expected here is shown and put in the timeline once; it is neither success nor failure. */
function noteOf(outcome: TaskOutcome, before: string | undefined, run: Execution): string | undefined {
  const note = unusual(outcome);
  if (note === undefined) return undefined;
  if (note !== before) run.tell(`Task ${outcome.taskId}: unexpected ${note} at ${now()}; asking on.`);
  return note;
}

/** What is not expected of a task that is not settled yet. */
function unusual(outcome: TaskOutcome): string | undefined {
  // Where it was judged to be no end.
  if (outcome.kind === 'succeeded') return 'status "success" without what it should have given';
  return outcome.kind === 'pending' && !outcome.expected ? `status "${outcome.status}"` : undefined;
}

function tasks(count: number): string {
  return count === 1 ? '1 task' : `${count} tasks`;
}
