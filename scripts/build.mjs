/**
 * Builds dist/: the compiled program and the workflow bundle that workers load.
 * `--if-stale` does nothing when dist/ is newer than every source, so that `npm run tunesmith` starts at once.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const bundlePath = join(dist, 'workflow-bundle.cjs');

/** Modification time of the newest file at or below a path, in ms. */
function newest(path) {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const inputs = ['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) =>
  join(root, name),
);
if (process.argv.includes('--if-stale') && existsSync(bundlePath)) {
  if (statSync(bundlePath).mtimeMs > Math.max(...inputs.map(newest))) process.exit(0);
}

// A file whose source is gone must not stay in dist/, where the bundle or a process could still load it.
rmSync(dist, { recursive: true, force: true });
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: ['ignore', 2, 'inherit'],
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
const { code } = await bundleWorkflowCode({
  workflowsPath: join(dist, 'workflows', 'index.js'),
  logger: new DefaultLogger('WARN'),
  // For stack traces positions are enough; sources would double the bundle, and paths of this machine mean nothing elsewhere.
  webpackConfigHook: (config) => ({
    ...config,
    devtool: 'inline-nosources-source-map',
    output: {
      ...config.output,
      devtoolModuleFilenameTemplate: ({ absoluteResourcePath }) =>
        absoluteResourcePath.replaceAll(root + sep, ''),
    },
  }),
});
writeFileSync(bundlePath, code);
// `npm link` does this once; a build after it would take the right away again.
chmodSync(join(dist, 'client.js'), 0o755);
