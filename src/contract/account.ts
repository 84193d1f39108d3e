/**
 * Contract: the account workflow, one for each API origin. It keeps what several trainings share: which training owns a
 * session, which create may be sent, which were accepted, how soon charges appeared (design, sections 2 and 5). All its
 * updates may be repeated: Temporal repeats the activities that send them.
 */
export const ACCOUNT_WORKFLOW = 'account';
export const CLAIM_SESSION_UPDATE = 'claimSession';
export const REQUEST_SEND_UPDATE = 'requestSend';
export const REPORT_SEND_UPDATE = 'reportSend';
export const CLOSE_TRAINING_UPDATE = 'closeTraining';
export const ACCOUNT_QUERY = 'account';

/** The decision to spend that starting a training is; others are named by the id of the attention that allowed them. */
export const FIRST_DECISION = 'first';
/** In its place: the create that a session begun elsewhere may have seen before it was adopted. */
export const ADOPTED_DECISION = 'adopted';

/** In place of a run id: what the record of a training proves it tells in the name of no run. */
export const SETTLED_RUN = '';

/** Which execution asks. */
export interface Asker {
  workflowId: string;
  runId: string;
}

export interface ClaimSession extends Asker {
  sessionId: string;
  /** The session that a person gave up for this one. */
  replaces?: string;
  /** An owner that was seen to have ended. */
  takeOverFrom?: string;
  /** It was opened for this training just now, so nobody has sent a create in it. */
  isNew?: true;
}

/** The session of a training, as it is told of it. */
export interface OwnedSession {
  sessionId: string;
  /** The run that claimed it. Another run of the same training is a reset one. */
  firstRunId: string;
  /** It was taken over from a training that it was opened for and that never sent a create. */
  isUnsent?: true;
}

export type ClaimAnswer =
  /** The one asked for, or the one that the training owns already. */
  | { kind: 'owned'; session: OwnedSession }
  /** Somebody else's. */
  | { kind: 'refused'; owner: string };

/** A send that a run knows of. One decision may have had several, where the earlier ones were refused. */
export interface KnownSend {
  decision: string;
  /** Not before its grant, ms since 1970. */
  sentAt: number;
}

export interface RequestSend extends Asker {
  sessionId: string;
  keyFingerprint: string;
  /** `FIRST_DECISION`, or the id of an attention; `+` behind it for the one send that a proof allows. */
  decision: string;
  /** Sends whose outcome this run knows, or is about to find out. */
  known: KnownSend[];
  /** How long the grant holds, ms: from baseline to answer. */
  grantMs: number;
  /** Where another one is sending: how far apart the next tries of those that wait are, ms. */
  slotMs: number;
}

export type SendAnswer =
  | { kind: 'go'; until: number }
  /** Another create of this key is between send and answer. */
  | { kind: 'wait'; notBefore: number }
  /** Another run of this training had the same grant and may have sent (a reset in the Web UI). */
  | { kind: 'may-have-sent'; sessionId: string; decision: string; grantedAt: number }
  /** The session belongs to another training by now. */
  | { kind: 'taken'; owner: string }
  /** It was sent and accepted already, by another run. */
  | {
      kind: 'accepted';
      sessionId: string;
      decision: string;
      sentAt: number;
      acceptedAt: number;
      taskId?: string;
    };

export interface ReportSend extends Asker {
  sessionId: string;
  keyFingerprint: string;
  decision: string;
  sentAt: number;
  /** Of one in doubt: the last moment at which it can have been sent, where that is not about `sentAt`. */
  sentBy?: number;
  outcome: 'accepted' | 'not-accepted' | 'in-doubt';
  /** What create answered with, where it is not the session. */
  taskId?: string;
}

/** A create row as a training saw it. */
export interface SeenRow {
  id: string;
  at: number;
  amount: number;
  /** When it was first seen. */
  seenAt: number;
  /** The last look before that, which did not see it. */
  unseenAt?: number;
}

export interface CloseTraining extends Asker {
  keyFingerprint: string;
  /** From the accepted create to the model, ms; absent where there is none. */
  trainingMs?: number;
  /** It has a model, so its create is not given back. */
  hasModel?: boolean;
  /** Ledger rows that are proved to give creates of this training back, by decision. */
  refunded?: Record<string, string>;
  /** What each upload that gave a clip took, from the request to the clip, ms. */
  uploadsMs?: number[];
  /** Create rows of the time of this training. */
  rows: SeenRow[];
  /** When the training was first seen to have ended; a row that was seen before it appeared early. */
  endSeenAt?: number;
  /** How soon its session showed the create; absent where no look told. */
  session?: SessionTiming;
  /** Dearest upload seen in the ledger, credits. */
  uploadCredits?: number;
  /** How far Mountsea's clock may be from ours, and how long after a send it may be booked, ms. */
  skewMs: number;
  bookingMs: number;
}

/** Answer of `closeTraining`: what the account makes of the rows, since it knows all creates of the key. */
export interface ClosedTraining {
  /** What each accepted create of this training was charged, where the ledger proves it, by decision; `id` where only one row fits. */
  rows: Record<string, { id?: string; amount: number }>;
  /** What any run of this training has sent, but for what is known to have had no effect or to be given back; oldest first. */
  sends: {
    decision: string;
    sessionId: string;
    /** Not before its grant, ms since 1970. */
    sentAt: number;
    /** False: nobody knows. */
    isAccepted: boolean;
    /** What create answered with, where it is not the session. */
    taskId?: string;
  }[];
}

/** A create that was accepted. */
export interface AcceptedCreate {
  workflowId: string;
  sessionId: string;
  keyFingerprint: string;
  decision: string;
  sentAt: number;
  acceptedAt: number;
  /** What create answered with, where it is not the session. */
  taskId?: string;
  /** Its ledger row, where that is known. */
  rowId?: string;
  /** A model came of it: it is not given back. */
  hasModel?: true;
  /** The ledger row that gave it back, where that is proved. */
  refundRowId?: string;
}

/** A create whose outcome nobody knows, or that is on its way just now. */
export interface DoubtfulCreate {
  workflowId: string;
  keyFingerprint: string;
  decision: string;
  sentAt: number;
  /** As it was reported. */
  sentBy?: number;
  /** Where it was to be sent. */
  sessionId: string;
  /** The run that may say that it had no effect, besides the one that it was granted to. */
  runId?: string;
}

export interface AccountQuestion {
  workflowId: string;
  keyFingerprint: string;
  /** Accepted creates that were sent before this are left out where their training ended before it, too; ms since 1970. */
  since: number;
  /** Sessions of which is asked whether another training has them. */
  sessionIds?: string[];
}

/** What the account workflow knows of use to one training. */
export interface AccountFacts {
  /** The session that the asking training owns. */
  session?: OwnedSession;
  /** Those of the sessions asked for that another training has by now. */
  taken?: string[];
  /** Of the asking training's key. */
  accepted: AcceptedCreate[];
  inDoubt: DoubtfulCreate[];
  /** False: there were more accepted creates since then than are kept. */
  isComplete: boolean;
  charges: ChargeTiming;
  /** Absent where no training has taught it. */
  sessions?: SessionsTiming;
  /** The last trainings, newest last, ms. */
  trainingsMs: number[];
  /** The last uploads, newest last, ms. */
  uploadsMs: number[];
  /** Dearest upload seen in the ledger of this key, credits. */
  uploadCredits?: number;
}

/** How soon charges of this key were seen. */
export interface ChargeTiming {
  /** Longest time from an accepted send to its row seen, ms; absent where none was seen. */
  longestMs?: number;
  /** An accepted create of this origin had its row before its training ended. */
  areEarly: boolean;
}

/** How an accepted create showed in the status of its session, which was an unknown task before. */
export interface SessionTiming {
  /** The session showed the create before its end. */
  hasShown: boolean;
  /** The session was seen to be still unknown so long after create was accepted, ms; 0 where it never was. */
  silentMs: number;
}

/** What the last trainings of this origin taught of the status of sessions. */
export interface SessionsTiming {
  /** They are several, and each of them was shown by its session while it trained. */
  areTelling: boolean;
  /** Longest time for which a session was seen to be silent about an accepted create, ms. */
  longestSilentMs: number;
}

/** What is known before anything was learned, or where the account workflow does not exist yet. */
export const NO_FACTS: AccountFacts = {
  accepted: [],
  inDoubt: [],
  isComplete: true,
  charges: { areEarly: false },
  trainingsMs: [],
  uploadsMs: [],
};
