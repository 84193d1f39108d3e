/**
 * Workflow sandbox, pure: the Markdown that whoever is on call reads at the top of a run in the Web UI.
 */
import type { FileProgress, TrainingProgress } from '../contract/progress.js';
import type { CreateAttempt } from '../contract/training.js';

const FILE_LIMIT = 40;

/** What the training waits for comes first; then money; then files. */
export function detailsMarkdown(progress: TrainingProgress): string {
  const { name, phase, attention, sessionId, receipt, files, modelId, nextCheckAt } = progress;
  const { create, uploads } = receipt;
  const lines = [`**${plain(name)}**: ${phase}${modelId === undefined ? '' : ` · \`${modelId}\``}`, ''];
  if (attention !== undefined) {
    lines.push(
      `**Needs attention (${attention.kind}, id \`${attention.id}\`)**: ${plain(attention.message)}`,
      '',
    );
    lines.push(...attention.evidence.map((evidence) => `* ${plain(evidence)}`), '');
    lines.push(`Corrections: ${attention.options.join(', ')}`);
    if (attention.nextTryAt !== undefined) lines.push(`Tries again by itself at ${attention.nextTryAt}.`);
    lines.push('');
  }
  lines.push(
    `Session: ${sessionId === undefined ? 'none yet' : `\`${sessionId}\``}`,
    '',
    `Create: ${create.verdict}${create.credits === undefined ? '' : ` (${create.credits} credits)`}, ` +
      `sent ${create.sends}× · uploads: ${uploads.calls} calls, credits ${uploads.credits}`,
    '',
    ...create.attempts.map(attemptLine),
    '',
    ...(nextCheckAt === undefined ? [] : [`Next check: ${nextCheckAt}`, '']),
    '| # | file | state | tries | |',
    '| --- | --- | --- | --- | --- |',
    ...files.slice(0, FILE_LIMIT).map(row),
  );
  if (files.length > FILE_LIMIT) lines.push('', `and ${files.length - FILE_LIMIT} more files`);
  return lines.join('\n');
}

/** Each create that was sent, what became of it, and why that is believed. */
function attemptLine({ sentAt, verdict, credits, evidence }: CreateAttempt, index: number): string {
  const cost = credits === undefined ? '' : `, ${credits} credits`;
  return `* create ${index + 1}, sent ${sentAt}: **${verdict}**${cost}, because ${evidence.map(plain).join('; ')}`;
}

function row({ number, label, state, tries, reason, clipId }: FileProgress): string {
  return `| ${number} | ${plain(label)} | ${state} | ${tries} | ${plain(reason ?? clipId ?? '')} |`;
}

/** Names, labels and reasons come from outside: they must not become markup. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, '\\$&').replace(/\s+/g, ' ');
}
