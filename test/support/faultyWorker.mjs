/**
 * Tests: a worker process that serves any number of APIs, each from a message `{ serve: environment }` to a message
 * `{ leave: origin }`. On request it is lost in the middle of a create, or does to create what must never be done:
 *
 * - `FAULTY_NAME`: name of the model whose create it befalls; only the first such create.
 * - `FAULTY_STEP`: the step of `CreateStep` at which this process signals itself, or `returned`: create has returned, its
 *   activity has not.
 * - `FAULTY_SIGNAL`: the signal.
 * - `FAULTY_REPEAT`: `1` sends every create again whose answer proves nothing, as many an SDK does.
 */
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { PossiblySentError, UnreadableAnswerError } from '../../dist/mountsea/errors.js';
import { configuredAddress } from '../../dist/temporal/connection.js';
import { readSettings } from '../../dist/temporal/settings.js';
import { startWorker } from '../../dist/worker.js';

const { FAULTY_NAME, FAULTY_STEP, FAULTY_SIGNAL, FAULTY_REPEAT } = process.env;
const running = new Map();
let isStruck = false;

function lostAt(mountsea) {
  return async (body, options) => {
    if (isStruck || body.name !== FAULTY_NAME) return mountsea.create(body, options);
    isStruck = true;
    const reach = (step) => {
      if (step !== FAULTY_STEP) return;
      process.send({ struck: step });
      process.kill(process.pid, FAULTY_SIGNAL);
    };
    const onStep = (step) => {
      options.onStep?.(step);
      reach(step);
    };
    try {
      const answer = await mountsea.create(body, { ...options, onStep });
      reach('returned');
      process.send({ create: 'answered' });
      return answer;
    } catch (error) {
      process.send({ create: `${error.name}: ${error.message}` });
      throw error;
    }
  };
}

function repeating(mountsea) {
  return async (body, options) => {
    try {
      return await mountsea.create(body, options);
    } catch (error) {
      if (!(error instanceof PossiblySentError || error instanceof UnreadableAnswerError)) throw error;
      return mountsea.create(body, { timeoutMs: options.timeoutMs });
    }
  };
}

async function serve(environment) {
  const settings = readSettings({ ...process.env, ...environment });
  const faulty = FAULTY_REPEAT === '1' ? repeating : lostAt;
  const worker = await startWorker({
    address: configuredAddress(settings.temporal),
    settings,
    wrapMountsea: (mountsea) => ({ ...mountsea, create: faulty(mountsea) }),
  });
  running.set(settings.origin, worker);
  process.send({ serves: settings.origin });
}

// Failures that a test provokes are not worth a page each.
Runtime.install({ logger: new DefaultLogger('ERROR') });
if (FAULTY_SIGNAL === 'SIGSTOP') {
  // The server goes on giving tasks to the polls of a process that is stopped, and each has to time out. So it has few of
  // them: none for activities while its one place is taken by the create, and the fewest that there may be for workflows.
  const fewest = { maxConcurrentActivityTaskExecutions: 1, maxConcurrentWorkflowTaskPolls: 2 };
  const create = Worker.create.bind(Worker);
  Worker.create = (options) => create({ ...options, ...fewest });
}
// Its test has ended, in whatever way.
process.on('disconnect', () => process.exit());
process.on('message', ({ serve: environment, leave: origin }) => {
  if (origin !== undefined) {
    running.get(origin)?.shutdown();
    running.delete(origin);
    return;
  }
  serve(environment).catch((error) => {
    process.send({ failed: String(error) });
  });
});
