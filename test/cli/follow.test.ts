import { describe, expect, it } from 'vitest';
import { Exit } from '../../src/cli/exit.js';
import { exitOf, follow, type FollowOptions } from '../../src/cli/follow.js';
import type { Snapshot, TrainingStatus } from '../../src/library/snapshot.js';
import type { Attention, TrainingMemo } from '../../src/contract/progress.js';
import type { ChargeVerdict } from '../../src/contract/training.js';

const START = '2026-01-01T00:00:00Z';

function snapshotOf(
  status: TrainingStatus,
  more: { verdict?: ChargeVerdict; attention?: Partial<Attention>; isLive?: boolean } = {},
): Snapshot {
  const { verdict = 'not-charged', attention, isLive = true } = more;
  const shared = {
    name: 'x',
    origin: '',
    phase: 'uploading' as const,
    startedAt: START,
    phaseSince: START,
    receipt: {
      create: { verdict, sends: 0, evidence: [], attempts: [] },
      uploads: { calls: 0, credits: 'unknown' as const },
    },
    ...(attention === undefined
      ? {}
      : {
          attention: {
            id: 'a',
            kind: 'bad-files' as const,
            message: '',
            since: START,
            evidence: [],
            options: [],
            ...attention,
          },
        }),
  };
  const memo: TrainingMemo = { ...shared, fileCounts: {}, fileTotal: 0, uploads: [] };
  const ids = { workflowId: 'w', runId: 'r' };
  if (!isLive) return { ...ids, status, memo };
  return { ...ids, status, memo, progress: { version: 1, ...ids, ...shared, files: [], timeline: [] } };
}

describe('the exit code of a training', () => {
  it.each([
    ['completed', {}, Exit.done],
    ['failed', {}, 3],
    ['failed', { verdict: 'charged' }, 4],
    ['cancelled', { verdict: 'charged' }, 4],
    ['terminated', { verdict: 'unknown' }, 6],
    ['timed-out', { verdict: 'not-charged' }, 3],
    ['running', { attention: {} }, 5],
    ['running', { attention: {}, verdict: 'charged' }, 5],
    ['running', { attention: {}, verdict: 'unknown' }, 6],
    ['running', { attention: {}, isLive: false }, 5],
    ['running', {}, undefined],
    // It tries again by itself, so it is worth following.
    ['running', { attention: { nextTryAt: START } }, undefined],
  ] as const)('%s with %o is %s', (status, more, exit) => {
    expect(exitOf(snapshotOf(status, more))).toBe(exit);
  });
});

describe('following', () => {
  function options(
    looks: (Snapshot | Error)[],
    more: Partial<FollowOptions> = {},
  ): FollowOptions & { notes: string[]; reconnects: () => number } {
    const notes: string[] = [];
    let reconnects = 0;
    return {
      look: () => {
        const next = looks.length > 1 ? looks.shift() : looks[0];
        return next instanceof Error ? Promise.reject(next) : Promise.resolve(next ?? snapshotOf('running'));
      },
      reconnect: () => {
        reconnects += 1;
        return Promise.resolve(false);
      },
      isOwn: false,
      show: { snapshot: () => undefined, note: (text) => notes.push(text) },
      interrupted: new AbortController().signal,
      workerCommand: 'tunesmith worker',
      lookEveryMs: 1,
      ...more,
      notes,
      reconnects: () => reconnects,
    };
  }
  const lost = Object.assign(new Error('14 UNAVAILABLE'), { code: 14, details: '', metadata: {} });

  it('ends with the training', async () => {
    expect((await follow(options([snapshotOf('running'), snapshotOf('completed')]))).exit).toBe(0);
  });

  it('makes a new connection when the old one is lost, and goes on', async () => {
    const followed = options([snapshotOf('running'), lost, lost, snapshotOf('completed')]);
    expect((await follow(followed)).exit).toBe(0);
    expect(followed.reconnects()).toBe(2);
  });

  it('asks nothing of a server that took the place of its own', async () => {
    let isCurrent = false;
    const followed = options([], {
      isOwn: true,
      isCurrent: () => isCurrent,
      look: () => (isCurrent ? Promise.resolve(snapshotOf('completed')) : Promise.reject(new Error('asked'))),
      reconnect: () => {
        isCurrent = true;
        return Promise.resolve(true);
      },
    });
    expect((await follow(followed)).exit).toBe(0);
    expect(followed.notes).toEqual([expect.stringContaining('has ended')]);
  });

  it('says that no worker answers, and looks after our own server then', async () => {
    const silent = snapshotOf('running', { isLive: false });
    const own = options([silent, silent, snapshotOf('completed')], { isOwn: true });
    await follow(own);
    expect(own.notes).toEqual([expect.stringContaining('tunesmith worker')]);
    expect(own.reconnects()).toBe(1);
    const others = options([silent, silent, snapshotOf('completed')]);
    await follow(others);
    expect(others.reconnects()).toBe(0);
  });

  it('says nothing of it while our own server has its worker started again, unless that stays silent', async () => {
    const silent = snapshotOf('running', { isLive: false });
    const mended = { isOwn: true, reconnect: () => Promise.resolve(true) };
    const soon = options([silent, silent, silent, silent, snapshotOf('completed')], mended);
    await follow(soon);
    expect(soon.notes).toEqual([]);
    const never = options([...Array.from({ length: 10 }, () => silent), snapshotOf('completed')], mended);
    await follow(never);
    expect(never.notes).toEqual([expect.stringContaining('tunesmith worker')]);
  });

  it('adds no pause to looks that took their time, so that a missing worker is said within 3 s', async () => {
    let clock = 0;
    const silent = snapshotOf('running', { isLive: false });
    const followed = options([silent, silent, snapshotOf('completed')], {
      lookEveryMs: 3_600_000,
      now: () => clock,
    });
    const { look } = followed;
    // Each look waits for a whole interval; a pause of another one would outlast the test.
    followed.look = () => {
      clock += 3_600_000;
      return look();
    };
    expect((await follow(followed)).exit).toBe(0);
    expect(followed.notes).toEqual([expect.stringContaining('tunesmith worker')]);
  });

  it('leaves with 7 when the wait runs out, and with 5 while a park mends itself', async () => {
    expect((await follow(options([snapshotOf('running')], { waitMs: 0 }))).exit).toBe(7);
    const mending = snapshotOf('running', { attention: { nextTryAt: START } });
    expect((await follow(options([mending], { waitMs: 0 }))).exit).toBe(5);
    const doubt = snapshotOf('running', { attention: { nextTryAt: START }, verdict: 'unknown' });
    expect((await follow(options([doubt], { waitMs: 0 }))).exit).toBe(6);
  });

  it('leaves with 130 when it is interrupted, with what it saw last', async () => {
    const interrupt = new AbortController();
    const followed = follow(
      options([snapshotOf('running')], { interrupted: interrupt.signal, lookEveryMs: 60_000 }),
    );
    setImmediate(() => {
      interrupt.abort();
    });
    expect(await followed).toMatchObject({ exit: 130, last: { status: 'running' } });
  });

  it('does not wait for a look that hangs', async () => {
    const interrupt = new AbortController();
    const followed = options([snapshotOf('running')], { interrupted: interrupt.signal });
    followed.look = () => new Promise(() => undefined);
    setImmediate(() => {
      interrupt.abort();
    });
    expect(await follow(followed)).toEqual({ exit: 130 });
  });

  it('passes on what is no lost connection', async () => {
    await expect(follow(options([new Error('a bug')]))).rejects.toThrow('a bug');
  });
});
