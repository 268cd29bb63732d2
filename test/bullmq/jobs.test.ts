import { clusterStatus } from '../../dist/bullmq.js';
import { LostResult } from '../../dist/index.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { leaseMs, linesIn, useCluster } from '../helpers/cluster.js';
import { useRedis } from '../helpers/redis.js';
import { rejection } from '../helpers/thrown.js';

jest.setTimeout(60_000 * timeoutFactor);

describe('jobs of a cluster', () => {
  const redis = useRedis();
  const { host, executor, checkout, makeGate, queue } = useCluster({
    leaseMs: 60_000,
  });
  const open = (options = {}): ReturnType<typeof executor> =>
    executor({ connection: redis().url, ...options });
  const fn = (name: string): string => checkout().fn(name);

  test('a call runs on a host, in a process of its own, in the folder of that host', async () => {
    const { checkout: there, pid } = await host({ connection: redis().url });
    const facts = await open().submit<[], Record<string, unknown>>(fn('facts'));
    expect(facts).toMatchObject({
      name: fn('facts'),
      depth: 1,
      attempt: 1,
      cwd: there.root,
    });
    expect(facts['pid']).not.toBe(pid);
  });

  test('what a job throws arrives with its class, message and stack', async () => {
    await host({ connection: redis().url });
    const error = await rejection(open().submit(fn('fail'), 'on purpose'));
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toBe('on purpose');
    expect((error as Error).stack).toContain('jobs.mjs');
  });

  test('a job that dies is lost at once, with its signal and its host', async () => {
    await host({ connection: redis().url, name: 'mill' });
    const executed = open();
    const error = await rejection(executed.submit(fn('dieBy'), 'SIGKILL'));
    expect(error).toBeInstanceOf(LostResult);
    expect(error).toMatchObject({ signal: 'SIGKILL', host: 'mill' });
    expect((error as LostResult).pid).toBeGreaterThan(1);
    expect(await rejection(executed.submit(fn('exit'), 3))).toMatchObject({
      exitCode: 3,
      attempts: 1,
    });
  });

  test('with retries, a job that dies is started again, so often and no more', async () => {
    await host({ connection: redis().url });
    const executed = open({ retries: 2 });
    const log = makeGate().file;
    expect(await executed.submit(fn('dieUntil'), log, 3)).toBe(3);
    expect(linesIn(log)).toEqual(['1', '2', '3']);
    const other = makeGate().file;
    expect(
      await rejection(executed.submit(fn('dieUntil'), other, 9)),
    ).toMatchObject({ name: 'LostResult', attempts: 3 });
    expect(linesIn(other)).toEqual(['1', '2', '3']);
  });

  test('calls run on all hosts that have free slots', async () => {
    const log = makeGate().file;
    const gate = makeGate();
    await host({ connection: redis().url, slots: 1 });
    await host({ connection: redis().url, slots: 1 });
    const executed = open();
    const work = ['a', 'b', 'c'].map((line) =>
      executed.submit(fn('noteAndWait'), log, line, gate.file),
    );
    await until('two to run', () => linesIn(log).length === 2);
    expect([executed.running, executed.pending]).toEqual([2, 1]);
    gate.open();
    expect(await Promise.all(work)).toEqual(['a', 'b', 'c']);
    await until('all counted', () => executed.completed === 3);
  });

  test('a host leaves what it has no slot for to others', async () => {
    const gate = makeGate();
    const log = makeGate().file;
    await host({ connection: redis().url, slots: 1 });
    const executed = open();
    const first = executed.submit(fn('noteAndWait'), log, 'x', gate.file);
    await until('the first to run', () => first.state === 'running');
    const others = [1, 2, 3].map((n) => executed.submit(fn('square'), n));
    await host({ connection: redis().url, slots: 1 });
    expect(await Promise.all(others)).toEqual([1, 4, 9]);
    expect(first.state).toBe('running');
    gate.open();
    await first;
  });

  test('priorities decide which call starts first', async () => {
    const log = makeGate().file;
    const executed = open();
    const work = [0, -3, 5, 1].map((priority) =>
      executed.submitWith({ priority }, fn('note'), log, `${priority}`),
    );
    // They are in the queue before there is a host.
    await until('all to be known', async () => {
      const { queue: jobs } = await statusNow();
      return jobs === 4;
    });
    await host({ connection: redis().url, slots: 1 });
    await Promise.all(work);
    expect(linesIn(log)).toEqual(['5', '1', '0', '-3']);
  });

  test('a queue without a host keeps calls pending, and a signal bounds that', async () => {
    const executed = open();
    const controller = new AbortController();
    const { signal } = controller;
    const log = makeGate().file;
    const work = executed.submitWith({ signal }, fn('note'), log, 'x');
    await until('it to be in the queue', async () => {
      return (await statusNow()).queue === 1;
    });
    expect(work.state).toBe('pending');
    controller.abort(new Error('enough'));
    expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
    await until('it to leave the queue', async () => {
      return (await statusNow()).queue === 0;
    });
    await host({ connection: redis().url });
    expect(await executed.submit(fn('square'), 3)).toBe(9);
    expect(linesIn(log)).toEqual([]);
  });

  test('a pending call that is cancelled never runs', async () => {
    const gate = makeGate();
    const log = makeGate().file;
    await host({ connection: redis().url, slots: 1 });
    const executed = open();
    const first = executed.submit(fn('noteAndWait'), log, 'first', gate.file);
    await until('the first to run', () => first.state === 'running');
    const second = executed.submit(fn('note'), log, 'second');
    const third = executed.submit(fn('note'), log, 'third');
    expect(second.cancel()).toBe(true);
    expect(second.state).toBe('cancelled');
    expect(await rejection(second)).toMatchObject({ name: 'AbortError' });
    expect(first.cancel()).toBe(false);
    gate.open();
    await Promise.all([first, third]);
    expect(linesIn(log)).toEqual(['first', 'third']);
  });

  test('an abort ends the job on its host, first by SIGTERM and at last by SIGKILL', async () => {
    const there = await host({ connection: redis().url });
    const log = makeGate().file;
    const executed = open().with({ killGrace: 200 });
    for (const name of ['noteAndWait', 'resist']) {
      const controller = new AbortController();
      const { signal } = controller;
      const gate = makeGate().file;
      const work = executed.submitWith({ signal }, fn(name), log, name, gate);
      await until('the job to run', () => linesIn(log).includes(name));
      await until('the executor to know', () => work.state === 'running');
      const reason = new Error('enough');
      controller.abort(reason);
      expect(await rejection(work)).toMatchObject({
        name: 'AbortError',
        cause: reason,
      });
    }
    await until('the host to have ended both', () => {
      const ends = there.lines.filter(({ what }) => what === 'ended');
      return ends.filter(({ outcome }) => outcome === 'aborted').length === 2;
    });
  });

  test('shutdown with a killSignal ends running jobs, which are not started again', async () => {
    await host({ connection: redis().url });
    const executed = open({ retries: 5 });
    const log = makeGate().file;
    const work = executed.submit(fn('noteAndWait'), log, 'x', makeGate().file);
    await until('the job to run', () => work.state === 'running');
    await until('it to note that', () => linesIn(log).length === 1);
    const end = executed.shutdown({ killSignal: 'SIGKILL' });
    expect(await rejection(work)).toMatchObject({ signal: 'SIGKILL' });
    await end;
    expect(linesIn(log)).toEqual(['x']);
  });

  test('hosts shows the hosts that are alive', async () => {
    const common = { connection: redis().url, leaseMs };
    const executed = open(common);
    expect(await executed.hosts()).toEqual([]);
    const mill = await host({ ...common, name: 'mill', slots: 3 });
    await host({ ...common, name: 'barn', slots: 1 });
    const hosts = await executed.hosts();
    expect(hosts.map(({ name, slots }) => [name, slots]).sort()).toEqual([
      ['barn', 1],
      ['mill', 3],
    ]);
    await mill.kill();
    await until('the dead one to disappear', async () => {
      const left = await executed.hosts();
      return left.length === 1 && left[0]!.name === 'barn';
    });
  });

  test('a host that is closed ends its running jobs first, and takes no others', async () => {
    const there = await host({ connection: redis().url, slots: 1 });
    const executed = open();
    const gate = makeGate();
    const log = makeGate().file;
    const work = executed.submit(fn('noteAndWait'), log, 'x', gate.file);
    await until('the job to run', () => work.state === 'running');
    there.signal('SIGTERM');
    await until('the host to be gone for others', async () => {
      const next = executed.submit(fn('square'), 1);
      const isTaken = await Promise.race([
        next.then(() => true),
        new Promise<boolean>((resolve) =>
          setTimeout(() => {
            resolve(false);
          }, 200),
        ),
      ]);
      next.cancel();
      return !isTaken;
    });
    expect(work.state).toBe('running');
    gate.open();
    expect(await work).toBe('x');
    await until('the host to close', () => there.has('closed'));
  });

  async function statusNow(): Promise<{ queue: number }> {
    const status = await clusterStatus({
      connection: redis().url,
      queue: queue(),
    });
    return { queue: status.counts.pending };
  }
});
