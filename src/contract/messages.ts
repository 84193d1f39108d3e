/**
 * Contract: names on the wire between client, server and worker. Renaming one strands the runs in flight.
 */
export const TRAIN_CUSTOM_MODEL_WORKFLOW = 'trainCustomModel';
export const PROGRESS_QUERY = 'progress';
export const CORRECT_UPDATE = 'correct';
/** Key of the memo field that holds a `TrainingMemo`. */
export const TRAINING_MEMO = 'training';
/** Key of the memo field that holds the `TrainingOptions` of the start. */
export const TRAINING_OPTIONS_MEMO = 'trainingOptions';
