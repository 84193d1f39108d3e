/**
 * Workflow sandbox: the workflows that a worker runs, and nothing else. Each export is a workflow type by its name.
 */
export { account } from './account.js';
export { generateSong } from './generateSong.js';
export { notification } from './notification.js';
export { readAccount } from './readAccount.js';
export { readSongTerms } from './readSongTerms.js';
export { readStaging } from './readStaging.js';
export { trainCustomModel } from './trainCustomModel.js';
export { trainingRecord } from './trainingRecord.js';
