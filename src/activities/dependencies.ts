/**
 * Worker process: what the activities need of the outside.
 */
import type { Affinity } from '../contract/affinity.js';
import type { Mountsea } from '../mountsea/types.js';

export interface ActivityDependencies {
  mountsea: Mountsea;
  /** The API and the key that this worker uses now. */
  affinity: () => Affinity;
}
