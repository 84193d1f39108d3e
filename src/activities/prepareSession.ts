/**
 * Activity side: opens a session, which binds a Suno account, and claims it for this training. No charge is documented
 * (mountsea-api, section 2), so a lost answer is simply asked for again: it leaves an unused session behind. A training
 * that owns a session already gets that one: a reset in the Web UI must not lose what was paid for.
 */
import { ApplicationFailure, cancellationSignal, Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import {
  CLAIM_SESSION_UPDATE,
  type ClaimAnswer,
  type ClaimSession,
  type ChargeTiming,
  type OwnedSession,
} from '../contract/account.js';
import type { Affinity } from '../contract/affinity.js';
import { ActivityFailureType } from '../contract/failures.js';
import { asker, askAccount, updateAccount } from './accountClient.js';
import { requireOrigin } from './affinity.js';
import { failureOf } from './classify.js';
import type { ActivityDependencies } from './dependencies.js';
import { recordOf } from './records.js';

const TIMEOUT_MS = 30_000;
const REPEATABLE = [
  ActivityFailureType.NotSent,
  ActivityFailureType.RateLimited,
  ActivityFailureType.Ambiguous,
] as const;

export interface PrepareSessionInput {
  origin: string;
  /** A session begun elsewhere: nothing is prepared. */
  adopt?: string;
  /** The session that a person gave up. */
  replaces?: string;
}

export interface PreparedSession extends Affinity, OwnedSession {
  /** The last trainings of this API, newest last, ms. */
  trainingsMs: number[];
  /** The last uploads, newest last, ms. */
  uploadsMs: number[];
  charges: ChargeTiming;
  /** Dearest upload that the ledger of this key has shown, credits. */
  uploadCredits?: number;
}

export function createPrepareSession({ mountsea, affinity, accountWorkflowId }: ActivityDependencies) {
  return async function prepareSession(input: PrepareSessionInput): Promise<PreparedSession> {
    const own = affinity();
    requireOrigin(input.origin, own.origin);
    const who = asker();
    const { keyFingerprint } = own;
    const facts = await askAccount(accountWorkflowId, {
      workflowId: who.workflowId,
      keyFingerprint,
      since: Date.now(),
    });
    const { trainingsMs, uploadsMs, charges, uploadCredits } = facts;
    const known = {
      ...own,
      trainingsMs,
      uploadsMs,
      charges,
      ...(uploadCredits === undefined ? {} : { uploadCredits }),
    };
    const owned = facts.session;
    if (owned !== undefined && owned.sessionId !== input.replaces) return { ...known, ...owned };
    const begun =
      (input.replaces === undefined ? await forgottenSession(who.workflowId) : undefined) ?? input.adopt;
    const claim = await claimSession(accountWorkflowId, {
      ...who,
      ...(begun === undefined ? { sessionId: await prepare(), isNew: true } : { sessionId: begun }),
      ...(input.replaces === undefined ? {} : { replaces: input.replaces }),
    });
    return { ...known, ...claim };
  };

  async function prepare(): Promise<string> {
    try {
      const { sessionId } = await mountsea.prepare({ signal: cancellationSignal(), timeoutMs: TIMEOUT_MS });
      return sessionId;
    } catch (error) {
      throw failureOf(error, REPEATABLE);
    }
  }
}

/**
 * The account workflow forgets trainings that ended long ago; their records do not. Not asked where a person gave up a
 * session: the record may still name an earlier one that was given up too.
 */
async function forgottenSession(workflowId: string): Promise<string | undefined> {
  return (await recordOf(workflowId))?.sessionId;
}

/** @throws a final failure where a training that still runs owns the session. */
async function claimSession(accountWorkflowId: string, claim: ClaimSession): Promise<OwnedSession> {
  const ask = (more: Partial<ClaimSession>): Promise<ClaimAnswer> =>
    updateAccount(accountWorkflowId, CLAIM_SESSION_UPDATE, { ...claim, ...more });
  let answer = await ask({});
  if (answer.kind === 'refused' && (await hasEnded(answer.owner))) {
    answer = await ask({ takeOverFrom: answer.owner });
  }
  if (answer.kind === 'owned') return answer.session;
  throw ApplicationFailure.nonRetryable(
    `Session ${claim.sessionId} belongs to the training ${answer.owner}, which still runs. Nothing was sent.`,
    ActivityFailureType.SessionTaken,
  );
}

async function hasEnded(workflowId: string): Promise<boolean> {
  try {
    const { status } = await Context.current().client.workflow.getHandle(workflowId).describe();
    return status.name !== 'RUNNING' && status.name !== 'CONTINUED_AS_NEW' && status.name !== 'PAUSED';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}
