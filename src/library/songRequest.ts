/**
 * Client side, pure: whether a song can be ordered as it is wished, by the schema that the API gives of its own `generate`.
 */
import type { SongRequest, SongSchema } from '../contract/song.js';

/** The flag of `generate` for each field of the wire. */
export const SONG_FLAGS: Record<Exclude<keyof SongRequest, 'controls'> | keyof Controls, string> = {
  model: '--model',
  prompt: '--prompt',
  gpt_description_prompt: '--description',
  tags: '--tags',
  title: '--title',
  make_instrumental: '--instrumental',
  negative_tags: '--negative-tags',
  vocal_gender: '--vocal-gender',
  style_weight: '--style-weight',
  audio_weight: '--audio-weight',
  weirdness_constraint: '--weirdness',
};
type Controls = NonNullable<SongRequest['controls']>;

export interface SchemaOpinion {
  /** Why it would be refused; empty where it fits. */
  errors: string[];
  /** What the schema does not speak of, and may be ignored. */
  warnings: string[];
}

/**
 * @param schemas the forms that the API takes; one that fits is enough. Where none is given everything fits.
 */
export function checkSongRequest(request: SongRequest, schemas: readonly SongSchema[]): SchemaOpinion {
  const opinions = schemas.map((schema) => opinionOf(request, schema));
  const fitting = opinions.find(({ errors }) => errors.length === 0);
  // Of several the one that is nearest is the one that is meant.
  const nearest = [...opinions].sort((a, b) => a.errors.length - b.errors.length)[0];
  return fitting ?? nearest ?? { errors: [], warnings: [] };
}

function opinionOf(request: SongRequest, { required, optional, notAllowed }: SongSchema): SchemaOpinion {
  const given = fieldsOf(request);
  const isGiven = (field: string): boolean =>
    field === 'task' || given.some(({ names }) => names.includes(field));
  const missing = required.filter((field) => !isGiven(field));
  const stray = given.filter(({ names }) => names.some((name) => notAllowed.includes(name)));
  const known = [...required, ...optional];
  const unknown = given.filter(
    (field) =>
      !stray.includes(field) && known.length > 0 && !field.names.some((name) => known.includes(name)),
  );
  return {
    errors: [
      ...missing.map((field) => `Mountsea wants ${flagOf(field)} for a song.`),
      ...stray.map(({ flag }) => `Mountsea takes no ${flag} here.`),
    ],
    warnings: unknown.map(({ flag }) => `Mountsea's schema does not name ${flag}; it may be ignored.`),
  };
}

/** What is given, each with the names under which a schema may speak of it. */
function fieldsOf({ controls = {}, ...rest }: SongRequest): { names: string[]; flag: string }[] {
  const plain = Object.keys(rest).map((name) => ({ names: [name], flag: flagOf(name) }));
  const nested = Object.keys(controls).map((name) => ({
    names: [name, 'controls', `controls.${name}`],
    flag: flagOf(name),
  }));
  return [...plain, ...nested];
}

function flagOf(field: string): string {
  return (SONG_FLAGS as Record<string, string>)[field] ?? `the field "${field}"`;
}
