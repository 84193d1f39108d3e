/**
 * Workflow sandbox: the workflows that a worker runs, and nothing else. Each export is a workflow type by its name.
 */
export { trainCustomModel } from './trainCustomModel.js';
