/**
 * The sandbox as a process: `tunesmith sandbox`, or `node dist/sandbox/main.js`.
 */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { startSandbox } from './index.js';
import {
  faultRule,
  type Profile,
  profile as profileSchema,
  profileWith,
  type SandboxOptions,
  shapes as shapesSchema,
} from './options.js';

interface Flags {
  host: string;
  port: number;
  billingPort: number;
  speed: number;
  seed: number;
  key?: string[];
  faults?: z.infer<typeof faultRule>[];
  shapes?: NonNullable<SandboxOptions['shapes']>;
  profile?: Profile;
  replay?: string;
  json?: boolean;
}

const program = new Command('sandbox')
  .description(
    'A simulated Mountsea with money: accounts, sessions, tasks, a credit ledger, faults. See docs/sandbox.md.',
  )
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--port <n>', 'port of the API host; 0 takes a free one', number, 0)
  .option('--billing-port <n>', 'port of the billing host', number, 0)
  .option('--speed <x>', 'how many times faster than life', number, 1)
  .option('--seed <n>', 'of durations and accounts', number, 1)
  .option(
    '--key <key>',
    'a key it knows; again for more (default: sandbox-key)',
    (key, keys: string[] | undefined): string[] => [...(keys ?? []), key],
  )
  .option('--faults <file>', 'JSON list of fault rules', faultsIn)
  .option('--shapes <k=v>', 'a shape of the wire; again for more', shapeOf)
  .option(
    '--profile <k=v>',
    'what is unknown about money, like topUp.everyMs=60000; again for more',
    profileOf,
  )
  .option('--replay <dir>', 'answer from recorded exchanges')
  .option('--json', 'say where it listens as JSON')
  .action(async (flags: Flags) => {
    const { key, json, replay, faults, ...rest } = flags;
    const sandbox = await startSandbox({
      ...rest,
      ...(key === undefined ? {} : { apiKeys: key }),
      ...(faults === undefined ? {} : { faults }),
      ...(replay === undefined ? {} : { replayDir: replay }),
    });
    const { url, billingUrl, apiKey } = sandbox;
    if (json === true) process.stdout.write(`${JSON.stringify({ url, billingUrl, apiKey })}\n`);
    else {
      process.stdout.write(
        `The sandbox listens. To use it:\n\n  export MOUNTSEA_BASE_URL=${url} MOUNTSEA_BILLING_URL=${billingUrl}\n` +
          `  export MOUNTSEA_API_KEY=${apiKey} TUNESMITH_ALLOW_PRIVATE_URLS=1\n\nReport: ${url}/_sandbox/report\n`,
      );
    }
    const end = (): void => {
      void sandbox.close();
    };
    process.once('SIGINT', end).once('SIGTERM', end);
  });

program.parseAsync().catch((error: unknown) => {
  const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
  process.stderr.write(`${message}\n`);
  process.exitCode = 2;
});

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0))
    throw new InvalidArgumentError('It must be a number, not negative.');
  return value;
}

function faultsIn(file: string): z.infer<typeof faultRule>[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  const parsed = z.array(faultRule).safeParse(json);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(z.prettifyError(parsed.error));
}

function shapeOf(pair: string, shapes: Flags['shapes']): Flags['shapes'] {
  const [name = '', value = ''] = pair.split('=', 2);
  const parsed = shapesSchema.safeParse({ ...shapes, [name]: /^\d+$/.test(value) ? Number(value) : value });
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(z.prettifyError(parsed.error));
}

function profileOf(pair: string, before: Profile = profileSchema.parse({})): Profile {
  const [path = '', text = ''] = pair.split('=', 2);
  const changeTo = (value: unknown): unknown =>
    path.split('.').reduceRight((inner, name) => ({ [name]: inner }), value);
  try {
    return profileWith(before, changeTo(text));
  } catch {
    // Not a word, then. Only the schema knows: 404 is one.
  }
  try {
    const isJson = /^(true|false|\d+(\.\d+)?)$/.test(text);
    return profileWith(before, changeTo(isJson ? JSON.parse(text) : text));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof z.ZodError ? z.prettifyError(error) : String(error));
  }
}
