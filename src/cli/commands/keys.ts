/**
 * Client side: `login` and `logout`, the key that is kept for the background worker. The key comes by a hidden prompt or
 * by stdin and is never shown; whether it is good only a worker can tell, since a client never talks to Mountsea.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Account } from '../../library/account.js';
import { glimpse, type Glimpse } from '../../library/connect.js';
import type { Snapshot } from '../../library/snapshot.js';
import { findBackground, sourceWords } from '../../temporal/background.js';
import { homePaths } from '../../temporal/files.js';
import { forgetKey, keepKey, keptKey } from '../../temporal/keptKey.js';
import { keyFingerprint, readSettings, type Settings } from '../../temporal/settings.js';
import { ask, canAsk } from '../ask.js';
import { defineCommand, json } from '../command.js';
import { printable } from '../text.js';
import { Exit, UsageError } from '../exit.js';
import { type Io, JSON_VERSION, Output } from '../output.js';
import { type JsonFlag, saying } from './common.js';

/** Our own server answers in milliseconds. */
const GLIMPSE_MS = 3_000;
/** A worker that has to be started first loads its native module. */
const KEY_IN_USE_WITHIN_MS = 20_000;
const LONGEST_KEY = 4_096;

export const loginCommand = defineCommand<JsonFlag>({
  name: 'login',
  summary: 'keep the API key for the background worker',
  description: [
    'Asks for the key without showing it, or reads it from stdin. It is kept in TUNESMITH_HOME, readable by you alone, for the API that MOUNTSEA_BASE_URL names, and given to no other. MOUNTSEA_API_KEY and MOUNTSEA_API_KEY_FILE win over it.',
    'A running background worker uses it at once, also for trainings that wait for a key. Where one runs it is asked whether Mountsea takes the key, which costs nothing; exit code 1 where Mountsea refuses it.',
  ].join('\n\n'),
  options: [json()],
  examples: [
    { line: 'login', does: 'type or paste it at a prompt that does not show it' },
    { line: 'login < key.txt', does: 'from a file, or from a password manager by a pipe' },
  ],
  run: ({ flags, io }) => login(flags, io),
});

export const logoutCommand = defineCommand<JsonFlag>({
  name: 'logout',
  summary: 'forget the API key that login kept',
  description:
    'Trainings that run with it wait for a key then, and nothing is lost. A worker that has its key from the environment keeps it until `tunesmith down`.',
  options: [json()],
  examples: [{ line: 'logout', does: 'forget it' }],
  run: ({ flags, io }) => logout(flags, io),
});

async function login({ json }: JsonFlag, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const { home, origin } = settings;
  const output = new Output(io, json === true);
  const say = saying(output, io);
  const key = await keyFrom(io, origin);
  const fingerprint = keyFingerprint(origin, key);
  const there = await look(settings);
  try {
    const running = there === undefined ? [] : await runningOf(there, origin);
    const before = keptFingerprint(settings);
    keepKey(home, origin, key);
    say(`Kept for ${origin} in ${homePaths(home).keys}, readable by you alone (key ${fingerprint}).`);
    sayWhatWins(settings, fingerprint, say);
    if (before !== undefined && before !== fingerprint && running.length > 0) {
      say(
        `It is another key than before (${before}), and ${trainingsWord(running)}: they go on with this one. A session belongs to the account of the key that it was begun with, so use a key of the same account.`,
      );
    }
    const check = await checked(settings, fingerprint, there, say);
    output.json({ type: 'login', version: JSON_VERSION, origin, keyFingerprint: fingerprint, ...check });
    const waiting = running.filter(({ memo }) => memo.attention?.kind === 'credentials');
    if (check.key === 'accepted' && waiting.length > 0) {
      say(`Goes on now: ${waiting.map(({ memo }) => `"${printable(memo.name)}"`).join(', ')}.`);
    }
    return check.key === 'refused' ? Exit.unexpected : Exit.done;
  } finally {
    await there?.close();
  }
}

async function logout({ json }: JsonFlag, io: Io): Promise<number> {
  const settings = readSettings(io.env);
  const { home, origin } = settings;
  const output = new Output(io, json === true);
  const say = saying(output, io);
  const wasKept = forgetKey(home, origin);
  output.json({ type: 'logout', version: JSON_VERSION, origin, outcome: wasKept ? 'forgotten' : 'not-kept' });
  say(wasKept ? `The key for ${origin} is forgotten.` : `No key is kept for ${origin}.`);
  if (isSet(io, 'MOUNTSEA_API_KEY') || isSet(io, 'MOUNTSEA_API_KEY_FILE')) {
    say('The environment of this shell still has one.');
  }
  const there = await look(settings);
  try {
    const background = there?.background;
    if (there === undefined || background?.worker?.origin !== origin) return Exit.done;
    if (background.keySource !== 'login') {
      say(
        `The background worker still has its own (${sourceWords(background.keySource)}, key ${background.worker.keyFingerprint}); \`tunesmith down\` ends it.`,
      );
    } else if (wasKept) {
      const running = await runningOf(there, origin);
      say(
        running.length === 0
          ? 'The background worker has none any more.'
          : `The background worker has none any more, and ${trainingsWord(running)}: they wait for one, and nothing is lost. What Mountsea has begun goes on there. \`tunesmith login\` lets them go on.`,
      );
    }
    return Exit.done;
  } finally {
    await there?.close();
  }
}

/** @throws UsageError where there is none, or it cannot be one; InterruptedError where the prompt is left. */
async function keyFrom(io: Io, origin: string): Promise<string> {
  const { stdin } = io;
  let text: string;
  if (canAsk(io)) {
    text = await ask(io, (context, { password }) =>
      password({ message: `API key for ${origin} (it is not shown)` }, context),
    );
  } else if (stdin === undefined || stdin.isTTY) {
    // It would be shown while it is typed.
    throw new UsageError(
      'There is nobody to ask for the key here. From a file: `tunesmith login < key.txt`.',
    );
  } else {
    text = await readAll(stdin);
  }
  const key = text.trim();
  if (key === '') throw new UsageError('That was empty: no key is kept.');
  if (key.length > LONGEST_KEY || !/^[\x21-\x7e]+$/.test(key)) {
    throw new UsageError(
      'That is no API key: a key is one word of plain letters, digits and signs. Nothing is kept.',
    );
  }
  return key;
}

async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > 2 * LONGEST_KEY) break;
  }
  return text;
}

/** What there is now; undefined where no server runs, or none answers. */
async function look(settings: Settings): Promise<Glimpse | undefined> {
  try {
    return await glimpse(settings, GLIMPSE_MS);
  } catch {
    return undefined;
  }
}

async function runningOf({ trainings }: Glimpse, origin: string): Promise<Snapshot[]> {
  const all = await trainings.list();
  return all.filter(({ status, memo }) => status === 'running' && memo.origin === origin);
}

function trainingsWord(running: Snapshot[]): string {
  return running.length === 1 ? 'one training runs' : `${running.length} trainings run`;
}

function keptFingerprint({ home, origin }: Settings): string | undefined {
  try {
    const key = keptKey(home, origin);
    return key === undefined ? undefined : keyFingerprint(origin, key);
  } catch {
    return undefined;
  }
}

function sayWhatWins(settings: Settings, fingerprint: string, say: (line: string) => void): void {
  const { origin, temporal } = settings;
  let source, key;
  try {
    [source, key] = [settings.keySource(), settings.apiKey()];
  } catch (error) {
    say((error as Error).message);
  }
  if (source !== undefined && source !== 'login') {
    const isSame = key !== undefined && keyFingerprint(origin, key) === fingerprint;
    say(`${source} is set in this shell and wins over it${isSame ? '; it is the same key' : ''}.`);
  }
  if (temporal !== undefined) {
    say(
      `A Temporal address is configured (${temporal.address}): its workers on other machines have keys of their own.`,
    );
  }
}

interface Checked {
  key: 'accepted' | 'refused' | 'unchecked';
  /** Why it is not `accepted`. */
  why?: string;
  /** Credits; absent where it is unknown. */
  balance?: number;
}

async function checked(
  settings: Settings,
  fingerprint: string,
  there: Glimpse | undefined,
  say: (line: string) => void,
): Promise<Checked> {
  const unchecked = (why: string): Checked => {
    say(`Not checked: ${why}`);
    return { key: 'unchecked', why };
  };
  if (there === undefined)
    return unchecked('no worker runs now. `tunesmith doctor` checks it when one does.');
  if (there.background !== undefined) {
    const why = await whyNotInUse(settings, fingerprint);
    if (why !== undefined) return unchecked(why);
  }
  const account = new Account(there.client);
  const reading = await account.read({ origin: settings.origin, since: Date.now(), checksKey: true });
  if (reading === undefined) return unchecked('no worker answers.');
  if (reading.keyFingerprint !== fingerprint) {
    return unchecked(`the worker that answers uses another key (${reading.keyFingerprint}).`);
  }
  const { ledger, ledgerMissing } = reading;
  const said = reading.key?.said ?? 'the worker does not say';
  switch (reading.key?.verdict) {
    case 'accepted':
      say(
        `Mountsea takes the key. Balance: ${ledger === undefined ? `unknown (${ledgerMissing ?? 'no billing'})` : `${ledger.balance} credits`}.`,
      );
      return { key: 'accepted', ...(ledger === undefined ? {} : { balance: ledger.balance }) };
    case 'refused':
      say(`Mountsea refuses this key (${said}). \`tunesmith login\` again replaces it.`);
      return { key: 'refused', why: said };
    default:
      return unchecked(said);
  }
}

/** Waits until the background worker uses the key. @returns why it does not. */
async function whyNotInUse(settings: Settings, fingerprint: string): Promise<string | undefined> {
  const deadline = performance.now() + KEY_IN_USE_WITHIN_MS;
  for (;;) {
    const background = await findBackground(settings);
    if (background === undefined) return 'the background server has ended meanwhile.';
    const { worker, keySource } = background;
    if (worker?.keyFingerprint === fingerprint) return undefined;
    if (worker !== undefined && worker.origin !== settings.origin) {
      return `the background worker serves ${worker.origin}. To change that: \`tunesmith down\`, then a command that starts it.`;
    }
    if (worker !== undefined && keySource !== 'login') {
      return `the background worker uses another key (${worker.keyFingerprint}, ${sourceWords(keySource)}), which wins. To change that: \`tunesmith down\`, then a command without that variable.`;
    }
    if (performance.now() > deadline) return 'the background worker has not taken it yet.';
    await sleep(100);
  }
}

function isSet({ env }: Io, name: string): boolean {
  return (env[name]?.trim() ?? '') !== '';
}
