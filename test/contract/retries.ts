import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  type Jobserver,
  LostResult,
  allocate,
  jobInfo,
  move,
} from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import { stayLong } from '../fixtures/limit-jobs.js';
import * as jobs from '../fixtures/retry-jobs.js';
import { useGates } from '../helpers/gate.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** A job that is lost is started again, if `retries` says so. */
export function retryContract(context: Context): void {
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const makeGate = useGates();
  const folder = useFolder();
  const at = (name: string): string => join(folder(), name);
  const lines = (): string[] =>
    readFileSync(at('log'), 'utf8').split('\n').slice(0, -1);

  test('a job that is lost is started again, and its Future gets the value', async () => {
    const js = open(1).with({ retries: 2 });
    const future = await js.submit(jobs.dieBefore, [at('log'), 3]);
    let calls = 0;
    future.whenDone(() => (calls += 1));
    expect(await future.result()).toBe(3);
    expect([lines(), calls]).toEqual([['1', '2', '3'], 1]);
  });

  test('a call that blocks the thread waits for all attempts', () => {
    const js = open(1);
    const patient = js.with({ retries: 1 });
    const future = patient.submitSync(jobs.dieBefore, [at('log'), 2]);
    expect(future.resultSync()).toBe(2);
    expect([lines(), freeSlots(js)]).toEqual([['1', '2'], 1]);
  });

  test('a job that is lost too often has the number of attempts in its error', async () => {
    const js = open(1);
    const patient = js.with({ retries: 2 });
    const error = await rejection(patient.run(jobs.dieBefore, at('log'), 9));
    expect(error).toBeInstanceOf(LostResult);
    expect(error).toMatchObject({ attempts: 3, signal: 'SIGKILL' });
    expect((error as Error).message).toContain('; it was attempt 3');
    const once = await rejection(js.run(jobs.dieBefore, at('log'), 9));
    expect(once).toMatchObject({ attempts: 1 });
    expect(lines()).toEqual(['1', '2', '3', '1']);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('a job that throws is not started again', async () => {
    const js = open(1).with({ retries: 2 });
    const error = await rejection(js.run(jobs.throwAtOnce, at('log')));
    expect(error).toBeInstanceOf(RangeError);
    expect(lines()).toEqual(['1']);
  });

  test.each(['kill', 'an AbortSignal'])(
    'a job that was ended by %s is not started again',
    async (how) => {
      const js = open(1);
      const limited = js.with({ retries: 5 });
      const controller = new AbortController();
      const { signal } = controller;
      const { file } = makeGate();
      const args: [string, string, string] = [at('log'), at('started'), file];
      const future = await limited.submit(jobs.waitAtSecond, args, { signal });
      await until('the second attempt', () => existsSync(at('started')));
      if (how === 'kill') future.kill();
      else controller.abort();
      const name = how === 'kill' ? 'LostResult' : 'AbortError';
      expect(await rejection(future.result())).toMatchObject({ name });
      await until('the slot to be free', () => freeSlots(js) === 1);
      expect(lines()).toEqual(['1', '2']);
    },
  );

  test('a job that ran for too long is not started again', async () => {
    const js = open(1);
    const limited = js.with({ retries: 1, runTimeout: 200 });
    const future = await limited.submit(stayLong);
    const { pid } = future;
    const error = await rejection(future.result());
    expect(error).toMatchObject({ name: 'TimeoutError' });
    expect((error as Error).message).toContain(`Job ${pid} `);
    expect(freeSlots(js)).toBe(1);
  });

  test('a job of a Jobserver that was closed is not started again', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js
      .with({ retries: 1 })
      .submit(jobs.waitThenDie, [at('log'), at('started'), gate.file]);
    await until('the job to start', () => existsSync(at('started')));
    js.closeSync();
    gate.open();
    expect(await rejection(future.result())).toMatchObject({ attempts: 1 });
    expect(lines()).toEqual(['1']);
  });

  test('a job that is started again keeps its slot', async () => {
    const js = open(1);
    const first = js
      .with({ retries: 2 })
      .run(jobs.dieBefore, at('log'), 3, 'first ');
    const second = js.run(jobs.dieBefore, at('log'), 1, 'second ');
    expect(await Promise.all([first, second])).toEqual([3, 1]);
    expect(lines()).toEqual(['first 1', 'first 2', 'first 3', 'second 1']);
  });

  test('a job waits for its own job in its slot before it is started again', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js
      .with({ retries: 1 })
      .submit(jobs.lendAndDie, [at('log'), at('started'), gate.file]);
    await until('the job to be killed', () => existsSync(at('started')));
    expect(await future.wait({ timeout: 50 })).toBe(false);
    expect([lines(), freeSlots(js)]).toEqual([['1'], 0]);
    gate.open();
    expect(await future.result()).toBe(2);
    expect(lines()).toEqual(['1', '2']);
  });

  test('an abort ends a job that waits for its own job', async () => {
    const js = open(1);
    const gate = makeGate();
    const controller = new AbortController();
    const { signal } = controller;
    const args: [string, string, string] = [
      at('log'),
      at('started'),
      gate.file,
    ];
    const future = await js
      .with({ retries: 1 })
      .submit(jobs.lendAndDie, args, { signal });
    await until('the job to be killed', () => existsSync(at('started')));
    expect(await future.wait({ timeout: 50 })).toBe(false);
    controller.abort();
    expect(await rejection(future.result())).toMatchObject({
      name: 'AbortError',
    });
    expect(freeSlots(js)).toBe(0);
    gate.open();
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(lines()).toEqual(['1']);
  });

  test('each attempt gets the arguments as they were submitted', async () => {
    const js = open(1).with({ retries: 1 });
    for (const length of [100, 100_000, 2 << 20]) {
      const bytes = new Uint8Array(length).fill(1);
      const sum = js.run(jobs.spoil, bytes);
      bytes.fill(5);
      // The fork context copies the memory when the process starts.
      expect(await sum).toBe(context === 'fork' ? 10 : 2);
    }
  });

  test('buffers that are moved are refused, and stay', () => {
    const js = open(1).with({ retries: 1 });
    for (const buffer of [new ArrayBuffer(1 << 20), allocate(1 << 20)]) {
      const error = thrown(() => js.submitSync(identity, [move(buffer)]));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain('`retries`');
      expect(buffer.byteLength).toBe(1 << 20);
    }
  });

  test('a job knows its attempt, context and pid, and this process is no job', async () => {
    const js = open(1).with({ retries: 1 });
    const future = await js.submit(jobs.info);
    const { pid } = future;
    expect(await future.result()).toMatchObject({ pid, context, attempt: 1 });
    expect(jobInfo()).toBe(undefined);
  });
}
