// @ts-check
/**
 * Trains a model, or finds the training that the same call has started before: run it again after a crash, and nothing is
 * paid twice. Prints the model id.
 *
 *   node train.mjs "Night Drive" https://cdn.example.com/night-drive/{1,2,3,4,5,6}.mp3
 *
 * Where the trainings are is in the environment, as for the command line (docs/cli.md): MOUNTSEA_API_KEY alone is enough.
 */
import { AttentionNeededError, TrainingClient, TrainingEndedError } from 'tunesmith';

const [name = '', ...sources] = process.argv.slice(2);
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());

const client = new TrainingClient({ onNotice: (sentence) => console.error(sentence) });
try {
  const training = await client.start({ name, sources });
  console.error(`${training.how} ${training.workflowId}`);
  for await (const { phase, fileCounts, attention } of training.follow({ signal: interrupted.signal })) {
    console.error(phase, fileCounts);
    // Somebody has to decide; `result` below says what. A training that tries again by itself is waited for.
    if (attention !== undefined && attention.nextTryAt === undefined) break;
  }
  const { modelId, receipt } = await training.result({ signal: interrupted.signal });
  console.error(`create: ${receipt.create.verdict}, ${receipt.create.credits} credits`);
  console.log(modelId);
} catch (error) {
  if (interrupted.signal.aborted) {
    console.error('The training goes on. Run this again to come back to it.');
    process.exitCode = 130;
  } else if (error instanceof AttentionNeededError) {
    console.error(error.message);
    console.error(`${error.attention.kind}: one of ${error.attention.options.join(', ')}`);
    process.exitCode = 5;
  } else if (error instanceof TrainingEndedError) {
    console.error(error.message);
    process.exitCode = { 'not-charged': 3, charged: 4, unknown: 6 }[error.receipt.create.verdict];
  } else {
    throw error;
  }
} finally {
  await client.close();
}
