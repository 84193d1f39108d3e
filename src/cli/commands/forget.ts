/**
 * Client side: `forget`, which deletes what the Temporal server keeps of a training that has ended. Never of one that runs, and
 * nothing at Mountsea: its API deletes nothing.
 */
import { Option } from 'commander';
import type { Connected } from '../../library/connect.js';
import { ask, canAsk } from '../ask.js';
import { defineCommand, id, json } from '../command.js';
import { Exit, UsageError } from '../exit.js';
import { type Io, JSON_VERSION, type Output } from '../output.js';
import { type JsonFlag, withTraining } from './common.js';

interface ForgetFlags extends JsonFlag {
  yes?: boolean;
  model?: boolean;
}

export const forgetCommand = defineCommand<ForgetFlags, [string?]>({
  name: 'forget',
  summary: 'delete what the Temporal server keeps of a training that has ended',
  description: [
    'Its history (with the URLs of its sources), its notifications, and its record. A record with a model id stays unless --model is given: Mountsea cannot list models, so a lost id is 100 lost credits.',
    'A training that runs is not forgotten: cancel it first. What is at Mountsea stays there (session, clips, model), and so do files of --save and --record. Objects in a bucket are removed by `unstage`.',
  ].join('\n\n'),
  arguments: [id()],
  options: [
    new Option('--yes', 'delete without a question'),
    new Option('--model', 'its record as well, though it holds a model id'),
    json(),
  ],
  examples: [
    { line: 'forget train-night-drive-1f0a9c3b5d7e', does: 'its history; the model stays in `models`' },
    { line: 'forget train-night-drive-1f0a9c3b5d7e --model --yes', does: 'all of it, without a question' },
  ],
  isFor: ({ status }) => status !== 'running',
  run: (call) =>
    withTraining(call, (connected, workflowId, output) =>
      forget(connected, workflowId, output, call.flags, call.io),
    ),
});

async function forget(
  { trainings }: Connected,
  workflowId: string,
  output: Output,
  flags: ForgetFlags,
  io: Io,
): Promise<number> {
  const { status, memo } = await trainings.look(workflowId);
  if (status === 'running') {
    throw new UsageError(
      `${workflowId} runs; nothing was deleted. End it first: \`tunesmith cancel ${workflowId}\`.`,
    );
  }
  const { record } = await trainings.records.find(workflowId);
  const modelId = record?.modelId ?? memo.modelId;
  const keepsRecord = record?.modelId !== undefined && flags.model !== true;
  const kept = keepsRecord
    ? `Its record stays in \`models\`, with ${modelId ?? ''}`
    : modelId === undefined
      ? 'It has no model'
      : `Its model id ${modelId} is then known nowhere but where you keep it`;
  const what = `Deletes the history of ${workflowId} ("${memo.name}")${keepsRecord ? '' : ' and its record'}. ${kept}.`;
  if (flags.yes !== true) {
    if (!canAsk(io)) throw new UsageError(`${what} Say --yes; nothing was deleted.`);
    output.say(what);
    const isWanted = await ask(io, (context, { confirm }) =>
      confirm({ message: 'Delete it?', default: false }, context),
    );
    if (!isWanted) {
      output.say('Nothing was deleted.');
      return Exit.done;
    }
  }
  const { executions, isGone } = await trainings.forget(workflowId, !keepsRecord);
  output.json({ type: 'forgotten', version: JSON_VERSION, workflowId, executions, keepsRecord });
  output.say(
    `${isGone ? 'Deleted' : 'The server deletes, in its own time'}: ${executions} ${executions === 1 ? 'execution' : 'executions'} of ${workflowId}. ${kept}.`,
  );
  if (memo.sessionId !== undefined) {
    output.say(
      `At Mountsea stay session ${memo.sessionId}, its clips${modelId === undefined ? '' : ' and the model'}.`,
    );
  }
  return Exit.done;
}
