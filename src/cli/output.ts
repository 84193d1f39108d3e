/**
 * Client side: where a command writes. Data goes to stdout, everything for people to stderr; only a terminal is drawn over.
 */
import type { Snapshot } from '../library/snapshot.js';
import { type Canvas, news, picture, statusLine } from './draw.js';
import { Exit } from './exit.js';
import type { Show } from './follow.js';
import { ENDINGS, JSON_VERSION, type JsonRecord } from './schema.js';
import { Screen } from './screen.js';
import { flowing, toAscii, wrapped } from './text.js';

export { JSON_VERSION };

/** Often enough for a clock that counts seconds. */
const REDRAW_EVERY_MS = 500;
/** Without a terminal, so that whoever reads a log sees that it lives. */
const STATUS_EVERY_MS = 60_000;

/** Where a training that is followed is shown. */
export interface View extends Show {
  /** Nothing is drawn any more; what was drawn last stays. */
  end(): void;
}

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
  readonly #now: () => number;

  /** @param now the clock, ms. */
  constructor(io: Io, isJson: boolean, now = Date.now) {
    this.#io = io;
    this.isJson = isJson;
    this.#now = now;
  }

  /** A sentence for people. */
  readonly say = (line: string): void => {
    const { program, width } = this.canvas;
    const lines = this.#io.stderr.isTTY ? flowing(line, program, width) : [line];
    this.#io.stderr.write(`${lines.map(this.#plain).join('\n')}\n`);
  };

  /** As the terminal can show it. */
  readonly #plain = (line: string): string => (hasUnicode(this.#io) ? line : toAscii(line));

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

  /** Columns for data: those of the terminal, or any number where something else reads it. */
  get dataWidth(): number {
    const { stdout } = this.#io;
    return stdout.isTTY ? stdout.columns || 80 : Infinity;
  }

  get canvas(): Canvas {
    const { env, stderr } = this.#io;
    return {
      width: Math.max(20, stderr.columns || 80),
      isColored: isColored(env, stderr.isTTY),
      program: programIn(env),
    };
  }

  /** Somebody sits at a terminal that can be drawn on. */
  get isDrawn(): boolean {
    const { env, stderr } = this.#io;
    return !this.isJson && stderr.isTTY && env['TERM'] !== 'dumb';
  }

  /**
   * The view of a training that is followed. `end` leaves the last picture on the screen.
   *
   * @param told what whoever follows knows already: lines tell only what came after it.
   */
  follower(uiOf: (snapshot: Snapshot) => string | undefined, told?: Snapshot): View {
    if (this.isJson) return this.#records();
    return this.isDrawn ? this.#pictures(uiOf) : this.#lines(uiOf, told);
  }

  #pictures(uiOf: (snapshot: Snapshot) => string | undefined): View {
    const { stderr } = this.#io;
    const screen = new Screen(stderr);
    const notes = new Notes();
    let files: Snapshot['progress'];
    let shown: Snapshot | undefined;
    let clock: NodeJS.Timeout | undefined;
    const draw = (): void => {
      if (shown === undefined) return;
      const { finishedAt } = shown.memo;
      const now = finishedAt === undefined ? this.#now() : Date.parse(finishedAt);
      // A line is kept free for the cursor, so that nothing scrolls.
      const height = Math.max(1, (stderr.rows || 24) - 1);
      const canvas = this.canvas;
      const below = notes.lines.flatMap((line) => wrapped(line, '', canvas.width)).slice(0, height - 1);
      const lines = [...picture(shown, now, { ...canvas, height: height - below.length }), ...below];
      screen.draw(lines.map(this.#plain));
    };
    const start = (): void => {
      if (clock !== undefined) return;
      // Time goes on between two looks, and while nobody answers.
      clock = setInterval(draw, REDRAW_EVERY_MS).unref();
      stderr.on('resize', draw);
    };
    const stop = (): void => {
      clearInterval(clock);
      clock = undefined;
      stderr.off('resize', draw);
      screen.release();
    };
    return {
      snapshot: (seen) => {
        if (seen.progress !== undefined) notes.clear();
        const ui = uiOf(seen);
        // Above the picture, which would break it in two: an address is there to be copied or clicked.
        if (shown === undefined && ui !== undefined) this.say(ui);
        // Where nobody answers, or it has ended, its files are shown as they were last.
        files = seen.progress ?? files;
        shown = seen.progress !== undefined || files === undefined ? seen : withLast(seen, files);
        start();
        draw();
      },
      note: (text) => {
        if (!notes.add(text)) return;
        // Before the first look there is no picture that would have it.
        if (shown === undefined) this.say(text);
        else draw();
      },
      end: stop,
    };
  }

  #lines(uiOf: (snapshot: Snapshot) => string | undefined, told: Snapshot | undefined): View {
    let before = told;
    let isFirst = true;
    const notes = new Notes();
    let saidAt = this.#now();
    const say = (line: string): void => {
      saidAt = this.#now();
      this.say(line);
    };
    const live = (): void => {
      if (before?.status === 'running' && this.#now() - saidAt >= STATUS_EVERY_MS) {
        say(statusLine(before, this.#now()));
      }
    };
    return {
      snapshot: (snapshot) => {
        const ui = uiOf(snapshot);
        if (isFirst && ui !== undefined) say(ui);
        isFirst = false;
        for (const line of news(before, snapshot, this.canvas)) say(line);
        // What the query told is kept while only the memo answers, so that nothing is told twice.
        const progress = snapshot.progress ?? before?.progress;
        before = progress === undefined ? snapshot : { ...snapshot, progress };
        if (snapshot.progress !== undefined) notes.clear();
        live();
      },
      note: (text) => {
        if (notes.add(text)) say(text);
        live();
      },
      end: () => undefined,
    };
  }

  #records(): View {
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

/** What the training wrote down, with its files as they were last. When it looks next, nobody knows. */
function withLast(seen: Snapshot, last: NonNullable<Snapshot['progress']>): Snapshot {
  const { phase, phaseSince, receipt, modelId, attention, outage } = seen.memo;
  const progress = {
    ...last,
    phase,
    phaseSince,
    receipt,
    ...(modelId === undefined ? {} : { modelId }),
    ...(attention === undefined ? {} : { attention }),
    ...(outage === undefined ? {} : { outage }),
  };
  if (attention === undefined) delete progress.attention;
  if (outage === undefined) delete progress.outage;
  delete progress.nextCheckAt;
  return { ...seen, progress };
}

/** `NO_COLOR` wins over `FORCE_COLOR`, which wins over what the stream is (no-color.org, force-color.org). */
function isColored(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTTY && env['TERM'] !== 'dumb';
}

/**
 * Whether stderr shows more than ASCII: a terminal does where its locale says UTF-8 or nothing. A file takes everything.
 */
function hasUnicode({ env, stderr }: Io, platform = process.platform): boolean {
  if (!stderr.isTTY) return true;
  // The Linux console has few glyphs; the old console of Windows speaks a code page.
  if (env['TERM'] === 'linux') return false;
  if (platform === 'win32') return env['WT_SESSION'] !== undefined || env['TERM_PROGRAM'] !== undefined;
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => (value ?? '') !== '');
  return locale === undefined || /utf-?8/i.test(locale);
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
