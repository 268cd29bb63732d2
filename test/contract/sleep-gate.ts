import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { note } from '../fixtures/executor-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** Between two calls of a gate. */
const shortestMs = 10;

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };

/** A sleep gate that returns these answers in turn, then repeats the last. */
function answering(...answers: unknown[]) {
  const times: number[] = [];
  const ask = (): number | undefined => {
    times.push(performance.now());
    return answers[Math.min(times.length, answers.length) - 1] as number;
  };
  return { ask, times };
}

/** replaceSleep: a sleep gate decides when a job may start. */
export function sleepGateContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test('replaceSleep accepts only a function', () => {
    const js = open(1);
    for (const fn of [undefined, null, 5, 'fn', {}] as never[]) {
      expect(thrown(() => js.replaceSleep(fn))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('a gate that returns undefined or null is called once and admits the job', async () => {
    const js = open(1);
    for (const answer of [undefined, null]) {
      for (const consume of [0, 1] as const) {
        const { ask, times } = answering(answer);
        const gated = js.replaceSleep(ask);
        const future = await gated.submit(identity, [1], { consume });
        expect(await future.result()).toBe(1);
        expect(times.length).toBe(1);
      }
    }
    const { ask, times } = answering(undefined);
    const future = js.replaceSleep(ask).submitSync(identity, [1]);
    expect([future.resultSync(), times.length]).toEqual([1, 1]);
  });

  test.each([
    ['a number delays the job by at least that many milliseconds', 15.5, 20],
    ['a gate that returns 0 is called again only after a pause', 0, 0],
  ])('%s', async (_, ...answers) => {
    const js = open(1);
    const consume = 0;
    for (const isSync of [false, true]) {
      const { ask, times } = answering(...answers, undefined);
      const gated = js.replaceSleep(ask);
      const future = isSync
        ? gated.submitSync(identity, [1], { consume })
        : await gated.submit(identity, [1], { consume });
      await future.wait();
      expect(times.length).toBe(3);
      for (const [i, answer] of answers.entries()) {
        const least = answer === 0 ? shortestMs : answer;
        expect(times[i + 1]! - times[i]!).toBeGreaterThanOrEqual(least);
      }
    }
  });

  test('a gate that always returns 0 gives Blocked, after few calls', async () => {
    const { ask, times } = answering(0);
    const js = open(1).replaceSleep(ask);
    const timeout = 50;
    expect(
      await rejection(js.submit(identity, [1], { timeout })),
    ).toMatchObject(blocked);
    expect(
      thrown(() => js.submitSync(identity, [1], { timeout })),
    ).toMatchObject(blocked);
    expect(times.length).toBeLessThanOrEqual(2 * (2 + timeout / shortestMs));
  });

  test('an invalid answer rejects with an error that shows it and takes no slot', async () => {
    const js = open(1);
    const bad: [unknown, string][] = [
      [-1, '-1'],
      [-0.5, '-0.5'],
      [NaN, 'NaN'],
      [-Infinity, '-Infinity'],
      ['7', '7'],
      [true, 'true'],
      [{}, 'Object'],
      [Promise.resolve(), 'Promise'],
    ];
    for (const [answer, text] of bad) {
      const gated = js.replaceSleep(answering(answer).ask);
      const error = {
        name: expect.stringMatching(/^(Type|Range)Error$/),
        message: expect.stringContaining(text),
      };
      expect(await rejection(gated.submit(identity, [1]))).toMatchObject(error);
      expect(thrown(() => gated.submitSync(identity, [1]))).toMatchObject(
        error,
      );
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('an invalid answer rejects a submission that the gate has delayed before', async () => {
    const js = open(1);
    const gated = js.replaceSleep(answering(1, -1).ask);
    expect(await rejection(gated.submit(identity, [1]))).toMatchObject({
      message: expect.stringContaining('-1'),
    });
    expect(freeSlots(js)).toBe(1);
  });

  test.each([Infinity, 1e6])(
    'a gate that returns %d is called once and gives Blocked at the deadline',
    async (answer) => {
      const js = open(1);
      const timeout = 30;
      for (const isSync of [false, true]) {
        const { ask, times } = answering(answer);
        const gated = js.replaceSleep(ask);
        const start = performance.now();
        const error = isSync
          ? thrown(() => gated.submitSync(identity, [1], { timeout }))
          : await rejection(gated.submit(identity, [1], { timeout }));
        expect(performance.now() - start).toBeGreaterThanOrEqual(timeout);
        expect(error).toMatchObject(blocked);
        expect(times.length).toBe(1);
      }
    },
  );

  test('a submission delayed by Infinity waits until it is aborted', async () => {
    const js = open(1);
    const { ask, times } = answering(Infinity);
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = js.replaceSleep(ask).submit(identity, [1], { signal });
    const later = new Promise((resolve) => setTimeout(resolve, 30, 'later'));
    expect(await Promise.race([waiting, later])).toBe('later');
    controller.abort();
    expect(await rejection(waiting)).toMatchObject({ name: 'AbortError' });
    expect(times.length).toBe(1);
  });

  test('submit throws the same error that the gate throws', async () => {
    const js = open(1);
    const error = new Error('gate is broken');
    const gated = js.replaceSleep(() => {
      throw error;
    });
    expect(await rejection(gated.submit(identity, [1]))).toBe(error);
    expect(thrown(() => gated.submitSync(identity, [1]))).toBe(error);
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('a submission that its gate delays leaves the slot to other jobs', async () => {
    const js = open(1);
    let isOpen = false;
    const gated = js.replaceSleep(() => (isOpen ? undefined : 5));
    const vetoed = gated.submit(identity, ['vetoed']);
    expect(freeSlots(js)).toBe(1);
    for (const value of ['a', 'b'])
      expect(await js.run(identity, value)).toBe(value);
    isOpen = true;
    expect(await (await vetoed).result()).toBe('vetoed');
  });

  test('a submission that its gate delays does not block those behind it', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    let isOpen = true;
    const gated = js.replaceSleep(() => (isOpen ? undefined : 5));
    const vetoed = gated.submit(identity, ['vetoed']);
    const behind = js.submit(identity, ['behind']);
    isOpen = false;
    gate.open();
    expect(await (await behind).result()).toBe('behind');
    isOpen = true;
    expect(await (await vetoed).result()).toBe('vetoed');
  });

  test('the gate is called again when a slot becomes free', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const { ask, times } = answering(undefined);
    const waiting = js.replaceSleep(ask).submit(identity, [1]);
    expect(times.length).toBe(1);
    gate.open();
    await (await waiting).wait();
    expect(times.length).toBeGreaterThan(1);
  });

  test('with timeout 0, a gate that returns a number is called once and gives Blocked', async () => {
    const js = open(1);
    const timeout = 0;
    for (const answer of [0, 5, Infinity]) {
      const { ask, times } = answering(answer);
      const gated = js.replaceSleep(ask);
      expect(
        await rejection(gated.submit(identity, [1], { timeout })),
      ).toMatchObject(blocked);
      expect(
        thrown(() => gated.submitSync(identity, [1], { timeout })),
      ).toMatchObject(blocked);
      expect(times.length).toBe(2);
    }
    expect(freeSlots(js)).toBe(1);
  });

  test('a gate may abort the submission that it delays', async () => {
    const js = open(1);
    const started = makeGate().file;
    const controller = new AbortController();
    const { signal } = controller;
    let calls = 0;
    const gated = js.replaceSleep(() => {
      if (calls++ === 0) return 1;
      controller.abort();
      return undefined;
    });
    const future = gated.submit(note, [started, 'never'], { signal });
    expect(await rejection(future)).toMatchObject({ name: 'AbortError' });
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    expect(existsSync(started)).toBe(false);
  });

  test('running jobs finish and call back while the gate delays another job', async () => {
    const js = open(2);
    for (const isSync of [false, true]) {
      let isFinished = false;
      const first = await js.submit(identity, [1]);
      first.whenDone(() => (isFinished = true));
      const gated = js.replaceSleep(() => (isFinished ? undefined : 5));
      const second = isSync
        ? gated.submitSync(identity, [2])
        : await gated.submit(identity, [2]);
      expect(isFinished).toBe(true);
      expect(await second.result()).toBe(2);
    }
  });

  test('a later gate replaces an earlier one, on the derived handle only', async () => {
    const js = open(1);
    const never = answering(Infinity);
    const gated = js.replaceSleep(never.ask);
    const admitted = gated.replaceSleep(() => undefined);
    for (const handle of [js, admitted]) {
      expect(await handle.run(identity, 1)).toBe(1);
    }
    expect(never.times.length).toBe(0);
  });

  test('the gate is called for each job of map', async () => {
    const js = open(2);
    const { ask, times } = answering(undefined);
    const gated = js.replaceSleep(ask);
    const options = { chunkSize: 2 };
    const values = [...gated.mapSync(identity, [1, 2, 3], options)];
    expect(values).toEqual([1, 2, 3]);
    expect(times.length).toBeGreaterThanOrEqual(2);

    const refused = js.replaceSleep(answering(Infinity).ask);
    const error = await rejection(
      refused.map(identity, [1], { timeout: 20 }).next(),
    );
    expect(error).toMatchObject(blocked);
    expect(() =>
      refused.mapSync(identity, [1], { timeout: 20 }).next(),
    ).toThrow(expect.objectContaining(blocked));
    await until('no job to be running', () => js.running === 0);
  });
}
