/**
 * Worker side: takes the quirks off a task's status (mountsea-api, section 5, points 1 to 5, 10 and 11). It finds; it
 * does not decide: neither which of two clips is meant nor whether `success` means done.
 */
import { compact } from './compact.js';
import type { Redactor } from './redact.js';
import { sentenceOf, type TaskBody } from './schemas.js';
import type { SongClip } from '../contract/song.js';
import type { TaskStatus, TaskWord } from './types.js';

const WORDS: ReadonlySet<string> = new Set<TaskWord>([
  'queued',
  'ready',
  'running',
  'stream',
  'awaiting',
  'success',
  'failed',
  'timeout',
]);
const STATUS_TEXT_LENGTH = 80;
const MODEL_ID = /chirp-custom:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;
/** In the order of trust: a field that says "clip" means the clip; `id` is documented; `audio_id` is a sibling's. */
const CLIP_ID_FIELDS = ['clip_id', 'clipId', 'id', 'audio_id'];
const CLIP_FIELDS = ['clip', 'clips'];
/** Of a title and of styles; of an address. */
const SONG_TEXT_LENGTH = 300;
const SONG_URL_LENGTH = 2_000;
const NAME_FIELDS = ['name', 'modelName', 'model_name', 'title'];

/**
 * @param asked the task that was asked for; the answer need not repeat it.
 * @param whole the parsed body, in which the model id is searched.
 * @param text the body as it came.
 */
export function taskStatusOf(
  asked: string,
  body: TaskBody,
  whole: unknown,
  text: string,
  redactor: Redactor,
): TaskStatus {
  const word = body.status.toLowerCase();
  const reason = sentenceOf(body.failReason);
  return {
    ...compact({
      createdAt: body.createdAt,
      finishedAt: body.finishAt,
      failReason: reason === undefined ? undefined : redactor.line(reason),
      failCode: body.failCode === undefined ? undefined : redactor.line(body.failCode, STATUS_TEXT_LENGTH),
    }),
    taskId: body.taskId ?? asked,
    status: isTaskWord(word) ? word : 'unknown',
    statusText: redactor.line(body.status, STATUS_TEXT_LENGTH),
    clipIds: distinct(clipIdsIn(isEmpty(body.data) ? body.result : body.data)),
    songs: distinctSongs(songsIn(isEmpty(body.data) ? body.result : body.data)),
    models: distinctModels(modelsIn(whole, undefined)),
    raw: redactor.raw(text),
  };
}

function isTaskWord(word: string): word is TaskWord {
  return WORDS.has(word);
}

/** `{}` is what `data` holds before there is anything to say, and perhaps for ever where `result` is used. */
function isEmpty(payload: unknown): boolean {
  return payload === undefined || payload === null || payload === '' || Object.keys(payload).length === 0;
}

/** A nested clip wins over an id beside it, which is then that of something else. */
function clipIdsIn(payload: unknown): string[] {
  if (Array.isArray(payload)) return payload.flatMap(clipIdsIn);
  if (!isRecord(payload)) return [];
  const nested = CLIP_FIELDS.flatMap((field) => clipIdsOf(payload[field]));
  if (nested.length > 0) return nested;
  const ids = CLIP_ID_FIELDS.flatMap((field) => idsOf(payload[field]));
  return ids.slice(0, 1);
}

/** Under `clip` and `clips` a bare text is an id as well. */
function clipIdsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(clipIdsOf);
  return isRecord(value) ? clipIdsIn(value) : idsOf(value);
}

function idsOf(value: unknown): string[] {
  const id = typeof value === 'number' ? String(value) : value;
  if (typeof id !== 'string' || id.trim() === '' || id.startsWith('chirp-custom:')) return [];
  return [id.trim()];
}

/**
 * What has an id and an address of audio is a take of a song: one object, or an array of them, perhaps one deeper. Both
 * snake_case, which was seen, and camelCase, which siblings have.
 */
function songsIn(payload: unknown): SongClip[] {
  if (Array.isArray(payload)) return payload.flatMap(songsIn);
  if (!isRecord(payload)) return [];
  const { metadata } = payload;
  const texts = (...names: string[]): string | undefined =>
    [payload, metadata].flatMap((place) => (isRecord(place) ? textsOf(place, names) : []))[0];
  const id = CLIP_ID_FIELDS.flatMap((field) => idsOf(payload[field]))[0];
  const audioUrl = webUrl(texts('audio_url', 'audioUrl'));
  if (id === undefined || audioUrl === undefined) {
    return Object.values(payload).flatMap((item) => (typeof item === 'object' ? songsIn(item) : []));
  }
  const duration = Number(texts('duration'));
  return [
    compact({
      id,
      audioUrl,
      imageUrl: webUrl(texts('image_url', 'imageUrl')),
      title: texts('title')?.slice(0, SONG_TEXT_LENGTH),
      tags: texts('tags')?.slice(0, SONG_TEXT_LENGTH),
      duration: duration > 0 ? duration : undefined,
    }),
  ];
}

function textsOf(place: Record<string, unknown>, names: string[]): string[] {
  return names.flatMap((name) => {
    const value = typeof place[name] === 'number' ? String(place[name]) : place[name];
    return typeof value === 'string' && value.trim() !== '' ? [value.trim()] : [];
  });
}

function webUrl(text: string | undefined): string | undefined {
  const isUrl = text !== undefined && URL.canParse(text) && /^https?:/i.test(text);
  return isUrl && text.length <= SONG_URL_LENGTH ? text : undefined;
}

interface FoundModel {
  modelId: string;
  name?: string;
}

/** A name counts for the ids in its own object and below, but not for those in a list below: it is the list's name. */
function modelsIn(value: unknown, nameAbove: string | undefined): FoundModel[] {
  if (typeof value === 'string') {
    return [...value.matchAll(MODEL_ID)].map(([modelId]) => compact({ modelId, name: nameAbove }));
  }
  if (Array.isArray(value)) return value.flatMap((item) => modelsIn(item, undefined));
  if (!isRecord(value)) return [];
  const name = nameIn(value) ?? nameAbove;
  return Object.entries(value).flatMap(([key, item]) => [...modelsIn(key, name), ...modelsIn(item, name)]);
}

function nameIn(record: Record<string, unknown>): string | undefined {
  for (const field of NAME_FIELDS) {
    const name = record[field];
    if (typeof name === 'string' && name !== '') return name;
  }
  return undefined;
}

/** The same id may be found twice; the finding that knows a name is the better one. */
function distinctModels(found: FoundModel[]): FoundModel[] {
  const models = new Map<string, FoundModel>();
  for (const model of found) {
    const key = model.modelId.toLowerCase();
    const known = models.get(key);
    if (known === undefined) models.set(key, model);
    else if (known.name === undefined) models.set(key, { ...known, ...model, modelId: known.modelId });
  }
  return [...models.values()];
}

function distinctSongs(songs: SongClip[]): SongClip[] {
  return [...new Map(songs.map((song) => [song.id, song])).values()];
}

function distinct(ids: string[]): string[] {
  return [...new Set(ids)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
