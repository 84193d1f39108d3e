/**
 * Makes the pictures of the README in docs/pictures from a real run: `tunesmith train` in a terminal against the sandbox, as
 * an animated SVG, and the page of that run in Temporal's Web UI. Nothing is drawn by hand. Takes about eight minutes, since
 * the sandbox works at the speed of life, and since other trainings come before, so that it is known how long one takes.
 *
 * Needs Chromium (Debian: `apt-get install chromium`; elsewhere name it in CHROMIUM), and what `npm run demo` needs.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { spawn as spawnTerminal } from '@lydell/node-pty';
import xterm from '@xterm/headless';
import { chromium } from 'playwright-core';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pictures = join(root, 'docs', 'pictures');
const SPEED = Number(process.env.PICTURES_SPEED ?? 1);
const COLUMNS = 80;
const ROWS = 30;
/** From one frame to the next, of the run and of the picture. */
const SAMPLE_MS = 4_000 / SPEED;
const FRAME_MS = 400;
const LAST_FRAME_MS = 6_000;
const MODEL_NAME = 'Night Drive';

const browser = process.env.CHROMIUM ?? '/usr/bin/chromium';
if (!existsSync(browser)) {
  console.error(`${browser} is not there: install Chromium, or name it in CHROMIUM.`);
  process.exit(2);
}
const build = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs'), '--if-stale'], {
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(build.status ?? 1);

const { findServerBinary } = await import('../dist/temporal/serverBinary.js');
const { startServer } = await import('../dist/temporal/server.js');
const { cacheFolder } = await import('../dist/temporal/settings.js');
const { startSandbox } = await import('../dist/sandbox/index.js');
const { serveTracks } = await import('../dist/cli/demo/tracks.js');
const { TrainingClient } = await import('../dist/library/index.js');

const folder = mkdtempSync(join(tmpdir(), 'tunesmith-pictures-'));
const cleanups = [() => rmSync(folder, { recursive: true, force: true })];
try {
  const binary = await findServerBinary({ cache: cacheFolder(), env: process.env, say: console.error });
  const server = await startServer({ binary, logFile: join(folder, 'server.log') });
  cleanups.push(() => server.stop());
  const sandbox = await startSandbox({ speed: SPEED });
  cleanups.push(() => sandbox.close());
  const tracks = await serveTracks();
  cleanups.push(() => tracks.close());

  const env = {
    PATH: `${folder}:${process.env.PATH}`,
    HOME: folder,
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    PS1: '$ ',
    TUNESMITH_HOME: join(folder, 'home'),
    TEMPORAL_ADDRESS: server.address,
    MOUNTSEA_BASE_URL: sandbox.url,
    MOUNTSEA_BILLING_URL: sandbox.billingUrl,
    TUNESMITH_ALLOW_PRIVATE_URLS: '1',
    TUNESMITH_TIME_SCALE: String(1 / SPEED),
  };
  const client = join(root, 'dist', 'client.js');
  writeFileSync(join(folder, 'tunesmith'), `#!/bin/sh\nexec "${process.execPath}" "${client}" "$@"\n`, {
    mode: 0o755,
  });
  const worker = spawn(process.execPath, [join(root, 'dist', 'worker.js')], {
    env: { ...env, MOUNTSEA_API_KEY: sandbox.apiKey },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  cleanups.push(async () => {
    worker.kill('SIGTERM');
    await once(worker, 'exit');
  });
  await once(worker.stderr, 'data');
  worker.stderr.resume();

  const trainings = new TrainingClient({ env });
  cleanups.push(() => trainings.close());
  // Of other files, else `train` would point out that these were trained already.
  await Promise.all(
    ['Slow Tide', 'Harbour Lights', 'Paper Moon'].map(async (name) =>
      (await trainings.start({ name, sources: tracks.urls.map((url) => `${url}?of=${name[0]}`) })).result(),
    ),
  );
  sandbox.addFaults([{ on: 'upload', nth: 3, fault: { kind: 'failTask', reason: 'the decoder gave up' } }]);

  const base = tracks.urls[0].replace(/1\.wav$/, '');
  let page;
  const frames = await record(env, `tunesmith train --name "${MODEL_NAME}" ${base}{1..8}.wav`, async () => {
    const { phase, workflowId, runId } = await (await trainings.attach(MODEL_NAME)).look();
    if (phase !== 'training' || page !== undefined) return;
    page = pageOf(`${server.uiUrl}/namespaces/default/workflows/${workflowId}/${runId}/user-metadata`);
    // Whether it went well is looked at in the end.
    page.catch(() => undefined);
  });
  mkdirSync(pictures, { recursive: true });
  save('train.svg', svgOf(frames));
  save('web-ui.png', await page);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}

function save(name, content) {
  writeFileSync(join(pictures, name), content);
  console.error(`docs/pictures/${name}: ${Math.ceil(content.length / 1_000)} kB`);
}

/** Runs a command line in a shell in a terminal. @returns what the terminal showed, a frame each time that it differs. */
async function record(env, command, onFrame) {
  const terminal = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  let isCursorShown = true;
  for (const [final, isShown] of [
    ['h', true],
    ['l', false],
  ]) {
    terminal.parser.registerCsiHandler({ prefix: '?', final }, (parameters) => {
      if (parameters.includes(25)) isCursorShown = isShown;
      return false;
    });
  }
  const shell = spawnTerminal('bash', ['--norc', '--noprofile'], {
    name: env.TERM,
    cols: COLUMNS,
    rows: ROWS,
    cwd: folder,
    env,
  });
  cleanups.push(() => shell.kill());
  let text = '';
  shell.onData((data) => {
    text += data;
    terminal.write(data);
  });
  const frames = [];
  const take = () => {
    const frame = screenOf(terminal, isCursorShown);
    if (JSON.stringify(frame) !== JSON.stringify(frames.at(-1))) frames.push(frame);
  };
  const until = async (pattern) => {
    while (!pattern.test(text)) await sleep(50);
  };
  await until(/\$ $/);
  shell.write(command);
  await sleep(1_000);
  take();
  text = '';
  shell.write('\r');
  let answered = false;
  while (!/\$ $/.test(text)) {
    await sleep(SAMPLE_MS);
    take();
    if (/train-night-drive/.test(text)) await onFrame();
    if (!answered && /\[?y\/N\]?/i.test(text)) {
      answered = true;
      shell.write('y\r');
    }
  }
  take();
  return frames;
}

/** Each row as runs of one style. */
function screenOf(terminal, isCursorShown) {
  const buffer = terminal.buffer.active;
  const rows = [];
  for (let y = 0; y < ROWS; y++) {
    const line = buffer.getLine(buffer.viewportY + y);
    const runs = [];
    for (let x = 0; x < COLUMNS; x++) {
      const cell = line?.getCell(x);
      if (cell === undefined || cell.getWidth() === 0) continue;
      const isCursor =
        isCursorShown && buffer.baseY + buffer.cursorY === buffer.viewportY + y && buffer.cursorX === x;
      const style = isCursor ? 'cursor' : styleOf(cell);
      const chars = cell.getChars() || ' ';
      const last = runs.at(-1);
      if (last !== undefined && last.style === style) {
        last.text += chars;
        last.width += cell.getWidth();
      } else {
        runs.push({ x, width: cell.getWidth(), style, text: chars });
      }
    }
    rows.push(runs.flatMap(trimmed));
  }
  return rows;
}

function styleOf(cell) {
  const names = [];
  if (cell.isFgPalette()) names.push(`c${cell.getFgColor()}`);
  if (cell.isBold()) names.push('b');
  if (cell.isDim()) names.push('d');
  if (cell.isUnderline()) names.push('u');
  return names.join(' ');
}

/** Without the spaces around; nothing where it is all spaces. */
function trimmed(run) {
  if (run.style === 'cursor') return [run];
  const text = run.text.trim();
  if (text === '') return [];
  const lead = run.text.length - run.text.trimStart().length;
  const width = run.width - (run.text.length - text.length);
  return [{ ...run, x: run.x + lead, width, text }];
}

/** Frames stand side by side and are moved through a window; a row that comes again is kept once. */
function svgOf(frames) {
  const [cell, line, padding, bar] = [8.4, 18, 16, 34];
  const width = Math.ceil(COLUMNS * cell + 2 * padding);
  const used = Math.max(...frames.flatMap((rows) => rows.map((runs, y) => (runs.length > 0 ? y + 1 : 0))));
  const height = bar + used * line + padding;
  const kept = new Map();
  const idOf = (runs) => {
    const key = JSON.stringify(runs);
    if (!kept.has(key)) kept.set(key, `r${kept.size}`);
    return kept.get(key);
  };
  const strip = frames.map((rows, index) => {
    const uses = rows.flatMap((runs, y) =>
      runs.length === 0 ? [] : [`<use href="#${idOf(runs)}" y="${y * line}"/>`],
    );
    return `<g transform="translate(${index * width})">${uses.join('')}</g>`;
  });
  const definitions = [...kept].map(([key, id]) => {
    const runs = JSON.parse(key).map(({ x, width: columns, style, text }) =>
      style === 'cursor'
        ? `<rect class="k" x="${round(x * cell)}" y="-14" width="${cell}" height="${line}"/>`
        : `<text${style === '' ? '' : ` class="${style}"`} x="${round(x * cell)}" textLength="${round(columns * cell)}">${escaped(text)}</text>`,
    );
    return `<g id="${id}">${runs.join('')}</g>`;
  });
  const total = (frames.length - 1) * FRAME_MS + LAST_FRAME_MS;
  const steps = frames.map(
    (_, index) => `${round((index * FRAME_MS * 100) / total)}%{transform:translateX(${-index * width}px)}`,
  );
  const faster = Math.round((SAMPLE_MS * SPEED) / FRAME_MS);
  const last = -(frames.length - 1) * width;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>tunesmith train in a terminal, ${faster} times faster than life</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6deeb;white-space:pre;lengthAdjust:spacingAndGlyphs}
.k{fill:#d6deeb}.b{font-weight:bold}.d{opacity:.6}.u{text-decoration:underline}.t{font-size:12px;fill:#8b98ad;text-anchor:middle}
.c1,.c9{fill:#ff7b72}.c2,.c10{fill:#7ee787}.c3,.c11{fill:#e3b341}.c4,.c12{fill:#79c0ff}.c5,.c13{fill:#d2a8ff}.c6,.c14{fill:#76e3ea}.c8{fill:#8b98ad}
.s{animation:p ${total / 1_000}s step-end infinite}
@keyframes p{${steps.join('')}}
@media (prefers-reduced-motion:reduce){.s{animation:none;transform:translateX(${last}px)}}
</style>
<defs>${definitions.join('')}<clipPath id="w"><rect width="${width}" height="${height}"/></clipPath></defs>
<rect width="${width}" height="${height}" rx="8" fill="#0d1420" stroke="#3b4658"/>
<circle cx="18" cy="17" r="5" fill="#ff7b72"/><circle cx="36" cy="17" r="5" fill="#e3b341"/><circle cx="54" cy="17" r="5" fill="#7ee787"/>
<text class="t" x="${width / 2}" y="21">tunesmith · ${faster} times faster than life</text>
<g clip-path="url(#w)"><g transform="translate(${padding} ${bar + 14})"><g class="s">${strip.join('\n')}</g></g></g>
</svg>
`;
}

function round(value) {
  return Math.round(value * 100) / 100;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

async function pageOf(url) {
  const running = await chromium.launch({ executablePath: browser, args: ['--no-sandbox'] });
  try {
    const page = await running.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(url);
    // The page asks for news for ever, so there is no quiet moment to wait for.
    await sleep(8_000);
    return await page.screenshot();
  } finally {
    await running.close();
  }
}
