/**
 * Tests: stands in a tunnel's place. A process of its own that passes requests on to a port of this machine, and says where
 * it can be reached in the middle of other URLs, as tunnels do. Its pid and arguments are the caller's to know.
 */
import { createServer, request } from 'node:http';

const port = Number(process.argv[2]);
const server = createServer((incoming, outgoing) => {
  const { url, method, headers } = incoming;
  const passed = request({ host: '127.0.0.1', port, path: url, method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  passed.on('error', () => outgoing.writeHead(502).end());
  incoming.pipe(passed);
});
server.listen(0, '127.0.0.1', () => {
  console.error('By using this tunnel you accept https://127.0.0.1:9/terms of use.');
  console.error(`|  Your tunnel: http://127.0.0.1:${server.address().port}  | pid ${process.pid}`);
});
