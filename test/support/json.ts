/**
 * What `--json` wrote, held to its schemas.
 */
import { type JsonRecord, parseRecord } from '../../src/cli/schema.js';

/**
 * All records on stdout: a document a line, a record or a list of them.
 *
 * @throws where a line is no JSON, or a record is not as its schema says.
 */
export function recordsIn(stdout: string): JsonRecord[] {
  if (stdout !== '' && !stdout.endsWith('\n'))
    throw new Error(`The last line has no end: ${stdout.slice(-200)}`);
  const lines = stdout.split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    const document: unknown = JSON.parse(line);
    return Array.isArray(document) ? document.map(parseRecord) : [parseRecord(document)];
  });
}
