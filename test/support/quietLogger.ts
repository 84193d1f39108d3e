/**
 * For test files that run workers in their own process: the SDK's log shows errors only. Failures that a test
 * provokes are not worth a page each. Others leave it out, since it loads the worker.
 */
import { DefaultLogger, Runtime } from '@temporalio/worker';

Runtime.install({ logger: new DefaultLogger('ERROR') });
