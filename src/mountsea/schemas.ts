/**
 * Worker side: what may come over the wire. Lenient about spelling and about fields that only inform, strict about what
 * a decision rests on: an id that is missing or a ledger row that cannot be read is an error, never a default.
 */
import { z } from 'zod';

/** Ids and codes come as text or as a number (mountsea-api, quirk 11). */
const idText = z.union([z.string().trim().min(1), z.number()]).transform(String);
/** Only informs: what is not text counts as absent. */
const note = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);
const amount = z.union([
  z.number(),
  z
    .string()
    .trim()
    .regex(/^-?\d+(\.\d+)?$/)
    .transform(Number),
]);

/** An answer that may have cost money is not lost over a snake_case spelling or an envelope, as siblings have them. */
function fieldOf(...names: string[]): (body: unknown) => unknown {
  return (body) => {
    for (const place of [body, property(body, 'data'), property(body, 'result')]) {
      for (const name of names) {
        const found = property(place, name);
        if (found !== undefined && found !== null) return found;
      }
    }
    return undefined;
  };
}

/** Answer of `prepare`. */
export const preparedSession = z
  .unknown()
  .transform((body) => ({ sessionId: fieldOf('sessionId', 'session_id')(body) }))
  .pipe(z.object({ sessionId: idText }));

/** Answer of a POST that starts a task. */
export const startedTask = z
  .unknown()
  .transform((body) => ({ taskId: fieldOf('taskId', 'task_id')(body) }))
  .pipe(z.object({ taskId: idText }));

/** Answer of `status`. The payload stays as it came: `task.ts` searches it. */
export const taskBody = z.object({
  taskId: idText.optional().catch(undefined),
  status: z.string().trim().min(1),
  createdAt: note,
  finishAt: note,
  failReason: z.unknown().optional(),
  failCode: note,
  data: z.unknown().optional(),
  result: z.unknown().optional(),
});
export type TaskBody = z.output<typeof taskBody>;

/** Answer of `credits`. */
export const creditsBody = z.object({ credits: amount });

/** ms since 1970, from ms or from an ISO 8601 date. */
const instant = z.union([
  z.number(),
  z.string().trim().regex(/^\d+$/).transform(Number),
  z.iso.datetime({ offset: true }).transform((iso) => Date.parse(iso)),
]);

/** Answer of `points/search`. A row that cannot be read fails the page: a ledger with holes is no witness. */
export const ledgerBody = z.object({
  items: z.array(
    z.object({
      id: idText,
      serviceName: note,
      apiPath: note,
      apiMethod: note,
      finalAmount: amount,
      beforeCredits: amount.nullish(),
      afterCredits: amount.nullish(),
      traceId: note,
      createdAt: instant,
    }),
  ),
  meta: z.object({ totalItems: amount, totalPages: amount, currentPage: amount }),
});
export type LedgerBody = z.output<typeof ledgerBody>;

const schemaField = z.object({
  field: z.string(),
  description: note,
  type: note,
  example: z.unknown().optional(),
});
const schemaFields = z.array(schemaField).nullish();
const oneSchema = z.object({
  task: z.string(),
  description: note,
  required: schemaFields,
  optional: schemaFields,
  notAllowed: z.array(z.string()).nullish(),
});
/** Answer of `generate/schema`: one object or an array of them. */
export const generateSchemaBody = z.union([z.array(oneSchema), oneSchema.transform((one) => [one])]);
export type GenerateSchemaBody = z.output<typeof generateSchemaBody>;

/** `message` of NestJS: a sentence, a list of them, or objects that hold one. */
const sentence: z.ZodType<string | undefined> = z
  .unknown()
  .transform((value) => sentenceOf(value))
  .optional();
const code = idText.optional().catch(undefined);

/** What an error says of itself (mountsea-api, quirk 12). */
export const errorBody = z.object({
  code,
  statusCode: code,
  message: sentence,
  errorMessage: sentence,
  error: z
    .union([z.string().min(1), z.object({ code, message: sentence })])
    .optional()
    .catch(undefined),
});
export type ErrorBody = z.output<typeof errorBody>;

/** @returns the words in a field that should be a sentence: text, a list of texts, or objects with a `message`. */
export function sentenceOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) {
    const sentences = value.flatMap((item) => sentenceOf(item) ?? []);
    return sentences.length === 0 ? undefined : sentences.join('; ');
  }
  if (typeof value !== 'object' || value === null) return undefined;
  return sentenceOf(property(value, 'message')) ?? JSON.stringify(value);
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
