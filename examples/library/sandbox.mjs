// @ts-check
/**
 * The simulated Mountsea for tests of your own: it keeps accounts, charges credits, and goes wrong where it is told to.
 * Prints what a client and a worker need to use it, and its report when it ends (Ctrl-C).
 */
import { once } from 'node:events';
import { startSandbox } from 'tunesmith/sandbox';

const sandbox = await startSandbox({
  speed: 100,
  faults: [{ on: 'upload', nth: 2, fault: { kind: 'lost' } }],
});
console.log(`MOUNTSEA_BASE_URL=${sandbox.url}`);
console.log(`MOUNTSEA_BILLING_URL=${sandbox.billingUrl}`);
console.log(`MOUNTSEA_API_KEY=${sandbox.apiKey}`);
await once(process, 'SIGINT');
console.error(sandbox.report().ledger);
await sandbox.close();
