/**
 * Client side: what holds for all commands, as `--help` and docs/cli.md both list it: exit codes and environment.
 */
import { Exit } from './exit.js';

/** A thing with a name and a sentence. */
export interface Entry {
  term: string;
  meaning: string;
}

const MEANINGS: Record<keyof typeof Exit, string> = {
  done: 'done; of commands that only look: the look worked (with --exit-status by the training)',
  unexpected: 'unexpected error',
  usage: 'usage or input is wrong; nothing was started',
  endedNotCharged: 'failed, given up or cancelled; create not charged',
  endedCharged: 'failed, given up or cancelled; create charged',
  parked: 'parked: needs a person (not charged, or charged and known)',
  chargeUnknown: 'parked or ended with the charge unknown',
  stillRunning: 'still running: detached, or --wait ran out',
  interrupted:
    'interrupted by Ctrl-C while following, where the training goes on, or at a question, where nothing was done',
};

export const EXIT_CODES: readonly Entry[] = (Object.keys(Exit) as (keyof typeof Exit)[]).map((name) => ({
  term: String(Exit[name]),
  meaning: MEANINGS[name],
}));

/** Every variable that a process of ours reads, beside the SDKs' own. */
export const ENVIRONMENT: readonly Entry[] = [
  {
    term: 'MOUNTSEA_API_KEY',
    meaning: 'the API key; only workers need it, and it is never a flag (default: what login keeps)',
  },
  {
    term: 'MOUNTSEA_API_KEY_FILE',
    meaning: 'a file that holds the key instead; read again at every request, so a rotated key is picked up',
  },
  { term: 'MOUNTSEA_BASE_URL', meaning: 'where the API is (default: https://api.mountsea.ai)' },
  {
    term: 'MOUNTSEA_BILLING_URL',
    meaning:
      'where the billing API is (default: https://dk.mountsea.ai, and none with another base URL: credits are then unknown)',
  },
  { term: 'MOUNTSEA_BILLING_API_KEY', meaning: 'its key (default: the API key)' },
  {
    term: 'TUNESMITH_HOME',
    meaning: 'folder of the background server’s state (default: by the conventions of the system)',
  },
  {
    term: 'TUNESMITH_S3_BUCKET, TUNESMITH_S3_PREFIX',
    meaning:
      'bucket for local files while they are uploaded, and what their keys begin with (default: tunesmith/); address and credentials by AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_PROFILE and so on',
  },
  {
    term: 'TUNESMITH_TUNNEL',
    meaning: 'command of a tunnel to {port} of this machine, for local files without a bucket',
  },
  {
    term: 'TUNESMITH_ALLOW_PRIVATE_URLS',
    meaning: '1: accept sources on loopback or private addresses, for the sandbox and tests',
  },
  {
    term: 'TUNESMITH_WEBHOOK_SECRET',
    meaning:
      'whsec_…: what workers sign notifications with (--notify); TUNESMITH_WEBHOOK_SECRET_FILE names a file instead, read again each time',
  },
  { term: 'TUNESMITH_TEMPORAL_CLI', meaning: 'path of a `temporal` binary to use' },
  {
    term: 'TUNESMITH_TIME_SCALE',
    meaning: 'factor on all durations of the workflow, with a sandbox on this machine only',
  },
  {
    term: 'TUNESMITH_IDLE_SECONDS',
    meaning: 'for tests: when the background server ends by itself (default: 600)',
  },
  {
    term: 'TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_PROFILE, TEMPORAL_TLS*',
    meaning:
      'another Temporal, by its own configuration; a profile file counts as well (default: the server that tunesmith brings)',
  },
  { term: 'NO_COLOR', meaning: 'no colours' },
];
