/**
 * Workflow sandbox, pure: what several parks tell a person.
 */
import { CREATE_CREDITS, type Receipt } from '../contract/training.js';

/** What a person must know before giving up a session. */
export const NEW_SESSION = 'A new session would upload and pay all files again, perhaps on another account.';

/** What was spent by now, uploads and create, as sentences. */
export function spentSoFar(run: { receipt: Receipt }): string {
  const { calls } = run.receipt.uploads;
  return `${calls === 1 ? '1 upload was' : `${calls} uploads were`} sent. ${spentSentence(run)}`;
}

/** What create has cost so far, as a sentence. */
export function spentSentence({ receipt: { create } }: { receipt: Receipt }): string {
  switch (create.verdict) {
    case 'charged':
      return `${create.credits ?? CREATE_CREDITS} credits are spent.`;
    case 'not-charged':
      return 'Create was not charged; the clips are kept.';
    case 'unknown':
      return `Whether the ${CREATE_CREDITS} credits of create are spent is unknown.`;
  }
}
