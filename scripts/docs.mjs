/**
 * Writes the documents that are made of the code: docs/cli.md of the command definitions. A test says when one is old.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs'), '--if-stale'], {
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(build.status ?? 1);

const { manual } = await import('../dist/cli/manual.js');
const { COMMAND_GROUPS } = await import('../dist/cli/commands/index.js');
writeFileSync(join(root, 'docs', 'cli.md'), manual(COMMAND_GROUPS));
