import { existsSync, readdirSync } from 'node:fs';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import type { Context } from '../../dist/context.js';
import { isWorker, type Jobserver } from '../../dist/index.js';
import { isWorkerHere } from '../fixtures/controlled-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { stateOf } from '../helpers/processes.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { untilSync } from './until-sync.js';

const closed = {
  code: 'ERR_JOBSERVER_CLOSED',
  message: 'Jobserver is closed',
};

/** Whether a child has ended and has not been reaped. */
function isZombie(pid: number): boolean {
  if (stateOf(pid) !== 'Z') return false;
  // The main thread may become a zombie before the other threads end.
  const tasks = `/proc/${pid}/task`;
  return !existsSync(tasks) || readdirSync(tasks).length === 1;
}

/** A handle from creation to close, and the handles derived from it. */
export function lifeContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  /** Expects an error from every method that needs an open handle. */
  async function expectClosed(js: Jobserver): Promise<void> {
    expect(await rejection(js.submit(identity, [1]))).toMatchObject(closed);
    expect(await rejection(js.run(identity, 1))).toMatchObject(closed);
    expect(thrown(() => js.submitSync(identity, [1]))).toMatchObject(closed);
    expect(thrown(() => js.reclaimResources())).toMatchObject(closed);
    expect(thrown(() => [...js.mapSync(identity, [1])])).toMatchObject(closed);
    expect(
      await rejection((async () => js.map(identity, [1]).next())()),
    ).toMatchObject(closed);
    const beside = js.submit(identity, [1], { consume: 0 });
    expect(await rejection(beside)).toMatchObject(closed);
  }

  test('close refuses new jobs at once and waits for running ones', async () => {
    const js = open(2);
    const gate = makeGate();
    const futures = [
      await js.submit(waitAt, [gate.file, 'a']),
      await js.submit(waitAt, [gate.file, 'b'], { consume: 0 }),
    ];
    let isClosed = false;
    const closing = js.close().then(() => (isClosed = true));
    await expectClosed(js);
    expect([isClosed, js.running]).toEqual([false, 2]);
    gate.open();
    await closing;
    expect(js.running).toBe(0);
    expect(futures.map((each) => each.done())).toEqual([true, true]);
    expect(futures.map((each) => each.resultSync())).toEqual(['a', 'b']);
    await expectClosed(js);
  });

  test('close sends its signal to all running jobs, and waits for them', async () => {
    const js = open(2);
    const gate = makeGate();
    const futures = [
      await js.submit(waitAt, [gate.file]),
      await js.with({ env: { A: '1' } }).submit(waitAt, [gate.file]),
    ];
    const waiting = rejection(js.submit(identity, [1]));
    await js.close({ killSignal: 'SIGTERM' });
    expect(js.running).toBe(0);
    expect(await waiting).toMatchObject(closed);
    for (const future of futures) {
      const lost = thrown(() => future.resultSync());
      expect(lost).toMatchObject({ signal: 'SIGTERM' });
    }
  });

  test('close sends SIGKILL to a job that does not end by its signal', async () => {
    const js = open(1);
    const gate = makeGate();
    const hasty = js.with({ killGrace: 100 });
    const future = await hasty.submit(waitAt, [gate.file]);
    // It stops the process, and ends nothing.
    await js.close({ killSignal: 'SIGSTOP' });
    const lost = thrown(() => future.resultSync());
    expect(lost).toMatchObject({ signal: 'SIGKILL' });
  });

  test('with closeSignal, await using ends running jobs', async () => {
    const gate = makeGate();
    const js = openJobserver({ context, slots: 1, closeSignal: 'SIGTERM' });
    const future = await js.submit(waitAt, [gate.file]);
    await js[Symbol.asyncDispose]();
    const lost = thrown(() => future.resultSync());
    expect(lost).toMatchObject({ signal: 'SIGTERM' });
  });

  test.each([0, 65, 'SIGNOTHING', {}])(
    'close refuses the killSignal %p',
    async (killSignal) => {
      const js = open(1);
      const options = { killSignal } as never;
      expect(await rejection(js.close(options))).toMatchObject({
        code: expect.stringMatching(
          /^ERR_(OUT_OF_RANGE|UNKNOWN_SIGNAL|INVALID_ARG_TYPE)$/,
        ),
        message: expect.stringContaining('killSignal'),
      });
      expect(await js.run(identity, 1)).toBe(1);
      const unknown = { killSignals: 'SIGTERM' } as never;
      expect(await rejection(js.close(unknown))).toMatchObject({
        message: expect.stringContaining('killSignal'),
      });
    },
  );

  test('close resolves after the callbacks of the last job', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file]);
    const order: string[] = [];
    const closing = js.close().then(() => order.push('closed'));
    future.whenDone(() => order.push('callback'));
    gate.open();
    await closing;
    expect(order).toEqual(['callback', 'closed']);
  });

  test.each(['close', 'closeSync'] as const)(
    '%s rejects submissions that wait for a slot or for their sleep gate',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      const holder = await js.submit(waitAt, [gate.file, 'held']);
      const wait = holder.wait();
      const waiting = [
        js.submit(identity, [1]),
        js.submit(identity, [1], { timeout: 1e6 }),
        js.run(identity, 1),
        js.replaceSleep(() => 1e6).submit(identity, [1]),
        js.replaceSleep(() => Infinity).submit(identity, [1]),
      ].map(rejection);
      const closing = js[name]();
      for (const error of await Promise.all(waiting)) {
        expect(error).toMatchObject(closed);
      }
      expect(holder.done()).toBe(false);
      gate.open();
      expect([await wait, await holder.result()]).toEqual([true, 'held']);
      await closing;
    },
  );

  test('after closeSync, running jobs finish, settle their futures and release everything', async () => {
    const fds = (): number => readdirSync('/dev/fd').length;
    const before = fds();
    const js = open(2);
    const [gate, never] = [makeGate(), makeGate()];
    const future = await js.submit(waitAt, [gate.file, 'value']);
    const killed = await js.submit(waitAt, [never.file]);
    const called: string[] = [];
    future.whenDone(() => called.push('before'));
    js.closeSync();
    await expectClosed(js);
    expect([js.running, future.done()]).toEqual([2, false]);
    expect(await future.wait({ timeout: 1 })).toBe(false);
    future.whenDone(() => called.push('after'));
    gate.open();
    expect(await future.result()).toBe('value');
    expect(called).toEqual(['before', 'after']);
    expect(killed.waitSync({ killSignal: 'SIGKILL' })).toBe(true);
    expect(await rejection(killed.result())).toMatchObject({
      code: 'ERR_JOBSERVER_LOST_RESULT',
    });
    expect(js.running).toBe(0);
    // Those of earlier test files may disappear at any time.
    await until('all descriptors to be closed', () => fds() <= before);
  });

  // With forkserver, the zygote reports the end of a job a moment later.
  testIf(context !== 'forkserver')(
    'closeSync finishes the jobs that have ended and does not wait for the others',
    () => {
      const js = open(2);
      const gate = makeGate();
      const ended = js.submitSync(identity, [1]);
      const running = js.submitSync(waitAt, [gate.file]);
      const pid = ended.pid!;
      let isCalled = false;
      ended.whenDone(() => (isCalled = true));
      untilSync('the worker to end', () => isZombie(pid));
      expect([isCalled, js.running]).toEqual([false, 2]);
      js.closeSync();
      expect([isCalled, js.running]).toEqual([true, 1]);
      expect(ended.resultSync({ timeout: 0 })).toBe(1);
      gate.open();
      expect(running.waitSync()).toBe(true);
    },
  );

  test('a handle may be closed repeatedly, by every method', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    let done = 0;
    const closings = [js.close(), js[Symbol.asyncDispose](), js.close()].map(
      (each) => each.then(() => (done += 1)),
    );
    js.closeSync();
    js[Symbol.dispose]();
    await new Promise((resolve) => setImmediate(resolve));
    // Each call waits for the job.
    expect(done).toBe(0);
    gate.open();
    await Promise.all(closings);
    await js.close();
    js.closeSync();
    js[Symbol.dispose]();
    await js[Symbol.asyncDispose]();
    await expectClosed(js);
  });

  test('Symbol.dispose acts as closeSync, and Symbol.asyncDispose as close', async () => {
    const sync = open(1);
    const gate = makeGate();
    const future = await sync.submit(waitAt, [gate.file, 1]);
    sync[Symbol.dispose]();
    await expectClosed(sync);
    gate.open();
    expect(await future.result()).toBe(1);

    const async = open(1);
    const other = await async.submit(identity, [2]);
    await async[Symbol.asyncDispose]();
    expect([async.running, other.done()]).toEqual([0, true]);
    await expectClosed(async);
  });

  test.each(['close', 'closeSync'] as const)(
    '%s on any handle closes all handles that share its slots',
    async (name) => {
      const derive = (js: Jobserver): Jobserver[] => {
        const env = js.reviseEnv({ A: '1' });
        return [js, env, env.replaceSleep(() => undefined)];
      };
      for (let closer = 0; closer < 3; closer++) {
        const handles = derive(open(1));
        expect(await handles[(closer + 1) % 3]!.run(identity, 1)).toBe(1);
        await handles[closer]![name]();
        for (const handle of handles) await expectClosed(handle);
      }
    },
  );

  test('a closed handle can be inspected, and derives closed handles', async () => {
    const js = open(2);
    await js.close();
    expect(inspect(js)).toBe(`Jobserver('${context}', running=0)`);
    expect([js.context, js.slots, js.running]).toEqual([context, 2, 0]);
    for (const derived of [
      js.reviseEnv({}),
      js.replaceSleep(() => undefined),
      js.replacePreexec(identity, 1),
    ]) {
      await expectClosed(derived);
    }
  });

  test('inspect shows the context and the number of running jobs', async () => {
    const js = open(1);
    const gate = makeGate();
    expect(inspect(js)).toBe(`Jobserver('${context}', running=0)`);
    await js.submit(waitAt, [gate.file]);
    expect(inspect({ js })).toBe(`{ js: Jobserver('${context}', running=1) }`);
    expect(`${inspect(js.reviseEnv({}))}`).toBe(inspect(js));
  });

  test('structuredClone and v8.serialize throw for a handle', () => {
    const js = open(1);
    expect(thrown(() => structuredClone(js))).toMatchObject({
      name: 'DataCloneError',
    });
    expect(thrown(() => serialize({ deep: [js] }))).toBeDefined();
    expect('then' in js).toBe(false);
  });

  testIf(isRemote(context))(
    'isWorker is true in a job and false in its submitter',
    async () => {
      expect(isWorker).toBe(false);
      expect(await open(1).run(isWorkerHere)).toBe(true);
    },
  );
}
