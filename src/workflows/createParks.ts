/**
 * Workflow sandbox, pure: what a person is told and may answer where create does not go on by itself. Why it does not is
 * found out in `create.ts`.
 */
import { ActivityFailureType } from '../contract/failures.js';
import { changesTo } from './corrections.js';
import type { ProvenFailure } from './failures.js';
import { evidenceOf, type ParkRequest } from './parking.js';
import type { Run } from './run.js';
import { minuteOf, NEW_SESSION, spentSentence } from './sentences.js';

export function unsentPark(run: Run, tries: number, why: string): ParkRequest {
  return {
    kind: 'create-rejected',
    message: `Create could not be sent ${tries} times in a row, and nothing of it left: ${why}. ${spentSentence(run)}`,
    evidence: [why],
    options: ['retry'],
  };
}

export function refusalPark(run: Run, failure: ProvenFailure): ParkRequest {
  if (failure.type === ActivityFailureType.AccountLimit) {
    return {
      kind: 'account-limit',
      message: `The account of this session has all the models it may have. ${spentSentence(run)} ${NEW_SESSION}`,
      evidence: evidenceOf(failure),
      options: ['retry', 'newSession'],
    };
  }
  return {
    kind: 'create-rejected',
    message: `Mountsea refuses the create request. ${spentSentence(run)} ${NEW_SESSION}`,
    evidence: evidenceOf(failure),
    options: ['retry', ...changesTo(run)],
  };
}

/** Nothing of the request is wrong; what a person wants changed all the same is done before it is sent. */
export function tooManyPark(run: Run, failure: ProvenFailure, why: string): ParkRequest {
  return {
    kind: 'create-rejected',
    message: `Mountsea takes no create for now. ${why} ${spentSentence(run)} ${NEW_SESSION}`,
    evidence: evidenceOf(failure),
    options: ['retry', ...changesTo(run)],
  };
}

/** The one more send that a proof allows is spent, too. */
export function refutedPark(run: Run, why: string): ParkRequest {
  return {
    kind: 'create-rejected',
    message: `Create was sent once more by itself and is proved to have had no effect again. ${spentSentence(run)}`,
    evidence: [why],
    options: ['retry', 'rename', 'newSession'],
  };
}

export function doubtPark(run: Run, why: string): ParkRequest {
  return {
    kind: 'charge-unknown',
    message: doubtMessage(run, why, undefined),
    evidence: ['nothing was asked yet'],
    options: ['keepWaiting', 'resendCreate', 'newSession'],
  };
}

/** @param end until when it is asked closely; absent once that is over. */
export function doubtMessage(run: Run, why: string, end: number | undefined): string {
  const rest =
    end === undefined
      ? 'The witnesses do not tell; it is looked after ever more rarely, and a person may decide.'
      : `The session, the ledger and the balance are asked; if none is seen by ${minuteOf(end)}, that is judged.`;
  return `${why} It is not sent again without proof. ${spentSentence(run)} ${rest} ${NEW_SESSION}`;
}
