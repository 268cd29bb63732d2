import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  CallbackRaised,
  type Future,
  type JobControls,
  type Jobserver,
  JobserverExecutor,
  LostResult,
  report,
} from '../../dist/index.js';
import { pause } from '../fixtures/gate-jobs.js';
import * as jobs from '../fixtures/report-jobs.js';
import { hasEventLoop, isRemote, testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const numbers = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => i);

/** What a job reports while it runs. */
export function reportContract(context: Context): void {
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const makeGate = useGates();
  const folder = useFolder();

  /** A handle, and what its jobs have reported. */
  function listen(
    slots: number,
    controls: JobControls = {},
  ): { js: Jobserver; heard: Jobserver; values: unknown[] } {
    const js = open(slots);
    const values: unknown[] = [];
    const onReport = (value: unknown): void => void values.push(value);
    return { js, heard: js.with({ ...controls, onReport }), values };
  }

  test('a listener gets what a job reports, in its order, before the Future is done', async () => {
    const futures = new Set<Future<unknown>>();
    const values: unknown[] = [];
    const js = open(1).with({
      onReport: (value, from) => {
        values.push(value);
        futures.add(from);
      },
    });
    const future = await js.submit(jobs.countTo, [500, 'result']);
    let seen = 0;
    future.whenDone(() => (seen = values.length));
    expect(await future.result()).toBe('result');
    expect([seen, values, futures]).toEqual([
      500,
      numbers(500),
      new Set([future]),
    ]);
  });

  test('a report arrives while the job computes, and opens a gate for it', async () => {
    const gate = makeGate();
    const js = open(1).with({ onReport: gate.open });
    expect(await js.run(jobs.reportAndWait, gate.file)).toBe('opened');
  });

  test('the Future has its process while the listener is called', async () => {
    const seen: unknown[] = [];
    const js = openJobserver({ context, slots: 1 }).with({
      onReport: (_value, future) => seen.push([future.done(), future.pid]),
    });
    const future = await js.submit(jobs.countTo, [3]);
    const { pid } = future;
    await future.result();
    expect(seen).toEqual([
      [false, pid],
      [false, pid],
      [false, pid],
    ]);
  });

  test('a call that blocks the thread calls the listener', () => {
    const gate = makeGate();
    const js = open(1).with({ onReport: gate.open });
    const future = js.submitSync(jobs.reportAndWait, [gate.file]);
    expect(future.resultSync()).toBe('opened');
  });

  test('values of all kinds and sizes arrive as they were when they were reported', async () => {
    const { heard, values } = listen(1);
    await heard.run(jobs.reportKinds);
    const [nothing, empty, text, map, large, error, view] = values;
    expect([nothing, empty, text]).toEqual([undefined, null, 'ü']);
    expect(map).toEqual(new Map([[1, new Date(5)]]));
    const bytes = large as Uint8Array;
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([5 << 20, 1, 1]);
    expect(error).toEqual({
      error: new RangeError('reported'),
      text: 'x'.repeat(100_000),
    });
    expect(view).toEqual(new Uint8Array(40_000).fill(2));
  });

  test.each([
    ['throws', jobs.countAndThrow, RangeError],
    ['is killed', jobs.countAndDie, LostResult],
    ['exits', jobs.countAndExit, LostResult],
  ] as const)(
    'what a job reports before it %s is heard',
    async (_, fn, error) => {
      const { js, heard, values } = listen(1);
      expect(await rejection(heard.run(fn, 1000))).toBeInstanceOf(error);
      expect(values).toEqual(numbers(1000));
      await until('the slot to be free', () => freeSlots(js) === 1);
    },
  );

  // A socket of macOS has less room.
  testIf(process.platform === 'linux')(
    'what a job has reported before it was killed is heard by a late reader',
    async () => {
      const { js, heard, values } = listen(1);
      const done = join(folder(), 'done');
      const args: [number, string, string] = [70, done, makeGate().file];
      const future = await heard.submit(jobs.reportMuch, args);
      while (!existsSync(done)) pause(2);
      future.kill('SIGKILL');
      pause(50);
      expect(await rejection(future.result())).toBeInstanceOf(LostResult);
      expect(values.map(Number)).toEqual(numbers(70));
      await until('the slot to be free', () => freeSlots(js) === 1);
    },
  );

  test('each attempt of a job is heard', async () => {
    const { heard, values } = listen(1, { retries: 2 });
    expect(await heard.run(jobs.reportAttempt, 3)).toBe(3);
    expect(values).toEqual([1, 2, 3]);
  });

  test('a job waits for a submitter that does not read, and nothing is lost', async () => {
    const { heard, values } = listen(1);
    const started = join(folder(), 'started');
    const future = await heard.submit(jobs.flood, [started, 20_000]);
    while (!existsSync(started)) pause(2);
    pause(100);
    expect(values.length).toBeLessThan(20_000);
    await future.result();
    expect(values.map(Number)).toEqual(numbers(20_000));
  });

  test('a job that reports without end leaves the event loop its turns', async () => {
    const { heard, values } = listen(1);
    const future = await heard.submit(jobs.countTo, [100_000]);
    let turns = 0;
    while (!future.done()) {
      await new Promise(setImmediate);
      turns += 1;
    }
    expect(turns).toBeGreaterThan(10);
    expect(values).toHaveLength(100_000);
  });

  test('a listener that throws is not called again for the job, and the error comes when it is done', async () => {
    const js = open(1);
    let calls = 0;
    const cause = new Error('from the listener');
    const heard = js.with({
      onReport: () => {
        calls += 1;
        throw cause;
      },
    });
    const future = await heard.submit(jobs.reportThenPause);
    await until('the first report', () => calls > 0);
    let isCalled = false;
    future.whenDone(() => (isCalled = true));
    const error = await rejection(future.result());
    expect(error).toBeInstanceOf(CallbackRaised);
    expect(error).toMatchObject({ cause, seqno: undefined });
    expect(await future.result()).toBe(undefined);
    expect([calls, isCalled]).toEqual([1, true]);
    expect(await rejection(heard.run(jobs.countTo, 2))).toMatchObject({
      cause,
    });
    expect(calls).toBe(2);
  });

  test('without a listener, nothing is encoded', async () => {
    const { js, heard } = listen(1);
    expect(await heard.run(jobs.isEncoded)).toBe(true);
    expect(await js.run(jobs.isEncoded)).toBe(false);
    const deaf = heard.with({ onReport: null });
    expect(await deaf.run(jobs.isEncoded)).toBe(false);
    expect(await deaf.run(jobs.reportFunction)).toBe(undefined);
  });

  test('a value that cannot be sent is refused in the job', async () => {
    const { heard, values } = listen(1);
    const code = 'ERR_JOBSERVER_NOT_SERIALIZABLE';
    expect(await heard.run(jobs.reportFunction)).toBe(code);
    expect(values).toEqual([]);
  });

  test('a job hears the jobs that it submits itself', async () => {
    const { heard, values } = listen(2);
    expect(await heard.run(jobs.passOn, 3)).toBe('nested');
    expect(values).toEqual(numbers(3).map((value) => ['inner', value]));
  });

  test('a handle that is sent to a job has no listener there', async () => {
    const { heard, values } = listen(2);
    expect(await heard.run(jobs.runBy, heard)).toBe('nested');
    expect(values).toEqual([]);
  });

  testIf(hasEventLoop(context))(
    'what a job reports behind its result is dropped',
    async () => {
      const { heard, values } = listen(1);
      await heard.run(jobs.reportLate);
      await heard.run(jobs.reportLate);
      expect(values).toEqual(['at once', 'later', 'at once', 'later']);
    },
  );

  test('the calls of maps and executors are heard', async () => {
    const { heard, values } = listen(2);
    for await (const _ of heard.map(jobs.countTo, [1, 1, 1], { chunkSize: 2 }));
    expect(values).toEqual([0, 0, 0]);
    const executor = new JobserverExecutor(heard);
    await executor.submit(jobs.countTo, 2);
    await executor.shutdown();
    expect(values).toEqual([0, 0, 0, 0, 1]);
  });

  test('outside of a job, report does nothing', () => {
    expect(report(() => 1)).toBe(undefined);
  });

  test('a listener that is no function is refused', () => {
    const js = open(1);
    for (const onReport of [5, 'report', {}]) {
      const given = { onReport } as unknown as JobControls;
      expect(thrown(() => js.with(given))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining('onReport') as string,
      });
    }
  });

  test('a job knows its name, depth and Jobserver', async () => {
    const js = open(2);
    const own = { context, attempt: 1 };
    const info = await js.run(jobs.info);
    expect(info).toMatchObject({ ...own, name: 'info', depth: 1 });
    const inner = await js.run(jobs.innerInfo);
    expect(inner).toMatchObject({ ...own, name: 'info', depth: 2 });
    expect(await js.run(jobs.slotsOfHandle)).toEqual([2, 2]);
    // A fork of a test cannot import it.
    if (!isRemote(context)) return;
    const url = new URL(
      '../fixtures/report-jobs.js#info',
      `file://${__dirname}/`,
    );
    expect(await js.run(url)).toMatchObject({ name: url.href });
  });
}
