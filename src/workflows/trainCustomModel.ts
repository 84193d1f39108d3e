/**
 * Workflow sandbox: how a custom model is trained, from top to bottom. Deterministic: no clock, no I/O, no module state.
 * The helpers beside it carry the details; docs/architecture.md draws how they fit together.
 */
import { allHandlersFinished, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import { TrainingFailureType } from '../contract/failures.js';
import type { Clip, TrainCustomModelInput, TrainedModel } from '../contract/training.js';
import { awaitModel, createTraining } from './create.js';
import { Parking, trainingFailure } from './parking.js';
import { Poller } from './polling.js';
import { now, Run } from './run.js';
import { fewestClips, uploadAll } from './uploads.js';

/**
 * Trains a model: prepares a session, uploads every source into it, sends create once, and waits for the model id.
 * Whatever needs a person parks and waits for the update `correct`; the query `progress` tells where it stands.
 *
 * @throws ApplicationFailure of a `TrainingFailureType`, with `TrainingFailureDetails` in its details.
 */
export async function trainCustomModel(input: TrainCustomModelInput): Promise<TrainedModel> {
  const run = new Run(input);
  const parking = new Parking(run);
  try {
    requireEnoughSources(run);
    await prepareSession(run, parking);

    const poller = new Poller(run, parking);
    run.enter('uploading', `Uploads ${run.files.length} files.`);
    await uploadAll(run, poller, parking);

    run.enter('creating', 'Sends create (100 credits).');
    const clips = clipsOf(run);
    const taskId = await createTraining(
      run,
      parking,
      clips.map(({ clipId }) => clipId),
    );

    run.createTaskId = taskId;
    run.enter('training', `Mountsea trains; task ${taskId}.`);
    const modelId = await awaitModel(run, poller, parking, taskId);

    return await finish(run, clips, modelId);
  } catch (error) {
    if (isCancellation(error)) run.enter('cancelled', cancelledSentence(run));
    else run.enter('failed', error instanceof Error ? error.message : 'Failed.');
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw error;
  }
}

async function prepareSession(run: Run, parking: Parking): Promise<void> {
  run.enter('preparing', 'Opens a session.');
  const { origin } = run.input;
  run.session = await parking.mending(() => run.activities.prepareSession('open a session', { origin }));
}

/** The clips that are trained with, in the order of the sources whatever the order in which they came. */
function clipsOf(run: Run): Clip[] {
  return run.files.flatMap(({ clipId, number, label, state }) =>
    state === 'ready' && clipId !== undefined ? [{ clipId, file: number, source: label }] : [],
  );
}

async function finish(run: Run, clips: Clip[], modelId: string): Promise<TrainedModel> {
  run.modelId = modelId;

  run.enter('done', `Model ${modelId} is ready.`);
  await condition(allHandlersFinished);

  return {
    modelId,
    name: run.input.name,
    sessionId: run.session.sessionId,
    origin: run.input.origin,
    clips,
    receipt: run.receipt,
    timeline: run.timeline,
    startedAt: run.startedAt,
    finishedAt: now(),
  };
}

function requireEnoughSources(run: Run): void {
  const least = fewestClips(run);
  if (run.files.length >= least) return;
  throw trainingFailure(
    run,
    TrainingFailureType.InvalidInput,
    `${least} audio files are needed, ${run.files.length} were given.`,
  );
}

function cancelledSentence({ receipt: { create }, sessionId }: Run): string {
  const session = sessionId === undefined ? '' : ` Session ${sessionId} can be gone on with.`;
  switch (create.verdict) {
    case 'not-charged':
      return `Cancelled before create was accepted: only the uploads are spent.${session}`;
    case 'charged':
      return `Cancelled after create: its credits are spent and Mountsea goes on training.${session}`;
    case 'unknown':
      return `Cancelled while it was unknown whether create was accepted.${session}`;
  }
}
