/**
 * Workflow sandbox, pure: the Markdown that whoever is on call reads at the top of a run in the Web UI.
 */
import type { Attention, FileProgress, Outage, TrainingProgress } from '../contract/progress.js';
import type { SongProgress } from '../contract/song.js';
import type { PaidAttempt } from '../contract/training.js';
import { uploadCredits } from '../money/receipt.js';

const FILE_LIMIT = 40;

/** What the training waits for comes first; then money; then files. */
export function detailsMarkdown(progress: TrainingProgress): string {
  const { name, phase, attention, outage, sessionId, receipt, uploadPrice, files, modelId, nextCheckAt } =
    progress;
  const { create, uploads } = receipt;
  const lines = [`**${plain(name)}**: ${phase}${modelId === undefined ? '' : ` · \`${modelId}\``}`, ''];
  lines.push(...attentionLines(attention), ...outageLines(outage));
  lines.push(
    `Session: ${sessionId === undefined ? 'none yet' : `\`${sessionId}\``}`,
    '',
    `Create: ${create.verdict}${create.credits === undefined ? '' : ` (${create.credits} credits)`}, ` +
      `sent ${create.sends}× · uploads: ${uploads.calls}${uploadCredits(uploads, uploadPrice)}`,
    '',
    ...create.attempts.map((attempt, index) => attemptLine(attempt, index)),
    '',
    ...(nextCheckAt === undefined ? [] : [`Next check: ${nextCheckAt}`, '']),
    '| # | file | state | tries | |',
    '| --- | --- | --- | --- | --- |',
    ...files.slice(0, FILE_LIMIT).map(row),
  );
  if (files.length > FILE_LIMIT) lines.push('', `and ${files.length - FILE_LIMIT} more files`);
  return lines.join('\n');
}

/** What a song waits for, then money, then what there is to hear. */
export function songMarkdown(progress: SongProgress): string {
  const { title, model, modelName, phase, taskStatus, attention, taskId, receipt, clips, nextCheckAt } =
    progress;
  const { generate } = receipt;
  return [
    `**${plain(title)}**: ${phase}${taskStatus === undefined ? '' : ` (${plain(taskStatus)})`}`,
    '',
    ...attentionLines(attention),
    `Model: ${modelName === undefined ? '' : `${plain(modelName)} `}\`${model}\` · task: ${taskId === undefined ? 'none yet' : `\`${taskId}\``}`,
    '',
    `Generate: ${generate.verdict}${generate.credits === undefined ? '' : ` (${generate.credits} credits)`}, sent ${generate.sends}×`,
    '',
    ...generate.attempts.map((attempt, index) => attemptLine(attempt, index, 'generate')),
    '',
    ...(nextCheckAt === undefined ? [] : [`Next check: ${nextCheckAt}`, '']),
    ...clips.map(({ id, audioUrl = '' }) => `* ${plain(id)}: <${audioUrl.replace(/[<>\s]/g, '')}>`),
  ].join('\n');
}

function attentionLines(attention: Attention | undefined): string[] {
  if (attention === undefined) return [];
  const { kind, id, message, evidence, options, nextTryAt } = attention;
  return [
    `**Needs attention (${kind}, id \`${id}\`)**: ${plain(message)}`,
    '',
    ...evidence.map((line) => `* ${plain(line)}`),
    '',
    `Corrections: ${options.join(', ')}`,
    ...(nextTryAt === undefined ? [] : [`Tries again by itself at ${nextTryAt}.`]),
    '',
  ];
}

/** The tries are Temporal's, which shows them itself. */
function outageLines(outage: Outage | undefined): string[] {
  if (outage === undefined) return [];
  const { since, request, why } = outage;
  return [
    `**No usable answer from Mountsea** since ${since} (${plain(request)}: ${plain(why)}).`,
    'It is asked again at most a minute apart, and nothing is lost. Pending Activities shows which try it is and when the next one is.',
    '',
  ];
}

/** Each create that was sent, what became of it, and why that is believed. */
function attemptLine(
  { sentAt, verdict, credits, evidence }: PaidAttempt,
  index: number,
  what = 'create',
): string {
  const cost = credits === undefined ? '' : `, ${credits} credits`;
  return `* ${what} ${index + 1}, sent ${sentAt}: **${verdict}**${cost}, because ${evidence.map(plain).join('; ')}`;
}

function row({ number, label, state, tries, reason, clipId }: FileProgress): string {
  return `| ${number} | ${plain(label)} | ${state} | ${tries} | ${plain(reason ?? clipId ?? '')} |`;
}

/** Names, labels and reasons come from outside: they must not become markup. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, '\\$&').replace(/\s+/g, ' ');
}
