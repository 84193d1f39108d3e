/**
 * Before credits are spent: `plan`, its hash, and the question of `train`, against a real server with a worker.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonRecord } from '../../src/cli/schema.js';
import { wav } from '../support/audio.js';
import { runCli } from '../support/cli.js';
import { startServer, type TestServer } from '../support/http.js';
import { recordsIn } from '../support/json.js';
import { createRig, type Rig } from '../support/rig.js';
import { onTerminal } from '../support/terminal.js';
import { waitUntil } from '../support/waitUntil.js';

let rig: Rig;
/** Files that a test may change. */
let files: TestServer;
let changed: ReadonlySet<string> = new Set();
let names = 0;
let name: string;

beforeAll(async () => {
  rig = await createRig();
  await rig.startWorker();
  files = await startServer(({ path }, response) => {
    const [, number] = /^\/(\d)\.wav/.exec(path) ?? [];
    if (number === undefined) response.writeHead(404).end();
    else response.end(wav(changed.has(number) ? 9 : Number(number)));
  });
});

beforeEach(() => {
  rig.sandbox.reset();
  changed = new Set();
  name = `P${process.pid}x${++names}`;
});

afterAll(async () => {
  await files.close();
  await rig.close();
});

const urls = (): string[] =>
  Array.from({ length: 6 }, (_, index) => `${files.url}/${index + 1}.wav?for=${name}`);
const counts = (): Record<string, number> => rig.sandbox.report().requests.counts;
/** Requests that cost credits, or lead to such. */
const spending = (): number =>
  ['prepare', 'upload', 'create'].reduce((sum, kind) => sum + (counts()[kind] ?? 0), 0);

type PlanRecord = Extract<JsonRecord, { type: 'plan' }>;

async function planOf(...more: string[]): Promise<PlanRecord> {
  const { code, stdout, stderr } = await runCli(
    ['plan', '--json', '--name', name, ...more, ...urls()],
    rig.env,
  );
  expect(code, stderr).toBe(0);
  const [record, ...others] = recordsIn(stdout);
  expect(others).toEqual([]);
  if (record?.type !== 'plan') throw new Error(`no plan: ${stdout}`);
  return record;
}

describe('plan', () => {
  it('shows files, price and balance, and asks Mountsea for nothing but the ledger and a free schema', async () => {
    const { code, stdout, stderr } = await runCli(['plan', '--name', name, ...urls()], rig.env);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/6 +6\.wav +wav +0:04 +128 kB +ok/);
    expect(stdout).toContain('6 uploads at 5 (an assumption; --upload-credits)');
    expect(stdout).toMatch(/Balance +10000 credits, about 9870 afterwards/);
    expect(Object.keys(counts()).sort()).toEqual(['credits', 'points', 'schema']);
    expect(stdout + stderr).not.toContain('for=');
  });

  it('exits 2 for what is wrong and for what is doubtful, unless that is accepted', async () => {
    const wrong = await runCli(['plan', '--name', name, ...urls(), `${files.url}/nothing.wav`], rig.env);
    expect(wrong.code).toBe(2);
    expect(wrong.stdout).toContain('File 7 (nothing.wav): its server answers 404');
    const long = ['plan', '--name', `${name} of a long name`, ...urls()];
    expect((await runCli(long, rig.env)).code).toBe(2);
    expect((await runCli([...long, '--accept-warnings'], rig.env)).code).toBe(0);
  });
});

describe('the hash of a plan', () => {
  it('lets train start while nothing has changed, and stops it by name when something has', async () => {
    const { hash } = await planOf();
    const train = (...more: string[]): string[] => [
      'train',
      '--yes',
      '--detach',
      '--plan',
      hash,
      '--name',
      name,
      ...more,
    ];
    // Three of them: the short digest of one file may be the same by chance.
    changed = new Set(['3', '4', '5']);
    const otherBytes = await runCli([...train(), ...urls()], rig.env);
    expect(otherBytes.code).toBe(2);
    expect(otherBytes.stderr).toMatch(/since that plan file [345, ]+ changed/);
    changed = new Set();
    const otherPrice = await runCli([...train('--upload-credits', '6'), ...urls()], rig.env);
    expect(otherPrice.code).toBe(2);
    expect(otherPrice.stderr).toContain('since that plan the price changed');
    expect(spending()).toBe(0);
    // It must still run when the second command comes.
    const release = rig.hold({ name });
    expect((await runCli([...train(), ...urls()], rig.env)).code).toBe(7);
    // It is there now: attaching spends nothing, so neither plan nor consent is asked for.
    const attached = await runCli(['train', '--detach', '--plan', hash, '--name', name, ...urls()], rig.env);
    expect(attached.code, attached.stderr).toBe(7);
    expect(attached.stderr).toContain('Nothing more is spent');
    const { existing, price } = await planOf();
    expect(existing?.workflowId).toMatch(/^train-/);
    expect(price.uploads).toBe(6);
    release();
    expect((await runCli(['watch', name], rig.env)).code).toBe(0);
    // Under another name the same files are pointed out, with their model; and an upload has a price now.
    const twin = name;
    const other = await runCli(['plan', '--json', '--name', `${name}b`, ...urls()], rig.env);
    const [record] = recordsIn(other.stdout) as [PlanRecord];
    expect(record.sameFiles).toMatchObject([{ workflowId: existing?.workflowId, name: twin }]);
    expect(record.sameFiles[0]?.modelId).toMatch(/^chirp-custom:/);
    expect(record.price.basis).toBe('ledger');
  });
});

describe('train without a terminal', () => {
  it('starts nothing without --yes, and nothing doubtful without --accept-warnings', async () => {
    const silent = await runCli(['train', '--name', name, ...urls()], rig.env);
    expect(silent.code).toBe(2);
    expect(silent.stderr).toContain('Add --yes');
    const long = `${name} of a long name`;
    const doubtful = await runCli(['train', '--yes', '--json', '--name', long, ...urls()], rig.env);
    expect(doubtful.code).toBe(2);
    expect(recordsIn(doubtful.stdout).map(({ type }) => type)).toEqual(['plan', 'end']);
    expect(doubtful.stderr).toContain('--accept-warnings');
    expect(spending()).toBe(0);
    // Followed to its end: what it spends must not be seen by the next test.
    const accepted = ['train', '--yes', '--accept-warnings', '--name', long, ...urls()];
    expect((await runCli(accepted, rig.env)).code).toBe(0);
  });
});

describe('train on a terminal', () => {
  it.each([
    ['no', 'n\r', 80],
    ['Enter alone', '\r', 160],
    ['Ctrl-C', '\u0003', 80],
  ])('shows the price and asks; nothing starts on %s', async (_, answer, cols) => {
    const terminal = onTerminal(['train', '--name', name, ...urls()], rig.env, { cols });
    await waitUntil('it asks', () => terminal.output().includes(' 130 credits?'));
    expect(terminal.output()).toContain('6.wav');
    expect(terminal.output()).toMatch(/10000 credits/);
    terminal.type(answer);
    expect(await terminal.code).toBe(2);
    expect(terminal.output()).toContain('Nothing was started');
    expect(spending()).toBe(0);
  });

  it('trains on yes', async () => {
    const terminal = onTerminal(['train', '--detach', '--name', name, ...urls()], rig.env);
    await waitUntil('it asks', () => terminal.output().includes(' 130 credits?'));
    terminal.type('y\r');
    expect(await terminal.code).toBe(7);
    expect(terminal.output()).toContain('Started train-');
  });
});

describe('without a worker', () => {
  it('the balance is unknown, never 0, and the checks work all the same', async () => {
    const other = await createRig();
    try {
      const { code, stdout } = await runCli(['plan', '--name', name, ...urls()], {
        ...other.env,
        MOUNTSEA_API_KEY: '',
      });
      expect(code).toBe(0);
      expect(stdout).toMatch(/Balance +unknown \(no worker\)/);
    } finally {
      await other.close();
    }
  });
});
