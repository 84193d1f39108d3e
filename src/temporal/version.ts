/** Every process: what the package that this file was installed with says of itself. */
import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../package.json') as {
  version: string;
  engines: { node: string };
};

/** Of tunesmith, e.g. `0.1.0`. */
export const OWN_VERSION = manifest.version;
/** The least version of Node that it runs on, e.g. `20.18.1`. */
export const LEAST_NODE_VERSION = manifest.engines.node.replace(/^\D+/, '');
