/**
 * Tests: the workflow file for GitHub Actions, step by step as a runner takes it: the `run:` scripts in bash, with what
 * GitHub puts into environment and files. What the actions do (checkout, cache) is done here in their place.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { CLIENT_PATH } from './cli.js';

const WORKFLOW = fileURLToPath(new URL('../../examples/github-actions/train.yml', import.meta.url));

interface Step {
  name?: string;
  id?: string;
  if?: string;
  env?: Record<string, string>;
  run?: string;
}

interface Job {
  outputs: Record<string, string>;
  steps: Step[];
}

export const JOB = (parse(readFileSync(WORKFLOW, 'utf8')) as { jobs: { train: Job } }).jobs.train;

const folders: string[] = [];

/** Deletes the folders of all machines. */
export function removeMachines(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-actions-'));
  folders.push(folder);
  return folder;
}

export interface Ran {
  /** Exit code of each step that ran, by its name. */
  codes: Record<string, number | null>;
  outputs: Record<string, string>;
  log: string;
  workspace: string;
}

export interface Machine {
  /** Name of the model. */
  name: string;
  /** Environment of every step; a Temporal address where it is not to bring its own server. */
  env: NodeJS.ProcessEnv;
  /** The secret. */
  apiKey: string;
  /** Lines of sources.txt. */
  sources: string[];
  /** What the cache gives: the file of an earlier run. */
  saved?: string;
  /** The input `answer`. */
  answer?: string;
}

/** Runs the job on a fresh machine. */
export async function runJob({
  name,
  env: given,
  apiKey,
  sources,
  saved,
  answer = '',
}: Machine): Promise<Ran> {
  const [workspace, bin] = [newFolder(), newFolder()];
  const tunesmith = join(bin, 'tunesmith');
  writeFileSync(tunesmith, `#!/bin/sh\nexec '${process.execPath}' '${CLIENT_PATH}' "$@"\n`);
  chmodSync(tunesmith, 0o755);
  writeFileSync(join(workspace, 'sources.txt'), `# night drive\n${sources.join('\n')}\n`);
  if (saved !== undefined) copyFileSync(saved, join(workspace, 'training.json'));
  const env: NodeJS.ProcessEnv = {
    ...given,
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
    TUNESMITH_HOME: join(workspace, '.home'),
    CI: 'true',
    GITHUB_OUTPUT: join(workspace, '.output'),
    GITHUB_STEP_SUMMARY: join(workspace, '.summary'),
  };
  const ran: Ran = { codes: {}, outputs: {}, log: '', workspace };
  const values = (expression: string): string => {
    const [, id, output = ''] = /^steps\.(\w+)\.outputs\.([\w-]+)$/.exec(expression) ?? [];
    if (id !== undefined) return ran.outputs[output] ?? '';
    const value = { 'inputs.name': name, 'inputs.answer': answer, 'secrets.MOUNTSEA_API_KEY': apiKey }[
      expression
    ];
    if (value === undefined) throw new Error(`Nobody knows ${expression}.`);
    return value;
  };
  const filled = (text: string): string =>
    text.replace(/\$\{\{\s*(.+?)\s*\}\}/g, (_, expression: string) => values(expression));
  let hasFailed = false;
  for (const { name: step = '', if: condition, env: more = {}, run } of JOB.steps) {
    if (run === undefined || step === 'Install tunesmith') continue;
    if (hasFailed && condition !== 'always()') continue;
    // What a user typed must reach a script by the environment only.
    if (run.includes('${{')) throw new Error(`${step} has an expression in its script.`);
    const filledEnv = Object.fromEntries(Object.entries(more).map(([key, text]) => [key, filled(text)]));
    const { code, log } = await bash(run, workspace, { ...env, ...filledEnv });
    ran.codes[step] = code;
    ran.log += log;
    hasFailed ||= code !== 0;
    ran.outputs = { ...ran.outputs, ...outputsIn(join(workspace, '.output')) };
  }
  return ran;
}

/** As GitHub calls it where a step names no shell. */
async function bash(
  script: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; log: string }> {
  const child = spawn('bash', ['-e', '-c', script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (log += text));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, log };
}

function outputsIn(file: string): Record<string, string> {
  if (!existsSync(file)) return {};
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}
