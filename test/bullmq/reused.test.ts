import { setTimeout as sleep } from 'node:timers/promises';
import { LostResult } from '../../dist/index.js';
import {
  type HostProcess,
  leaseMs,
  linesIn,
  useCluster,
} from '../helpers/cluster.js';
import { RedisServer, useRedis } from '../helpers/redis.js';
import { type SilentProxy, silentProxy } from '../helpers/silent-proxy.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

// Of what a cluster promises, that which the next job can disturb that is asked for
// together with the outcome of one.
describe('hosts with re-used processes', () => {
  const redis = useRedis();
  const { host, executor, checkout, makeGate, queue } = useCluster({ leaseMs });
  const fn = (name: string): string => checkout().fn(name);
  const proxies: SilentProxy[] = [];
  const reused = { slots: 1, jobsPerProcess: 1000 };

  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  const open = (options = {}): ReturnType<typeof executor> =>
    executor({ connection: redis().url, ...options });

  /** Behind a network that can be cut. */
  async function farHost(name: string) {
    const proxy = await silentProxy(redis().port);
    proxies.push(proxy);
    const connection = `redis://127.0.0.1:${proxy.port}`;
    return { proxy, there: await host({ connection, name, ...reused }) };
  }

  /** A call that runs, after another one in the same process, and calls that wait. */
  async function held(executed: ReturnType<typeof executor>) {
    expect(await executed.submit(fn('square'), 2)).toBe(4);
    const gate = makeGate();
    const log = makeGate().file;
    const first = executed.submit(fn('noteAndWait'), log, 'first', gate.file);
    first.catch(() => undefined);
    await until('it to note its start', () => linesIn(log).length === 1);
    await until('the executor to know', () => first.state === 'running');
    const next = executed.submit(fn('note'), log, 'next');
    next.catch(() => undefined);
    await until('the next to be in the queue', () => executed.pending === 1);
    return { gate, log, first, next };
  }

  function ends(there: HostProcess): (string | undefined)[] {
    const lines = there.lines.filter(({ what }) => what === 'ended');
    return lines.map(({ outcome }) => outcome);
  }

  test('the running job of one that is killed is lost, and the next one runs elsewhere', async () => {
    const doomed = await host({
      connection: redis().url,
      name: 'doomed',
      ...reused,
    });
    const { first, next, log } = await held(open());
    await doomed.kill();
    expect(await rejection(first)).toMatchObject({
      name: 'LostResult',
      host: 'doomed',
      attempts: 1,
    });
    await host({ connection: redis().url, ...reused });
    expect(await next).toBe('next');
    expect(linesIn(log)).toEqual(['first', 'next']);
  });

  test('with retries, the job of one that is killed begins again', async () => {
    const doomed = await host({ connection: redis().url, ...reused });
    const { first, next, log, gate } = await held(open({ retries: 1 }));
    await host({ connection: redis().url, ...reused });
    await doomed.kill();
    gate.open();
    expect(await Promise.all([first, next])).toEqual(['first', 'next']);
    expect(linesIn(log).sort()).toEqual(['first', 'first', 'next']);
  });

  test('the result of one that was frozen is refused, and it serves again', async () => {
    const frozen = await host({
      connection: redis().url,
      name: 'frozen',
      ...reused,
    });
    const { first, next, log, gate } = await held(open());
    frozen.signal('SIGSTOP');
    // Its process ends the job meanwhile.
    gate.open();
    expect(await rejection(first)).toMatchObject({ host: 'frozen' });
    expect(next.state).toBe('pending');
    frozen.signal('SIGCONT');
    expect(await next).toBe('next');
    await until('both to end', () => ends(frozen).length === 3);
    expect(ends(frozen)).toEqual(['value', 'lost', 'value']);
    expect(linesIn(log)).toEqual(['first', 'next']);
  });

  test('one that is cut off as a job ends loses that job only', async () => {
    const { proxy, there } = await farHost('cut');
    const { first, next, log, gate } = await held(open());
    proxy.cut();
    gate.open();
    expect(await rejection(first)).toMatchObject({ host: 'cut' });
    await until('the host to give it up', () => ends(there).length === 2);
    proxy.heal();
    expect(await next).toBe('next');
    expect(linesIn(log)).toEqual(['first', 'next']);
  });

  test('a job that comes later than its lease lasts is lost and not started; the outcome that it came with counts', async () => {
    const { proxy, there } = await farHost('late');
    const executed = open();
    const { first, next, log, gate } = await held(executed);
    proxy.cutReplies();
    gate.open();
    expect(await first).toBe('first');
    const error = await rejection(next);
    expect(error).toBeInstanceOf(LostResult);
    expect(error).toMatchObject({ host: 'late', pid: 0 });
    await until('the host to give up', () => ends(there).length === 2);
    proxy.heal();
    expect(await executed.submit(fn('square'), 3)).toBe(9);
    expect(linesIn(log)).toEqual(['first']);
  });

  test('one that drains runs the job that it has asked for, and then closes', async () => {
    const { proxy, there } = await farHost('mill');
    const executed = open();
    const { first, next, log, gate } = await held(executed);
    const last = executed.submit(fn('note'), log, 'last');
    proxy.cutReplies();
    gate.open();
    expect(await first).toBe('first');
    await until('the next to be fetched', () => next.state === 'running');
    there.signal('SIGTERM');
    await until('it to know', () => there.has('closing'));
    proxy.heal();
    expect(await next).toBe('next');
    await until('the host to close', () => there.has('closed'));
    expect(last.state).toBe('pending');
    await host({ connection: redis().url, ...reused });
    expect(await last).toBe('last');
    expect(linesIn(log)).toEqual(['first', 'next', 'last']);
  });

  test.each([0, 1])(
    'one that ends its jobs does not start the job that it has asked for, and with retries: %p',
    async (retries) => {
      const { proxy, there } = await farHost('mill');
      const executed = open({ retries });
      const { first, next, log, gate } = await held(executed);
      proxy.cutReplies();
      gate.open();
      expect(await first).toBe('first');
      await until('the next to be fetched', () => next.state === 'running');
      there.signal('SIGINT');
      await until('it to know', () => there.has('closing'));
      proxy.heal();
      if (retries > 0) {
        await until('the host to close', () => there.has('closed'));
        expect(linesIn(log)).toEqual(['first']);
        await host({ connection: redis().url, ...reused });
        expect(await next).toBe('next');
        return;
      }
      const error = await rejection(next);
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({
        host: 'mill',
        pid: 0,
        reason: 'it was ended before it began',
      });
      await until('the host to close', () => there.has('closed'));
      expect(ends(there)).toEqual(['value', 'value', 'lost']);
      expect(linesIn(log)).toEqual(['first']);
    },
  );

  test('a server that is frozen as a job ends loses that job only', async () => {
    const server = await RedisServer.start();
    try {
      const connection = server.url;
      const there = await host({ connection, ...reused });
      const executed = open({ connection });
      const { first, next, log, gate } = await held(executed);
      server.signal('SIGSTOP');
      gate.open();
      await until('the host to give it up', () => ends(there).includes('lost'));
      // Longer than two requests for the next one are waited for.
      await sleep(2 * leaseMs);
      server.signal('SIGCONT');
      expect(await rejection(first)).toBeInstanceOf(LostResult);
      expect(await next).toBe('next');
      expect(linesIn(log)).toEqual(['first', 'next']);
      await executed.shutdown();
    } finally {
      await server.end();
    }
  });

  test('a pending job that is aborted does not run, also as another one ends', async () => {
    await host({ connection: redis().url, ...reused });
    const executed = open();
    const { first, next, log, gate } = await held(executed);
    const controller = new AbortController();
    const { signal } = controller;
    const work = executed.submitWith({ signal }, fn('note'), log, 'never');
    controller.abort();
    gate.open();
    expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
    expect(await Promise.all([first, next])).toEqual(['first', 'next']);
    expect(await executed.submit(fn('square'), 3)).toBe(9);
    expect(linesIn(log)).toEqual(['first', 'next']);
  });

  test('a running job that is aborted ends, and the next one runs', async () => {
    const there = await host({ connection: redis().url, ...reused });
    const executed = open();
    expect(await executed.submit(fn('square'), 2)).toBe(4);
    const controller = new AbortController();
    const { signal } = controller;
    const log = makeGate().file;
    const gate = makeGate().file;
    const work = executed.submitWith(
      { signal },
      fn('noteAndWait'),
      log,
      'x',
      gate,
    );
    await until('it to run', () => linesIn(log).length === 1);
    await until('the executor to know', () => work.state === 'running');
    const next = executed.submit(fn('square'), 3);
    controller.abort();
    expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
    expect(await next).toBe(9);
    await until('all to end', () => ends(there).length === 3);
    expect(ends(there)).toEqual(['value', 'aborted', 'value']);
  });

  test('a queue that is paused keeps its jobs until it goes on', async () => {
    const { Queue } = require('bullmq') as typeof import('bullmq');
    const there = await host({ connection: redis().url, ...reused });
    const { first, next, log, gate } = await held(open());
    // As Bull Board does.
    const dashboard = new Queue(queue(), {
      connection: { port: redis().port },
    });
    try {
      await dashboard.pause();
      gate.open();
      expect(await first).toBe('first');
      await until('the host to say so', () => ends(there).length === 2);
      await sleep(300);
      expect([next.state, linesIn(log)]).toEqual(['pending', ['first']]);
      await dashboard.resume();
    } finally {
      await dashboard.close();
    }
    expect(await next).toBe('next');
  });
});
