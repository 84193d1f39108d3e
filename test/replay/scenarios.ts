/**
 * The trainings whose histories are kept in `histories/`, one file a scenario. Recorded by `npm run record-histories`.
 */
import type { Correction, CorrectionAction } from '../../src/contract/correction.js';
import type { TrainCustomModelInput } from '../../src/contract/training.js';
import type { FaultRule } from '../../src/sandbox/index.js';
import type { Training } from '../support/rig.js';

export interface Scenario {
  /** Name of the file, without `.json`. */
  name: string;
  faults: FaultRule[];
  input?: Partial<TrainCustomModelInput>;
  /** Drives the training to its end, whatever that is. */
  drive: (training: Training) => Promise<unknown>;
}

const end = (training: Training): Promise<unknown> => training.handle.result().catch(() => undefined);

async function answer(
  training: Training,
  action: CorrectionAction,
  more: Partial<Correction> = {},
): Promise<void> {
  const { attention } = await training.parked();
  await training.correct({ attentionId: attention.id, action, ...more });
}

export const SCENARIOS: Scenario[] = [
  { name: 'smooth', faults: [], drive: end },
  {
    name: 'upload-fails-once',
    faults: [{ on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'decoder crashed' } }],
    drive: end,
  },
  {
    name: 'bad-file-retried',
    faults: [
      {
        on: 'upload',
        match: { audioUrl: 'track-05' },
        times: 3,
        fault: { kind: 'failTask', reason: 'not music' },
      },
    ],
    drive: async (training: Training): Promise<void> => {
      await answer(training, 'retry');
      await end(training);
    },
  },
  {
    name: 'bad-file-dropped',
    faults: [
      {
        on: 'upload',
        match: { audioUrl: 'track-05' },
        times: 3,
        fault: { kind: 'failTask', reason: 'not music' },
      },
    ],
    input: { onBadFile: 'drop' },
    drive: end,
  },
  { name: 'create-answer-lost', faults: [{ on: 'create', nth: 1, fault: { kind: 'lost' } }], drive: end },
  {
    name: 'create-in-doubt-sent-again-by-a-person',
    faults: [{ on: 'create', nth: 1, fault: { kind: 'status', status: 500 } }],
    drive: async (training: Training): Promise<void> => {
      await answer(training, 'resendCreate', { acceptSecondCharge: true });
      await end(training);
    },
  },
  {
    name: 'create-refused-and-renamed',
    faults: [{ on: 'create', nth: 1, fault: { kind: 'status', status: 422, body: { message: 'taken' } } }],
    drive: async (training: Training): Promise<void> => {
      await answer(training, 'rename', { name: 'Day Drive' });
      await end(training);
    },
  },
  {
    name: 'training-failed-given-up',
    faults: [{ on: 'create', nth: 1, fault: { kind: 'failTask', reason: 'no' } }],
    drive: async (training: Training): Promise<void> => {
      await answer(training, 'giveUp');
      await end(training);
    },
  },
  {
    name: 'cancelled-while-training',
    faults: [],
    drive: async (training: Training): Promise<void> => {
      await training.until('it trains', ({ phase }) => phase === 'training');
      await training.handle.cancel();
      await end(training);
    },
  },
];
