import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createUploadClip,
  type StartedUpload,
  type UploadClipInput,
} from '../../src/activities/uploadClip.js';
import { TRAINING_MEMO } from '../../src/contract/messages.js';
import type { UploadedFile } from '../../src/contract/progress.js';
import { createRedactor } from '../../src/mountsea/redact.js';
import { taskBody } from '../../src/mountsea/schemas.js';
import { taskStatusOf } from '../../src/mountsea/task.js';
import type { Mountsea, TaskStatus } from '../../src/mountsea/types.js';
import { AFFINITY } from './virtualService.js';

const SESSION = 'session';
const FILE = 1;
const LABEL = 'one.mp3';

/** What an earlier run left in its memo. */
interface Earlier {
  sessionId: string;
  upload?: UploadedFile;
}

const earlierRuns: fc.Arbitrary<Earlier[]> = fc.array(
  fc
    .record({
      sessionId: fc.constantFrom(SESSION, SESSION, 'another session'),
      file: fc.constantFrom(FILE, FILE, 2),
      label: fc.constantFrom(LABEL, LABEL, 'replaced.mp3'),
      left: fc.constantFrom('clip', 'task', 'nothing'),
      nth: fc.nat({ max: 999 }),
    })
    .map(({ sessionId, file, label, left, nth }) => ({
      sessionId,
      ...(left === 'nothing'
        ? {}
        : {
            upload: {
              file,
              label,
              ...(left === 'clip' ? { clipId: `clip-${nth}` } : { taskId: `task-${nth}` }),
            },
          }),
    })),
  { maxLength: 5 },
);

/** Runs the upload of the file as a worker would. @returns what it gave, and how many requests it sent. */
async function upload(
  earlier: readonly Earlier[],
  more: { isFirstTry?: boolean; firstRunId?: string } = {},
): Promise<{ started: StartedUpload; sent: number }> {
  let sent = 0;
  const mountsea = {
    upload: () => {
      sent += 1;
      return Promise.resolve({ taskId: 'new task', raw: '' });
    },
  } as unknown as Mountsea;
  // The server lists the newest first, the asking run among them.
  const runs = [
    {
      runId: 'now',
      memo: {
        [TRAINING_MEMO]: { sessionId: SESSION, uploads: [{ file: FILE, label: LABEL, taskId: 'own' }] },
      },
    },
    ...earlier.map(({ sessionId, upload: left }, index) => ({
      runId: `run-${index}`,
      memo: { [TRAINING_MEMO]: { sessionId, uploads: left === undefined ? [] : [left] } },
    })),
    { runId: 'without memo' },
  ];
  const client = {
    withAbortSignal: (_: AbortSignal, act: () => Promise<unknown>) => act(),
    workflow: {
      async *list() {
        yield* await Promise.resolve(runs);
      },
    },
  } as unknown as Client;
  const activity = createUploadClip({
    mountsea,
    affinity: () => AFFINITY,
    accountWorkflowId: 'account',
    identify: () => 'train',
    writesFiles: false,
    webhook: { secret: () => undefined, isRefused: () => false },
  });
  const info = { workflowExecution: { workflowId: "it's", runId: 'now' } };
  const environment = new MockActivityEnvironment(info, { client });
  const input: UploadClipInput = {
    affinity: AFFINITY,
    sessionId: SESSION,
    firstRunId: 'run-0',
    file: FILE,
    label: LABEL,
    audioUrl: 'https://cdn.example/one.mp3',
    timeoutMs: 60_000,
    isFirstTry: true,
    ...more,
  };
  const started = await environment.run<[UploadClipInput], StartedUpload, typeof activity>(activity, input);
  return { started, sent };
}

function isOurs({ sessionId, upload: left }: Earlier): boolean {
  return sessionId === SESSION && left?.file === FILE && left.label === LABEL;
}

describe('the upload of a file in a run that was reset', () => {
  it('takes what an earlier run paid for, the newest first and a clip before a task; else it is sent once', async () => {
    await fc.assert(
      fc.asyncProperty(earlierRuns, async (earlier) => {
        const { started, sent } = await upload(earlier);
        const left = earlier.filter(isOurs).flatMap((run) => run.upload ?? []);
        const clip = left.find(({ clipId }) => clipId !== undefined)?.clipId;
        const task = left.find(({ taskId }) => taskId !== undefined)?.taskId;
        expect(sent).toBe(left.length === 0 ? 1 : 0);
        expect(started.clipId).toBe(clip);
        if (clip === undefined) expect(started.taskId).toBe(task ?? 'new task');
        expect(started.isSalvaged).toBe(left.length === 0 ? undefined : true);
      }),
      { numRuns: 300 },
    );
  });

  it('is sent anew where the try before it failed, and in the run that claimed the session', async () => {
    await fc.assert(
      fc.asyncProperty(earlierRuns, fc.boolean(), async (earlier, isFirstRun) => {
        const more = isFirstRun ? { firstRunId: 'now' } : { isFirstTry: false };
        expect(await upload(earlier, more)).toEqual({ started: { taskId: 'new task' }, sent: 1 });
      }),
      { numRuns: 50 },
    );
  });

  it('knows a label that was cut to fit the memo', async () => {
    const cut = { sessionId: SESSION, upload: { file: FILE, label: 'one…', taskId: 'its task' } };
    expect((await upload([cut])).started.taskId).toBe('its task');
  });
});

const redactor = createRedactor();

function read(body: Record<string, unknown>): TaskStatus {
  const text = JSON.stringify({ status: 'success', ...body });
  const json: unknown = JSON.parse(text);
  return taskStatusOf('task', taskBody.parse(json), json, text, redactor);
}

describe('what an answer that cost money holds', () => {
  const modelIds = fc.uuid().map((uuid) => `chirp-custom:${uuid}`);
  const plain = fc.jsonValue({ maxDepth: 2 });
  /** Something of any form around a value. */
  const around = fc.constantFrom<(value: unknown) => unknown>(
    (value) => value,
    (value) => ({ id: value }),
    (value) => [value],
    (value) => [{ deep: { deeper: [value, 1] } }],
    (value) => `Use ${String(value)} as the model.`,
    (value) => ({ [String(value)]: true }),
  );

  it('is the model id wherever it lies, and none that is not there', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(modelIds, { maxLength: 3 }),
        around,
        plain,
        fc.constantFrom('data', 'result', 'output', 'somethingNew'),
        (ids, wrap, noise, field) => {
          const { models } = read({ [field]: [...ids.map(wrap), noise] });
          expect(models.map(({ modelId }) => modelId)).toEqual(ids);
        },
      ),
    );
  });

  it('is the one clip in every form that was seen; several are all named, and none is guessed', () => {
    const forms = fc.constantFrom<(id: string) => unknown>(
      (id) => ({ id }),
      (id) => ({ clip_id: id }),
      (id) => ({ clipId: id, id: 'something else' }),
      (id) => ({ audio_id: id }),
      (id) => ({ clip: { id }, id: 'something else' }),
      (id) => ({ clips: [{ id }] }),
      (id) => ({ clips: [id] }),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uuid(), { maxLength: 3 }),
        forms,
        fc.constantFrom('data', 'result'),
        (ids, form, field) => {
          expect(read({ [field]: ids.map(form) }).clipIds).toEqual(ids);
        },
      ),
    );
  });

  it('is no clip where the only id is that of a model', () => {
    fc.assert(
      fc.property(modelIds, (modelId) => {
        expect(read({ data: { id: modelId } }).clipIds).toEqual([]);
      }),
    );
  });
});
