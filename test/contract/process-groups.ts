import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import { type Future, type Jobserver, LostResult } from '../../dist/index.js';
import * as jobs from '../fixtures/group-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { hasEventLoop, testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive, stateOf } from '../helpers/processes.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const onLinux = process.platform === 'linux';
/** Longer than any test. */
const longMs = 120_000;

/** A job that leads a process group takes its child processes along. */
export function processGroupContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  // A test must not leave it. Before the folder is removed.
  afterEach(() => {
    if (existsSync(file()) && isAlive(child())) {
      process.kill(child(), 'SIGKILL');
    }
  });
  const folder = useFolder();
  const file = (): string => join(folder(), 'child');
  const untilStarted = (): Promise<void> =>
    until('the child to start', () => existsSync(file()));
  const child = (): number => Number(readFileSync(file(), 'utf8'));
  const wasAsked = (): boolean => existsSync(`${file()}.signaled`);
  const parentOf = (pid: number): number =>
    Number(
      /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1],
    );
  const untilGone = async (): Promise<void> => {
    const pid = child();
    await until('the child to end', () => !isAlive(pid));
  };

  const start = (
    js: Jobserver,
    way: jobs.Way,
    ignores = false,
    signal?: AbortSignal,
  ): Future<string> =>
    js.submitSync(jobs.leaveChild, [file(), way, ignores], { signal });

  describe.each(['return', 'throw', 'die'] as const)(
    'what a job leaves behind (%s)',
    (way) => {
      const outcomes = {
        return: 'a value',
        throw: { message: 'on purpose' },
        die: { signal: 'SIGKILL' },
      };

      test('gets SIGTERM', async () => {
        const js = open();
        const leader = js.with({ processGroup: true, killGrace: longMs });
        const outcome: unknown = await start(leader, way)
          .result()
          .catch((error: unknown) => error);
        const expected = outcomes[way];
        if (typeof expected === 'string') expect(outcome).toBe(expected);
        else expect(outcome).toMatchObject(expected);
        await untilGone();
        expect(wasAsked()).toBe(true);
        expect(await js.run(identity, 1)).toBe(1);
      });

      test('gets SIGKILL after killGrace, and the result does not wait for it', async () => {
        const js = open();
        const leader = js.with({ processGroup: true, killGrace: 1500 });
        await start(leader, way, true)
          .result()
          .catch(() => undefined);
        // The slot is free as well.
        expect(await js.run(identity, 1)).toBe(1);
        expect(isAlive(child())).toBe(true);
        await untilGone();
        expect(wasAsked()).toBe(true);
      });
    },
  );

  testIf(context === 'forkserver')(
    'it gets both without the forkserver',
    async () => {
      // One of its own, which the other tests do not need.
      const keepAlive = { forkserverKeepAlive: 0 };
      const js = openJobserver({ context, slots: 1, ...keepAlive });
      const controls = { processGroup: true, killGrace: 200, maxHeapMb: 512 };
      const leader = js.with(controls);
      const future = start(leader, 'stay', true);
      await untilStarted();
      process.kill(parentOf(future.pid!), 'SIGKILL');
      await sleep(100);
      process.kill(future.pid!, 'SIGKILL');
      expect(await rejection(future.result())).toBeInstanceOf(LostResult);
      await untilGone();
      expect(wasAsked()).toBe(true);
    },
  );

  test('without processGroup, it runs on', async () => {
    const js = open();
    expect(await start(js, 'return').result()).toBe('a value');
    await sleep(100);
    expect([isAlive(child()), wasAsked()]).toEqual([true, false]);
  });

  test('killGrace Infinity spares what ignores SIGTERM', async () => {
    const js = open().with({ processGroup: true, killGrace: Infinity });
    expect(await start(js, 'return', true).result()).toBe('a value');
    await until('SIGTERM', wasAsked);
    await sleep(100);
    expect(isAlive(child())).toBe(true);
  });

  const signaled: jobs.Way[] = ['stay', 'stop'];
  // Jest gives a fork a copy of `process`, which catches no signals.
  if (hasEventLoop(context)) signaled.push('ignore');

  test.each(signaled)(
    'the end of its time ends the group of a job (%s)',
    async (way) => {
      const js = open();
      const controls = { processGroup: true, killGrace: 200 };
      // The child may need longer to start.
      for (let ms = 1000; !existsSync(file()); ms *= 2) {
        const limited = js.with({ ...controls, runTimeout: ms });
        const error = await rejection(start(limited, way, true).result());
        expect(error).toMatchObject({ name: 'TimeoutError' });
      }
      await untilGone();
      expect(wasAsked()).toBe(true);
      await until('the slot to be free', () => freeSlots(js) === 1);
    },
  );

  test.each(signaled)('an abort ends the group of a job (%s)', async (way) => {
    const js = open();
    const controller = new AbortController();
    const leader = js.with({ processGroup: true, killGrace: 200 });
    const future = start(leader, way, true, controller.signal);
    await untilStarted();
    controller.abort();
    const error = await rejection(future.result());
    expect(error).toMatchObject({ name: 'AbortError' });
    await untilGone();
    expect(wasAsked()).toBe(true);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('kill signals the group', async () => {
    const js = open().with({ processGroup: true, killGrace: longMs });
    const future = start(js, 'stay');
    await untilStarted();
    future.kill('SIGKILL');
    await untilGone();
    expect(wasAsked()).toBe(false);
    const error = await rejection(future.result());
    expect(error).toMatchObject({ signal: 'SIGKILL' });
  });

  test('a job that is lost is started again after its group was asked to end', async () => {
    const js = open();
    const retried = js.with({ processGroup: true, retries: 1, killGrace: 100 });
    const error = await rejection(start(retried, 'die').result());
    expect(error).toMatchObject({ attempts: 2 });
    await untilGone();
  });

  testIf(onLinux)('the jobs of a job lead groups as well', async () => {
    const js = open(2).with({ processGroup: true });
    const job: () => unknown = hasEventLoop(context)
      ? jobs.groupsOfOwn
      : jobs.groupsOfOwnSync;
    const groups = (await js.run(job)) as [number, number][];
    expect(groups).toHaveLength(2);
    for (const [pid, group] of groups) expect(group).toBe(pid);
  });

  testIf(onLinux)(
    'a kill of the group costs no slot of its own jobs',
    async () => {
      const js = open(2);
      const leader = js.with({ processGroup: true, killGrace: 100 });
      const future = leader.submitSync(jobs.waitForOwn, [file()]);
      await untilStarted();
      future.kill('SIGKILL');
      expect(await rejection(future.result())).toBeInstanceOf(LostResult);
      await untilGone();
      await until('the slots to be free', () => freeSlots(js) === 2);
    },
  );

  test('a process group is refused where orphans run on', () => {
    const js = openJobserver({ context, slots: 1, orphanSignal: null });
    expect(js.with({ processGroup: false })).toBeDefined();
    expect(thrown(() => js.with({ processGroup: true }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('orphanSignal') as string,
    });
    const bad = { processGroup: 1 as never };
    expect(thrown(() => open().with(bad))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringContaining('processGroup') as string,
    });
  });

  test('a process of several jobs ends when a job leaves a child', async () => {
    const js = open().with({ processGroup: true });
    expect(await start(js, 'return').result()).toBe('a value');
    await untilGone();
    // At once, and not only when the process has had nothing to do for a while.
    expect(await js.run(identity, 1)).toBe(1);
  }, 4000);

  test('no zombie is left', async () => {
    const js = open().with({ processGroup: true });
    const [pid] = await js.run(jobs.pidAndGroup);
    await js.close();
    await until('the process to be reaped', () => stateOf(pid) === 'X');
  });

  if (!onLinux) return;

  const orphans: [jobs.Way, boolean][] = [
    ['stay', false],
    ['stay', true],
  ];
  if (hasEventLoop(context)) orphans.push(['ignore', true]);

  describe.each(orphans)(
    'the group of an orphan (%s, its child ignores SIGTERM: %s)',
    (way, ignores) => {
      test('ends, and its slot is back', async () => {
        const js = open(2);
        const submitter = js.submitSync(jobs.submitLeader, [
          file(),
          way,
          ignores,
        ]);
        await untilStarted();
        submitter.kill('SIGKILL');
        await rejection(submitter.result());
        await untilGone();
        expect(wasAsked()).toBe(true);
        await until('the slot to be free', () => freeSlots(js) === 2);
        await sleep(100);
        expect(freeSlots(js)).toBe(2);
      });
    },
  );
}
