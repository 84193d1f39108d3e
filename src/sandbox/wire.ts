/**
 * Sandbox: how things look on the wire. Every documented or observed form can be switched on (mountsea-api, section 5).
 */
import type { Shapes } from './options.js';
import type { Song, Task } from './service.js';

/** Body of `status`. @param base where the client reaches the sandbox, for addresses of audio. */
export function taskBody(task: Task, shapes: Shapes, base: string): object {
  const status = wordOf(task);
  return {
    taskId: task.taskId,
    status: shapes.statusCase === 'upper' ? status.toUpperCase() : status,
    createdAt: task.createdAt.toISOString(),
    ...(task.finishedAt === undefined ? {} : { finishAt: task.finishedAt.toISOString() }),
    ...failure(task, shapes),
    ...(task.song === undefined ? payloadField(task, shapes) : songField(task, task.song, shapes, base)),
  };
}

/** Body of an error, as text, with its content type. */
export function errorBody(status: number, message: string, shapes: Shapes): { type: string; body: string } {
  const json = (body: object): { type: string; body: string } => ({
    type: 'application/json; charset=utf-8',
    body: JSON.stringify(body),
  });
  const error = PHRASES[status] ?? 'Error';
  switch (shapes.errorBody) {
    case 'nest':
      return json({ statusCode: status, message, error });
    case 'messages':
      return json({ statusCode: status, message: [message], error });
    case 'errorObject':
      return json({ error: { code: `E${status}`, message } });
    case 'errorText':
      return json({ error: message });
    case 'errorMessage':
      return json({ errorMessage: message, statusCode: status });
    case 'html':
      return {
        type: 'text/html',
        body: `<html><head><title>${status} ${error}</title></head><body><h1>${message}</h1></body></html>`,
      };
    case 'empty':
      return { type: 'text/plain', body: '' };
  }
}

const PHRASES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
};

function wordOf({ state }: Task): string {
  return state === 'never' ? 'running' : state;
}

function failure({ state, failReason, failCode }: Task, shapes: Shapes): object {
  if (state !== 'failed') return {};
  const reason = {
    text: { failReason },
    null: { failReason: null },
    absent: {},
  }[shapes.failReason];
  const code = {
    string: { failCode: String(failCode) },
    number: { failCode: Number(failCode) || 1001 },
    absent: {},
  }[shapes.failCode];
  return { ...reason, ...code };
}

function payloadField(task: Task, shapes: Shapes): object {
  const payload = payloadOf(task, shapes);
  if (payload !== undefined) {
    return { [shapes.payloadKey]: shapes.payloadForm === 'array' ? [payload] : payload };
  }
  switch (shapes.emptyPayload) {
    case 'absent':
      return {};
    case 'object':
      return { [shapes.payloadKey]: {} };
    case 'null':
      return { [shapes.payloadKey]: null };
  }
}

function payloadOf({ clipId, modelId, name }: Task, shapes: Shapes): object | undefined {
  if (modelId !== undefined) return model(modelId, name ?? '', shapes);
  if (clipId === undefined) return undefined;
  return clip(clipId, shapes);
}

/** A song is an array of takes, as it was seen; from `stream` on it can be heard. */
function songField({ state }: Task, { title, tags, clipIds }: Song, shapes: Shapes, base: string): object {
  if (state !== 'stream' && state !== 'success') return {};
  const takes = clipIds.map((id) => ({
    id,
    audio_url: `${base}/_sandbox/audio/${id}.wav`,
    image_url: null,
    title,
    metadata: { tags, ...(state === 'success' ? { duration: 2 } : {}) },
  }));
  return { [shapes.payloadKey]: takes };
}

function clip(id: string, { clipIdField }: Shapes): object {
  switch (clipIdField) {
    case 'clip':
      return { clip: { id } };
    case 'clips':
      return { clips: [{ id }] };
    default:
      return { [clipIdField]: id, duration: 4 };
  }
}

function model(id: string, name: string, { modelIdField }: Shapes): object {
  switch (modelIdField) {
    case 'nested':
      return { name, output: { items: [{ kind: 'model', ref: id }] } };
    case 'text':
      return { name, note: `Use ${id} as the model.` };
    default:
      return { [modelIdField]: id, name };
  }
}
