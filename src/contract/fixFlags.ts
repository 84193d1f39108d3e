/**
 * Contract: how each correction is said to `tunesmith fix`. The command line, the Web UI and notifications name the same
 * commands.
 */
import type { CorrectionAction } from './correction.js';
import type { Attention, FileProgress } from './progress.js';

/** The flag of `fix` for each correction. */
export const FLAGS: Record<CorrectionAction, string> = {
  retry: '--retry',
  rename: '--rename NAME',
  replaceFiles: '--replace FILE=NEW',
  dropFiles: '--drop FILE',
  resendCreate: '--resend-create',
  newSession: '--new-session',
  keepWaiting: '--keep-waiting',
  giveUp: '--give-up',
};

/** More bad files than this are left to the user to name. */
const NAMED_FILES = 8;

/** The flags of `fix` that answer an attention, with the numbers of the files that it is about. */
export function fixFlags(
  option: CorrectionAction,
  attention: Attention,
  files: readonly FileProgress[],
): string {
  const bad = files.filter(({ state }) => state === 'failed' || state === 'overdue');
  if (attention.kind === 'bad-files' && bad.length > 0 && bad.length <= NAMED_FILES) {
    if (option === 'dropFiles') return bad.map(({ number }) => `--drop ${number}`).join(' ');
    if (option === 'replaceFiles') return bad.map(({ number }) => `--replace ${number}=NEW`).join(' ');
  }
  if (option === 'retry' && isOwnBudget(attention)) return '--retry --max-credits N';
  const isRisky = attention.riskOfSecondCharge?.includes(option) === true;
  return isRisky ? `${FLAGS[option]} --accept-second-charge` : FLAGS[option];
}

/** A balance that is too low mends itself; a limit that the user set does not. */
function isOwnBudget({ kind, nextTryAt }: Attention): boolean {
  return kind === 'credits' && nextTryAt === undefined;
}
