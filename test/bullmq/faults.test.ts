import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { clusterStatus } from '../../dist/bullmq.js';
import { LostResult } from '../../dist/index.js';
import { leaseMs, linesIn, useCluster } from '../helpers/cluster.js';
import { RedisServer, useRedis } from '../helpers/redis.js';
import { type SilentProxy, silentProxy } from '../helpers/silent-proxy.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const submitterProgram = resolve('test', 'fixtures', 'cluster-submitter.mjs');

// The end of the lease, and two checks, each half a lease after the one before.
const noticedMs = 2 * leaseMs;
/** What a slow machine may add. */
const slackMs = 3000 * timeoutFactor;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('faults of a cluster', () => {
  const redis = useRedis();
  const tools = useCluster({ leaseMs });
  const { host, executor, checkout, makeGate, queue } = tools;
  const fn = (name: string): string => checkout().fn(name);
  const children: ChildProcess[] = [];
  const proxies: SilentProxy[] = [];
  const servers: RedisServer[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
    await Promise.all(servers.splice(0).map((server) => server.end()));
  });

  const waitingJobs = (): string => `bull:${queue()}:prioritized`;

  /** The id of the only job of the queue, once that waits there. */
  async function onlyJob(
    keys: Awaited<ReturnType<typeof clientOf>>,
  ): Promise<string> {
    await until('the job to be in the queue', async () => {
      return (await keys.zcard(waitingJobs())) === 1;
    });
    const [id] = await keys.zrange(waitingJobs(), '0', '-1');
    return id!;
  }

  async function proxyOf(port: number): Promise<SilentProxy> {
    const proxy = await silentProxy(port);
    proxies.push(proxy);
    return proxy;
  }

  async function serverWith(
    args: readonly string[] = [],
  ): Promise<RedisServer> {
    const server = await RedisServer.start(args);
    servers.push(server);
    return server;
  }

  /** A job that holds on, and the pid of its process. */
  async function held(
    options: Parameters<typeof executor>[0],
    there: Awaited<ReturnType<typeof host>>,
    line = 'x',
  ) {
    const gate = makeGate();
    const log = makeGate().file;
    const executed = executor(options);
    const work = executed.submit(fn('noteAndWait'), log, line, gate.file);
    work.catch(() => undefined);
    await until('the job to note its start', () => {
      if (work.state === 'finished') throw new Error('It has ended');
      return linesIn(log).length === 1;
    }).catch((error: unknown) => Promise.race([work, Promise.reject(error)]));
    await until('the executor to know', () => work.state === 'running');
    const pid = there.lines.findLast(({ what }) => what === 'started')!.pid!;
    return { gate, log, work, executed, pid };
  }

  test('the jobs of a host that is killed are lost within the lease and two checks, and no others', async () => {
    const connection = redis().url;
    const doomed = await host({ connection, name: 'doomed', slots: 2 });
    const { work, executed, log } = await held({ connection }, doomed);
    const { work: second } = await held({ connection }, doomed, 'y');
    await host({ connection, name: 'other', slots: 1 });
    const gate = makeGate();
    const kept = executed.submit(
      fn('noteAndWait'),
      makeGate().file,
      'z',
      gate.file,
    );
    await until('the other host to have one', () => kept.state === 'running');
    const start = performance.now();
    await doomed.kill();
    for (const each of [work, second]) {
      const error = await rejection(each);
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({ host: 'doomed', pid: 0, attempts: 1 });
      expect((error as Error).message).toContain('host doomed');
    }
    expect(performance.now() - start).toBeLessThan(noticedMs + slackMs);
    expect(kept.state).toBe('running');
    gate.open();
    expect(await kept).toBe('z');
    // It began once, and nobody begins it again.
    expect(linesIn(log)).toEqual(['x']);
    await until('the queue to be empty', async () => {
      const { counts } = await clusterStatus({ connection, queue: queue() });
      return counts.pending + counts.running === 0;
    });
    expect(linesIn(log)).toEqual(['x']);
  });

  test('the submitter learns it even if there is no other host', async () => {
    const connection = redis().url;
    const only = await host({ connection });
    const { work } = await held({ connection }, only);
    await only.kill();
    expect(await rejection(work)).toBeInstanceOf(LostResult);
  });

  test('with retries, another host begins the job, once', async () => {
    const connection = redis().url;
    const doomed = await host({ connection });
    const { work, log, gate } = await held({ connection, retries: 3 }, doomed);
    await host({ connection });
    await doomed.kill();
    await until('the second start', () => linesIn(log).length === 2);
    gate.open();
    expect(await work).toBe('x');
    expect(linesIn(log)).toEqual(['x', 'x']);
  });

  test('the jobs of a frozen host are lost; it ends them when it goes on, and their results are refused', async () => {
    const connection = redis().url;
    const frozen = await host({ connection, name: 'frozen' });
    const { work, pid } = await held({ connection }, frozen);
    frozen.signal('SIGSTOP');
    expect(await rejection(work)).toMatchObject({ host: 'frozen' });
    frozen.signal('SIGCONT');
    await until('the host to end the job', () =>
      frozen.lines.some(
        ({ what, outcome }) => what === 'ended' && outcome === 'lost',
      ),
    );
    expect(isAlive(pid)).toBe(false);
    const next = executor({ connection });
    expect(await next.submit(fn('square'), 3)).toBe(9);
  });

  test('a host that is cut off ends its jobs itself, and serves again once it is connected', async () => {
    const connection = redis().url;
    const proxy = await proxyOf(redis().port);
    const cut = await host({
      connection: `redis://127.0.0.1:${proxy.port}`,
      name: 'cut',
    });
    const { work, pid, gate } = await held({ connection }, cut);
    proxy.cut();
    await until('the host to end the job', () => !isAlive(pid));
    expect(await rejection(work)).toMatchObject({ host: 'cut' });
    gate.open();
    proxy.heal();
    const next = executor({ connection });
    expect(await next.submit(fn('square'), 3)).toBe(9);
  });

  test('a submitter that is cut off for less than its lease notices nothing', async () => {
    const proxy = await proxyOf(redis().port);
    const there = await host({ connection: redis().url });
    const connection = `redis://127.0.0.1:${proxy.port}`;
    const { work, gate, executed } = await held({ connection }, there);
    proxy.cut();
    gate.open();
    await until('the job to end', () => there.has('ended'));
    proxy.heal();
    expect(await work).toBe('x');
    expect(await executed.submit(fn('square'), 3)).toBe(9);
  });

  test.each(['host', 'submitter'])(
    'a %s whose connections the network has forgotten opens others',
    async (who) => {
      const proxy = await proxyOf(redis().port);
      const far = `redis://127.0.0.1:${proxy.port}`;
      const near = redis().url;
      await host({ connection: who === 'host' ? far : near });
      const executed = executor({ connection: who === 'host' ? near : far });
      expect(await executed.submit(fn('square'), 2)).toBe(4);
      proxy.cut({ newOnes: false });
      expect(await executed.submit(fn('square'), 3)).toBe(9);
    },
  );

  describe('a submitter that is cut off for so long that it is taken for dead', () => {
    async function forgotten(retries: number) {
      const proxy = await proxyOf(redis().port);
      const there = await host({ connection: redis().url, slots: 1 });
      const connection = `redis://127.0.0.1:${proxy.port}`;
      const options = { connection, retries };
      const { work, executed, log, gate } = await held(options, there);
      const pending = executed.submit(fn('note'), log, 'y');
      await until('it to be in the queue', async () => {
        const { counts } = await clusterStatus({
          connection: redis().url,
          queue: queue(),
        });
        return counts.pending === 1;
      });
      proxy.cut();
      await until('the host to end both', () => {
        return there.lines.filter(({ what }) => what === 'ended').length === 2;
      });
      proxy.heal();
      return { work, pending, log, gate };
    }

    test('has lost its calls, and has not aborted them', async () => {
      const { work, pending, log } = await forgotten(0);
      for (const each of [work, pending]) {
        const error = await rejection(each);
        expect(error).toBeInstanceOf(LostResult);
        expect(error).toMatchObject({
          reason: 'the process that has submitted the job is gone',
        });
      }
      expect(linesIn(log)).toEqual(['x']);
    });

    test('with retries, begins them again', async () => {
      const { work, pending, log, gate } = await forgotten(1);
      gate.open();
      expect(await Promise.all([work, pending])).toEqual(['x', 'y']);
      expect(linesIn(log).toSorted()).toEqual(['x', 'x', 'y']);
    });
  });

  describe('a call whose loss its submitter is not told', () => {
    const stall = 'job stalled more than allowable limit';

    /** Its job in the queue is as a client leaves it that finds its host dead. */
    async function stalled(retries: number) {
      const connection = redis().url;
      // No check finds it before the host does.
      const lease = { leaseMs: 60_000 };
      const work = executor({ connection, retries, ...lease }).submit(
        fn('square'),
        3,
      );
      const keys = await clientOf(connection);
      try {
        const id = await onlyJob(keys);
        const facts = { pb: 'dead', ats: '1', defa: stall };
        await keys.hset(`bull:${queue()}:${id}`, facts);
      } finally {
        keys.disconnect();
      }
      const there = await host({ connection, name: 'living', ...lease });
      return { work, there };
    }

    test('is lost once a host has taken it out of the queue', async () => {
      const { work, there } = await stalled(0);
      const error = await rejection(work);
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({ pid: 0, attempts: 1 });
      // That host was not the one.
      expect(error).not.toHaveProperty('host', 'living');
      expect(there.has('started') || there.has('ended')).toBe(false);
    });

    test('with retries, begins again', async () => {
      const { work } = await stalled(1);
      expect(await work).toBe(9);
    });

    test('is not what a job says that throws the same words', async () => {
      const connection = redis().url;
      await host({ connection });
      const executed = executor({ connection, retries: 1 });
      const error = await rejection(executed.submit(fn('fail'), stall));
      expect(error).toBeInstanceOf(RangeError);
    });
  });

  describe('a submitter that dies', () => {
    async function orphan(isDetached: boolean) {
      const connection = redis().url;
      const there = await host({ connection, slots: 1 });
      const gate = makeGate();
      const log = makeGate().file;
      const options = {
        connection,
        queue: queue(),
        root: checkout().root,
        leaseMs,
        detached: isDetached,
      };
      const call = [options, fn('noteAndWait'), log, 'x', gate.file];
      const child = spawn(
        process.execPath,
        [submitterProgram, JSON.stringify(call)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      children.push(child);
      let said = '';
      child.stdout.on('data', (text) => (said += text));
      await until('its job to run', () => said.includes('running'));
      await until('the start to be noted', () => linesIn(log).length === 1);
      child.kill('SIGKILL');
      return { there, gate, log, killedAt: performance.now() };
    }

    test('its jobs are ended within three leases', async () => {
      const { there, killedAt } = await orphan(false);
      await until('the job to be ended', () => there.has('ended'));
      const ms = performance.now() - killedAt;
      expect(ms).toBeLessThan((3 + timeoutFactor) * leaseMs);
      expect(there.lines.at(-1)).toMatchObject({ outcome: 'aborted' });
      const next = executor({ connection: redis().url });
      expect(await next.submit(fn('square'), 3)).toBe(9);
    });

    test('its jobs go on if they are detached', async () => {
      const { there, gate } = await orphan(true);
      // Another executor's job is lost meanwhile, so the lease has ended, too.
      const doomed = await host({ connection: redis().url });
      const { work } = await held({ connection: redis().url }, doomed);
      await doomed.kill();
      await rejection(work);
      expect(there.has('ended')).toBe(false);
      gate.open();
      await until('the job to end', () => there.has('ended'));
      expect(there.lines.at(-1)).toMatchObject({ outcome: 'value' });
    });

    test('its pending jobs do not run', async () => {
      const connection = redis().url;
      const log = makeGate().file;
      const options = {
        connection,
        queue: queue(),
        root: checkout().root,
        leaseMs,
      };
      const call = [options, fn('note'), log, 'x'];
      const child = spawn(
        process.execPath,
        [submitterProgram, JSON.stringify(call)],
        { stdio: 'ignore' },
      );
      children.push(child);
      const status = (): ReturnType<typeof clusterStatus> =>
        clusterStatus({ connection, queue: queue() });
      await until('the job to be in the queue', async () => {
        return (await status()).counts.pending === 1;
      });
      const keys = await clientOf(connection);
      try {
        const [lease] = await keys.keys(`*${queue()}:executor.*`);
        child.kill('SIGKILL');
        await until('its lease to end', async () => {
          return (await keys.exists(lease!)) === 0;
        });
      } finally {
        keys.disconnect();
      }
      const probe = executor({ connection });
      await host({ connection });
      expect(await probe.submit(fn('square'), 3)).toBe(9);
      expect(existsSync(log)).toBe(false);
    });
  });

  describe('a server that restarts', () => {
    test('with its data, is noticed by nobody', async () => {
      const server = await serverWith([
        ...['--appendonly', 'yes'],
        ...['--appendfsync', 'always'],
      ]);
      const connection = server.url;
      const lease = { leaseMs: 20_000 };
      const there = await host({ connection, slots: 1, ...lease });
      const { work, executed, gate, log } = await held(
        { connection, ...lease },
        there,
      );
      const pending = [1, 2, 3].map((n) => executed.submit(fn('square'), n));
      await until('all to be in the queue', async () => {
        const { counts } = await clusterStatus({ connection, queue: queue() });
        return counts.pending === 3;
      });
      await server.kill();
      await server.startAgain();
      gate.open();
      expect(await work).toBe('x');
      expect(await Promise.all(pending)).toEqual([1, 4, 9]);
      expect(linesIn(log)).toEqual(['x']);
    });

    test('without its data, loses all jobs, and then serves new ones', async () => {
      const server = await serverWith();
      const connection = server.url;
      const there = await host({ connection, slots: 1 });
      const { work, executed, pid, log } = await held({ connection }, there);
      const pending = executed.submit(fn('note'), log, 'never');
      await until('it to be in the queue', async () => {
        const { counts } = await clusterStatus({ connection, queue: queue() });
        return counts.pending === 1;
      });
      await server.kill();
      await server.startAgain();
      for (const each of [work, pending]) {
        const error = await rejection(each);
        expect(error).toBeInstanceOf(LostResult);
        expect((error as Error).message).toContain('lost its data');
      }
      await until('the host to end the job', () => !isAlive(pid));
      expect(await executed.submit(fn('square'), 3)).toBe(9);
      expect(linesIn(log)).toEqual(['x']);
    });

    test('without its data, loses a job whose error has not been read', async () => {
      const connection = redis().url;
      const work = executor({ connection }).submit(fn('fail'), 'on purpose');
      work.catch(() => undefined);
      const keys = await clientOf(connection);
      try {
        const id = await onlyJob(keys);
        // Its executor has the event, and then nothing is left.
        await keys.del(`bull:${queue()}:${id}`, waitingJobs());
        const fields = ['event', 'failed', 'jobId', id];
        const why = ['failedReason', 'RangeError: on purpose'];
        await keys.xadd(`bull:${queue()}:events`, '*', ...fields, ...why);
      } finally {
        keys.disconnect();
      }
      expect(await rejection(work)).toMatchObject({
        name: 'LostResult',
        reason: 'the server has lost its data',
      });
    });

    test('is waited for by calls that are submitted meanwhile', async () => {
      const server = await serverWith();
      const connection = server.url;
      await host({ connection });
      const executed = executor({ connection });
      expect(await executed.submit(fn('square'), 2)).toBe(4);
      await server.kill();
      const work = executed.submit(fn('square'), 3);
      await server.startAgain();
      expect(await work).toBe(9);
    });
  });

  test('a call that is cancelled leaves the queue also when the reply to that is lost', async () => {
    const proxy = await proxyOf(redis().port);
    const connection = `redis://127.0.0.1:${proxy.port}`;
    const executed = executor({ connection });
    const work = executed.submit(fn('square'), 3);
    work.catch(() => undefined);
    const keys = await clientOf(redis().url);
    try {
      const set = `bull:${queue()}:prioritized`;
      await until('the job to be in the queue', async () => {
        return (await keys.zcard(set)) === 1;
      });
      await until('the executor to know', () => work.state === 'pending');
      await executed.hosts();
      const [id] = await keys.zrange(set, '0', '-1');
      proxy.cutReplies();
      expect(work.cancel()).toBe(true);
      await until('it to be taken back', async () => {
        return (await keys.zcard(set)) === 0;
      });
      proxy.drop();
      await until('nothing of it to be left', async () => {
        return (await keys.exists(`bull:${queue()}:${id!}`)) === 0;
      });
    } finally {
      keys.disconnect();
    }
  });

  test('cancel where a host begins the call in this moment ends the job', async () => {
    const connection = redis().url;
    const there = await host({ connection, slots: 1 });
    const executed = executor({ connection });
    await executed.submit(fn('square'), 1);
    const log = makeGate().file;
    const work = Array.from({ length: 20 }, () =>
      executed.submit(fn('noteAndWait'), log, 'x', makeGate().file),
    );
    // The executor may not know yet which one has begun.
    await until('one to begin', () => linesIn(log).length > 0);
    for (const each of work) each.catch(() => undefined);
    const cancelled = work.filter((each) => each.cancel());
    for (const each of cancelled) {
      expect(await rejection(each)).toMatchObject({ name: 'AbortError' });
    }
    await executed.shutdown({ killSignal: 'SIGKILL', cancelFutures: true });
    const begun = linesIn(log).length;
    await until('each that has begun to end', () => {
      const ends = there.lines.filter(({ what }) => what === 'ended');
      return ends.length >= begun + 1;
    });
  });
});

async function clientOf(url: string) {
  const { Redis } = require('ioredis') as typeof import('ioredis');
  const redis = new Redis(url);
  await redis.ping();
  return redis;
}
