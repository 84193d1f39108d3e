/**
 * Sandbox: which fault befalls which request.
 */
import type { Fault, FaultRule, RequestKind } from './options.js';

/** What a rule may look at in a request. */
export interface Subject {
  audioUrl?: string | undefined;
  name?: string | undefined;
  taskId?: string | undefined;
}

export class Faults {
  #rules: { rule: FaultRule; seen: number }[] = [];

  /** @returns what takes these rules, and no others, back. */
  add(rules: readonly FaultRule[]): () => void {
    const added = rules.map((rule) => ({ rule, seen: 0 }));
    this.#rules.push(...added);
    return () => {
      this.#rules = this.#rules.filter((entry) => !added.includes(entry));
    };
  }

  clear(): void {
    this.#rules = [];
  }

  /** Counts the request for every rule that matches it; the first rule whose turn it is gives the fault. */
  take(kind: RequestKind, subject: Subject): Fault | undefined {
    let found: Fault | undefined;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (rule.on !== kind || !isMatch(rule, subject)) continue;
      entry.seen += 1;
      const { nth = 1, times = 1 } = rule;
      if (entry.seen >= nth && entry.seen < nth + times) found ??= rule.fault;
    }
    return found;
  }
}

function isMatch({ match = {} }: FaultRule, subject: Subject): boolean {
  return (
    (match.audioUrl === undefined || (subject.audioUrl?.includes(match.audioUrl) ?? false)) &&
    (match.name === undefined || (subject.name?.includes(match.name) ?? false)) &&
    (match.taskId === undefined || subject.taskId === match.taskId)
  );
}
