/**
 * Writes the documents that are made of the code: docs/cli.md of the command definitions, schemas/ of what
 * `--json` gives. A test says when one is old.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
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

const { jsonSchemas } = await import('../dist/cli/schema.js');
const folder = join(root, 'schemas');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const [name, text] of Object.entries(jsonSchemas())) writeFileSync(join(folder, name), text);
