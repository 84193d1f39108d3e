/** The words of a simple shell line up to a pipe or redirection, by the shell itself. */
import { execFileSync } from 'node:child_process';

export function wordsOf(line: string): string[] {
  const command = /^(?:"[^"]*"|'[^']*'|[^"'|<>;&])*/.exec(line)?.[0] ?? '';
  return execFileSync('bash', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}
