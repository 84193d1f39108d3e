/**
 * Client side: the first time that somebody gives a local file. On a terminal a bucket is set up with them and proved; else
 * they are told what to set.
 */
import type { Bucket } from '../contract/training.js';
import { HOW_TO_STAGE, type StagingRules, wayOf } from '../library/stage.js';
import { asPrefix, DEFAULT_PREFIX, keepBucket } from '../staging/config.js';
import { isPrivateHost } from '../temporal/settings.js';
import { ask, canAsk } from './ask.js';
import { UsageError } from './exit.js';
import type { Io, Output } from './output.js';

/**
 * There is a way for local files to get URLs, or there is one now.
 *
 * @param label of the first local file.
 * @param isOwn the server is our own in the background.
 * @throws UsageError with what to set, where nobody is there to be asked or nothing came of it.
 */
export async function requireStaging(
  label: string,
  rules: StagingRules,
  isOwn: boolean,
  output: Output,
  io: Io,
): Promise<void> {
  if (wayOf(rules, isOwn) !== undefined) return;
  const what = `${label} is a local file, and Mountsea takes URLs only.`;
  const isAsked = canAsk(io) && !output.isJson;
  if (isAsked) {
    output.say(`${what} A file needs a place with a URL until its upload has ended.`);
    const choice = await ask(io, (context, { select }) =>
      select(
        {
          message: 'Where shall local files be put?',
          choices: [
            { value: 'bucket', name: 'an S3-compatible bucket of mine (set it up now)' },
            { value: 'nowhere', name: 'nowhere: tell me what to set' },
          ],
        },
        context,
      ),
    );
    if (choice === 'bucket' && (await setUpBucket(rules, output, io))) return;
  }
  throw new UsageError(
    `${what} Set one of these, then run this command again:\n${HOW_TO_STAGE}\n${isAsked ? '' : 'On a terminal this command sets up a bucket with you. '}Nothing was started.`,
  );
}

/** @returns whether a bucket works now. */
async function setUpBucket(rules: StagingRules, output: Output, io: Io): Promise<boolean> {
  const { hasCredentials, proveBucket } = await import('../staging/s3.js');
  // They are never asked for here, so the other questions would be for nothing.
  if (!(await hasCredentials())) {
    output.say(
      'A bucket needs AWS credentials, and there are none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, then run this command again.',
    );
    return false;
  }
  let bucket: Bucket | undefined;
  for (;;) {
    // What was typed stands there when it is tried again.
    bucket = await askForBucket(rules, io, bucket);
    output.say(`Puts, gets and deletes a small object in ${bucket.bucket}.`);
    try {
      await proveBucket(bucket);
      const path = keepBucket(rules.home, bucket);
      output.say(
        `It works. Kept in ${path}, without credentials: those stay where AWS keeps them. The same by variables:\n${variablesOf(bucket)}`,
      );
      return true;
    } catch (error) {
      output.say(`That did not work: ${(error as Error).message}.`);
      const again = await ask(io, (context, { confirm }) => confirm({ message: 'Try again?' }, context));
      if (!again) return false;
    }
  }
}

async function askForBucket(
  { env, allowPrivateUrls }: StagingRules,
  io: Io,
  typed?: Bucket,
): Promise<Bucket> {
  const text = (
    message: string,
    initial = '',
    validate: (text: string) => true | string = () => true,
  ): Promise<string> =>
    ask(io, (context, { input }) => input({ message, default: initial, validate }, context));
  const bucket = await text(
    'Name of the bucket',
    typed?.bucket,
    (name) => name.trim() !== '' || 'A name is needed.',
  );
  const endpoint = await text(
    'Endpoint (empty: AWS itself)',
    typed?.endpoint ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'] ?? '',
    (url) => whyNoEndpoint(url.trim(), allowPrivateUrls) ?? true,
  );
  const region = await text(
    'Region (empty: that of the AWS profile)',
    typed?.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? '',
    (name) => /^[\w-]*$/.test(name.trim()) || 'A region is a name such as eu-central-1.',
  );
  const prefix = await text('Prefix of the keys', typed?.prefix ?? DEFAULT_PREFIX);
  return {
    bucket: bucket.trim(),
    prefix: asPrefix(prefix.trim()),
    ...(region.trim() === '' ? {} : { region: region.trim() }),
    ...(endpoint.trim() === '' ? {} : { endpoint: endpoint.trim() }),
  };
}

function whyNoEndpoint(text: string, allowPrivateUrls: boolean): string | undefined {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    return 'An http or https URL is needed.';
  }
  const isOut = isPrivateHost(url.hostname) && !allowPrivateUrls;
  return isOut ? 'That is a private address, which Mountsea cannot reach.' : undefined;
}

function variablesOf({ bucket, prefix, region, endpoint }: Bucket): string {
  return [
    `  export TUNESMITH_S3_BUCKET=${bucket}`,
    ...(prefix === DEFAULT_PREFIX ? [] : [`  export TUNESMITH_S3_PREFIX=${prefix}`]),
    ...(region === undefined ? [] : [`  export AWS_REGION=${region}`]),
    ...(endpoint === undefined ? [] : [`  export AWS_ENDPOINT_URL_S3=${endpoint}`]),
  ].join('\n');
}
