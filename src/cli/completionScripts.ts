/**
 * Client side: what a shell needs to ask for completions. Each script hands the words to `tunesmith __complete`, so that it
 * stays right when tunesmith changes. Answers are lines: value, tab, description; `:files` where paths may stand.
 */
import type { Completions } from './completion.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Works in the bash 3.2 of macOS; does not need bash-completion. */
const BASH = `_tunesmith() {
  local line files=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) files=1 ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <(command tunesmith __complete bash -- "\${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
  [[ $files ]] || compopt +o default 2>/dev/null
  compopt -o nosort 2>/dev/null
}
complete -o default -F _tunesmith tunesmith
`;

const ZSH = `#compdef tunesmith
_tunesmith() {
  local -a candidates
  local line files tab=$'\\t'
  for line in "\${(@f)$(command tunesmith __complete zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :files) files=1 ;;
      *) candidates+=("\${\${line%%$tab*}//:/\\\\:}:\${line#*$tab}") ;;
    esac
  done
  if (( $#candidates )); then _describe -V tunesmith candidates; fi
  if [[ -n $files ]]; then compset -P '--*='; _files; fi
}
if [[ $funcstack[1] == _tunesmith ]]; then _tunesmith "$@"; else compdef _tunesmith tunesmith; fi
`;

const FISH = `function __tunesmith_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (string unescape -- (string replace -r '^["\\']' '' -- (commandline -ct)))
    for line in (command tunesmith __complete fish -- $words "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c tunesmith -f -k -a '(__tunesmith_complete)'
`;

export const COMPLETION_SCRIPTS: Record<Shell, string> = { bash: BASH, zsh: ZSH, fish: FISH };

/**
 * What was typed, as words without the program.
 *
 * @param args of `__complete`: from bash the line up to the cursor and the part of it that bash replaces, else words.
 */
export function typedWords(shell: Shell, args: readonly string[]): string[] {
  if (shell !== 'bash') return [...args];
  const words = shellWords(args[0] ?? '').words;
  return words.slice(1 + words.findIndex((word) => !/^\w+=/.test(word)));
}

/** The lines of the answer. */
export function answerOf(
  shell: Shell,
  args: readonly string[],
  { candidates, files }: Completions,
): string[] {
  const lines = candidates.map(({ value, description }) =>
    shell === 'bash' ? forBash(value, args) : `${value}\t${oneLine(description)}`,
  );
  return files ? [...lines, ':files'] : lines;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** Bash replaces only what stands behind the last `=` or `:`, and inserts what it gets as it is. */
function forBash(value: string, [line = '', replaced = '']: readonly string[]): string {
  const { words, quote } = shellWords(line);
  const kept = (words.at(-1) ?? '').length - (shellWords(replaced).words.at(-1) ?? '').length;
  const rest = value.slice(Math.max(0, kept));
  if (quote === "'") return rest;
  return quote === '"' ? rest.replace(/["$`\\]/g, '\\$&') : rest.replace(/[^\w@%+=:,./-]/g, '\\$&');
}

/** As a POSIX shell reads a line, without expanding anything. The last word is the one that is being typed. */
function shellWords(line: string): { words: string[]; quote: string } {
  const words: string[] = [];
  let word = '';
  let isOpen = false;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (quote === '' && /\s/.test(char)) {
      if (isOpen) words.push(word);
      [word, isOpen] = ['', false];
    } else if (char === quote) {
      quote = '';
    } else if (quote === '' && (char === '"' || char === "'")) {
      [quote, isOpen] = [char, true];
    } else {
      if (char === '\\' && quote !== "'") at += 1;
      word += line.charAt(at);
      isOpen = true;
    }
  }
  return { words: [...words, word], quote };
}
