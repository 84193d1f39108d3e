/**
 * Client side: all commands. A new one is added to its group here, then `npm run docs`.
 */
import type { CommandGroup } from '../command.js';
import { auditCommand } from './audit.js';
import { cancelCommand } from './cancel.js';
import { completeCommand, completionCommand } from './completion.js';
import { doctorCommand } from './doctor.js';
import { fixCommand } from './fix.js';
import { loginCommand, logoutCommand } from './keys.js';
import { resultCommand, watchCommand } from './following.js';
import { forgetCommand } from './forget.js';
import { generateCommand } from './generate.js';
import { listCommand, statusCommand } from './looks.js';
import { modelsCommand } from './models.js';
import { planCommand } from './plan.js';
import { demoCommand, downCommand, sandboxCommand, upCommand, workerCommand } from './processes.js';
import { setupCommand } from './setup.js';
import { trainCommand } from './train.js';
import { unstageCommand } from './unstage.js';

/** In the order in which help and documents list them. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  { title: 'Train', commands: [trainCommand, planCommand, fixCommand, cancelCommand] },
  { title: 'Look', commands: [statusCommand, watchCommand, listCommand, resultCommand] },
  {
    title: 'Songs, models and money',
    commands: [generateCommand, modelsCommand, auditCommand, forgetCommand],
  },
  { title: 'Server and worker', commands: [upCommand, downCommand, workerCommand] },
  { title: 'Try without a key', commands: [demoCommand, sandboxCommand] },
  {
    title: 'Set up',
    commands: [
      doctorCommand,
      loginCommand,
      logoutCommand,
      setupCommand,
      unstageCommand,
      completionCommand,
      completeCommand,
    ],
  },
];
