import { createServer, type AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type RunningServer,
  type ServerOptions,
  startServer,
  stateVersion,
} from '../../src/temporal/server.js';
import { type ServerBinary, findServerBinary } from '../../src/temporal/serverBinary.js';
import { readSettings } from '../../src/temporal/settings.js';
import { statusOf, withClient } from './support/client.js';
import { ownPorts } from '../support/ownPorts.js';

let binary: ServerBinary;
let folder: string;
const servers: RunningServer[] = [];

beforeAll(async () => {
  binary = await findServerBinary({
    cache: readSettings({}).cache,
    env: process.env,
    say: (line) => {
      console.error(line);
    },
  });
}, 1_200_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tunesmith-server-'));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(more: Partial<ServerOptions> = {}): Promise<RunningServer> {
  const server = await startServer({ binary, logFile: join(folder, 'server.log'), ...more });
  servers.push(server);
  return server;
}

async function takenPort(): Promise<{ port: number; close: () => void }> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  return { port: (taken.address() as AddressInfo).port, close: () => taken.close() };
}

describe('startServer', () => {
  it('answers, shows its Web UI, and keeps history for 90 days, also after a restart on its file', async () => {
    const stateFile = join(folder, 'temporal.db');
    const first = await start({ stateFile, ports: await ownPorts() });
    expect((await fetch(first.uiUrl)).status).toBe(200);
    expect(await retentionDays(first)).toBe(90);
    await startWorkflow(first, 'survivor');
    await first.stop();
    const second = await start({ stateFile, ports: first });
    expect(second.address).toBe(first.address);
    expect(await retentionDays(second)).toBe(90);
    expect(await statusOf(second.address, 'survivor')).toBe('RUNNING');
  });

  it('takes other ports where the wanted ones are taken', async () => {
    const taken = await takenPort();
    const free = await takenPort();
    free.close();
    const server = await start({ ports: { port: taken.port, uiPort: free.port } });
    expect(server.port).not.toBe(taken.port);
    const other = await start({ ports: { port: free.port, uiPort: taken.port } });
    expect(other.uiPort).not.toBe(taken.port);
    taken.close();
  });

  it('gives each of several servers that start at once ports of its own', async () => {
    const logs = ['a', 'b', 'c'].map((name) => join(folder, `${name}.log`));
    const started = await Promise.all(logs.map((logFile) => start({ logFile })));
    expect(new Set(started.map(({ port }) => port)).size).toBe(3);
    for (const [index, server] of started.entries()) await startWorkflow(server, `of-${index}`);
    for (const [index, server] of started.entries()) {
      expect(await statusOf(server.address, `of-${index}`)).toBe('RUNNING');
      await expect(statusOf(server.address, `of-${index + 1}`)).rejects.toThrow(/not found/i);
    }
  });

  it('is not taken in by a stranger who takes its port while it starts', async () => {
    // First a server of somebody else's comes up on the port, and ours fails a while later; then all is well.
    const script = `#!/bin/sh
cd ${folder}
[ -e stranger ] && exec ${binary.path} "$@"
${binary.path} server start-dev --headless --ip 127.0.0.1 --port "$6" >stranger.log 2>&1 &
echo $! > stranger
until grep -q Server: stranger.log; do sleep 0.1; done
sleep 1
echo 'listen tcp: bind: address already in use'
exit 1
`;
    const path = join(folder, 'temporal');
    writeFileSync(path, script, { mode: 0o755 });
    const tried: number[] = [];
    const server = await start({
      binary: { path, version: binary.version },
      ports: await ownPorts(),
      onSpawn: (_, { port }) => tried.push(port),
    });
    process.kill(Number(readFileSync(join(folder, 'stranger'), 'utf8')), 'SIGKILL');
    // Other tests start servers meanwhile: there may be a third one.
    const [strangers, ...others] = tried;
    expect(others.at(-1)).toBe(server.port);
    expect(others).not.toContain(strangers);
  });

  it('says why a server died, in the words of its log', async () => {
    writeFileSync(
      join(folder, 'broken.db'),
      'this is no database, only text that is long enough to be read as one',
    );
    await expect(start({ stateFile: join(folder, 'broken.db') })).rejects.toThrow(
      /Temporal server.*(\n.*)*database/i,
    );
  });

  it('tells when a server that ran is gone', async () => {
    const server = await start();
    process.kill(server.pid, 'SIGKILL');
    expect(await server.ended).toContain('SIGKILL');
  });

  it('ends a start when told to, and its process with it', async () => {
    const controller = new AbortController();
    let pid = 0;
    const started = startServer({
      binary,
      logFile: join(folder, 'server.log'),
      signal: controller.signal,
      onSpawn: (spawned) => {
        pid = spawned;
        controller.abort();
      },
    });
    await expect(started).rejects.toThrow(/abort/i);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('passes no key to the server', async () => {
    const server = await start({ env: { ...process.env, MOUNTSEA_API_KEY: 'secret-key' } });
    if (process.platform !== 'linux') return;
    expect(readFileSync(`/proc/${server.pid}/environ`, 'utf8')).not.toContain('secret-key');
  });

  it('copies the state before a server of another version gets it, and only then', async () => {
    const stateFile = join(folder, 'temporal.db');
    const first = await start({ stateFile });
    await startWorkflow(first, 'old');
    await first.stop();
    expect(stateVersion(stateFile)).toBe(binary.version);
    const before = readFileSync(stateFile);

    await (await start({ stateFile })).stop();
    expect(existsSync(`${stateFile}.written-by-${binary.version}`)).toBe(false);

    writeFileSync(`${stateFile}.version`, '1.20.0\n');
    writeFileSync(stateFile, before);
    await start({ stateFile });
    expect(readFileSync(`${stateFile}.written-by-1.20.0`).equals(before)).toBe(true);
    expect(stateVersion(stateFile)).toBe(binary.version);
  });
});

async function retentionDays({ address }: RunningServer): Promise<number> {
  const { config } = await withClient(address, (client) =>
    client.workflowService.describeNamespace({ namespace: 'default' }),
  );
  return tsToMs(config?.workflowExecutionRetentionTtl) / 86_400_000;
}

async function startWorkflow({ address }: RunningServer, workflowId: string): Promise<void> {
  await withClient(address, (client) =>
    client.workflow.start('nobodyWorksOnThis', { workflowId, taskQueue: 'nobody' }),
  );
}
