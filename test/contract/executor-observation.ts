import diagnosticsChannel from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import type { Context } from '../../dist/context.js';
import {
  Blocked,
  type JobRecord,
  JobserverExecutor,
} from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { ofOwnProcess } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { useExecutors, ofJobserver } from './executor-setup.js';

/** JobserverExecutor: counts, events and inspection. */
export function executorObservationContract(context: Context): void {
  const { makeGate, open, queue } = useExecutors(context);

  describe('observation', () => {
    test('completed, runTime and waitTime record every call', async () => {
      const executor = queue(1);
      const work = [1, 2, 3].map((n) => executor.submit(identity<number>, n));
      expect(executor.pending).toBe(3);
      await Promise.all(work);
      await executor.shutdown();
      expect(executor.completed).toBe(3);
      expect(executor.runTime.count).toBe(3);
      expect(executor.waitTime.count).toBe(3);
      // In nanoseconds. The last call waits for the two others.
      expect(executor.waitTime.max).toBeGreaterThanOrEqual(
        executor.runTime.min,
      );
      expect(executor.runTime.min).toBeGreaterThan(10_000);
    });

    ofOwnProcess('cpuTime records every call', async () => {
      const executor = queue(1);
      await Promise.all([1, 2].map((n) => executor.submit(identity, n)));
      await executor.shutdown();
      expect(executor.cpuTime.count).toBe(2);
      expect(executor.cpuTime.max).toBeGreaterThan(10_000);
    });

    test('diagnostics_channel reports submission, start and end of every call', async () => {
      const { events, unsubscribe } = subscribed();
      try {
        const executor = queue(1);
        await executor.submit(identity<number>, 1);
        await rejection(executor.submit(ends.fail, 'x'));
        await rejection(executor.submit(ends.die));
        const gate = makeGate();
        const holder = executor.submit(waitAt, gate.file);
        executor.submit(identity<number>, 2).cancel();
        gate.open();
        await holder;
      } finally {
        unsubscribe();
      }
      // A host in this process reports its jobs, too.
      const submits = events.filter(([what]) => what === 'submit');
      const found = submits.map(([, { id, name, pid, outcome }]) => {
        const own = events.filter(([, record]) => record.id === id);
        return [name, own.map(([what]) => what), outcome, pid! > 1];
      });
      const whole = ['submit', 'start', 'done'];
      expect(found).toEqual([
        ['identity', whole, 'value', true],
        ['fail', whole, 'error', true],
        ['die', whole, 'lost', true],
        ['waitAt', whole, 'value', true],
        ['identity', ['submit', 'done'], 'unstarted', false],
      ]);
    });

    ofJobserver(
      'diagnostics_channel reports submission, start and end of every job',
      async () => {
        const { events, unsubscribe } = subscribed();
        try {
          const js = open(1);
          const executor = new JobserverExecutor(js);
          await executor.submit(identity<number>, 1);
          await rejection(js.run(ends.fail, 'x'));
          await rejection(js.run(ends.die));
          executor.submit(identity<number>, 2).cancel();
          const gate = makeGate();
          const holder = await js.submit(waitAt, [gate.file]);
          const late = js.submit(identity<number>, [3], { timeout: 0 });
          expect(await rejection(late)).toBeInstanceOf(Blocked);
          gate.open();
          await holder.wait();
        } finally {
          unsubscribe();
        }
        const ids = [...new Set(events.map(([, { id }]) => id))];
        const found = ids.map((id) => {
          const own = events.filter(([, record]) => record.id === id);
          const [, record] = own[0]!;
          return [record.name, own.map(([what]) => what), record.outcome];
        });
        const whole = ['submit', 'start', 'done'];
        expect(found).toEqual([
          ['identity', whole, 'value'],
          ['fail', whole, 'error'],
          ['die', whole, 'lost'],
          ['identity', ['submit', 'done'], 'unstarted'],
          ['waitAt', whole, 'value'],
          ['identity', ['submit', 'done'], 'unstarted'],
        ]);
        for (const [what, record, [pid]] of events as [
          string,
          JobRecord,
          [number | undefined],
        ][]) {
          const { submittedAt, startedAt, finishedAt, outcome } = record;
          if (outcome === 'unstarted') {
            expect([pid, startedAt]).toEqual([undefined, undefined]);
          } else {
            if (what !== 'submit') expect(pid).toBeGreaterThan(1);
            expect(startedAt).toBeGreaterThanOrEqual(submittedAt);
            expect(finishedAt).toBeGreaterThanOrEqual(startedAt!);
          }
        }
      },
    );

    ofJobserver(
      'inspect shows the state, the counts and the Jobserver',
      async () => {
        const executor = queue(1);
        const gate = makeGate();
        const text = inspect(open(1));
        expect(inspect(executor)).toBe(
          `JobserverExecutor(active, pending=0, running=0, ${text})`,
        );
        const work = [1, 2].map((n) => executor.submit(waitAt, gate.file, n));
        await until('one to run', () => work[0]!.state === 'running');
        const busy = text.replace('running=0', 'running=1');
        expect(inspect(executor)).toBe(
          `JobserverExecutor(active, pending=1, running=1, ${busy})`,
        );
        gate.open();
        await executor.shutdown();
        expect(inspect(executor)).toContain('shutdown, pending=0, running=0');
      },
    );
  });
}

/** What the channels report from now on, with the pid and the outcome at that time. */
function subscribed(): {
  readonly events: [string, JobRecord, unknown][];
  unsubscribe(): void;
} {
  const events: [string, JobRecord, unknown][] = [];
  const subscriptions = ['submit', 'start', 'done'].map((what) => {
    const name = `jobserver:${what}`;
    const listener = (message: unknown): void => {
      const record = message as JobRecord;
      events.push([what, record, [record.pid, record.outcome]]);
    };
    diagnosticsChannel.subscribe(name, listener);
    return () => diagnosticsChannel.unsubscribe(name, listener);
  });
  const unsubscribe = (): void => {
    for (const each of subscriptions) each();
  };
  return { events, unsubscribe };
}
