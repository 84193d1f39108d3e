// @ts-check
/**
 * A worker inside a program of yours, beside the command `tunesmith worker`, which does the same. Needs TEMPORAL_ADDRESS
 * and MOUNTSEA_API_KEY. The Temporal SDK handles SIGINT and SIGTERM: requests that cost credits are waited for.
 */
import { startWorker } from 'tunesmith/worker';

const worker = await startWorker();
console.log(`Worker for ${worker.affinity.origin} is running.`);
await worker.done;
