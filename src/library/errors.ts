/**
 * Client side: what goes wrong in a way that has a sentence of its own.
 */

/** Usage or input is wrong. The message is a sentence; nothing was started. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something outside went wrong in a way that has a sentence of its own. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
