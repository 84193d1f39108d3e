/**
 * A script's person: answers what parked trainings ask, by choices that come from the seed, and keeps a count of its own
 * of what it has decided to spend. Pure: the choice depends on the seed, the training and how many questions it had.
 */
import type { Correction, CorrectionAction } from '../../src/contract/correction.js';
import type { Attention, AttentionKind } from '../../src/contract/progress.js';
import type { TrainingPlan } from './plan.js';
import { Chance } from './random.js';

/** Answers after which a training is given up, so that every one ends. */
const MOST_ANSWERS = 6;

/** What was decided, in order. */
export interface Decision {
  attentionId: string;
  kind: AttentionKind;
  action: CorrectionAction;
  /** Before the witnesses of a doubtful create had told. */
  isImpatient?: true;
  /** Nobody heard whether it was accepted: it counts as if it was. */
  isUnheard?: true;
}

export interface Question {
  seed: number;
  plan: TrainingPlan;
  attention: Attention;
  decisions: readonly Decision[];
  /** It has gone on for long enough: everything is given up. */
  isTimeUp: boolean;
  audioUrl: (path: string) => string;
}

/** @returns undefined where the person waits, since it goes on by itself. */
export function answerTo(question: Question): Correction | undefined {
  const { seed, plan, attention, decisions, isTimeUp } = question;
  const { id: attentionId, kind, nextTryAt } = attention;
  const chance = new Chance(seed, 'person', plan.number, decisions.length, kind);
  const isWaiting = nextTryAt !== undefined;
  if (isTimeUp || (decisions.length >= MOST_ANSWERS && !isWaiting)) return { attentionId, action: 'giveUp' };
  switch (kind) {
    case 'bad-files':
      return aboutBadFiles(question, chance);
    case 'create-rejected': {
      const action = chance.weighted(
        only(attention, [
          [4, 'retry'],
          [3, 'rename'],
          [2, 'giveUp'],
        ]),
      );
      return action === 'rename'
        ? { attentionId, action, name: `${plan.tag} r${decisions.length + 1}` }
        : { attentionId, action };
    }
    case 'charge-unknown':
      if (isWaiting && !(plan.isImpatient && decisions.length === 0)) return undefined;
      return spending(
        attention,
        chance.weighted(
          only(attention, [
            [isWaiting ? 0 : 4, 'keepWaiting'],
            [4, 'resendCreate'],
            [2, 'newSession'],
            [3, 'giveUp'],
          ]),
        ),
      );
    case 'training-failed':
      return spending(
        attention,
        chance.weighted(
          only(attention, [
            [4, 'resendCreate'],
            [2, 'newSession'],
            [2, 'giveUp'],
          ]),
        ),
      );
    case 'training-overdue':
      return {
        attentionId,
        action: chance.weighted(
          only(attention, [
            [2, 'keepWaiting'],
            [3, 'giveUp'],
          ]),
        ),
      };
    case 'credentials':
    case 'credits':
      // Both mend themselves.
      return isWaiting && chance.happens(0.7) ? undefined : { attentionId, action: 'retry' };
    case 'account-limit':
    case 'answer-unclear':
    case 'song-rejected':
    case 'song-failed':
    case 'song-overdue':
      return { attentionId, action: 'giveUp' };
  }
}

/** Only what is offered; giving up always is. */
function only(
  { options }: Attention,
  choices: readonly (readonly [weight: number, action: CorrectionAction])[],
): (readonly [number, CorrectionAction])[] {
  const offered = choices.filter(([, action]) => options.includes(action));
  return offered.some(([weight]) => weight > 0) ? offered : [[1, 'giveUp']];
}

function spending(
  { id: attentionId, riskOfSecondCharge = [] }: Attention,
  action: CorrectionAction,
): Correction {
  return {
    attentionId,
    action,
    ...(riskOfSecondCharge.includes(action) ? { acceptSecondCharge: true } : {}),
  };
}

function aboutBadFiles({ plan, attention, decisions, audioUrl }: Question, chance: Chance): Correction {
  const attentionId = attention.id;
  const { files = [] } = attention;
  const canDrop = plan.files - files.length >= 6 && !decisions.some(({ action }) => action === 'dropFiles');
  const action = chance.weighted(
    only(attention, [
      [3, 'retry'],
      [canDrop ? 3 : 0, 'dropFiles'],
      [4, 'replaceFiles'],
      [1, 'giveUp'],
    ]),
  );
  switch (action) {
    case 'dropFiles':
      return { attentionId, action, files };
    case 'replaceFiles':
      return {
        attentionId,
        action,
        replacements: files.map((file) => {
          const url = audioUrl(`/${plan.tag}/${file}-${decisions.length + 1}.wav`);
          return { file, source: { url, label: url } };
        }),
      };
    default:
      return { attentionId, action };
  }
}

/** What the person allowed to be spent, by its own count. */
export interface Allowance {
  /** Creates: the order to train, and one for each decision that may lead to another. */
  creates: number;
  /**
   * Creates that may be charged: as above, without the decisions about a create that was refused or proved to have had no
   * effect, since that one cost nothing.
   */
  charges: number;
  /** Sessions that may be paid for. */
  sessions: number;
}

export function allowanceOf(decisions: readonly Decision[]): Allowance {
  const spends = decisions.filter(isOrderToSend);
  return {
    creates: 1 + spends.length,
    charges: 1 + spends.filter(({ kind }) => kind !== 'create-rejected').length,
    sessions: 1 + decisions.filter(({ action }) => action === 'newSession').length,
  };
}

/** Files and balance are put right before a create; those answers order none. */
function isOrderToSend({ kind, action }: Decision): boolean {
  if (kind === 'bad-files' || kind === 'credits' || kind === 'credentials') return false;
  return action !== 'keepWaiting' && action !== 'giveUp';
}
