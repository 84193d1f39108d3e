/**
 * Workflow sandbox: how a custom model is trained, from top to bottom. Deterministic: no clock, no I/O, no module state.
 * The helpers beside it carry the details; docs/architecture.md draws how they fit together.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  ParentClosePolicy,
  startChild,
  TemporalFailure,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { FIRST_DECISION } from '../contract/account.js';
import type { Correction } from '../contract/correction.js';
import { TrainingFailureType } from '../contract/failures.js';
import { GENERATE_SONG_WORKFLOW, type GenerateSongInput, songIdOf } from '../contract/song.js';
import type { ChargeVerdict, TrainCustomModelInput, TrainedModel } from '../contract/training.js';
import { remoteWords } from '../money/receipt.js';
import { UNKNOWN_TASK } from '../money/verdict.js';
import { applyCorrection, ChargeWatch, closeBooks, keepRecord, openSession } from './bookkeeping.js';
import { fewestClips } from './corrections.js';
import { Creates } from './create.js';
import { awaitModel } from './model.js';
import { Parking } from './parking.js';
import { Poller } from './polling.js';
import { now } from './execution.js';
import { Run } from './run.js';
import { Stager } from './staging.js';
import { uploadAll } from './uploads.js';

/**
 * Trains a model: prepares a session, uploads every source into it, sends create once, and waits for the model id.
 * Whatever needs a person parks and waits for the update `correct`; the query `progress` tells where it stands.
 *
 * @throws ApplicationFailure of a `TrainingFailureType`, with `TrainingFailureDetails` in its details.
 */
export async function trainCustomModel(input: TrainCustomModelInput): Promise<TrainedModel> {
  const run = new Run(input);
  const parking = new Parking(run);
  const charges = new ChargeWatch(run);
  const stager = new Stager(run);
  const story = CancellationScope.current();
  try {
    requireEnoughSources(run);
    run.enter('preparing', 'Opens a session.');
    await openSession(run, parking);

    const poller = new Poller(run, parking);
    const creates = new Creates(run, parking);
    let step = await adopt(run, creates);
    for (let decision = FIRST_DECISION; ;) {
      step ??= await uploadAll(run, poller, parking, stager);
      if (step === undefined) {
        run.enter('creating', 'Sends create (100 credits).');
        const end = await creates.create(decision);
        if (end.kind === 'upload-first') {
          decision = end.decision;
          continue;
        }
        step = end.kind === 'corrected' ? end.correction : 'accepted';
      }
      if (step === 'accepted') {
        const end = await train(run, poller, parking, creates, charges);
        if (end.kind === 'model') {
          const { modelId } = end;
          // A cancel comes too late: there is nothing left to stop but the song.
          return await CancellationScope.nonCancellable(() => finish(run, charges, stager, modelId, story));
        }
        step = undefined;
        if (end.kind === 'refunded') {
          decision = end.decision;
          continue;
        }
        step = end.correction;
      }
      await correct(run, parking, creates, step);
      decision = step.attentionId;
      step = undefined;
    }
  } catch (error) {
    // A bug is no end: its workflow task fails until a worker without it takes over, and then the training goes on.
    if (!(error instanceof TemporalFailure)) throw error;
    if (isCancellation(error)) run.enter('cancelled', cancelledSentence(run));
    else run.enter('failed', error.message);
    await stager.finish();
    await closeBooks(run, charges);
    await run.notifyEnd();
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw error;
  }
}

/** Takes over the clips of a session begun elsewhere, and asks first whether its create was sent there. */
async function adopt(run: Run, creates: Creates): Promise<Correction | 'accepted' | undefined> {
  const { session } = run.input;
  if (session === undefined) return undefined;
  for (const { file: number, clipId } of session.clips) {
    const file = run.files[number - 1];
    if (file === undefined) continue;
    file.clipId = clipId;
    run.setFile(file, 'ready');
  }
  run.tell(`Goes on with session ${session.sessionId}: ${session.clips.length} clips are there.`);
  run.enter('creating', 'Asks whether create was sent already.');
  const found = await creates.reconcileAdopted(session.openedAt);
  return found === 'none' ? undefined : found;
}

async function train(
  run: Run,
  poller: Poller,
  parking: Parking,
  creates: Creates,
  charges: ChargeWatch,
): ReturnType<typeof awaitModel> {
  run.createTaskId ??= run.session.sessionId;
  run.enter('training', `Mountsea trains; task ${run.createTaskId}.`);
  const wasUnknown = run.createTaskId === run.session.sessionId && creates.before?.word === UNKNOWN_TASK;
  let hasEnded = false;
  charges
    .lookUntilSeen(() => hasEnded)
    .catch((error: unknown) => {
      if (!isCancellation(error)) run.fail(error);
    });
  try {
    return await awaitModel(run, poller, parking, {
      before: creates.before,
      onLook: (outcome) => {
        charges.takeTask(outcome);
        // A task of its own, or a session that showed something before, does not tell how soon a create shows.
        if (wasUnknown) charges.takeSession(outcome);
      },
      earlierRows: (decision) =>
        new Set([...(creates.rowsBefore.get(decision) ?? []), ...charges.earlierRows]),
    });
  } finally {
    hasEnded = true;
  }
}

/** What a person decided: another name, other files, another session, or the same once more. */
async function correct(run: Run, parking: Parking, creates: Creates, correction: Correction): Promise<void> {
  await applyCorrection(run, correction);
  if (correction.action !== 'newSession') return;
  run.enter('preparing', 'Opens a new session; all files are uploaded again.');
  creates.forgetSession();
  await openSession(run, parking, run.session.sessionId);
  for (const file of run.files) if (file.state !== 'dropped') run.forget(file);
}

async function finish(
  run: Run,
  charges: ChargeWatch,
  stager: Stager,
  modelId: string,
  story: CancellationScope,
): Promise<TrainedModel> {
  run.modelId = modelId;
  // The books may take a while; the model is not held back for them.
  run.show();
  await stager.finish();
  await charges.close(run.acceptedAt === undefined ? undefined : Date.now() - Date.parse(run.acceptedAt));

  run.enter('done', `Model ${modelId} is ready.`);
  await keepRecord(run);
  const songId = await orderSong(run, modelId, story);
  await run.notifyEnd();
  await condition(allHandlersFinished);

  return {
    modelId,
    name: run.name,
    sessionId: run.session.sessionId,
    origin: run.input.origin,
    clips: run.clips,
    receipt: run.receipt,
    timeline: run.timeline,
    ...(songId === undefined ? {} : { songId }),
    startedAt: run.startedAt,
    finishedAt: now(),
  };
}

/**
 * Starts the song of `--try`. Its id is of the training's, so that a training that is reset starts no second one; it goes
 * on by itself when this training has ended.
 */
async function orderSong(run: Run, modelId: string, story: CancellationScope): Promise<string | undefined> {
  const { song, origin, timeScale } = run.input;
  if (song === undefined) return undefined;
  if (story.consideredCancelled) {
    run.tell('The song is not ordered, since the training was cancelled.');
    return undefined;
  }
  const { workflowId } = workflowInfo();
  const songId = songIdOf(workflowId);
  const input: GenerateSongInput = {
    origin,
    request: { ...song.request, model: modelId },
    modelName: run.name,
    ...(song.credits === undefined ? {} : { credits: song.credits }),
    ...(run.parkForMs === undefined ? {} : { parkForMs: run.parkForMs }),
    ...(timeScale === undefined ? {} : { timeScale }),
    // What the training left of the budget that both were ordered with.
    ...(run.maxCredits === undefined ? {} : { maxCredits: Math.max(0, run.maxCredits - run.mostSpent) }),
  };
  try {
    await startChild(GENERATE_SONG_WORKFLOW, {
      workflowId: songId,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      staticSummary: `A song with ${run.name}`.slice(0, 190),
    });
    run.tell(`Ordered the song ${songId}.`);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return songId;
}

function requireEnoughSources(run: Run): void {
  const least = fewestClips(run.input);
  if (run.files.length >= least) return;
  throw run.failure(
    TrainingFailureType.InvalidInput,
    `${least} audio files are needed, ${run.files.length} were given.`,
  );
}

function cancelledSentence({ receipt: { create }, attempts, sessionId }: Run): string {
  const remote = remoteWords(attempts, 'training');
  const session = sessionId === undefined ? [] : [`Session ${sessionId} can be gone on with.`];
  return [cancelledWhen(create.verdict, remote.length > 0), ...remote, ...session].join(' ');
}

function cancelledWhen(verdict: ChargeVerdict, wasAccepted: boolean): string {
  switch (verdict) {
    case 'not-charged':
      return wasAccepted
        ? 'Cancelled after the credits of create were given back: only the uploads are spent.'
        : 'Cancelled before create was accepted: only the uploads are spent.';
    case 'charged':
      return 'Cancelled after create: its credits are spent.';
    case 'unknown':
      return 'Cancelled while it was unknown whether create was accepted.';
  }
}
