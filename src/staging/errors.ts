/**
 * Staging: what can go wrong on the way from a local file to a URL. The message is a sentence for people, without a secret.
 */
export class StagingError extends Error {
  override readonly name = 'StagingError';
  /** The same again may end otherwise. */
  readonly mayPass: boolean;

  constructor(message: string, { mayPass = false } = {}) {
    super(message);
    this.mayPass = mayPass;
  }
}
