/**
 * Workflow sandbox: what is kept outside this training: its session at the account workflow, its record in the registry,
 * its `--save` file, and what the ledger shows of it. None of it decides to spend.
 */
import { ActivityFailure, CancellationScope } from '@temporalio/workflow';
import type { TaskOutcome } from '../activities/checkTasks.js';
import type { ClosedTraining, SeenRow, SessionTiming } from '../contract/account.js';
import type { Correction } from '../contract/correction.js';
import { TrainingFailureType, ActivityFailureType } from '../contract/failures.js';
import type { LedgerLook } from '../contract/money.js';
import type { CreateAttempt } from '../contract/training.js';
import { applyClosed, charge } from '../money/receipt.js';
import { refundsOf } from '../money/refund.js';
import { isWordOfCreate } from '../money/verdict.js';
import { provenFailure } from './failures.js';
import type { Parking } from './parking.js';
import { optional } from './execution.js';
import type { Run } from './run.js';
import { judgementTimes } from './schedule.js';
import { spentSentence } from './sentences.js';

/**
 * Opens the session, adopts the one of the input, or takes the one that an earlier run of this training owns.
 *
 * @param replaces the session that a person gave up.
 * @throws ApplicationFailure `SessionTaken` where another training that runs owns it.
 */
export async function openSession(run: Run, parking: Parking, replaces?: string): Promise<void> {
  const { origin, session: adopted } = run.input;
  const isAdopted = adopted !== undefined && replaces === undefined;
  const summary = isAdopted ? `adopt session ${adopted.sessionId}` : 'open a session';
  try {
    const { trainingsMs, uploadsMs, charges, uploadCredits, ...session } = await parking.mending(() =>
      run.activities.prepareSession(summary, {
        origin,
        ...(isAdopted ? { adopt: adopted.sessionId } : {}),
        ...(replaces === undefined ? {} : { replaces }),
      }),
    );
    run.session = session;
    run.experience = { trainingsMs, uploadsMs, charges };
    run.seenUploadCredits = uploadCredits;
  } catch (error) {
    const failure = provenFailure(error);
    if (failure?.type !== ActivityFailureType.SessionTaken) throw error;
    throw run.failure(TrainingFailureType.SessionTaken, failure.message);
  }
}

/** Carries out what a person decided about name and files; the clips that are good are kept. */
export async function applyCorrection(run: Run, correction: Correction): Promise<void> {
  if (!run.apply(correction)) return;
  run.show();
  await keepRecord(run, true);
}

/**
 * Brings the record and the `--save` file up to date. Both are there before create is sent.
 *
 * @param isRenamed name or files are other ones: they find this training from now on too.
 * @param next the create that is about to be sent.
 */
export async function keepRecord(run: Run, isRenamed = false, next?: CreateAttempt): Promise<void> {
  await run.activities.recordTraining('keep the record', {
    record: run.record(next),
    ...(isRenamed ? { alias: { name: run.name, sources: run.sources } } : {}),
    ...(run.scale === 1 ? {} : { timeScale: run.scale }),
  });
  await keepSaveFile(run, next);
}

/** Brings the `--save` file up to date, where there is one: also before a person is asked, who may take days. */
export async function keepSaveFile(run: Run, next?: CreateAttempt): Promise<void> {
  const { saveFile } = run.input;
  if (saveFile === undefined) return;
  try {
    await run.activities.saveTraining(`save to ${saveFile}`, { path: saveFile, record: run.record(next) });
  } catch (error) {
    // The record has it all; a full disk must not stop a training that is paid for.
    if (!(error instanceof ActivityFailure)) throw error;
    run.tell(`The file of --save could not be written: ${error.cause?.message ?? error.message}`);
  }
}

/** What ledger and session showed of this training's create, collected from look to look. */
export class ChargeWatch {
  readonly #run: Run;
  readonly #rows = new Map<string, SeenRow>();
  #look: LedgerLook | undefined;
  #session: SessionTiming | undefined;
  /** Rows that were seen before the training was last seen under way: none of them gives back a failure that came later. */
  earlierRows: readonly string[] = [];

  constructor(run: Run) {
    this.#run = run;
  }

  /** Whether a create row that may be that of the newest attempt was seen. */
  get hasSeenCharge(): boolean {
    const newest = this.#run.attempts.at(-1);
    if (newest === undefined) return false;
    const from = Date.parse(newest.sentAt) - judgementTimes(this.#run).skewMs;
    return [...this.#rows.values()].some(({ at, amount }) => amount > 0 && at >= from);
  }

  takeTask({ kind }: TaskOutcome): void {
    if (kind === 'pending') this.earlierRows = [...this.#rows.keys()];
  }

  /** A look at a session that was unknown before its create was accepted. An end tells nothing: it shows late or early. */
  takeSession(outcome: TaskOutcome): void {
    const { acceptedAt } = this.#run;
    if (outcome.kind !== 'pending' || acceptedAt === undefined || this.#session?.hasShown === true) return;
    if (isWordOfCreate(outcome.status)) this.#session = { silentMs: 0, ...this.#session, hasShown: true };
    else if (outcome.status === NOT_FOUND) {
      this.#session = { hasShown: false, silentMs: Date.now() - Date.parse(acceptedAt) };
    }
  }

  async look(): Promise<void> {
    const run = this.#run;
    const { skewMs } = judgementTimes(run);
    const startedAt = Date.parse(run.startedAt);
    const ledger = await this.#read(startedAt - skewMs, startedAt);
    if (ledger === undefined) return;
    // The clock of the worker that looked may be behind: then what was seen after the end would have been there before.
    const at = Date.now();
    const before = this.#look;
    this.#look = { ...ledger, at };
    for (const row of ledger.creates) {
      if (this.#rows.has(row.id)) continue;
      const unseen = before === undefined ? {} : { unseenAt: before.at };
      this.#rows.set(row.id, { ...row, seenAt: at, ...unseen });
    }
  }

  /** A ledger that cannot be read holds up nothing: least of all a model that is paid for. */
  async #read(since: number, uploadsSince: number): Promise<LedgerLook | undefined> {
    const run = this.#run;
    try {
      const { ledger } = await run.activities.readLedger('look at the ledger', {
        affinity: run.affinity,
        since,
        uploadsSince,
      });
      return ledger;
    } catch (error) {
      if (provenFailure(error) === undefined) throw error;
      return undefined;
    }
  }

  /** Looks a few times after create was accepted, until its charge is seen: so it is known how soon charges appear. */
  async lookUntilSeen(hasEnded: () => boolean): Promise<void> {
    const run = this.#run;
    for (const wait of EARLY_LOOKS_MS) {
      if (await run.until(hasEnded, run.ms(wait), 'look at the ledger')) return;
      await this.look();
      if (this.hasSeenCharge) return;
    }
  }

  /** A run that was reset to before a send, and has ended before it asked for leave to send, was told of none. */
  #addSends({ sends }: ClosedTraining): void {
    const run = this.#run;
    const unknown = sends.filter(({ decision }) => !run.attempts.some((one) => one.decision === decision));
    if (unknown.length === 0) return;
    const proof = ['another run of this training has sent it (a reset)'];
    for (const { decision, sessionId, sentAt, isAccepted, taskId } of unknown) {
      const attempt: CreateAttempt = {
        decision,
        sessionId,
        sentAt: new Date(sentAt).toISOString(),
        verdict: 'unknown',
        evidence: proof,
        ...optional('taskId', taskId),
      };
      if (isAccepted) charge(attempt, [...proof, 'it was accepted']);
      run.attempts.push(attempt);
      run.sends += 1;
    }
    run.attempts.sort((a, b) => Date.parse(a.sentAt) - Date.parse(b.sentAt));
    run.tell(
      'Another run of this training had sent create (a reset): the receipt has it. ' + spentSentence(run),
    );
  }

  /**
   * The training has ended: tells the account workflow what was seen, and puts into the receipt what it makes of it.
   *
   * @param trainingMs from the accepted create to the model.
   */
  async close(trainingMs?: number): Promise<void> {
    const run = this.#run;
    const endSeenAt = Date.now();
    const isCharged = run.attempts.some(({ verdict }) => verdict !== 'not-charged');
    if ((isCharged && !this.hasSeenCharge) || this.#look === undefined) await this.look();
    const { skewMs, bookingMs } = judgementTimes(run);
    const { count = 0, total = 0, dearest = 0 } = this.#look?.uploads ?? {};
    const closed = await run.activities.closeTraining('close the books', {
      keyFingerprint: run.session.keyFingerprint,
      ...(trainingMs === undefined ? {} : { trainingMs: trainingMs / run.scale }),
      hasModel: run.modelId !== undefined,
      refunded: refundsOf(run.attempts),
      uploadsMs: run.uploadsMs.map((ms) => ms / run.scale),
      rows: [...this.#rows.values()],
      endSeenAt,
      ...optional('session', this.#session),
      ...(dearest > 0 ? { uploadCredits: dearest } : {}),
      skewMs,
      bookingMs,
    });
    this.#addSends(closed);
    applyClosed(run.attempts, closed);
    // Rows name no task: they are told to be ours only where there are exactly as many as calls.
    if (count > 0 && count === run.uploads.calls) run.uploads.credits = total;
  }
}

/** What `checkTasks` calls a task that the API does not know. */
const NOT_FOUND = 'not found';
/** First looks at the ledger after an accepted create. */
const EARLY_LOOKS_MS = [8_000, 20_000, 40_000];

/** The end of a training without a model: the books are closed whatever was cancelled. */
export async function closeBooks(run: Run, charges: ChargeWatch): Promise<void> {
  if (run.sessionId === undefined) return;
  await CancellationScope.nonCancellable(async () => {
    await charges.close();
    run.show();
    await keepRecord(run);
  });
}
