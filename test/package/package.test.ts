/**
 * The package as users get it: packed, installed in an empty folder from the registry's cache, and used there by the programs
 * of examples/library. One installation for all tests.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRig, type Rig } from '../support/rig.js';
import { waitUntil } from '../support/waitUntil.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MODEL_ID_LINE = /^chirp-custom:[0-9a-f-]{36}\n$/;
/** Of the tarball; most of it is the workflow bundle. */
const MOST_BYTES = 1_000_000;

interface Packed {
  filename: string;
  size: number;
  files: { path: string }[];
}

interface Manifest {
  version: string;
  dependencies: Record<string, string>;
}

let folder: string;
/** The empty folder that it is installed in. */
let app: string;
let installed: string;
let tarball: string;
let packed: Packed;
let rig: Rig;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-package-'));
  app = join(folder, 'app');
  installed = join(app, 'node_modules', 'tunesmith');
  // What `prepack` builds is there already.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: ROOT,
  });
  [packed] = JSON.parse(stdout) as [Packed];
  tarball = join(folder, packed.filename);
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...quiet, tarball]);
  cpSync(join(installed, 'examples', 'library'), app, { recursive: true });
  rig = await createRig();
});

afterAll(async () => {
  await rig.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(
  command: string,
  args: string[],
  { cwd = app, env = process.env }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): { kill: (signal: NodeJS.Signals) => void; stdout: () => string; ended: Promise<Ended> } {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    kill: (signal) => void child.kill(signal),
    stdout: () => stdout,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })),
  };
}

/** Fails where the command does. */
async function run(...call: Parameters<typeof start>): Promise<Ended> {
  const ended = await start(...call).ended;
  expect(ended.code, `${call[0]} ${call[1].join(' ')}\n${ended.stdout}${ended.stderr}`).toBe(0);
  return ended;
}

const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name);

function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the package', () => {
  it('has what users need, nothing of the tests, and no trace of the machine that built it', () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'dist/client.js',
        'dist/library/index.d.ts',
        'dist/workflow-bundle.cjs',
        'docs/cli.md',
        'docs/library.md',
        'examples/library/train.mjs',
        'schemas/progress.schema.json',
      ]),
    );
    const allowed = /^(dist|docs|examples|schemas)\/|^(CHANGELOG\.md|LICENSE|README\.md|package\.json)$/;
    expect(paths.filter((path) => !allowed.test(path))).toEqual([]);
    expect(paths.filter((path) => /\.map$|\.test\.|^docs\/(api|pictures)\//.test(path))).toEqual([]);
    expect(packed.size).toBeLessThan(MOST_BYTES);
    expect(filesIn(installed).filter((path) => readFileSync(path, 'utf8').includes(ROOT))).toEqual([]);
  });

  it('is what publint and arethetypeswrong want to see', async () => {
    await Promise.all([
      run(bin('publint'), [tarball, '--strict']),
      run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-color']),
    ]);
  });

  it('depends on nothing that it does not use', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
    const code = filesIn(join(installed, 'dist'))
      .filter((path) => path.endsWith('.js'))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    const unused = Object.keys(manifest.dependencies).filter(
      (name) => !new RegExp(`'${name}(/[^']*)?'`).test(code),
    );
    expect(unused).toEqual([]);
  });

  it('loads neither the worker nor the command line with the library', async () => {
    const script = `
      import { createRequire } from 'node:module';
      await import('tunesmith');
      console.log(Object.keys(createRequire(import.meta.url).cache).join('\\n'));
    `;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
    expect(stdout).toContain('@temporalio/client');
    expect(stdout).not.toMatch(/@temporalio\/(worker|core-bridge|testing)\/|node_modules\/commander\//);
  });

  it('has types that the examples agree with, and that are right in themselves', async () => {
    const options = ['--noEmit', '--checkJs', '--strict', '--module', 'nodenext', '--target', 'es2023'];
    const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types')];
    const examples = readdirSync(app).filter((name) => name.endsWith('.mjs'));
    expect(examples).toContain('train.mjs');
    const { stdout } = await start(bin('tsc'), [...options, ...types, ...examples]).ended;
    // The types of the Temporal SDK have faults of their own.
    const ours = stdout.split('\n').filter((line) => /^([^/]+\.mjs|node_modules\/tunesmith\/)/.test(line));
    expect(ours).toEqual([]);
  });

  it('has a command that can be run as it was built, since a linked one is not made so again', () => {
    expect(statSync(join(ROOT, 'dist', 'client.js')).mode & 0o111).toBe(0o111);
  });

  it('has a command that says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
    const { stdout } = await run('npx', ['--no-install', 'tunesmith', '--version']);
    expect(stdout).toBe(`${version}\n`);
  });
});

describe('its examples', () => {
  const train = (...files: string[]): string[] => ['train.mjs', 'Night Drive', ...files];

  it.concurrent(
    'train a model with a worker of their own, without a key, and find it again',
    async ({ expect }) => {
      const worker = start(process.execPath, ['worker.mjs'], { env: rig.env });
      await waitUntil('the worker runs', () => worker.stdout().includes('is running'));
      const env = { ...rig.env, MOUNTSEA_API_KEY: '' };
      const first = await run(process.execPath, train(...rig.tracks.urls), { env });
      expect(first.stdout).toMatch(MODEL_ID_LINE);
      expect(first.stderr).toMatch(/^started train-night-drive-/m);
      const again = await run(process.execPath, train(...rig.tracks.urls), { env });
      expect(again.stdout).toBe(first.stdout);
      expect(again.stderr).toMatch(/^found train-night-drive-/m);
      worker.kill('SIGTERM');
      expect((await worker.ended).code).toBe(0);
    },
  );

  it.concurrent('train a model on our own server, which the first one starts', async ({ expect }) => {
    const home = join(folder, 'home');
    const env: NodeJS.ProcessEnv = {
      ...rig.env,
      TUNESMITH_HOME: home,
      TEMPORAL_CONFIG_FILE: join(home, 'none.toml'),
    };
    delete env['TEMPORAL_ADDRESS'];
    const sources = rig.tracks.urls.map((url) => `${url}?own`);
    try {
      const { stdout, stderr } = await run(process.execPath, train(...sources), { env });
      expect(stdout).toMatch(MODEL_ID_LINE);
      expect(stderr).toMatch(/Web UI: http:\/\/127\.0\.0\.1:\d+/);
      const models = await run('npx', ['--no-install', 'tunesmith', 'models', '--json'], { env });
      expect(models.stdout).toContain(stdout.trim());
      // A client that outlives the server brings it back, wherever that listens then.
      const script = `
        import { execFileSync } from 'node:child_process';
        import { TrainingClient } from 'tunesmith';
        const client = new TrainingClient();
        const before = await client.list();
        execFileSync('npx', ['--no-install', 'tunesmith', 'down']);
        console.log(before.length, (await client.list()).length);
        await client.close();
      `;
      const twice = await run(process.execPath, ['--input-type=module', '-e', script], { env });
      expect(twice.stdout).toBe('1 1\n');
    } finally {
      await run('npx', ['--no-install', 'tunesmith', 'down'], { env });
    }
  });

  it.concurrent('run a sandbox for tests of their own', async ({ expect }) => {
    const sandbox = start(process.execPath, ['sandbox.mjs']);
    const url = await waitUntil('its address', () =>
      /MOUNTSEA_BASE_URL=(http:\S+)\n[^]*API_KEY=.+\n/.exec(sandbox.stdout())?.at(1),
    );
    expect((await fetch(`${url}/suno/v2/status`)).status).toBe(401);
    sandbox.kill('SIGINT');
    expect((await sandbox.ended).code).toBe(0);
  });
});
