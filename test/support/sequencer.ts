/**
 * The order of test files: the longest first, so that none of them is left over at the end with idle cores beside it. A fresh
 * checkout has no cache of how long they took, and Vitest would go by the sizes of the files, one project after the other.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By how long they take; all others after them. */
const LONGEST = [
  'test/e2e/money-cli.test.ts',
  'test/e2e/cli.test.ts',
  'test/workflow/edges.test.ts',
  'test/workflow/training.test.ts',
  'test/workflow/create.test.ts',
  'test/temporal/background.test.ts',
  'test/chaos/chaos.test.ts',
  'test/e2e/background.test.ts',
  'test/e2e/crash.test.ts',
  'test/package/package.test.ts',
  'test/workflow/reset.test.ts',
  'test/e2e/generate.test.ts',
  'test/matrix/profiles.test.ts',
  'test/e2e/plan.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
