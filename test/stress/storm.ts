import { appendFileSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Future, Jobserver } from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import {
  type End,
  compete,
  endBy,
  fanOut,
  fanOutAlone,
  largeBytes,
} from '../fixtures/stress-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { until } from '../helpers/until.js';
import { longMs } from './programs.js';
import { mostAtOnce, openLog, readSpans } from './spans.js';

const ends: readonly End[] = [
  'value',
  'large',
  'throw',
  'exit',
  'kill',
  'uncaught',
  'never',
  'nested',
  'unsendable',
  'aborted',
];

const lost = { code: 'ERR_JOBSERVER_LOST_RESULT' };

/** What the promise of a job settles with, in the form of allSettled. */
function expected(end: End, index: number): unknown {
  const value = (it: unknown) => ({ status: 'fulfilled', value: it });
  const error = (it: object) => ({
    status: 'rejected',
    reason: expect.objectContaining(it),
  });
  const message = (text: string) => expect.stringContaining(text);
  switch (end) {
    case 'value':
      return value({ index });
    case 'large':
      return value(expect.anything());
    case 'nested':
      return value([1, 2]);
    case 'throw':
      return error({ name: 'RangeError', message: `thrown by ${index}` });
    case 'exit':
      return error({ ...lost, exitCode: index, signal: null });
    case 'kill':
      return error({ ...lost, exitCode: null, signal: 'SIGKILL' });
    case 'uncaught': {
      const cause = expect.objectContaining({
        message: `uncaught in ${index}`,
      });
      return error({ ...lost, exitCode: 1, signal: null, cause });
    }
    case 'never': {
      const cause = expect.objectContaining({ message: message('never') });
      return error({ ...lost, signal: null, cause });
    }
    case 'unsendable':
      return error({
        code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
        message: message('deep[0]'),
      });
    case 'aborted':
      return error({ name: 'AbortError', code: 'ABORT_ERR' });
  }
}

/** Many concurrent jobs with all outcomes, from several processes. */
export function stormStress(context: Context): void {
  const folder = useFolder();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test(
    '200 jobs that end in ten ways on 4 slots each have their own outcome',
    async () => {
      const js = open(4);
      const log = openLog(folder());
      const aborts = new Map<string, { at: bigint; abort: () => void }>();
      const isDone: string[] = [];
      const runs = Array.from({ length: 200 }, async (_, index) => {
        const end = ends[index % ends.length]!;
        const name = `${end}-${index}`;
        const controller = new AbortController();
        const { signal } = controller;
        if (end === 'aborted') {
          const entry = {
            at: 0n,
            abort: (): void => {
              entry.at = process.hrtime.bigint();
              controller.abort();
            },
          };
          aborts.set(name, entry);
        }
        const options = end === 'aborted' ? { signal } : {};
        const future = await js.submit(endBy, [end, index, log], options);
        future.whenDone(() => isDone.push(name));
        return future.result();
      });
      const settled = Promise.allSettled(runs);

      // Some are aborted while they wait, the others once they run.
      const names = [...aborts.keys()];
      const early = names.filter((_, i) => i % 2 === 1 || i > 15);
      const late = new Set(names.filter((name) => !early.includes(name)));
      for (const name of early) aborts.get(name)!.abort();
      await until(
        'jobs to be aborted',
        () => {
          const { starts } = readSpans(log);
          for (const name of late) {
            if (!starts.has(name)) continue;
            late.delete(name);
            aborts.get(name)!.abort();
          }
          return late.size === 0;
        },
        180_000,
      );

      const outcomes = await settled;
      expect(outcomes).toEqual(
        Array.from({ length: 200 }, (_, index) =>
          expected(ends[index % ends.length]!, index),
        ),
      );
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'rejected') continue;
        if (ends[index % ends.length] !== 'large') continue;
        const bytes = outcome.value as Uint8Array;
        expect(Buffer.alloc(largeBytes, index).equals(bytes)).toBe(true);
      }

      // A job that never started has no Future; every other one is done once.
      expect(isDone.length).toBe(200 - early.length);
      expect(new Set(isDone).size).toBe(isDone.length);
      const spans = readSpans(log);
      for (const name of early) expect(spans.starts.has(name)).toBe(false);
      const abortedAt = new Map(
        [...aborts].map(([name, { at }]) => [name, at]),
      );
      expect(mostAtOnce(spans, abortedAt)).toBeLessThanOrEqual(4);
      expect([js.running, freeSlots(js)]).toEqual([0, 4]);
    },
    longMs,
  );

  test.each([4, 2])(
    'jobs that fill %d slots fan out, and lend only these slots',
    async (slots) => {
      const js = open(slots);
      const log = openLog(folder());
      const roots = slots;
      const width = 3;
      const sums = await Promise.all(
        Array.from({ length: roots }, (_, i) =>
          js.run(fanOut, i, roots, width, log),
        ),
      );
      expect(sums).toEqual(Array.from({ length: roots }, () => 3));
      const spans = readSpans(log);
      expect(spans.starts.size).toBe(roots * (1 + width));
      const leaves = [...spans.starts].filter(([name]) => /^leaf/.test(name));
      const most = mostAtOnce({ ...spans, starts: new Map(leaves) });
      expect(most).toBeLessThanOrEqual(slots);
    },
  );

  test('a single slot runs one job at a time, even when jobs submit jobs', async () => {
    const js = open(1);
    const log = openLog(folder());
    const runs = Array.from({ length: 6 }, (_, i) =>
      js.run(fanOutAlone, i, log),
    );
    expect(await Promise.all(runs)).toEqual(runs.map(() => 'blocked'));
    expect(mostAtOnce(readSpans(log))).toBe(1);
  });

  test(
    'processes that compete for 2 slots never use more and lose none',
    async () => {
      const js = open(2);
      const log = openLog(folder());
      const competitors: Future<number[]>[] = [];
      for (let i = 0; i < 3; i++) {
        const options = { consume: 0 } as const;
        competitors.push(await js.submit(compete, [i, 8, log], options));
      }
      const mine: Future<unknown>[] = [];
      for (let i = 0; i < 8; i++) mine.push(await js.submit(identity, [i]));
      const values = await Promise.all(mine.map((each) => each.result()));
      expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      for (const competitor of competitors) {
        // The fourth and the eighth job are killed, unless they ended before.
        const delivered = await competitor.result();
        expect(delivered).toEqual(expect.arrayContaining([0, 1, 2, 4, 5, 6]));
      }
      const spans = readSpans(log);
      for (const name of spans.starts.keys()) {
        // It was killed at an unknown time, so its span is left out.
        if (!spans.ends.has(name)) appendFileSync(log, `end ${name} 0\n`);
      }
      expect(spans.ends.size).toBeGreaterThanOrEqual(18);
      expect(mostAtOnce(readSpans(log))).toBeLessThanOrEqual(2);
      expect([js.running, freeSlots(js)]).toEqual([0, 2]);
    },
    longMs,
  );
}
