import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { die, fail } from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import {
  freeSlots,
  ofOwnProcess,
  openJobserver,
} from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** whenDone: callbacks that do not throw. */
export function callbackContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test('each callback runs once, in registration order, before waiting calls return', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file]);
    const called: number[] = [];
    const numbers = Array.from({ length: 100 }, (_, i) =>
      future.whenDone(() => called.push(i)),
    );
    const expected = Array.from({ length: 100 }, (_, i) => i);
    expect(numbers).toEqual(expected);
    expect(called).toEqual([]);
    gate.open();
    await future.wait();
    expect(called).toEqual(expected);
    future.done();
    await future.result();
    js.reclaimResources();
    expect(called).toEqual(expected);
  });

  test('a callback receives only the arguments given at its registration', async () => {
    const js = open(1);
    const future = js.submitSync(identity, [1]);
    const calls: unknown[][] = [];
    const options = { fn: 1, timeout: 2 };
    function record(this: unknown, ...args: unknown[]): void {
      calls.push([this, ...args]);
    }
    future.whenDone(record);
    future.whenDone(record, 'a', options);
    await future.wait();
    future.whenDone(record, future);
    expect(calls).toEqual([
      [undefined],
      [undefined, 'a', options],
      [undefined, future],
    ]);
    expect(calls[1]![2]).toBe(options);
  });

  test('whenDone throws for a callback that is not a function', async () => {
    const js = open(1);
    const future = await js.submit(identity, [1]);
    for (const fn of [undefined, null, 5, 'fn', {}] as never[]) {
      expect(thrown(() => future.whenDone(fn))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    expect(future.whenDone(() => undefined)).toBe(0);
  });

  test('a callback registered on a finished future runs before whenDone returns', async () => {
    const js = open(1);
    const future = await js.submit(identity, [1]);
    await future.wait();
    const called: string[] = [];
    expect(future.whenDone(() => called.push('first'))).toBe(0);
    expect(called).toEqual(['first']);
    expect(future.whenDone(() => called.push('second'))).toBe(1);
    expect(called).toEqual(['first', 'second']);
  });

  test('callbacks run after a value, after an error and after a lost job', async () => {
    const js = open(1);
    for (const fn of [identity, fail, die]) {
      const future = await js.submit(fn as typeof identity, ['x']);
      let calls = 0;
      future.whenDone(() => (calls += 1));
      expect(await future.wait()).toBe(true);
      expect(calls).toBe(1);
    }
  });

  ofOwnProcess(
    'when a callback runs, the future is done, its worker has exited and its slot is free',
    async () => {
      const js = open(1);
      const future = await js.submit(identity, [7]);
      const pid = future.pid!;
      const seen: unknown[] = [];
      future.whenDone(() => {
        seen.push(future.done(), future.waitSync({ timeout: 0 }));
        seen.push(future.waitSync(), future.resultSync(), future.pid);
        seen.push(js.running, freeSlots(js), future.kill());
        seen.push(
          (thrown(() => process.kill(pid, 0)) as { code: string }).code,
        );
      });
      await until('the callback', () => seen.length > 0);
      expect(seen).toEqual([
        ...[true, true, true, 7, undefined],
        ...[0, 1, false, 'ESRCH'],
      ]);
    },
  );

  test('a callback may await its own future, and the library does not await it', async () => {
    const js = open(1);
    const future = await js.submit(identity<number>, [7]);
    const values: number[] = [];
    const askAgain: () => unknown = async () => {
      values.push(await future.result());
    };
    future.whenDone(askAgain);
    // The library does not await what a callback returns.
    const hang = (): unknown => new Promise(() => undefined);
    future.whenDone(hang);
    await future.wait();
    await until('the async callback', () => values.length > 0);
    expect(values).toEqual([7]);
  });

  test('a callback registered by a callback runs after the earlier ones, in the same pass', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file]);
    const called: string[] = [];
    const numbers: number[] = [];
    future.whenDone(() => {
      called.push('first');
      numbers.push(future.whenDone(() => called.push('nested')));
      called.push('first goes on');
    });
    future.whenDone(() => called.push('second'));
    gate.open();
    expect(future.waitSync()).toBe(true);
    expect(called).toEqual(['first', 'first goes on', 'second', 'nested']);
    expect(numbers).toEqual([2]);
  });

  test('a callback may register itself again 20,000 times', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file]);
    let calls = 0;
    const again = (): void => {
      calls += 1;
      if (calls % 20_000 !== 0) future.whenDone(again);
    };
    future.whenDone(again);
    gate.open();
    await future.wait();
    expect(calls).toBe(20_000);
    future.whenDone(again);
    expect(calls).toBe(40_000);
  });

  test('a callback may submit a job and wait for it, even with one slot', async () => {
    const js = open(1);
    const future = await js.submit(identity, [1]);
    const values: number[] = [];
    let later: Promise<void> | undefined;
    future.whenDone(() => {
      values.push(js.submitSync(identity<number>, [2]).resultSync());
      later = js.submit(identity<number>, [3]).then(async (next) => {
        values.push(await next.result());
      });
    });
    await future.wait();
    expect(values).toEqual([2]);
    await later;
    expect(values).toEqual([2, 3]);
  });

  test('a callback may wait for another future whose callbacks use the first one', async () => {
    const js = open(2);
    const gate = makeGate();
    const slow = await js.submit(waitAt, [gate.file, 'slow']);
    const fast = await js.submit(identity, ['fast']);
    const called: string[] = [];
    fast.whenDone(() => {
      gate.open();
      called.push(slow.resultSync() as string);
      slow.whenDone(() => {
        // The callbacks of `fast` are still running further up the stack.
        fast.whenDone(() => called.push('late'));
        called.push('slow is done');
      });
    });
    slow.whenDone(() => called.push('slow first'));
    expect(fast.waitSync()).toBe(true);
    expect(called).toEqual(['slow first', 'slow', 'slow is done', 'late']);
  });

  const endings: [string, (js: Jobserver) => unknown][] = [
    ['reclaimResources', (js) => js.reclaimResources()],
    ['closeSync', (js) => js.closeSync()],
    ['close', (js) => js.close()],
  ];

  test.each(endings)('a callback may call %s', async (_, end) => {
    const js = open(2);
    const gate = makeGate();
    const futures = [
      await js.submit(waitAt, [gate.file, 0]),
      await js.submit(waitAt, [gate.file, 1]),
    ];
    const called: number[] = [];
    let ended: unknown;
    futures[0]!.whenDone(() => (ended = end(js)));
    for (const [i, future] of futures.entries()) {
      future.whenDone(() => called.push(i));
    }
    gate.open();
    const values = await Promise.all(futures.map((each) => each.result()));
    expect(values).toEqual([0, 1]);
    expect(called.sort()).toEqual([0, 1]);
    await ended;
  });

  test('a callback runs in the async context of its registration', async () => {
    const js = open(1);
    const gate = makeGate();
    const storage = new AsyncLocalStorage<string>();
    const future = await js.submit(waitAt, [gate.file]);
    const seen: (string | undefined)[] = [];
    const record = (): void => {
      seen.push(storage.getStore());
    };
    storage.run('first', () => future.whenDone(record));
    storage.run('second', () => future.whenDone(record));
    future.whenDone(record);
    gate.open();
    await storage.run('waiting', () => future.wait());
    storage.run('late', () => future.whenDone(record));
    expect(seen).toEqual(['first', 'second', undefined, 'late']);
  });
}
