import { describe, expect, it } from 'vitest';
import type { TrainingRecord } from '../../src/contract/record.js';
import type { SongSchema } from '../../src/contract/song.js';
import { UsageError } from '../../src/library/errors.js';
import { checkSongRequest } from '../../src/library/songRequest.js';
import { modelMeant, newSongId } from '../../src/library/songs.js';
import { emptyReceipt } from '../../src/money/receipt.js';

const ORIGIN = 'https://api.mountsea.ai';

function trained(name: string, tail: string, more: Partial<TrainingRecord> = {}): TrainingRecord {
  return {
    version: 1,
    workflowId: `train-${name.toLowerCase().replaceAll(' ', '-')}-${tail}`,
    name,
    origin: ORIGIN,
    sessionId: `session-${tail}`,
    modelId: `chirp-custom:00000000-0000-0000-0000-${tail.padStart(12, '0')}`,
    end: 'done',
    sources: [],
    clips: [],
    receipt: emptyReceipt(),
    startedAt: '2026-01-01T00:00:00Z',
    updatedAt: '2026-01-02T00:00:00Z',
    ...more,
  };
}

const night = trained('Night Drive', '1');
const day = trained('Day Drive', '2');
const twin = trained('Night Drive', '3');

describe('the model that is meant', () => {
  it.each([
    ['its name', 'Night Drive'],
    ['its id', night.modelId ?? ''],
    ['the training', night.workflowId],
    ['a prefix of the training', 'train-night'],
    ['the session', 'session-1'],
  ])('is found by %s', (_, wanted) => {
    expect(modelMeant(wanted, [night, day], ORIGIN)).toEqual({ model: night.modelId, name: 'Night Drive' });
  });

  it('may be one that was trained elsewhere, or one of Suno’s own', () => {
    const foreign = 'chirp-custom:99999999-2222-3333-4444-555555555555';
    expect(modelMeant(foreign, [night], ORIGIN)).toEqual({ model: foreign });
    expect(modelMeant('chirp-v5', [], ORIGIN)).toEqual({ model: 'chirp-v5' });
  });

  it('is not guessed where two have the name: both are listed', () => {
    const mean = (): unknown => modelMeant('Night Drive', [night, twin], ORIGIN);
    expect(mean).toThrow(UsageError);
    expect(mean).toThrow(new RegExp(`fits 2 models.*\n.*${night.modelId ?? ''}.*\n.*${twin.modelId ?? ''}`));
  });

  it('is refused where it was trained at another API, and where there is none', () => {
    const sandboxed = trained('Toy', '4', { origin: 'http://127.0.0.1:1' });
    expect(() => modelMeant('Toy', [sandboxed], ORIGIN)).toThrow(/trained at http:\/\/127.0.0.1:1/);
    expect(() => modelMeant('Dusk', [night], ORIGIN)).toThrow(/No trained model fits "Dusk"/);
    const open = trained('Dusk', '5', { end: 'open' });
    delete open.modelId;
    expect(() => modelMeant('Dusk', [open], ORIGIN)).toThrow(/No trained model/);
  });
});

describe('the id of a song', () => {
  it('is another one each time, and tells what it is', () => {
    expect(newSongId('Night Drive!')).toMatch(/^song-night-drive-[0-9a-f]{8}$/);
    expect(newSongId('')).toMatch(/^song-untitled-/);
    expect(newSongId('x')).not.toBe(newSongId('x'));
  });
});

describe('Mountsea’s own schema', () => {
  const schema: SongSchema = {
    required: ['task', 'model', 'prompt'],
    optional: ['tags', 'controls'],
    notAllowed: ['title'],
  };

  it('lets pass what it names', () => {
    const request = { model: 'm', prompt: 'la', tags: 'x', controls: { style_weight: 1 } };
    expect(checkSongRequest(request, [schema])).toEqual({ errors: [], warnings: [] });
  });

  it('refuses what is missing and what is not allowed, by flag', () => {
    const { errors } = checkSongRequest({ model: 'm', title: 't' }, [schema]);
    expect(errors).toEqual(['Mountsea wants --prompt for a song.', 'Mountsea takes no --title here.']);
  });

  it('warns of what it does not speak of', () => {
    const request = { model: 'm', prompt: 'la', vocal_gender: 'f' as const };
    const { errors, warnings } = checkSongRequest(request, [schema]);
    expect(errors).toEqual([]);
    expect(warnings).toEqual(["Mountsea's schema does not name --vocal-gender; it may be ignored."]);
  });

  it('may have several forms, of which one is enough', () => {
    const about: SongSchema = {
      required: ['model', 'gpt_description_prompt'],
      optional: [],
      notAllowed: ['prompt'],
    };
    const request = { model: 'm', gpt_description_prompt: 'a drive' };
    expect(checkSongRequest(request, [schema, about]).errors).toEqual([]);
    expect(checkSongRequest(request, []).errors).toEqual([]);
  });

  it.each(['style_weight', 'controls.style_weight', 'controls'])('may speak of weights as %s', (name) => {
    const strict: SongSchema = { required: [], optional: [], notAllowed: [name] };
    const request = { model: 'm', controls: { style_weight: 0.5 } };
    expect(checkSongRequest(request, [strict]).errors).toEqual(['Mountsea takes no --style-weight here.']);
  });
});
