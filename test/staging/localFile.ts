/**
 * Files as staging knows them.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalFile } from '../../src/staging/s3.js';

export function writeLocalFile(folder: string, name: string, content: string | Buffer): LocalFile {
  const path = join(folder, name);
  writeFileSync(path, content);
  return { path, sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length };
}
