/**
 * Worker process: the activities of trainings and songs, one file a side effect. Everything they need of the outside is given
 * to `createActivities`; workflows see them by type only.
 */
import { currentAffinity } from './affinity.js';
import { createCheckTasks } from './checkTasks.js';
import { createCloseTraining } from './closeTraining.js';
import type { ActivityDependencies } from './dependencies.js';
import { createDeliverNotification } from './deliverNotification.js';
import { createPrepareSession } from './prepareSession.js';
import { createReadAccount } from './readAccount.js';
import { createReadLedger, createReadWitnesses } from './readWitnesses.js';
import { createRecordTraining, lookForEnd } from './records.js';
import { createSaveTraining } from './saveTraining.js';
import { createSettleReceipt } from './settleReceipt.js';
import { createReportSend, createRequestSend } from './sendGate.js';
import { createSubmitTraining } from './submitTraining.js';
import {
  createLookBeforeSong,
  createReadSongLedger,
  createReadSongTerms,
  createSubmitSong,
} from './songs.js';
import { createReadStaging, createStageFile, createUnstageFile } from './stageFile.js';
import { createUploadClip } from './uploadClip.js';

export type { ActivityDependencies } from './dependencies.js';

// The return type is the contract with the workflow: it is inferred, so that it cannot drift from the code.
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types
export function createActivities(given: ActivityDependencies) {
  const dependencies: ActivityDependencies = {
    ...given,
    affinity: () => currentAffinity(given.affinity),
  };
  return {
    prepareSession: createPrepareSession(dependencies),
    stageFile: createStageFile(dependencies),
    unstageFile: createUnstageFile(dependencies),
    readStaging: createReadStaging(dependencies),
    uploadClip: createUploadClip(dependencies),
    checkTasks: createCheckTasks(dependencies),
    requestSend: createRequestSend(dependencies),
    readWitnesses: createReadWitnesses(dependencies),
    submitTraining: createSubmitTraining(dependencies),
    reportSend: createReportSend(dependencies),
    readLedger: createReadLedger(dependencies),
    closeTraining: createCloseTraining(dependencies),
    recordTraining: createRecordTraining(dependencies),
    saveTraining: createSaveTraining(dependencies),
    settleReceipt: createSettleReceipt(dependencies),
    lookForEnd,
    readAccount: createReadAccount(dependencies),
    lookBeforeSong: createLookBeforeSong(dependencies),
    submitSong: createSubmitSong(dependencies),
    readSongLedger: createReadSongLedger(dependencies),
    readSongTerms: createReadSongTerms(dependencies),
    deliverNotification: createDeliverNotification(dependencies),
  };
}

export type Activities = ReturnType<typeof createActivities>;
