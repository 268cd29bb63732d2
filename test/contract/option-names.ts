import type { Context } from '../../dist/context.js';
import { type Future, Jobserver, JobserverExecutor } from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';

/** What a call with options is made on. */
interface Receivers {
  readonly context: Context;
  readonly js: Jobserver;
  readonly executor: JobserverExecutor;
  readonly future: Future<unknown>;
}

/** A call, its options, and a wrong name for one of them. */
type Row = [
  name: string,
  call: (on: Receivers, options: object) => unknown,
  options: readonly string[],
  wrong: string,
  right: string,
];

const map = [
  ...['timeout', 'chunkSize', 'bufferSize', 'signal'],
  ...['ordered', 'settled', 'consume'],
];
const rows: Row[] = [
  [
    'new Jobserver',
    ({ context }, options) => {
      const js = new Jobserver({ slots: 1, context, ...options });
      js.closeSync();
    },
    [
      ...['slots', 'context', 'preload', 'orphanSignal', 'idleTimeout'],
      'maxProcessMemory',
    ],
    'slotz',
    'slots',
  ],
  [
    'with',
    ({ js }, options) => js.with(options),
    [
      ...['env', 'preexec', 'sleep', 'preload', 'jobsPerProcess'],
      ...['runTimeout', 'killGrace', 'processGroup', 'retries', 'cwd', 'nice'],
      ...['limits', 'oomScoreAdj', 'maxHeapMb', 'execArgv'],
      'inheritExecArgv',
    ],
    'jobPerProcess',
    'jobsPerProcess',
  ],
  [
    'submit',
    ({ js }, options) => js.submit(identity, [1], options),
    ['timeout', 'consume', 'signal'],
    'timeOut',
    'timeout',
  ],
  [
    'submitSync',
    ({ js }, options) => js.submitSync(identity, [1], options),
    ['timeout', 'consume', 'signal'],
    'signals',
    'signal',
  ],
  ...(['map', 'starmap', 'mapSync', 'starmapSync'] as const).map(
    (name): Row => [
      name,
      ({ js }, options) =>
        (js[name] as Jobserver['map'])(identity, [], options),
      map,
      'chunksize',
      'chunkSize',
    ],
  ),
  [
    'wait',
    ({ future }, options) => future.wait(options),
    ['timeout', 'killSignal'],
    'signal',
    'killSignal',
  ],
  [
    'waitSync',
    ({ future }, options) => future.waitSync(options),
    ['timeout', 'killSignal'],
    'timeoutMs',
    'timeout',
  ],
  [
    'result',
    ({ future }, options) => future.result(options),
    ['timeout'],
    'killSignal',
    'timeout',
  ],
  [
    'resultSync',
    ({ future }, options) => future.resultSync(options),
    ['timeout'],
    'time',
    'timeout',
  ],
  [
    'new JobserverExecutor',
    ({ js }, options) => new JobserverExecutor(js, options),
    ['maxPending', 'order'],
    'maxQueue',
    'maxPending',
  ],
  [
    'submitWith',
    ({ executor }, options) => executor.submitWith(options, identity, 1),
    ['signal', 'priority'],
    'prio',
    'priority',
  ],
  [
    'map of an executor',
    ({ executor }, options) => executor.map(identity, [], options),
    [...map, 'priority'],
    'buffersize',
    'bufferSize',
  ],
  [
    'shutdown',
    ({ executor }, options) => executor.shutdown(options),
    ['wait', 'cancelFutures', 'killSignal', 'timeout'],
    'cancel_futures',
    'cancelFutures',
  ],
];

/** Options with a name that no option has are refused. */
export function optionNameContract(context: Context): void {
  const receivers = async (): Promise<Receivers> => {
    const js = openJobserver({ context, slots: 1 });
    const future = await js.submit(identity, [1]);
    await future.wait();
    return { context, js, executor: new JobserverExecutor(js), future };
  };
  const called = async (call: () => unknown): Promise<void> => {
    await call();
  };

  test.each(rows)(
    '%s refuses an unknown option and names the nearest',
    async (_, call, known, wrong, right) => {
      const on = await receivers();
      for (const value of [1, undefined]) {
        const error = await rejection(
          called(() => call(on, { [wrong]: value })),
        );
        expect(error).toBeInstanceOf(TypeError);
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
        const { message } = error as Error;
        expect(message).toMatch(`Expected an option named \`${right}\``);
        expect(message).toMatch(`, got \`${wrong}\``);
        for (const name of known) expect(message).toContain(`\`${name}\``);
      }
      expect([on.js.running, on.executor.pending]).toEqual([0, 0]);
      expect(await on.js.run(identity, 2)).toBe(2);
    },
  );

  test.each(rows)(
    '%s takes an option that is undefined for one that is absent',
    async (_, call, known) => {
      const on = await receivers();
      const options = known.map((name) => [name, undefined]);
      await called(() => call(on, Object.fromEntries(options)));
      await on.executor.shutdown();
    },
  );

  test('properties that options inherit are no options', async () => {
    const { js } = await receivers();
    const options = Object.create({ note: 1, timeout: 5000 }) as object;
    const future = await js.submit(identity, [3], options);
    expect(await future.result()).toBe(3);
  });
}
