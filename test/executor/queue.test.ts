import {
  type ExecutorFuture,
  type ExecutorOptions,
  type Jobserver,
  JobserverExecutor,
} from '../../dist/index.js';
import { note } from '../fixtures/executor-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { defaultContext } from '../../dist/context.js';
import { linesOf, statesOf } from '../contract/executor-setup.js';
import { useGates } from '../helpers/gate.js';
import { checkSlots, openJobserver, warmUp } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(30_000 * timeoutFactor);

const context = defaultContext;
const full = { code: 'ERR_JOBSERVER_QUEUE_FULL' };

/** What depends on the queue of an executor, and not on how its jobs start. */
describe('the queue of an executor', () => {
  checkSlots();
  checkLeaks(warmUp(context));
  const makeGate = useGates();
  const open = (jobsPerProcess = 1, slots = 1): Jobserver =>
    openJobserver({ context, slots, jobsPerProcess });
  const nextTurn = (): Promise<void> =>
    new Promise((wake) => setImmediate(wake));

  /** An executor whose only slot is taken until the gate is opened. */
  const queue = async (
    options: ExecutorOptions,
    js = open(),
  ): Promise<{ executor: JobserverExecutor; openGate: () => void }> => {
    const executor = new JobserverExecutor(js, options);
    const gate = makeGate();
    const held = executor.submit(waitAt, gate.file);
    await until('the call to run', () => held.state === 'running');
    return { executor, openGate: () => gate.open() };
  };
  const add = (executor: JobserverExecutor, n = 1): ExecutorFuture<number> =>
    executor.submit(identity<number>, n);

  describe.each([1, Infinity])(
    'with %p jobs in a process',
    (jobsPerProcess) => {
      test('a submit beyond maxPending rejects, and the others run', async () => {
        const js = open(jobsPerProcess);
        await js.run(identity, 1);
        const { executor, openGate } = await queue({ maxPending: 2 }, js);
        const work = [1, 2, 3, 4].map((n) => add(executor, n));
        expect(statesOf(work)).toEqual([
          ...['pending', 'pending'],
          ...['finished', 'finished'],
        ]);
        expect(executor.pending).toBe(2);
        for (const each of work.slice(2)) {
          expect(await rejection(each)).toMatchObject(full);
        }
        work[1]!.cancel();
        expect(add(executor).state).toBe('pending');
        openGate();
        expect(await work[0]).toBe(1);
        await executor.shutdown();
        expect(executor.completed).toBe(3);
      });

      test("the newest call starts first with order: 'lifo', within its priority", async () => {
        const js = open(jobsPerProcess);
        const before = makeGate().file;
        // Then short calls are sent ahead in numbers.
        for (let i = 0; i < 20 && jobsPerProcess > 1; i++) {
          await js.run(note, before, `${i}`);
        }
        const { executor, openGate } = await queue({ order: 'lifo' }, js);
        const log = makeGate().file;
        const submit = (name: string, priority = 0): Promise<string> =>
          executor.submitWith({ priority }, note, log, name);
        const work = [submit('f'), submit('b', 1), submit('e')];
        await nextTurn();
        work.push(submit('d'), submit('g', -1), submit('a', 1));
        await nextTurn();
        work.push(submit('c'));
        openGate();
        await Promise.all(work);
        expect(linesOf(log)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
      });

      test('maps wait for room, and each of them finishes', async () => {
        const js = open(jobsPerProcess, 2);
        const executor = new JobserverExecutor(js, { maxPending: 3 });
        const length = jobsPerProcess === 1 ? 8 : 100;
        const items = Array.from({ length }, (_, i) => i);
        let most = 0;
        const read = async (options: object): Promise<number[]> => {
          const found = [];
          for await (const n of executor.map(
            identity<number>,
            items,
            options,
          )) {
            found.push(n);
            most = Math.max(most, executor.pending);
          }
          return found;
        };
        const all = [
          {},
          { chunkSize: 3 },
          { chunkSize: 'auto' },
          { bufferSize: 5 },
        ];
        for (const found of await Promise.all(all.map(read))) {
          expect(found).toEqual(items);
        }
        expect(most).toBeLessThanOrEqual(3);
      });
    },
  );

  test('a call for which there is a slot is not pending', async () => {
    const js = open(1, 2);
    await js.run(identity, 1);
    const executor = new JobserverExecutor(js, { maxPending: 1 });
    const gate = makeGate();
    const work = [1, 2, 3].map((n) => executor.submit(waitAt, gate.file, n));
    expect(statesOf(work)).toEqual(['running', 'running', 'pending']);
    expect(await rejection(add(executor))).toMatchObject(full);
    gate.open();
    expect(await Promise.all(work)).toEqual([1, 2, 3]);
  });

  describe('drained', () => {
    test('resolves when fewer than maxPending calls are pending', async () => {
      const { executor, openGate } = await queue({ maxPending: 2 });
      await executor.drained();
      const work = [add(executor), add(executor)];
      let isDrained = false;
      const drained = executor.drained().then(() => (isDrained = true));
      await nextTurn();
      expect(isDrained).toBe(false);
      openGate();
      await drained;
      expect(executor.pending).toBeLessThan(2);
      await Promise.all(work);
    });

    test('resolves at once without maxPending', async () => {
      const { executor, openGate } = await queue({});
      const work = Array.from({ length: 9 }, () => add(executor));
      await executor.drained();
      expect(executor.pending).toBe(9);
      openGate();
      await Promise.all(work);
    });

    test('resolves when a pending call is cancelled', async () => {
      const { executor, openGate } = await queue({ maxPending: 1 });
      const work = add(executor);
      const drained = executor.drained();
      work.cancel();
      await drained;
      openGate();
      await executor.shutdown();
    });

    test('of many producers, each finds room', async () => {
      const js = open(Infinity, 2);
      const executor = new JobserverExecutor(js, { maxPending: 2 });
      const produce = async (): Promise<number> => {
        let sum = 0;
        for (let n = 1; n <= 5; n++) {
          await executor.drained();
          const work = add(executor, n);
          expect(executor.pending).toBeLessThanOrEqual(2);
          sum += await work;
        }
        return sum;
      };
      const sums = await Promise.all(Array.from({ length: 20 }, produce));
      expect(new Set(sums)).toEqual(new Set([15]));
    });

    test('tells the others when one does not submit', async () => {
      const { executor, openGate } = await queue({ maxPending: 1 });
      const work = add(executor);
      const all = Array.from({ length: 9 }, () => executor.drained());
      openGate();
      await Promise.all(all);
      expect(await work).toBe(1);
    });

    test('resolves after shutdown, and submit throws then', async () => {
      const { executor, openGate } = await queue({ maxPending: 1 });
      const work = add(executor);
      const drained = executor.drained();
      const end = executor.shutdown();
      openGate();
      await drained;
      expect(thrown(() => add(executor))).toMatchObject({
        code: 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
      });
      await Promise.all([work, end]);
      await executor.drained();
    });
  });

  test('a map that is left while it waits for room closes its input', async () => {
    const { executor, openGate } = await queue({ maxPending: 1 });
    const work = add(executor);
    let isClosed = false;
    async function* input(): AsyncGenerator<number> {
      try {
        for (let n = 0; ; n++) yield n;
      } finally {
        isClosed = true;
      }
    }
    const controller = new AbortController();
    const { signal } = controller;
    const results = executor.map(identity<number>, input(), { signal });
    const first = rejection(results.next());
    await nextTurn();
    controller.abort();
    expect(await first).toMatchObject({ name: 'AbortError' });
    await until('the input to be closed', () => isClosed);
    openGate();
    expect(await work).toBe(1);
  });

  test('the options of the constructor are checked by name', () => {
    const js = open();
    for (const [options, error] of [
      [{ maxPending: 0 }, { code: 'ERR_OUT_OF_RANGE' }],
      [{ maxPending: 1.5 }, { code: 'ERR_OUT_OF_RANGE' }],
      [{ maxPending: NaN }, { code: 'ERR_OUT_OF_RANGE' }],
      [{ maxPending: '2' }, { code: 'ERR_INVALID_ARG_TYPE' }],
      [{ order: 'filo' }, { code: 'ERR_INVALID_ARG_VALUE' }],
      [{ order: 1 }, { code: 'ERR_INVALID_ARG_TYPE' }],
    ] as const) {
      const [name] = Object.keys(options);
      const call = (): unknown => new JobserverExecutor(js, options as never);
      expect(thrown(call)).toMatchObject({
        ...error,
        message: expect.stringContaining(`\`${name}\``),
      });
    }
    const none = { maxPending: Infinity, order: 'fifo' } as const;
    expect(new JobserverExecutor(js, none).pending).toBe(0);
  });

  describe('shutdown', () => {
    test('throws Blocked when its timeout passes, and the calls go on', async () => {
      const { executor, openGate } = await queue({});
      const work = add(executor);
      for (const timeout of [0, 20]) {
        expect(await rejection(executor.shutdown({ timeout }))).toMatchObject({
          code: 'ERR_JOBSERVER_BLOCKED',
        });
      }
      openGate();
      expect(await work).toBe(1);
      await executor.shutdown({ timeout: 60_000 });
      await executor.shutdown({ timeout: 0 });
    });

    test('does not wait with wait: false, whatever the timeout is', async () => {
      const { executor, openGate } = await queue({});
      await executor.shutdown({ wait: false, timeout: 0 });
      openGate();
      await executor.shutdown();
    });

    test('checks killSignal and timeout before it does anything', async () => {
      const js = open();
      const executor = new JobserverExecutor(js);
      for (const [options, code] of [
        [{ killSignal: 'SIGNOTHING' }, 'ERR_UNKNOWN_SIGNAL'],
        [{ killSignal: 0 }, 'ERR_OUT_OF_RANGE'],
        [{ killSignal: {} }, 'ERR_INVALID_ARG_TYPE'],
        [{ timeout: -1 }, 'ERR_OUT_OF_RANGE'],
        [{ timeout: '1' }, 'ERR_INVALID_ARG_TYPE'],
      ] as const) {
        const rejected = await rejection(executor.shutdown(options as never));
        expect(rejected).toMatchObject({ code });
      }
      expect(await add(executor)).toBe(1);
    });
  });
});
