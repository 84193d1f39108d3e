/**
 * Client side: the receiver of `--notify`, looked at before anything starts. Whether it answers is not tried: it is told
 * when there is something to tell.
 */
import type { NotifyTarget } from '../contract/notification.js';
import { isPrivateHost } from '../temporal/settings.js';
import { UsageError } from './errors.js';
import { addressesOf, labelOf, type SourceRules } from './sources.js';

/** @throws UsageError with a sentence where nobody can be told there. */
export async function notifyTarget(
  argument: string,
  { allowPrivateUrls, warn }: Pick<SourceRules, 'allowPrivateUrls' | 'warn'>,
): Promise<NotifyTarget> {
  const url = URL.canParse(argument) ? new URL(argument) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError('--notify must be an http or https URL.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('--notify must have no user name or password in its URL: they would be stored.');
  }
  const label = labelOf(url);
  if (!allowPrivateUrls) await refusePrivate(url, warn);
  return { url: argument, label };
}

async function refusePrivate(url: URL, warn: SourceRules['warn']): Promise<void> {
  const host = url.hostname.replace(/\.$/, '');
  const addresses = isPrivateHost(host) ? [host] : await addressesOf(host);
  // The worker may know a name that this machine does not; it looks again.
  if (addresses === undefined) {
    warn(`--notify: ${host} cannot be looked up from here, so whether anybody hears it is not known.`);
  } else if (addresses.some(isPrivateHost)) {
    throw new UsageError(
      `--notify is on ${host}, a private or loopback address. For a receiver on this machine set TUNESMITH_ALLOW_PRIVATE_URLS=1, for the worker too.`,
    );
  }
}
