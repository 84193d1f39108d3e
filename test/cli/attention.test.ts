/** The choices of the question at the terminal, as it gets them. */
import { describe, expect, it } from 'vitest';
import { choicesOf } from '../../src/cli/attention.js';
import { costOf } from '../../src/cli/draw.js';
import type { Attention } from '../../src/contract/progress.js';
import { CREATE_CREDITS } from '../../src/contract/training.js';

describe('the choices of a training that waits', () => {
  it.each([60, 80, 160])('show the whole price in %i columns', (width) => {
    const attention: Attention = {
      id: 'one',
      kind: 'charge-unknown',
      message: '',
      since: '2026-01-01T00:00:00.000Z',
      evidence: [],
      options: ['newSession', 'resendCreate', 'giveUp'],
      riskOfSecondCharge: ['newSession', 'resendCreate'],
    };
    const canvas = { width, isColored: false, program: 'tunesmith' };
    const choices = choicesOf(attention, canvas, (option) => costOf(option, attention, {}));
    const whole = choices.map(({ name }) => name.replace(/\s+/g, ' '));
    expect(whole[0]).toContain(`then create: ${CREATE_CREDITS} credits, perhaps for the second time`);
    expect(whole[1]).toContain(`${CREATE_CREDITS} credits, perhaps for the second time`);
    for (const line of choices.flatMap(({ name }) => name.split('\n'))) {
      expect(line.length).toBeLessThan(width);
    }
  });
});
