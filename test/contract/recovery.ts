import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import {
  die,
  fail,
  pidOf,
  returnBytes,
  returnFunction,
} from '../fixtures/ending-jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { untilSync } from './until-sync.js';

const aborted = { name: 'AbortError', code: 'ABORT_ERR' };
const blocked = { code: 'ERR_JOBSERVER_BLOCKED' };
const programs = join(__dirname, '..', 'fixtures', 'slot-programs.js');

/** The slot of a job becomes free, however the job or submission ends. */
export function recoveryContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  const endings: Record<string, (js: Jobserver) => Promise<unknown>> = {
    'a value': (js) => js.run(identity, 1),
    'an error': (js) => rejection(js.run(fail, 'on purpose')),
    'a lost job': (js) => rejection(js.run(die)),
    'a result that cannot be sent': (js) => rejection(js.run(returnFunction)),
    'a result that is never read': (js) => js.submit(returnBytes, [1 << 20]),
    'a result that comes after a timeout': async (js) => {
      const gate = makeGate();
      const future = await js.submit(waitAt, [gate.file]);
      const error = await rejection(future.result({ timeout: 1 }));
      expect(error).toMatchObject(blocked);
      gate.open();
    },
    'a kill': async (js) => {
      const future = await js.submit(waitAt, [makeGate().file]);
      await future.wait({ killSignal: 'SIGKILL' });
    },
    'an abort': async (js) => {
      const controller = new AbortController();
      const { signal } = controller;
      const future = await js.submit(waitAt, [makeGate().file], { signal });
      controller.abort();
      expect(await rejection(future.result())).toMatchObject(aborted);
    },
  };

  test.each(Object.entries(endings))(
    'the slot becomes free after %s',
    async (_, end) => {
      const js = open(1);
      await end(js);
      await until('the slot to be free', () => freeSlots(js) === 1);
      const future = await js.submit(identity, [2], { timeout: 0 });
      expect(await future.result()).toBe(2);
    },
  );

  test('the slot becomes free even when the Future is not kept', async () => {
    const js = open(1);
    void (await js.submit(identity, [1]));
    await until('the slot to be free', () => freeSlots(js) === 1);
    js.submitSync(identity, [1]);
    await until('reclaimResources to release the slot', () => {
      js.reclaimResources();
      return js.running === 0;
    });
    expect(freeSlots(js)).toBe(1);
  });

  test('reclaimResources finishes ended jobs without the event loop and returns undefined', () => {
    const js = open(2);
    const small = js.submitSync(pidOf);
    const large = js.submitSync(returnBytes, [3 << 20]);
    const pid = small.pid;
    const called: string[] = [];
    small.whenDone(() => called.push('small'));
    large.whenDone(() => called.push('large'));
    untilSync('both jobs to finish', () => {
      expect(js.reclaimResources()).toBe(undefined);
      return js.running === 0;
    });
    expect(called.sort()).toEqual(['large', 'small']);
    expect(freeSlots(js)).toBe(2);
    expect(small.resultSync()).toBe(pid);
    expect(large.resultSync().length).toBe(3 << 20);
  });

  test('a sleep gate may call reclaimResources', async () => {
    const js = open(1);
    let calls = 0;
    const gated = js.replaceSleep(() => {
      calls += 1;
      js.reclaimResources();
      return undefined;
    });
    expect(await gated.run(identity, 1)).toBe(1);
    const gate = makeGate();
    const holder = await js.submit(waitAt, [gate.file]);
    const both = [gated.run(identity, 2), gated.run(identity, 3)];
    gate.open();
    await holder.wait();
    expect(await Promise.all(both)).toEqual([2, 3]);
    // One call at each attempt to take a slot.
    expect(calls).toBeLessThan(20);
  });

  test('submitSync reads the large results that running jobs are blocked on', () => {
    const js = open(1);
    const large = js.submitSync(returnBytes, [1 << 20]);
    expect(js.submitSync(identity, [1]).resultSync()).toBe(1);
    expect(large.resultSync().length).toBe(1 << 20);
  });

  test('an aborted signal stops a submission before it takes a slot', async () => {
    const js = open(1);
    const reason = new Error('changed my mind');
    const options = { signal: AbortSignal.abort(reason) };
    const error = await rejection(js.submit(identity, [1], options));
    expect(error).toMatchObject(aborted);
    expect((error as Error).cause).toBe(reason);
    expect(thrown(() => js.submitSync(identity, [1], options))).toMatchObject(
      aborted,
    );
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('an object that is not an AbortSignal rejects as signal', async () => {
    const js = open(1);
    for (const signal of [5, 'abort', {}, true] as never[]) {
      const error = {
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining('signal'),
      };
      expect(
        await rejection(js.submit(identity, [1], { signal })),
      ).toMatchObject(error);
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('aborting a waiting submission gives up its place in the queue', async () => {
    const js = open(1);
    const gate = makeGate();
    const holder = await js.submit(waitAt, [gate.file]);
    const controller = new AbortController();
    const { signal } = controller;
    const first = rejection(js.submit(identity, [1], { signal }));
    const second = js.submit(identity, [2]);
    controller.abort('for a reason');
    const error = await first;
    expect(error).toMatchObject(aborted);
    expect((error as Error).cause).toBe('for a reason');
    expect([holder.done(), js.running]).toEqual([false, 1]);
    gate.open();
    expect(await (await second).result()).toBe(2);
  });

  test('one signal that aborts 50 submissions rejects them all and keeps no listener', async () => {
    const js = open(1);
    const controller = new AbortController();
    const { signal } = controller;
    const holder = await js.submit(waitAt, [makeGate().file], { signal });
    const waiting = Array.from({ length: 50 }, () =>
      rejection(js.submit(identity, [1], { signal })),
    );
    controller.abort();
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject(aborted);
    }
    expect(await rejection(holder.result())).toMatchObject(aborted);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a finished job keeps no listener on its signal', async () => {
    const js = open(1);
    const controller = new AbortController();
    const { signal } = controller;
    const future = await js.submit(identity, [1], { signal });
    expect(await future.result()).toBe(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    controller.abort();
    expect(await future.result()).toBe(1);
  });

  const run = async (name: string, ...args: string[]) => {
    const { execArgv } = process;
    const node = [...execArgv, programs, name, context, ...args];
    const { code, stdout, stderr } = await runNode(node);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  test('51 submissions that share one signal cause no MaxListenersExceededWarning', async () => {
    expect(await run('shareSignal')).toEqual({ aborted: 51 });
  });

  test('waits of more than 24 days cause no warning', async () => {
    expect(await run('waitLong')).toEqual({ values: [1, 2, 3, 4] });
  });

  test('without a free descriptor, submit fails with EMFILE and takes no slot', async () => {
    const found = await run('exhaustFds');
    expect(found.codes).toContain('EMFILE');
    expect(found.codes.filter((code: string) => code !== 'EMFILE')).toEqual(
      found.codes.filter((code: string) => code === 'value'),
    );
    expect(found).toMatchObject({ running: 0, together: ['a', 'b'] });
    expect(found.fdsAfter).toBe(found.fdsBefore);
  });
}
