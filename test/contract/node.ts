import type { Context } from '../../dist/context.js';
import * as jobs from '../fixtures/node-jobs.js';
import { openJobserver } from '../helpers/jobserver.js';

/** The APIs of Node work in a job that has an event loop. */
export function nodeContract(context: Context): void {
  const cases: [string, () => unknown, unknown][] = [
    ['garbage is collected', jobs.churnGarbage, expect.any(Number)],
    ['the old space grows', jobs.growOldSpace, 2_000_000],
    ['hot loops are compiled', jobs.loopHot, expect.any(Number)],
    [
      'timers, immediates and microtasks run',
      jobs.waitForTimers,
      ['microtask', 'immediate', 'timer'],
    ],
    ['files are read asynchronously', jobs.readFileAsync, true],
    ['modules are imported', jobs.importModule, 'a/b'],
    ['zlib works asynchronously', jobs.zipAsync, 'text'],
    ['an HTTP server answers a fetch', jobs.serveAndFetch, 'served'],
    ['a worker thread answers', jobs.useWorkerThread, 42],
    ['WebAssembly is compiled', jobs.instantiateWebAssembly, 42],
    ['execFile works', jobs.execFileAsync, 'hello'],
    ['execFileSync works', jobs.execFileBlocking, 'hello'],
    ['a job can start node', jobs.startNode, '42'],
    ['pbkdf2 works', jobs.derivePassword, 32],
    ['WebCrypto works', jobs.useWebCrypto, true],
    ['dns.lookup works', jobs.lookUpName, '127.0.0.1'],
    ['signal handlers run', jobs.handleSignal, 'SIGUSR2'],
    ['a typed array of 160 MB can be filled', jobs.fillTypedArray, 20_000_000],
    ['AsyncLocalStorage keeps its store', jobs.keepAsyncContext, 7],
    ['a FinalizationRegistry works', jobs.registerFinalizer, true],
  ];
  test.each(cases)('%s', async (_, job, expected) => {
    const js = openJobserver({ context, slots: 1 });
    expect(await js.run(job)).toEqual(expected);
  });

  test('no two jobs get the same random numbers', async () => {
    const js = openJobserver({ context, slots: 2 });
    const drawn = await Promise.all(
      Array.from({ length: 6 }, () => js.run(jobs.drawRandom)),
    );
    for (const key of ['pid', 'math', 'uuid', 'int'] as const) {
      const values = drawn.map((each) => each[key]);
      expect(new Set(values).size).toBe(drawn.length);
    }
  });

  test('a worker has a process title of its own', async () => {
    const js = openJobserver({ context, slots: 1 });
    expect(await js.run(jobs.titleOfProcess)).toBe('jobserver-worker');
  });

  test('the pid of a Future is that of its worker', async () => {
    const js = openJobserver({ context, slots: 1 });
    const future = await js.submit(jobs.drawRandom);
    const { pid } = future;
    expect((await future.result()).pid).toBe(pid);
  });
}
