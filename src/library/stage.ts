/**
 * Client side: local files of a training that is about to start are brought to where its worker can make URLs of them.
 */
import type { Source } from '../contract/training.js';
import { UsageError } from './errors.js';

/** @throws UsageError where there is a local file that cannot be staged. Nothing was started then. */
export function stageSources(sources: readonly Source[]): Promise<Source[]> {
  const file = sources.find((source) => !('url' in source));
  if (file === undefined) return Promise.resolve([...sources]);
  return Promise.reject(
    new UsageError(`${file.label} is a local file, and there is no way to give it a URL.`),
  );
}
