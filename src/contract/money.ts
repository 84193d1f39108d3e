/**
 * Contract: what is read from Mountsea to learn what became of a request that cost credits (design, section 5). Times are
 * ms since 1970; credits are positive numbers.
 */

/** `status` of a session, as a witness. */
export interface SessionStatus {
  /** As sent, lower case; `unknown-task` where the API knows no such task (404). */
  word: string;
  /** As sent. */
  createdAt?: string;
  finishedAt?: string;
  models: { modelId: string; name?: string }[];
}

/** A ledger row that belongs to a create, or to a song. */
export interface CreateRow {
  id: string;
  /** When Mountsea booked it, by its own clock. */
  at: number;
  /** Negative: a refund. */
  amount: number;
}

/** What the ledger and the balance said at one look. */
export interface LedgerLook {
  /** Rows from this time on were asked for. */
  since: number;
  /** When the balance was read. */
  at: number;
  balance: number;
  /** Oldest first. */
  creates: CreateRow[];
  /** Rows that do not say what they were for. One of them may be a create. */
  unidentified: number;
  /**
   * From the balance of the baseline to this one each row begins where the one before ended: nothing that was booked
   * between the two is missing. Absent without a baseline.
   */
  isClosed?: boolean;
  /** Rows of songs of that time, oldest first; absent where there is none. */
  generates?: CreateRow[];
  /** Upload rows of that time. */
  uploads: { count: number; total: number; dearest: number };
}

/** One look at all witnesses. */
export interface Witnesses {
  /** When `status` was read. */
  at: number;
  status: SessionStatus;
  /** Absent where billing could not be asked, or was asked with another key. */
  ledger?: LedgerLook;
  /** Why `ledger` is absent. */
  ledgerMissing?: string;
}
