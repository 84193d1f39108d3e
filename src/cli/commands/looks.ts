/**
 * Client side: commands that only look: `status`, `list`. Neither of them needs a worker.
 */
import { Option } from 'commander';
import { readSettings } from '../../temporal/settings.js';
import { type Call, defineCommand, idOrSong, json } from '../command.js';
import { connect, type Connected } from '../../library/connect.js';
import { listLines, statusLines } from '../draw.js';
import { songListLines } from '../drawSong.js';
import { Exit } from '../exit.js';
import { exitOf } from '../follow.js';
import { type Io, Output, recordOf } from '../output.js';
import { type JsonFlag, sayIfNoWorker, saying, withTraining } from './common.js';
import { songRecord, songStatus } from './songs.js';

interface LookFlags extends JsonFlag {
  exitStatus?: boolean;
}

interface ListFlags extends LookFlags {
  songs?: boolean;
}

export const statusCommand = defineCommand<LookFlags, [string?]>({
  name: 'status',
  summary: 'one look at a training or a song',
  description: [
    'With each create that was sent and why its outcome is believed. Without a worker it shows what the training last wrote down, and says so.',
  ].join('\n\n'),
  arguments: [idOrSong()],
  options: [new Option('--exit-status', 'exit by the training, not by the look'), json()],
  examples: [
    { line: 'status "Night Drive"', does: 'phase, files, money, and what it waits for' },
    { line: 'status train-night --json | jq -r .phase', does: 'one field, by a prefix of the id' },
    { line: 'status "Night Drive" --exit-status', does: 'in a script: exit by the training' },
  ],
  takesSongs: true,
  run: (call) => status(call),
});

export const listCommand = defineCommand<ListFlags>({
  name: 'list',
  summary: 'all trainings, newest first',
  options: [
    new Option('--songs', 'the songs instead'),
    new Option('--exit-status', 'exit by the newest one'),
    json(),
  ],
  examples: [
    { line: 'list', does: 'what runs, waits and has ended' },
    {
      line: "list --json | jq -r '.[] | select(.attention) | .workflowId'",
      does: 'those that wait for somebody',
    },
  ],
  run: ({ flags, io }) => list(flags, io),
});

async function status(call: Call<LookFlags, [string?]>): Promise<number> {
  const isExitWanted = call.flags.exitStatus === true;
  const ofSong = (connected: Connected, workflowId: string, output: Output): Promise<number> =>
    songStatus(connected, workflowId, output, isExitWanted);
  const ofTraining = async (connected: Connected, workflowId: string, output: Output): Promise<number> => {
    const snapshot = await connected.trainings.look(workflowId);
    output.json(recordOf(snapshot));
    const { runId } = snapshot;
    const ui = runId === '' ? undefined : connected.uiOf(workflowId, runId);
    for (const line of statusLines(snapshot, ui, Date.now(), { ...output.canvas, isColored: false }))
      output.data(line);
    if (runId === '') output.say('The training itself is gone from the server: this is its record.');
    sayIfNoWorker(snapshot, connected, output);
    return isExitWanted ? (exitOf(snapshot) ?? Exit.stillRunning) : Exit.done;
  };
  return withTraining(call, ofTraining, ofSong);
}

async function list(flags: ListFlags, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const output = new Output(io, flags.json === true);
  const connected = await connect(settings, {
    purpose: 'if-state',
    env: io.env,
    say: saying(output, io),
  });
  try {
    if (flags.songs === true) {
      const songs = (await connected?.songs.list()) ?? [];
      output.json(songs.map(songRecord));
      for (const line of songListLines(songs)) output.data(line);
      const [newest] = songs;
      if (flags.exitStatus !== true || newest === undefined) return Exit.done;
      return exitOf(newest) ?? Exit.stillRunning;
    }
    const trainings = (await connected?.trainings.list()) ?? [];
    output.json(trainings.map(recordOf));
    for (const line of listLines(trainings, output.dataWidth)) output.data(line);
    const running = trainings.find(({ status: word }) => word === 'running');
    if (running !== undefined && connected !== undefined) {
      sayIfNoWorker(await connected.trainings.look(running.workflowId), connected, output);
    }
    const [newest] = trainings;
    if (flags.exitStatus !== true || newest === undefined || connected === undefined) return Exit.done;
    // Its record may know more of the charge than the list.
    return exitOf(await connected.trainings.look(newest.workflowId)) ?? Exit.stillRunning;
  } finally {
    await connected?.close();
  }
}
