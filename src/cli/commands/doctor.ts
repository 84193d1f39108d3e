/**
 * Client side: `doctor`. It starts nothing and spends nothing; what only a worker knows it asks a worker that runs.
 */
import { readSettings } from '../../temporal/settings.js';
import { defineCommand, json } from '../command.js';
import type { Finding, Verdict } from '../doctor/finding.js';
import { localFilesFindings } from '../doctor/localFiles.js';
import { machineFindings } from '../doctor/machine.js';
import { serviceFindings } from '../doctor/service.js';
import { Exit } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { printable } from '../text.js';
import { asCalled, type JsonFlag } from './common.js';

export const doctorCommand = defineCommand<JsonFlag>({
  name: 'doctor',
  summary: 'find what is wrong, free of charge',
  description:
    'Looks at Node, the PATH, folders and disk, the key, the bucket or tunnel for local files (one small object is put, got and deleted), the Temporal server and its workers, and, by a worker that runs, at what Mountsea says to the key, at the balance, and at whether both clocks agree. It starts nothing. Exit code 1 where there is a problem; each comes with what to do.',
  options: [json()],
  examples: [
    { line: 'doctor', does: 'before the first training, or when something does not work' },
    {
      line: 'doctor --json | jq -r \'.findings[] | select(.verdict == "problem") | .mend\'',
      does: 'what to do, and nothing else',
    },
  ],
  run: ({ flags, io }) => doctor(flags, io),
});

const MARKS: Record<Verdict, string> = { ok: 'ok', note: 'note', unknown: '?', problem: 'WRONG' };

async function doctor({ json }: JsonFlag, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, json === true);
  const findings: Finding[] = [
    ...(await machineFindings({ env: io.env, settings })),
    ...(await localFilesFindings(io.env, settings.home)),
    ...(await serviceFindings(settings)),
  ].map(({ check, verdict, found, mend }) => ({
    check,
    verdict,
    found: asCalled(printable(found), io),
    ...(mend === undefined ? {} : { mend: asCalled(printable(mend), io) }),
  }));
  const problems = findings.filter(({ verdict }) => verdict === 'problem');
  output.json({ type: 'doctor', version: JSON_VERSION, isWell: problems.length === 0, findings });
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { check, verdict, found, mend } of findings) {
    output.data(`${MARKS[verdict].padEnd(5)}  ${check.padEnd(width)}  ${found}`);
    if (mend !== undefined) output.data(`${' '.repeat(width + 9)}-> ${mend}`);
  }
  if (problems.length === 0) {
    output.say(wellWords(findings));
    return Exit.done;
  }
  output.say(problems.length === 1 ? 'One thing is wrong.' : `${problems.length} things are wrong.`);
  return Exit.unexpected;
}

/** What could not be looked at may be wrong. */
function wellWords(findings: readonly Finding[]): string {
  const unseen = new Set(findings.filter(({ verdict }) => verdict === 'unknown').map(({ check }) => check));
  if (unseen.size === 0) return 'Nothing is wrong.';
  return `Nothing wrong was found; not checked: ${[...unseen].join(', ')}.`;
}
