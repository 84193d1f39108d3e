/**
 * Client side: commands that a user can copy. A URL may be signed, so a query is never repeated: what stands in its place
 * cannot be run by mistake.
 */

/** @param argv as the user gave it, without the program. */
export function commandOf(program: string, argv: readonly string[]): string {
  return [program, ...argv.map(shown).map(quoted)].join(' ');
}

/**
 * The command that trains once more what an ended training has trained.
 *
 * @param argv of the `train` that found it.
 * @param label of its `--again`, which is in use.
 * @param sessionId to go on with, where the command does not name one itself.
 */
export function againCommand(
  program: string,
  argv: readonly string[],
  label: string | true | undefined,
  sessionId?: string,
): string {
  const rest = argv.filter((argument, index) => {
    const isAgain = argument === '--again' || argument.startsWith('--again=');
    const isLabel = typeof label === 'string' && argv[index - 1] === '--again' && argument === label;
    return !isAgain && !isLabel && !(index === 0 && argument === 'train');
  });
  // Last, since what follows `--again` might be taken for its label.
  const session = sessionId === undefined ? [] : ['--session', sessionId];
  return commandOf(program, ['train', ...session, ...rest, '--again']);
}

function shown(argument: string): string {
  const query = argument.indexOf('?', Math.max(0, argument.indexOf('://')));
  return argument.includes('://') && query !== -1
    ? `<${argument.slice(0, query)} with its query>`
    : argument.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
}

/** For a POSIX shell. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
