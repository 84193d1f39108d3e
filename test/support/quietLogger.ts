/**
 * In each test file: the SDK's log shows errors only. Failures that a test provokes are not worth a page each.
 */
import { DefaultLogger, Runtime } from '@temporalio/worker';

Runtime.install({ logger: new DefaultLogger('ERROR') });
