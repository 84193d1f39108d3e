/**
 * Client side: where a command writes. Data goes to stdout, everything for people to stderr; only a terminal is drawn over.
 */
import { createLogUpdate } from 'log-update';
import type { Snapshot } from '../library/snapshot.js';
import { type Canvas, news, picture } from './draw.js';
import { Exit } from './exit.js';
import type { Show } from './follow.js';
import { ENDINGS, JSON_VERSION, type JsonRecord } from './schema.js';

export { JSON_VERSION };

/** What the process gives to `main`. */
export interface Io {
  env: NodeJS.ProcessEnv;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  /** Where somebody may answer a question; absent where nobody can. */
  stdin?: NodeJS.ReadStream;
  /** Folder that relative paths count from. */
  cwd: string;
}

export class Output {
  readonly #io: Io;
  readonly isJson: boolean;

  constructor(io: Io, isJson: boolean) {
    this.#io = io;
    this.isJson = isJson;
  }

  /** A sentence for people. */
  readonly say = (line: string): void => {
    this.#io.stderr.write(`${line}\n`);
  };

  /** Data that is no JSON: the model id, a table. Nothing where JSON is wanted. */
  data(line: string): void {
    if (!this.isJson) this.#io.stdout.write(`${line}\n`);
  }

  /** One JSON document a line: a record, or all of a list. Nothing where text is wanted. */
  json(value: JsonRecord | JsonRecord[]): void {
    if (!this.isJson) return;
    withData.add(this.#io);
    this.#io.stdout.write(`${JSON.stringify(value)}\n`);
  }

  get canvas(): Canvas {
    const { env, stderr } = this.#io;
    return {
      width: Math.max(40, stderr.columns || 80),
      isColored: stderr.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
      program: programIn(env),
    };
  }

  /** The view of a training that is followed. `end` leaves the last picture on the screen. */
  follower(uiOf: (snapshot: Snapshot) => string | undefined): Show & { end(): void } {
    if (this.isJson) return this.#records();
    return this.#io.stderr.isTTY && this.#io.env['TERM'] !== 'dumb'
      ? this.#pictures(uiOf)
      : this.#lines(uiOf);
  }

  #pictures(uiOf: (snapshot: Snapshot) => string | undefined): Show & { end(): void } {
    const update = createLogUpdate(this.#io.stderr);
    const notes = new Notes();
    let files: Snapshot['progress'];
    let isFirst = true;
    return {
      snapshot: (seen) => {
        if (seen.progress !== undefined) notes.clear();
        // Above the picture, which would break it in two: an address is there to be copied or clicked.
        const ui = uiOf(seen);
        if (isFirst && ui !== undefined) this.say(ui);
        isFirst = false;
        // An ended training answers no query; its files are shown as they were last.
        files = seen.progress ?? files;
        const snapshot =
          seen.status === 'running' || files === undefined ? seen : { ...seen, progress: files };
        const now =
          snapshot.memo.finishedAt === undefined ? Date.now() : Date.parse(snapshot.memo.finishedAt);
        update([...picture(snapshot, now, this.canvas), ...notes.lines].join('\n'));
      },
      note: (text) => {
        if (notes.add(text)) {
          update.clear();
          this.say(text);
        }
      },
      end: () => {
        update.done();
      },
    };
  }

  #lines(uiOf: (snapshot: Snapshot) => string | undefined): Show & { end(): void } {
    let before: Snapshot | undefined;
    const notes = new Notes();
    return {
      snapshot: (snapshot) => {
        const ui = uiOf(snapshot);
        if (before === undefined && ui !== undefined) this.say(ui);
        for (const line of news(before, snapshot, this.canvas)) this.say(line);
        // What the query told is kept while only the memo answers, so that nothing is told twice.
        const progress = snapshot.progress ?? before?.progress;
        before = progress === undefined ? snapshot : { ...snapshot, progress };
        if (snapshot.progress !== undefined) notes.clear();
      },
      note: (text) => {
        if (notes.add(text)) this.say(text);
      },
      end: () => undefined,
    };
  }

  #records(): Show & { end(): void } {
    let before = '';
    const notes = new Notes();
    return {
      snapshot: (snapshot) => {
        const record = recordOf(snapshot);
        const text = JSON.stringify(record);
        if (text !== before) this.json(record);
        before = text;
        if (snapshot.progress !== undefined) notes.clear();
      },
      note: (text) => {
        if (notes.add(text)) this.say(text);
      },
      end: () => undefined,
    };
  }
}

/** A training as JSON shows it, in every command. */
export function recordOf({ workflowId, runId, status, memo, progress }: Snapshot): JsonRecord {
  const about = { type: 'progress', version: JSON_VERSION, workflowId, runId, status } as const;
  return progress === undefined ? { ...memo, ...about, live: false } : { ...progress, ...about, live: true };
}

/** Calls that have written JSON. */
const withData = new WeakSet<Io>();

/**
 * The last record of a call with `--json`, so that stdout can be parsed whatever happened: at the end of a stream always,
 * else where the one document could not be written.
 */
export function endJson(io: Io, isStream: boolean, code: number, message?: string): void {
  if (!isStream && withData.has(io)) return;
  const exit = Object.values(Exit).find((known) => known === code) ?? Exit.unexpected;
  new Output(io, true).json({
    type: 'end',
    version: JSON_VERSION,
    exit,
    ending: ENDINGS[exit],
    ...(message === undefined ? {} : { message }),
  });
}

/** `tunesmith`, or how npm was told to run it. */
export function programIn(env: NodeJS.ProcessEnv): string {
  return env['npm_lifecycle_event'] === 'tunesmith' ? 'npm run -s tunesmith --' : 'tunesmith';
}

/** Sentences that are said once until something changes. */
class Notes {
  readonly #said = new Set<string>();

  get lines(): string[] {
    return [...this.#said];
  }

  /** @returns whether it is new. */
  add(text: string): boolean {
    const isNew = !this.#said.has(text);
    this.#said.add(text);
    return isNew;
  }

  clear(): void {
    this.#said.clear();
  }
}
