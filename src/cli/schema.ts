/**
 * Client side: what `--json` writes, as schemas. Each record has a `type` and the `version` of all of them; the compiler
 * holds them to the contract, so a field that is added there has to be added here. The JSON Schema files of the package are
 * made of them (`npm run docs`), and the tests read every record that they see a command write by them.
 *
 * A new record: a schema here, an entry in RECORDS, a line in docs/json.md, `npm run docs`.
 */
import { z } from 'zod';
import type { CorrectionAction } from '../contract/correction.js';
import type {
  Attention,
  AttentionKind,
  FileProgress,
  FileState,
  Outage,
  Phase,
  SeenDurations,
  TrainingMemo,
  TrainingProgress,
  UploadedFile,
} from '../contract/progress.js';
import type {
  ChargeVerdict,
  Clip,
  CreateAttempt,
  PaidAttempt,
  Receipt,
  TimelineEntry,
  TrainedModel,
} from '../contract/training.js';
import type {
  SongAttempt,
  SongClip,
  SongMemo,
  SongPhase,
  SongProgress,
  SongReceipt,
  SongRequest,
} from '../contract/song.js';

import type { Finding } from './doctor/finding.js';
import { type Finding as PlanFinding, FINDING_CODES } from '../preflight/findings.js';
import { Exit } from './exit.js';
import type { TrainingStatus } from '../library/snapshot.js';

/** Version of the JSON records; a field added later keeps it, a changed meaning raises it. */
export const JSON_VERSION = 1;

type Keys<T> = T extends unknown ? keyof T : never;

/** A schema of exactly this type: a field too many, too few, or another kind of field is an error of the compiler. */
function schemaOf<T>() {
  return <S extends z.ZodType<T>>(
    schema: S & (T extends z.output<S> ? ([Keys<T>] extends [Keys<z.output<S>>] ? unknown : never) : never),
  ): S => schema;
}

const time = z.iso.datetime().meta({ description: 'ISO 8601, UTC.' });
const text = z.string();
const optionalText = z.exactOptional(text);
const optionalTime = z.exactOptional(time);
const count = z.int().nonnegative();
const credits = z.number();

const phase = schemaOf<Phase>()(
  z.enum(['preparing', 'uploading', 'creating', 'training', 'done', 'failed', 'cancelled']),
);
const fileState = schemaOf<FileState>()(
  z.enum(['waiting', 'staging', 'uploading', 'processing', 'overdue', 'ready', 'failed', 'dropped']),
);
const status = schemaOf<TrainingStatus>()(
  z.enum(['running', 'completed', 'failed', 'cancelled', 'terminated', 'timed-out']),
);
const verdict = schemaOf<ChargeVerdict>()(z.enum(['charged', 'not-charged', 'unknown']));
const correction = schemaOf<CorrectionAction>()(
  z.enum([
    'rename',
    'replaceFiles',
    'dropFiles',
    'retry',
    'resendCreate',
    'keepWaiting',
    'newSession',
    'giveUp',
  ]),
);
const attentionKind = schemaOf<AttentionKind>()(
  z.enum([
    'bad-files',
    'create-rejected',
    'charge-unknown',
    'training-failed',
    'training-overdue',
    'credentials',
    'credits',
    'account-limit',
    'answer-unclear',
    'song-rejected',
    'song-failed',
    'song-overdue',
  ]),
);

const sha256 = optionalText.meta({ description: 'Of the bytes of a local file; 64 hex digits.' });
const timelineEntry = schemaOf<TimelineEntry>()(z.strictObject({ at: time, text }));
const clip = schemaOf<Clip>()(
  z.strictObject({
    clipId: text,
    file: count.meta({ description: 'Number of the file, from 1.' }),
    source: text.meta({ description: 'A URL without its query, or the path of a local file.' }),
    sha256,
  }),
);

const paidAttempt = schemaOf<PaidAttempt>()(
  z.strictObject({
    decision: text.meta({
      description: 'What allowed it: `first`, or the id of an attention; `+` behind it for a proven resend.',
    }),
    sentAt: time,
    verdict,
    credits: z.exactOptional(credits),
    rowId: optionalText.meta({ description: 'Its row in the ledger.' }),
    refundRowId: optionalText,
    provisional: z.exactOptional(z.boolean()),
    ended: z
      .exactOptional(z.enum(['failed', 'unclear']))
      .meta({ description: 'What its task came to where that gave nothing.' }),
    sentBy: optionalTime,
    balanceBefore: z.exactOptional(credits),
    evidence: z.array(text),
  }),
);
const createAttempt = schemaOf<CreateAttempt>()(
  paidAttempt.extend({
    sessionId: text.meta({ description: 'The session that it was sent in.' }),
    taskId: optionalText.meta({ description: 'What it was answered with, where that is another task.' }),
    modelId: optionalText.meta({ description: 'The model that it made in a session that was given up.' }),
  }),
);
const receipt = schemaOf<Receipt>()(
  z
    .strictObject({
      create: z.strictObject({
        verdict,
        credits: z.exactOptional(credits).meta({ description: 'Absent where nothing was charged.' }),
        sends: count.meta({ description: 'Create requests that may have left a worker.' }),
        provisional: z
          .exactOptional(z.boolean())
          .meta({ description: 'The ledger has not shown every charge yet.' }),
        evidence: z.array(text),
        attempts: z.array(createAttempt),
      }),
      uploads: z.strictObject({
        calls: count.meta({ description: 'Upload requests that may have left a worker.' }),
        credits: z.union([credits, z.literal('unknown')]),
      }),
    })
    .meta({ description: 'What is spent, as far as it is known. Unknown is never 0.' }),
);

const attention = schemaOf<Attention>()(
  z
    .strictObject({
      id: text.meta({ description: 'What a correction names.' }),
      kind: attentionKind,
      message: text,
      since: time,
      evidence: z.array(text),
      options: z.array(correction).meta({ description: 'Corrections that apply now; see `tunesmith fix`.' }),
      riskOfSecondCharge: z.exactOptional(z.array(correction)),
      files: z.exactOptional(z.array(count)).meta({ description: 'Files that it is about, by number.' }),
      nextTryAt: optionalTime.meta({ description: 'It tries again by itself then.' }),
    })
    .meta({ description: 'What a parked training needs.' }),
);
const outage = schemaOf<Outage>()(
  z
    .strictObject({
      since: time,
      request: text.meta({ description: 'What the request is for.' }),
      why: text,
      tries: count.meta({ description: 'Tries that failed.' }),
      nextTryAt: optionalTime.meta({ description: 'Absent while a try is under way.' }),
    })
    .meta({
      description: 'A request that Mountsea gives no usable answer to. It is made again without limit.',
    }),
);
const file = schemaOf<FileProgress>()(
  z.strictObject({
    number: count,
    label: text,
    sha256,
    state: fileState,
    tries: count,
    taskId: optionalText,
    clipId: optionalText,
    since: time,
    begunAt: optionalTime.meta({
      description: 'When its newest upload began; for a ready file, it took from then to `since`.',
    }),
    reason: optionalText,
  }),
);
const upload = schemaOf<UploadedFile>()(
  z.strictObject({ file: count, label: text, sha256, taskId: optionalText, clipId: optionalText }),
);

const durations = schemaOf<SeenDurations>()(
  z.strictObject({ count, shortestMs: z.number(), longestMs: z.number() }),
);
const facts = {
  name: text,
  origin: text,
  phase,
  startedAt: time,
  phaseSince: time,
  sessionId: optionalText,
  receipt,
  uploadPrice: z
    .exactOptional(z.strictObject({ credits, basis: z.enum(['ledger', 'said', 'assumption']) }))
    .meta({ description: 'What an upload counts as while the receipt says `unknown`: an estimate.' }),
  attention: z.exactOptional(attention),
  outage: z.exactOptional(outage),
  modelId: optionalText,
};

const version = z.literal(JSON_VERSION);
const about = {
  type: z.literal('progress'),
  version,
  workflowId: text,
  runId: text.meta({ description: 'Empty where only the record of the training is left.' }),
  status,
};
interface About {
  type: 'progress';
  version: typeof JSON_VERSION;
  workflowId: string;
  runId: string;
  status: TrainingStatus;
}

const live = schemaOf<TrainingProgress & About & { live: true }>()(
  z.strictObject({
    ...about,
    live: z.literal(true),
    ...facts,
    files: z.array(file),
    createTaskId: optionalText,
    nextCheckAt: optionalTime,
    expected: z
      .exactOptional(
        z.strictObject({ trainingMs: z.exactOptional(durations), uploadMs: z.exactOptional(durations) }),
      )
      .meta({ description: 'What earlier trainings and their uploads took; absent where none is known.' }),
    timeline: z.array(timelineEntry),
  }),
);
const remembered = schemaOf<TrainingMemo & About & { live: false }>()(
  z.strictObject({
    ...about,
    live: z.literal(false),
    ...facts,
    uploads: z.array(upload),
    fileCounts: z.partialRecord(fileState, count),
    fileTotal: count,
    finishedAt: optionalTime,
  }),
);
const progress = z.union([live, remembered]).meta({
  description:
    'A training as it is now. `live` is false where no worker answered or the training has ended: it is then what the training last wrote down.',
});

const result = schemaOf<
  TrainedModel & { type: 'result'; version: typeof JSON_VERSION; workflowId: string }
>()(
  z
    .strictObject({
      type: z.literal('result'),
      version,
      workflowId: text,
      modelId: text,
      name: text,
      sessionId: text,
      origin: text,
      clips: z.array(clip),
      receipt,
      timeline: z.array(timelineEntry).meta({ description: 'Empty where only the record is left.' }),
      songId: optionalText.meta({ description: 'Of the song of `--try`.' }),
      startedAt: time,
      finishedAt: time,
    })
    .meta({ description: 'A training that has its model.' }),
);

const model = z
  .strictObject({
    type: z.literal('model'),
    version,
    workflowId: text,
    name: text,
    modelId: text,
    sessionId: optionalText,
    origin: text,
    clips: z.array(clip),
    receipt,
    startedAt: time,
    trainedAt: time,
  })
  .meta({ description: 'A trained model, from the registry.' });

const row = z.strictObject({ id: text, at: time, credits });
const training = z.strictObject({
  workflowId: text,
  name: text,
  sessionId: text,
  decision: text,
  sentAt: time,
  verdict,
  credits: z.exactOptional(credits),
});
const audit = z
  .union([
    z.strictObject({
      type: z.literal('audit'),
      version,
      days: count,
      keyFingerprint: text.meta({ description: "Of the worker's key." }),
      ledger: z.strictObject({
        at: time,
        balance: credits,
        creates: z.array(row),
        uploads: z.strictObject({ count, total: credits }),
        unidentified: count,
      }),
      matched: z.array(z.strictObject({ row, training })),
      shared: z.array(z.strictObject({ rows: z.array(row), trainings: z.array(training) })),
      orphanRows: z.array(row),
      orphanTrainings: z.array(training),
      unknown: z.array(training),
      waiting: z.array(training),
      refunds: z.array(z.strictObject({ row, trainings: z.array(training) })),
      settled: z.array(text),
      otherKeys: count,
    }),
    z.strictObject({
      type: z.literal('audit'),
      version,
      days: count,
      ledger: z.literal('unknown'),
      why: text,
    }),
  ])
  .meta({ description: 'The ledger beside the trainings.' });

const unstage = z
  .strictObject({
    type: z.literal('unstage'),
    version,
    bucket: text,
    trainings: z.array(
      z.strictObject({
        workflowId: text,
        objects: count.meta({ description: 'Files of it that were in the bucket.' }),
        outcome: z.enum(['removed', 'open', 'unknown']).meta({
          description:
            '`open`: kept, since it still runs. `unknown`: kept, since no training here has that id.',
        }),
      }),
    ),
  })
  .meta({ description: 'What became of the staged copies of local files.' });

const planFinding = schemaOf<PlanFinding>()(
  z.strictObject({
    level: z.enum(['error', 'warning', 'note']).meta({
      description: 'An error stops a training; a warning does too, unless it is accepted.',
    }),
    code: z.enum(FINDING_CODES).meta({ description: 'What is wrong, for programs.' }),
    files: z.array(count).meta({ description: 'Numbers of the files; none: the training as a whole.' }),
    short: text,
    message: text,
  }),
);
const plan = z
  .strictObject({
    type: z.literal('plan'),
    version,
    hash: text.meta({ description: 'For `train --plan`.' }),
    name: text,
    origin: text,
    files: z.array(
      z.strictObject({
        number: count,
        label: text,
        isUploaded: z.boolean().meta({ description: 'False: its clip is there already, or on its way.' }),
        kind: optionalText.meta({ description: 'By its first bytes, e.g. `mp3`.' }),
        durationMs: z.exactOptional(count).meta({ description: 'Absent where it cannot be told honestly.' }),
        codec: optionalText,
        sampleRate: z.exactOptional(z.number()).meta({ description: 'Hz.' }),
        channels: z.exactOptional(count),
        size: z.exactOptional(count).meta({ description: 'Bytes.' }),
        contentType: optionalText,
        expiresAt: optionalTime.meta({ description: 'Until when its URL is signed.' }),
      }),
    ),
    findings: z.array(planFinding),
    price: z.strictObject({
      uploads: count,
      uploadCredits: credits.meta({ description: 'Of one upload.' }),
      basis: z.enum(['ledger', 'assumption']),
      createCredits: credits,
      songCredits: z.exactOptional(credits).meta({ description: 'Of the song of `--try`.' }),
      total: credits.meta({ description: 'Where every upload succeeds at its first try.' }),
      most: credits.meta({ description: 'Where every upload needs all of its tries.' }),
    }),
    balance: z.union([
      z.strictObject({ before: credits, after: credits }),
      z.strictObject({ unknown: text.meta({ description: 'Why.' }) }),
    ]),
    sameFiles: z
      .array(z.strictObject({ workflowId: text, name: text, modelId: optionalText }))
      .meta({ description: 'Trainings of the same files under other names.' }),
    existing: z
      .exactOptional(z.strictObject({ workflowId: text, outcome: z.enum(['runs', 'done', 'ended']) }))
      .meta({ description: 'The training that `train` finds instead of starting one.' }),
  })
  .meta({
    description:
      'The checks and the price of a training. Of `plan`; of `train` where it starts nothing because of them.',
  });

const down = z
  .strictObject({ type: z.literal('down'), version, outcome: z.enum(['stopped', 'not-running']) })
  .meta({ description: 'What became of the background server.' });

const imported = z
  .strictObject({ type: z.literal('import'), version, added: count, updated: count, known: count })
  .meta({ description: 'What became of the records of `models --import`.' });

const forgotten = z
  .strictObject({
    type: z.literal('forgotten'),
    version,
    workflowId: text,
    executions: count.meta({ description: 'Workflow executions that were deleted.' }),
    keepsRecord: z.boolean(),
  })
  .meta({ description: 'What `forget` deleted.' });

const songClip = schemaOf<SongClip>()(
  z.strictObject({
    id: text,
    audioUrl: optionalText,
    imageUrl: optionalText,
    title: optionalText,
    tags: optionalText,
    duration: z.exactOptional(z.number()).meta({ description: 'Seconds.' }),
  }),
);
const songAttempt = schemaOf<SongAttempt>()(
  paidAttempt.extend({ taskId: optionalText.meta({ description: 'Its task, where it was accepted.' }) }),
);
const songReceipt = schemaOf<SongReceipt>()(
  z
    .strictObject({
      generate: z.strictObject({
        verdict,
        credits: z.exactOptional(credits).meta({ description: 'Absent where nothing was charged.' }),
        sends: count.meta({ description: 'Requests that may have left a worker.' }),
        provisional: z.exactOptional(z.boolean()),
        evidence: z.array(text),
        attempts: z.array(songAttempt),
      }),
    })
    .meta({ description: 'What is spent, as far as it is known. Unknown is never 0.' }),
);
const songFacts = {
  title: text,
  model: text,
  modelName: optionalText,
  origin: text,
  keyFingerprint: optionalText,
  phase: schemaOf<SongPhase>()(z.enum(['sending', 'generating', 'done', 'failed', 'cancelled'])),
  startedAt: time,
  phaseSince: time,
  taskId: optionalText,
  clips: z.array(songClip).meta({ description: 'Before the end they may play already and still grow.' }),
  receipt: songReceipt,
  attention: z.exactOptional(attention),
};
const aboutSong = { ...about, type: z.literal('song'), runId: text };
interface AboutSong extends Omit<About, 'type'> {
  type: 'song';
}
const song = z
  .union([
    schemaOf<SongProgress & AboutSong & { live: true }>()(
      z.strictObject({
        ...aboutSong,
        live: z.literal(true),
        ...songFacts,
        taskStatus: optionalText.meta({ description: 'What Mountsea called it last.' }),
        nextCheckAt: optionalTime,
        timeline: z.array(timelineEntry),
      }),
    ),
    schemaOf<SongMemo & AboutSong & { live: false }>()(
      z.strictObject({ ...aboutSong, live: z.literal(false), ...songFacts, finishedAt: optionalTime }),
    ),
  ])
  .meta({ description: 'A song as it is now; `live` as of `progress`.' });

const songRequest = schemaOf<SongRequest>()(
  z
    .strictObject({
      model: text,
      prompt: optionalText,
      gpt_description_prompt: optionalText,
      tags: optionalText,
      title: optionalText,
      make_instrumental: z.exactOptional(z.boolean()),
      negative_tags: optionalText,
      vocal_gender: z.exactOptional(z.enum(['m', 'f'])),
      controls: z.exactOptional(
        z.strictObject({
          style_weight: z.exactOptional(z.number()),
          audio_weight: z.exactOptional(z.number()),
          weirdness_constraint: z.exactOptional(z.number()),
        }),
      ),
    })
    .meta({ description: 'What was asked of Mountsea, in its words.' }),
);

const generated = z
  .strictObject({
    type: z.literal('generated'),
    version,
    workflowId: text,
    clips: z.array(songClip),
    taskId: text,
    title: text,
    model: text,
    modelName: optionalText,
    request: songRequest,
    origin: text,
    receipt: songReceipt,
    timeline: z.array(timelineEntry),
    startedAt: time,
    finishedAt: time,
    files: z
      .array(
        z.union([
          z.strictObject({
            clipId: text,
            path: text,
            bytes: z.exactOptional(count),
            wasThere: z.exactOptional(z.literal(true)),
          }),
          z.strictObject({ clipId: text, why: text }),
        ]),
      )
      .meta({
        description: 'What was fetched; with `why` where it was not. Empty where nothing was wanted.',
      }),
  })
  .meta({ description: 'A song that is ready.' });

const login = z
  .strictObject({
    type: z.literal('login'),
    version,
    origin: text,
    keyFingerprint: text.meta({ description: 'Tells keys apart without telling the key.' }),
    key: z
      .enum(['accepted', 'refused', 'unchecked'])
      .meta({ description: 'What Mountsea says to it; only a worker can ask.' }),
    why: optionalText.meta({ description: 'Why it is not `accepted`.' }),
    balance: z.exactOptional(credits).meta({ description: 'Absent where it is unknown.' }),
  })
  .meta({ description: 'The key that is kept now.' });
const logout = z
  .strictObject({
    type: z.literal('logout'),
    version,
    origin: text,
    outcome: z.enum(['forgotten', 'not-kept']),
  })
  .meta({ description: 'What became of the key that was kept.' });

const finding = schemaOf<Finding>()(
  z.strictObject({
    check: text.meta({ description: 'What was looked at; never changes.' }),
    verdict: z.enum(['ok', 'note', 'unknown', 'problem']),
    found: text,
    mend: optionalText.meta({ description: 'What to do; always there with a problem.' }),
  }),
);
const setup = z
  .strictObject({
    type: z.literal('setup'),
    version,
    address: text,
    namespace: text,
    outcome: z.enum(['created', 'raised', 'as-it-was']),
    retentionDays: z.exactOptional(z.number()).meta({ description: 'How long histories are kept.' }),
  })
  .meta({ description: 'What became of the namespace.' });
const doctor = z
  .strictObject({ type: z.literal('doctor'), version, isWell: z.boolean(), findings: z.array(finding) })
  .meta({
    description:
      'What is right and what is wrong; `isWell` where nothing is a problem, though something may be `unknown`.',
  });

/** A word for each exit code, for programs that would rather not remember numbers. */
export const ENDINGS = {
  [Exit.done]: 'done',
  [Exit.unexpected]: 'error',
  [Exit.usage]: 'usage',
  [Exit.endedNotCharged]: 'ended-not-charged',
  [Exit.endedCharged]: 'ended-charged',
  [Exit.parked]: 'parked',
  [Exit.chargeUnknown]: 'charge-unknown',
  [Exit.stillRunning]: 'still-running',
  [Exit.interrupted]: 'interrupted',
} as const satisfies Record<Exit, string>;

const end = z
  .strictObject({
    type: z.literal('end'),
    version,
    exit: z.literal(Object.values(Exit)).meta({ description: 'The exit code, as docs/cli.md lists them.' }),
    ending: z.enum(Object.values(ENDINGS)),
    message: optionalText.meta({ description: 'What went wrong, as it is said on stderr.' }),
  })
  .meta({
    description:
      'How the command ended. Last of a stream of records, and alone where a command that writes one document could not.',
  });

/** Every record, by its type. */
export const RECORDS = {
  progress,
  result,
  model,
  song,
  generated,
  audit,
  plan,
  down,
  unstage,
  import: imported,
  forgotten,
  login,
  logout,
  doctor,
  setup,
  end,
};

export type JsonRecord = { [K in keyof typeof RECORDS]: z.output<(typeof RECORDS)[K]> }[keyof typeof RECORDS];

/** @throws ZodError where it is none of ours. */
export function parseRecord(value: unknown): JsonRecord {
  const { type } = z
    .looseObject({ type: z.enum(Object.keys(RECORDS) as (keyof typeof RECORDS)[]) })
    .parse(value);
  return RECORDS[type].parse(value);
}

/**
 * The JSON Schema files of the package, by name. They allow fields that they do not name, since one that is added later
 * keeps the version.
 */
export function jsonSchemas(): Record<string, string> {
  const files = Object.entries(RECORDS).map(([type, schema]) => {
    const { $schema, ...rest } = z.toJSONSchema(schema, {
      override: ({ jsonSchema }) => {
        if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        // It says in a page what the format says in a word.
        if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
      },
    });
    const named = { $schema, $id: `urn:tunesmith:json:${JSON_VERSION}:${type}`, title: type, ...rest };
    return [`${type}.schema.json`, `${JSON.stringify(named, null, 2)}\n`] as const;
  });
  return Object.fromEntries(files);
}
