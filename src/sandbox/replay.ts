/**
 * Sandbox: answers from exchanges that somebody recorded with the real service (`--record`), instead of simulating.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** The format of `RecordedExchange` in src/mountsea/types.ts, as far as it is needed here. */
const exchange = z.object({
  version: z.literal(1),
  host: z.enum(['api', 'billing']),
  method: z.string(),
  path: z.string(),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('answer'),
      status: z.number().int(),
      headers: z.record(z.string(), z.string()),
      body: z.unknown(),
    }),
    z.object({ kind: z.literal('error'), proof: z.string(), message: z.string() }),
  ]),
});
type Exchange = z.infer<typeof exchange>;

export type ReplayedOutcome = Exchange['outcome'];

export class Replay {
  readonly #byRequest = new Map<string, ReplayedOutcome[]>();

  /** @throws Error that names the file and the line which cannot be read. */
  constructor(folder: string) {
    const files = readdirSync(folder).filter((name) => /^exchanges-.*\.ndjson$/.test(name));
    if (files.length === 0) throw new Error(`No exchanges-*.ndjson in ${folder}.`);
    for (const file of files.sort()) {
      const lines = readFileSync(join(folder, file), 'utf8').split('\n');
      for (const [index, line] of lines.entries()) {
        if (line.trim() !== '') this.#add(read(line, `${file}, line ${index + 1}`));
      }
    }
  }

  /** The recorded answers to a request come in their order; the last one repeats. */
  next(host: 'api' | 'billing', method: string, path: string): ReplayedOutcome | undefined {
    const outcomes = this.#byRequest.get(keyOf({ host, method, path }));
    return outcomes !== undefined && outcomes.length > 1 ? outcomes.shift() : outcomes?.[0];
  }

  #add(recorded: Exchange): void {
    const key = keyOf(recorded);
    const outcomes = this.#byRequest.get(key) ?? [];
    outcomes.push(recorded.outcome);
    this.#byRequest.set(key, outcomes);
  }
}

function keyOf({ host, method, path }: Pick<Exchange, 'host' | 'method' | 'path'>): string {
  return `${host} ${method} ${path}`;
}

function read(line: string, where: string): Exchange {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new Error(`${where} is no JSON.`);
  }
  const parsed = exchange.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Error(`${where} is no recorded exchange: ${parsed.error.issues[0]?.path.join('.') ?? ''}.`);
}
