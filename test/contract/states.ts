import type { Context } from '../../dist/context.js';
import type {
  Executor,
  ExecutorFuture,
  Future,
  Jobserver,
  WorkState,
} from '../../dist/index.js';
import { die, failOnThree } from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import type { Gate } from '../helpers/gate.js';
import { until } from '../helpers/until.js';
import { useExecutors } from './executor-setup.js';

type Work = ExecutorFuture<unknown>;
type Settled = PromiseSettledResult<unknown>;

const value = (it: unknown): Settled => ({ status: 'fulfilled', value: it });
const error = (name: string): Settled => ({
  status: 'rejected',
  reason: expect.objectContaining({ name }),
});

/** Makes a call. `holder` has the only slot of the executor until `gate` opens. */
type Make = (executor: Executor, gate: Gate, holder: Work) => Work;

const submit: Make = (executor) => executor.submit(identity, 1);
const submitAndEnd =
  (fn: (n: number) => unknown, n: number): Make =>
  (executor, gate) => {
    gate.open();
    return executor.submit(fn, n);
  };

const isCancelled = error('AbortError');

/** A call, its state before it is cancelled, and its end. */
const works: [string, Make, WorkState, Settled][] = [
  ['waits', submit, 'pending', isCancelled],
  [
    'was cancelled',
    (executor) => {
      const work = executor.submit(identity, 1);
      work.cancel();
      return work;
    },
    'cancelled',
    isCancelled,
  ],
  [
    'was cancelled by shutdown',
    (executor) => {
      const work = executor.submit(identity, 1);
      void executor.shutdown({ cancelFutures: true });
      return work;
    },
    'cancelled',
    isCancelled,
  ],
  [
    'was aborted before its submit',
    (executor) =>
      executor.submitWith({ signal: AbortSignal.abort() }, identity, 1),
    'cancelled',
    isCancelled,
  ],
  [
    'was aborted in the queue',
    (executor) => {
      const controller = new AbortController();
      const { signal } = controller;
      const work = executor.submitWith({ signal }, identity, 1);
      controller.abort();
      return work;
    },
    'cancelled',
    isCancelled,
  ],
  [
    'was aborted in its process',
    (executor, gate) => {
      const controller = new AbortController();
      const { signal } = controller;
      gate.open();
      const work = executor.submitWith({ signal }, waitAt, '/never');
      void until('the call to run', () => work.state === 'running').then(() => {
        controller.abort();
      });
      return work;
    },
    'finished',
    isCancelled,
  ],
  ['runs', (_executor, _gate, holder) => holder, 'running', value('held')],
  ['has returned', submitAndEnd(identity, 1), 'finished', value(1)],
  ['has thrown', submitAndEnd(failOnThree, 3), 'finished', error('RangeError')],
  ['has died', submitAndEnd(die, 0), 'finished', error('LostResult')],
  [
    'was refused',
    (executor) => executor.submit('./no-such-file.js'),
    'finished',
    error('TypeError'),
  ],
];

/** What the calls of a Future return in each state. */
const calls: [string, (future: Future<unknown>) => unknown][] = [
  ['done', (future) => future.done()],
  ['wait', (future) => future.wait({ timeout: 0 })],
  ['waitSync', (future) => future.waitSync({ timeout: 0 })],
  ['result', (future) => future.result({ timeout: 0 })],
  ['resultSync', (future) => future.resultSync({ timeout: 0 })],
  ['kill', (future) => future.kill(0)],
  ['pid', (future) => future.pid !== undefined],
  [
    'whenDone',
    (future) => {
      let isCalled = false;
      future.whenDone(() => {
        isCalled = true;
      });
      return isCalled;
    },
  ],
];

async function outcomes(
  future: Future<unknown>,
): Promise<Record<string, Settled>> {
  const all: Record<string, Settled> = {};
  for (const [name, call] of calls) {
    const called = (async () => call(future))();
    [all[name]] = await Promise.allSettled([called]);
  }
  return all;
}

/** Those of a future whose `result` ends with `result`. */
function expected(isDone: boolean, result: Settled): Record<string, Settled> {
  const done = value(isDone);
  return {
    done,
    wait: done,
    waitSync: done,
    result,
    resultSync: result,
    kill: value(!isDone),
    pid: value(!isDone),
    whenDone: done,
  };
}

/**
 * What each call returns in each state. A call that concurrent.futures.Future
 * of Python has too returns the same as there.
 */
export function stateContract(context: Context): void {
  const { makeGate, open, queue } = useExecutors(context);

  test.each(works)(
    'cancel returns whether the call is cancelled: it %s',
    async (_, make, state, end) => {
      const executor = queue(1);
      const gate = makeGate();
      const holder = executor.submit(waitAt, gate.file, 'held');
      await until('the slot to be taken', () => holder.state === 'running');
      const work = make(executor, gate, holder);
      const ended = Promise.allSettled([work]);
      await until(`the call to be ${state}`, () => work.state === state);
      const cancels = state === 'pending' || state === 'cancelled';
      const later = cancels ? 'cancelled' : state;
      for (let i = 0; i < 2; i++) {
        expect([work.cancel(), work.state]).toEqual([cancels, later]);
      }
      gate.open();
      expect(await ended).toEqual([end]);
      expect(work.cancel()).toBe(cancels);
    },
  );

  test.each<[string, (js: Jobserver) => Promise<Future<unknown>>, Settled]>([
    ['a value', (js) => js.submit(identity, [1]), value(1)],
    ['an error', (js) => js.submit(failOnThree, [3]), error('RangeError')],
    ['a lost result', (js) => js.submit(die), error('LostResult')],
    [
      'an abort',
      async (js) => {
        const controller = new AbortController();
        const { signal } = controller;
        const future = await js.submit(waitAt, ['/never'], { signal });
        controller.abort();
        return future;
      },
      error('AbortError'),
    ],
  ])(
    'each call on a future that ended with %s shows it',
    async (_, start, result) => {
      const future = await start(open());
      await future.wait();
      for (let i = 0; i < 2; i++) {
        expect(await outcomes(future)).toEqual(expected(true, result));
      }
    },
  );

  test('each call on a future that runs returns at once', async () => {
    const gate = makeGate();
    const future = await open().submit(waitAt, [gate.file, 'value']);
    const running = expected(false, error('Blocked'));
    expect(await outcomes(future)).toEqual(running);
    gate.open();
    expect(await future.result()).toBe('value');
  });
}
