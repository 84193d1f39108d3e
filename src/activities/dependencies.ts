/**
 * Worker process: what the activities need of the outside.
 */
import type { Affinity } from '../contract/affinity.js';
import type { Source } from '../contract/training.js';
import type { Mountsea } from '../mountsea/types.js';
import type { WorkerStaging } from '../staging/workerStaging.js';
import type { WebhookRules } from './deliverNotification.js';

export interface ActivityDependencies {
  mountsea: Mountsea;
  /** The API and the key that this worker uses now. */
  affinity: () => Affinity;
  /** Workflow id of the account workflow of this API. */
  accountWorkflowId: string;
  /** Workflow id of the training that a name and sources identify. */
  identify: (content: { name: string; sources: Source[] }) => string;
  /** This worker shares its disk with whoever started the training: it may keep `--save` files. */
  writesFiles: boolean;
  /** Makes URLs of local files; absent where this worker makes none. */
  staging?: WorkerStaging;
  /** How receivers of `--notify` are told. */
  webhook: WebhookRules;
}
