/**
 * Client side: `models`, the registry: Mountsea cannot list models. It needs no worker, and what is written out can be taken
 * into the registry of another Temporal server.
 */
import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import type { TrainingRecord } from '../../contract/record.js';
import { type Connected, connect } from '../../library/connect.js';
import { writeWhole } from '../../temporal/files.js';
import { readSettings } from '../../temporal/settings.js';
import { notEmpty } from '../arguments.js';
import { defineCommand, json } from '../command.js';
import { modelLines } from '../draw.js';
import { UsageError } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { parseRecords } from '../saveFile.js';
import type { JsonRecord } from '../schema.js';
import { connectOrSay, type JsonFlag, pathFrom, saying } from './common.js';

interface ModelsFlags extends JsonFlag {
  export?: string;
  import?: string;
}

export const modelsCommand = defineCommand<ModelsFlags>({
  name: 'models',
  summary: 'trained models, newest first: name, model id, date, files, cost',
  description: [
    'From the registry, since Mountsea cannot list models. `result NAME` shows which files one was made of, `train --like NAME` rebuilds it.',
    '--export writes the records of all models, of every API, as a JSON array; no URL in it has its query. --import takes such a file into the registry of the Temporal server in use: `models`, `result` and `train` then know these models there. A record that is newer there stays.',
  ].join('\n\n'),
  options: [
    new Option('--export <file>', 'write all models as JSON; - is stdout').argParser(notEmpty),
    new Option('--import <file>', 'take the models of such a file into the registry; - is stdin')
      .argParser(notEmpty)
      .conflicts('export'),
    json(),
  ],
  examples: [
    { line: 'models', does: 'every model, also of trainings that the server has forgotten' },
    { line: "models --json | jq -r '.[0].modelId'", does: 'the newest model id' },
    { line: 'models --export models.json', does: 'a copy to keep: a lost model id is 100 lost credits' },
    { line: 'models --import models.json', does: 'the same models on another machine' },
  ],
  run: ({ flags, io }) => models(flags, io).then(() => undefined),
});

async function models(flags: ModelsFlags, io: Io): Promise<void> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  if (flags.import !== undefined) {
    const records = readRecords(flags.import, io);
    const connected = await connectOrSay(settings, output, io, { purpose: 'write' });
    try {
      await takeAll(records, connected, output);
    } finally {
      await connected.close();
    }
    return;
  }
  const connected = await connect(settings, { purpose: 'if-state', env: io.env, say: saying(output, io) });
  try {
    const records = (await connected?.trainings.records.list()) ?? [];
    const trained = records.filter(({ modelId }) => modelId !== undefined);
    if (flags.export !== undefined) writeRecords(flags.export, trained, output, io);
    else tellModels(trained, settings.origin, output);
  } finally {
    await connected?.close();
  }
}

function tellModels(trained: TrainingRecord[], origin: string, output: Output): void {
  const here = trained.filter((record) => record.origin === origin);
  output.json(here.flatMap(modelRecordOf));
  for (const line of modelLines(here, output.dataWidth)) output.data(line);
  const others = trained.length - here.length;
  if (others > 0) output.say(`${others} more are of other APIs than ${origin}.`);
}

function writeRecords(to: string, records: TrainingRecord[], output: Output, io: Io): void {
  const text = `${JSON.stringify(records, null, 2)}\n`;
  if (to === '-') {
    io.stdout.write(text);
    return;
  }
  const path = pathFrom(to, io);
  try {
    writeWhole(path, text);
  } catch (error) {
    throw new UsageError(`${path} cannot be written: ${(error as Error).message}`);
  }
  output.say(`${countOf(records)} written to ${path}.`);
}

/** @throws UsageError where it is none of ours. */
function readRecords(from: string, io: Io): TrainingRecord[] {
  const path = from === '-' ? from : pathFrom(from, io);
  let text: string;
  try {
    text = readFileSync(from === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  const records = parseRecords(text);
  if (typeof records === 'string') {
    throw new UsageError(`${path} is no file of \`tunesmith models --export\`: ${records}.`);
  }
  return records;
}

async function takeAll(
  records: TrainingRecord[],
  { trainings }: Pick<Connected, 'trainings'>,
  output: Output,
): Promise<void> {
  const counts = { added: 0, updated: 0, known: 0 };
  for (const record of records) counts[await trainings.records.take(record)] += 1;
  output.json({ type: 'import', version: JSON_VERSION, ...counts });
  output.say(
    `${countOf(records)} read: ${counts.added} new here, ${counts.updated} brought up to date, ${counts.known} known already.`,
  );
}

function countOf(records: TrainingRecord[]): string {
  return records.length === 1 ? '1 model' : `${records.length} models`;
}

function modelRecordOf(record: TrainingRecord): JsonRecord[] {
  const { workflowId, name, modelId, sessionId, origin, clips, receipt, startedAt, updatedAt } = record;
  if (modelId === undefined) return [];
  return [
    {
      type: 'model',
      version: JSON_VERSION,
      workflowId,
      name,
      modelId,
      ...(sessionId === undefined ? {} : { sessionId }),
      origin,
      clips,
      receipt,
      startedAt,
      trainedAt: updatedAt,
    },
  ];
}
