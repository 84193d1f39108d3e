/**
 * What a chaos run leaves behind: a file with everything, and a few lines for people.
 */
import type { SandboxOptions, SandboxReport } from '../../src/sandbox/index.js';
import type { Audit, Subject } from './audit.js';

/** More than this share of the doubtful creates parked, where the witnesses speak, is no pass. */
const MOST_UNTOLD = 0.05;

export interface ChaosReport {
  version: 1;
  seed: number;
  size: number;
  atOnce: number;
  speed: number;
  /** What was switched off in the build that ran. */
  broken?: string;
  profile: NonNullable<SandboxOptions['profile']>;
  /** ISO 8601. */
  begunAt: string;
  tookMs: number;
  waveMs: number[];
  /** Receipts that still say `unknown` or `provisional`, after the registry has looked its last time. */
  settling: { ms: number; open: string[] };
  disruptions: { what: string; at: string; by: number }[];
  /** Workers that ended though nobody killed them. */
  workerDeaths: number;
  requests: SandboxReport['requests']['counts'];
  audit: Audit;
  subjects: Subject[];
  waves: { isBillingFaulty: boolean; faults: string[] }[];
}

/** What is wrong, a line each; none where the run is a pass. */
export function complaintsOf({ audit: { violations, cannotTell } }: Pick<ChaosReport, 'audit'>): string[] {
  const complaints = violations.map(
    ({ rule, workflowId, says }) => `${rule}${workflowId === '' ? '' : ` (${workflowId})`}: ${says}`,
  );
  if (shareOf(cannotTell) > MOST_UNTOLD) {
    complaints.push(
      `cannot tell: ${percent(cannotTell)} of the doubtful creates, at most ${100 * MOST_UNTOLD} % are a pass`,
    );
  }
  return complaints;
}

/** The command that runs the same again. */
export function commandOf({ seed, size, atOnce, speed, broken }: ChaosReport): string {
  const settings = {
    CHAOS_SEED: seed,
    CHAOS_RUNS: size,
    CHAOS_AT_ONCE: atOnce,
    CHAOS_SPEED: speed,
    ...(broken === undefined ? {} : { CHAOS_BREAK: broken }),
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return [...words, 'npm run chaos'].join(' ');
}

export function textOf(report: ChaosReport): string {
  const { audit, subjects, size, seed, disruptions, workerDeaths, settling } = report;
  const complaints = complaintsOf(report);
  const ends = counted(subjects.filter(({ plan }) => plan.number > 0).map(({ end }) => end.kind));
  return [
    `Chaos: ${size} trainings, seed ${seed}, ${Math.round(report.tookMs / 1_000)} s.`,
    `Ended: ${ends}.`,
    `Disrupted: ${counted(disruptions.map(({ what }) => what))}; ${workerDeaths} workers ended by themselves.`,
    `Creates: ${audit.charges} charged, ${audit.creditsOfCreates} credits; ${audit.chargesByDecision} of them once more because a person decided it.`,
    `Cannot tell: ${percent(audit.cannotTell)} where the witnesses speak; ${audit.cannotTellElsewhere.length} where they may be silent; ${audit.impatient} cut short by a person.`,
    ...byReason([...audit.cannotTell.cases, ...audit.cannotTellElsewhere]),
    `Receipts that say unknown: ${audit.unknown.length}; not settled after ${Math.round(settling.ms / 1_000)} s: ${settling.open.length}.`,
    ...byReason(audit.unknown),
    complaints.length === 0 ? 'Nothing is wrong.' : `Wrong: ${complaints.length}.`,
    ...complaints.map((line) => `  ${line}`),
    `The same again: ${commandOf(report)}`,
  ].join('\n');
}

function byReason(cases: readonly { reason: string }[]): string[] {
  return [...countsOf(cases.map(({ reason }) => reason))].map(([reason, count]) => `  ${count} × ${reason}`);
}

function counted(words: readonly string[]): string {
  return [...countsOf(words)].map(([word, count]) => `${count} ${word}`).join(', ') || 'none';
}

function countsOf(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

function shareOf({ of, count }: Audit['cannotTell']): number {
  return count === 0 ? 0 : count / Math.max(of, 1);
}

function percent(cannotTell: Audit['cannotTell']): string {
  return `${cannotTell.count} of ${cannotTell.of} (${(100 * shareOf(cannotTell)).toFixed(1)} %)`;
}
