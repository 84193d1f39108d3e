import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type BinarySearch,
  PINNED_CLI,
  PINNED_SERVER,
  findServerBinary,
} from '../../src/temporal/serverBinary.js';

const SUM = 'h1:0RZMk14BWxz44Xg6ciDQvpfAMffoG3J7/K03ql80teY=';

let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-binary-'));
  said = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function script(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

function temporal(path: string, server: string): string {
  return script(path, `echo "temporal version 0.0.0-DEV (Server ${server}, UI 2.42.1)"`);
}

/** A Go whose `mod download` tells this checksum and whose `install` runs this shell text. */
function go(install: string, sum = SUM): string {
  return script(
    join(folder, 'go-bin', 'go'),
    `if [ "$1" = mod ]; then echo '{"Sum":"${sum}"}'; exit 0; fi\n${install}`,
  );
}

const INSTALLS = `printf '#!/bin/sh\\necho "temporal version x (Server ${PINNED_SERVER}, UI 1)"\\n' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`;

function search(more: Partial<BinarySearch> = {}): BinarySearch {
  return {
    cache: join(folder, 'cache'),
    env: { PATH: [join(folder, 'path-bin'), join(folder, 'go-bin'), '/usr/bin', '/bin'].join(':') },
    say: (line) => said.push(line),
    download: () => Promise.reject(new Error('no network here')),
    ...more,
  };
}

const kept = (): string => join(folder, 'cache', `temporal-cli-${PINNED_CLI}`, 'temporal');

describe('findServerBinary', () => {
  it('takes the binary that the user names before all others', async () => {
    temporal(kept(), PINNED_SERVER);
    const named = temporal(join(folder, 'mine'), '1.27.0');
    const found = await findServerBinary(search({ env: { TUNESMITH_TEMPORAL_CLI: named } }));
    expect(found).toEqual({ path: named, version: '1.27.0', from: 'TUNESMITH_TEMPORAL_CLI' });
    expect(said).toEqual([]);
  });

  it('goes on from a named binary that is not there, and says so in one line', async () => {
    temporal(kept(), PINNED_SERVER);
    const env = { TUNESMITH_TEMPORAL_CLI: join(folder, 'nothing') };
    expect((await findServerBinary(search({ env }))).path).toBe(kept());
    expect(said).toEqual([expect.stringMatching(/^Temporal server, TUNESMITH_TEMPORAL_CLI: .*ENOENT/)]);
  });

  it('takes the kept binary without a word, and before the one on the PATH', async () => {
    temporal(kept(), PINNED_SERVER);
    temporal(join(folder, 'path-bin', 'temporal'), '1.31.0');
    expect((await findServerBinary(search())).path).toBe(kept());
    expect(said).toEqual([]);
  });

  it('does not believe a kept binary that does not run or is another version', async () => {
    script(kept(), 'exit 3');
    const download = (into: string): Promise<string> =>
      Promise.resolve(temporal(join(into, 'fresh'), PINNED_SERVER));
    expect((await findServerBinary(search({ download }))).from).toContain('download');
    temporal(kept(), '1.28.0');
    expect((await findServerBinary(search({ download }))).from).toContain('download');
    expect(said).toHaveLength(2);
    expect((await findServerBinary(search())).path).toBe(kept());
  });

  it('moves a download into the cache, and leaves nothing of one that is not the pinned server', async () => {
    const wrong = (into: string): Promise<string> =>
      Promise.resolve(temporal(join(into, 'temporal'), '1.30.0'));
    await expect(findServerBinary(search({ download: wrong, env: {} }))).rejects.toThrow(
      'No Temporal server can be had',
    );
    expect(said.join('\n')).toContain('holds server 1.30.0');
    expect(readdirSync(join(folder, 'cache'))).toEqual([]);
  });

  it('takes the one on the PATH where it is as new as the state, and refuses an older one', async () => {
    const onPath = temporal(join(folder, 'path-bin', 'temporal'), '1.29.1');
    expect(await findServerBinary(search({ stateVersion: '1.29.1' }))).toMatchObject({
      path: onPath,
      version: '1.29.1',
    });
    temporal(onPath, '1.9.2');
    go(INSTALLS);
    said.length = 0;
    expect((await findServerBinary(search({ stateVersion: '1.29.0' }))).from).toContain('go install');
    expect(said).toContainEqual(
      'Temporal server, `temporal` on the PATH: server 1.9.2 is older than 1.29.0, which wrote the state',
    );
  });

  it('gives a newer state to no older server of its own, and builds none', async () => {
    temporal(kept(), PINNED_SERVER);
    go(`touch ${join(folder, 'was-built')}`);
    await expect(findServerBinary(search({ stateVersion: '1.30.0' }))).rejects.toThrow(
      'TUNESMITH_TEMPORAL_CLI',
    );
    expect(existsSync(join(folder, 'was-built'))).toBe(false);
    expect(said).toHaveLength(4);
  });

  it('builds with Go where nothing else can be had, and says that it goes on', async () => {
    go(`[ "$CGO_ENABLED" = 0 ] || exit 9; sleep 0.5; ${INSTALLS}`);
    const found = await findServerBinary(search({ reportEveryMs: 100 }));
    expect(found).toEqual({
      path: kept(),
      version: PINNED_SERVER,
      from: `go install of ${PINNED_CLI}`,
    });
    expect(said).toContainEqual(expect.stringMatching(/about 5 minutes/));
    expect(said.filter((line) => line.startsWith('Still building')).length).toBeGreaterThan(1);
    expect(readdirSync(join(folder, 'cache'))).toEqual([`temporal-cli-${PINNED_CLI}`]);
  });

  it('builds nothing from a module with another checksum', async () => {
    go(`touch ${join(folder, 'was-built')}`, 'h1:somethingelse=');
    await expect(findServerBinary(search())).rejects.toThrow('No Temporal server can be had');
    expect(said.join('\n')).toContain('h1:somethingelse=');
    expect(existsSync(join(folder, 'was-built'))).toBe(false);
  });

  it('lets two builds at once both end with a whole binary', async () => {
    go(`sleep 0.2; ${INSTALLS}`);
    const both = await Promise.all([findServerBinary(search()), findServerBinary(search())]);
    expect(both.map(({ path }) => path)).toEqual([kept(), kept()]);
  });

  it('ends a build when told to, leaving no half binary', async () => {
    go(`touch ${join(folder, 'begun')}; exec sleep 60`);
    const controller = new AbortController();
    const found = findServerBinary(search({ signal: controller.signal }));
    const poll = setInterval(() => {
      if (existsSync(join(folder, 'begun'))) controller.abort();
    }, 20);
    await expect(found).rejects.toThrow(/abort/i);
    clearInterval(poll);
    expect(readdirSync(join(folder, 'cache'))).toEqual([]);
  });

  it('sweeps what a killed build has left, but not what another process is building', async () => {
    mkdirSync(join(folder, 'cache', 'unfinished-build-4194304-old'), { recursive: true });
    mkdirSync(join(folder, 'cache', `unfinished-build-${process.pid}-now`));
    go(INSTALLS);
    await findServerBinary(search());
    expect(readdirSync(join(folder, 'cache')).sort()).toEqual([
      `temporal-cli-${PINNED_CLI}`,
      `unfinished-build-${process.pid}-now`,
    ]);
  });
});
