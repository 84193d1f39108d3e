/**
 * Test builds in which one protection is switched off, to show that a chaos run finds what comes of it. They are made
 * out of a copy of dist/, so nothing in the product can be switched off.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const BREAKS = ['at-most-once', 'reconciliation'] as const;
export type Break = (typeof BREAKS)[number];

interface Patch {
  /** Inside dist/. */
  file: string;
  text: string;
  by: string;
}

const PATCHES: Record<Break, Patch[]> = {
  // What many an SDK does to a request that got no answer.
  'at-most-once': [
    {
      file: 'worker.js',
      text: 'wrapMountsea = (given) => given',
      by: `wrapMountsea = (mountsea) => ({
        ...mountsea,
        create: async (body, options) => {
          try {
            return await mountsea.create(body, options);
          } catch (error) {
            if (!['PossiblySentError', 'UnreadableAnswerError'].includes(error.name)) throw error;
            return mountsea.create(body, { timeoutMs: options.timeoutMs });
          }
        },
      })`,
    },
  ],
  // Nobody asks what became of a create: what proves nothing is taken for a proof that nothing happened. The looks just
  // before a send ask the same, so they are blind, too; with them alone only late creates are charged twice.
  reconciliation: [
    {
      file: 'workflow-bundle.cjs',
      text: 'function judgeCreate(question) {',
      by: `function judgeCreate(question) {
        return { kind: 'not-accepted', evidence: ['nobody asked'] };`,
    },
    {
      file: 'workflow-bundle.cjs',
      text: 'function isUnderCreate({ word, models }) {',
      by: 'function isUnderCreate({ word, models }) { return false;',
    },
    {
      file: 'money/verdict.js',
      text: 'function shownBySession(now, before) {',
      by: 'function shownBySession(now, before) { return undefined;',
    },
  ],
};

export function isBreak(name: string): name is Break {
  return BREAKS.some((one) => one === name);
}

/** @throws Error where the build is not as it was when this was written. */
export function breakBuild(dist: string, broken: Break): void {
  for (const { file, text, by } of PATCHES[broken]) {
    const path = join(dist, file);
    const before = readFileSync(path, 'utf8');
    if (before.split(text).length !== 2) throw new Error(`${file} does not hold exactly once: ${text}`);
    writeFileSync(
      path,
      before.replace(text, () => by),
    );
  }
}
