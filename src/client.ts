#!/usr/bin/env node
/**
 * Client script: the entry of the command line. Needs no API key; talks to the Temporal server and never to Mountsea.
 */
import { main } from './cli/program.js';

// A reader that went away (`tunesmith list | head -1`) is no error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
});
