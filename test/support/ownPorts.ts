/**
 * Ports for a server that comes back on them: away from where servers of ours look for one (7233 and 8233 on) and from
 * what the system gives to those that take any, so that no other test takes them while the server is down.
 */
import { isFree, type ServerPorts } from '../../src/temporal/server.js';

let given = 0;

export async function ownPorts(): Promise<ServerPorts> {
  for (;;) {
    const port = 11_000 + 2 * ((process.pid + 101 * given++) % 9_000);
    if ((await isFree(port)) && (await isFree(port + 1))) return { port, uiPort: port + 1 };
  }
}
