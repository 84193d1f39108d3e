/**
 * Workflow sandbox, pure: what several parks tell a person.
 */
import { CREATE_CREDITS, type Receipt, type UploadPrice } from '../contract/training.js';
import { uploadCredits } from '../money/receipt.js';

/** What a person must know before giving up a session. */
export const NEW_SESSION = 'A new session would upload and pay all files again, perhaps on another account.';

/** In UTC, since nobody here knows where the reader is. */
export function minuteOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** What was spent by now, uploads and create, as sentences. */
export function spentSentence({
  receipt: { create, uploads },
  uploadPrice,
}: {
  receipt: Receipt;
  uploadPrice: UploadPrice;
}): string {
  const { calls } = uploads;
  const sent = calls === 0 ? 'No upload was' : calls === 1 ? '1 upload was' : `${calls} uploads were`;
  return `${sent} sent${uploadCredits(uploads, uploadPrice)}. ${createSentence(create)}`;
}

function createSentence(create: Receipt['create']): string {
  switch (create.verdict) {
    case 'charged':
      return `${create.credits ?? CREATE_CREDITS} credits are spent.`;
    case 'not-charged':
      return 'Create was not charged; the clips are kept.';
    case 'unknown':
      return `Whether the ${CREATE_CREDITS} credits of create are spent is unknown.`;
  }
}
