/**
 * Health of a worker's container: its process is there and the Temporal server can be reached from here. That it gets
 * work is seen only at the server (task queue, pollers).
 */
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';

const command = readFileSync('/proc/1/cmdline', 'utf8');
const [host, port] = (process.env.TEMPORAL_ADDRESS ?? '').split(':');
if (!command.includes('dist/worker.js')) process.exit(1);
const socket = connect({ host, port: Number(port), timeout: 5_000 });
socket.once('connect', () => process.exit(0));
socket.once('error', () => process.exit(1));
socket.once('timeout', () => process.exit(1));
