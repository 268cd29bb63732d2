import { resolve } from 'node:path';
import { inspect } from 'node:util';
import type { Context } from '../../dist/context.js';
import { type ExecutorFuture, JobserverExecutor } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  statesOf,
  useExecutors,
  isOfJobserver,
  ofJobserver,
} from './executor-setup.js';

const programs = resolve('dist-test', 'fixtures', 'executor-programs.js');

/** JobserverExecutor: shutdown, and what keeps the process alive. */
export function executorEndContract(context: Context): void {
  const { makeGate, open, queue, programArgs } = useExecutors(context);

  describe('shutdown', () => {
    test('runs pending calls and refuses new ones', async () => {
      let work: ExecutorFuture<number>[];
      const executor = queue(1);
      {
        await using used = executor;
        work = [1, 2, 3, 4, 5].map((n) => used.submit(identity<number>, n));
      }
      expect(statesOf(work)).toEqual(work.map(() => 'finished'));
      expect(await Promise.all(work)).toEqual([1, 2, 3, 4, 5]);
      for (const call of [
        () => executor.submit(identity<number>, 1),
        () => executor.map(identity<number>, [1]),
      ]) {
        expect(thrown(call)).toMatchObject({
          code: 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
        });
      }
    });

    ofJobserver(
      'leaves a Jobserver open that the executor has not made',
      async () => {
        const js = open(1);
        await new JobserverExecutor(js).shutdown();
        expect(await js.run(identity<number>, 6)).toBe(6);
      },
    );

    test('may cancel pending calls, even when it is called a second time', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const running = executor.submit(waitAt, gate.file, 7);
      const pending = Array.from({ length: 50 }, () =>
        executor.submit(identity<number>, 1),
      );
      await until('the first to run', () => running.state === 'running');
      const first = executor.shutdown();
      expect(new Set(statesOf(pending))).toEqual(new Set(['pending']));
      const second = executor.shutdown({ cancelFutures: true });
      expect(new Set(statesOf(pending))).toEqual(new Set(['cancelled']));
      gate.open();
      expect(await running).toBe(7);
      await Promise.all([first, second, executor.shutdown()]);
    });

    test('with wait: false, resolves before running calls have finished', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const work = [1, 2].map((n) => executor.submit(waitAt, gate.file, n));
      await executor.shutdown({ wait: false });
      expect(statesOf(work)).not.toContain('finished');
      gate.open();
      expect(await Promise.all(work)).toEqual([1, 2]);
    });

    ofJobserver(
      'with killSignal, ends the running jobs of this executor only',
      async () => {
        const js = open(3);
        const executor = new JobserverExecutor(js);
        const other = new JobserverExecutor(js);
        const gate = makeGate();
        const direct = js.run(waitAt<number>, gate.file, 1);
        const kept = other.submit(waitAt<number>, gate.file, 2);
        await until('the others to run', () => js.running === 2);
        const ended = executor.submit(waitAt<number>, '/never');
        const pending = executor.submit(identity<number>, 3);
        const cancelled = executor.submit(identity<number>, 4);
        await until('all to run', () => js.running === 3);
        expect(statesOf([kept, ended])).toEqual(['running', 'running']);
        cancelled.cancel();
        const end = executor.shutdown({ killSignal: 'SIGTERM' });
        expect(await rejection(ended)).toMatchObject({
          name: 'LostResult',
          signal: 'SIGTERM',
        });
        await end;
        expect(await pending).toBe(3);
        expect(js.running).toBe(2);
        gate.open();
        expect(await Promise.all([direct, kept])).toEqual([1, 2]);
      },
    );

    ofJobserver(
      'with killSignal and cancelFutures, ends everything',
      async () => {
        const js = open(2);
        const executor = new JobserverExecutor(js);
        const work = Array.from({ length: 20 }, () =>
          executor.submit(waitAt<number>, '/never'),
        );
        await until('two to run', () => js.running === 2);
        const options = { killSignal: 'SIGKILL', cancelFutures: true } as const;
        await executor.shutdown(options);
        const names = [];
        for (const each of work) {
          names.push(((await rejection(each)) as Error).name);
        }
        expect(names.slice(0, 2)).toEqual(['LostResult', 'LostResult']);
        expect(new Set(names.slice(2))).toEqual(new Set(['AbortError']));
        expect(await js.run(identity<number>, 1)).toBe(1);
      },
    );

    test('resolves for an executor without any call', async () => {
      await queue().shutdown();
    });

    test.each([{ wait: 1 }, { cancelFutures: 'yes' }, null])(
      'rejects for the invalid options %p',
      async (options) => {
        const executor = queue();
        expect(
          await rejection(executor.shutdown(options as never)),
        ).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
        expect(await executor.submit(identity<number>, 1)).toBe(1);
      },
    );
  });

  ofJobserver(
    'closing the Jobserver rejects pending calls and lets the running one finish',
    async () => {
      const js = open(1);
      const executor = new JobserverExecutor(js);
      const gate = makeGate();
      const running = executor.submit(waitAt, gate.file, 7);
      const pending = [1, 2, 3].map((n) =>
        executor.submit(identity<number>, n),
      );
      await until('the first to run', () => running.state === 'running');
      const closing = js.close();
      for (const work of [...pending, executor.submit(identity<number>, 4)]) {
        expect(await rejection(work)).toMatchObject({
          code: 'ERR_JOBSERVER_CLOSED',
        });
      }
      expect(inspect(executor)).toContain('closed');
      gate.open();
      expect(await running).toBe(7);
      await closing;
      await executor.shutdown();
    },
  );

  describe('process', () => {
    const run = async (name: string, ...flags: string[]): Promise<unknown> => {
      const node = [...process.execArgv, ...flags, programs, name];
      const ended = await runNode([...node, ...programArgs()]);
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      return JSON.parse(ended.stdout);
    };

    test('an idle executor does not keep the process alive', async () => {
      expect(await run('idle')).toEqual({ value: 1 });
    });

    test('pending calls keep the process alive', async () => {
      expect(await run('pending')).toEqual({ seen: [1, 2, 3] });
    });

    test('unref lets the process end, and ref keeps it alive', async () => {
      // The process ends before another machine can have heard of its calls.
      const first = isOfJobserver() ? 'running' : 'pending';
      expect(await run('unref')).toEqual({ states: [first, 'pending'] });
      expect(await run('ref')).toEqual({ state: 'finished' });
    });

    test('an unobserved rejection ends the process like that of any promise', async () => {
      const ended = await runNode([
        ...process.execArgv,
        programs,
        'unobserved',
        ...programArgs(),
      ]);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain('not observed');
    });

    test('cancelled calls cause no unhandledRejection', async () => {
      expect(await run('cancelled')).toEqual({
        states: Array(4).fill('cancelled'),
      });
    });

    ofJobserver(
      'a promise that is kept does not keep its executor in memory',
      async () => {
        expect(await run('retained', '--expose-gc')).toEqual({
          isGone: true,
          value: 1,
        });
      },
    );

    ofJobserver(
      'an executor closes the Jobserver that it created after its last call',
      async () => {
        expect(await run('own')).toEqual({
          values: [1, 2, 3],
          leakedFds: 0,
        });
      },
    );
  });
}
