import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { fail } from '../fixtures/ending-jobs.js';
import { announceAndWait, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { collectUntilError, names, next, plain, start } from './map-setup.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };
const closed = { code: 'ERR_JOBSERVER_CLOSED' };
const aborted = { name: 'AbortError', code: 'ABORT_ERR' };
const programs = join(__dirname, '..', 'fixtures', 'map-programs.js');

/** map and its variants: timeout, early end, abort and close. */
export function mapEndContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test.each(plain)(
    '%s throws Blocked when its timeout expires, never earlier, and then ends',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      const opened = makeGate();
      opened.open();
      const files = [opened.file, gate.file, opened.file];
      // Long enough for one job even on a busy machine.
      const timeout = 1500 * timeoutFactor;
      const began = performance.now();
      const results = start(js, name, waitAt, files, { timeout });
      expect(await collectUntilError(results)).toEqual([
        undefined,
        expect.objectContaining(blocked),
      ]);
      expect(performance.now() - began).toBeGreaterThanOrEqual(timeout);
      expect(await next(results)).toBe('done');
      gate.open();
      await until('the jobs to end', () => js.running === 0);
    },
  );

  test.each(plain)(
    'the timeout of %s includes the wait for a slot',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      for (const timeout of [0, 20.5]) {
        const began = performance.now();
        const results = start(js, name, identity, [1, 2], { timeout });
        expect(await collectUntilError(results)).toMatchObject([blocked]);
        expect(performance.now() - began).toBeGreaterThanOrEqual(timeout);
      }
      expect(js.running).toBe(1);
    },
  );

  test.each(plain)(
    'the timeout of %s starts at the call, even when no result is requested',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      const timeout = 10;
      const results = start(js, name, waitAt, [gate.file], { timeout });
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(await collectUntilError(results)).toMatchObject([blocked]);
      gate.open();
    },
  );

  test('leaving map early starts no further job and lets running ones finish', async () => {
    const js = open(2);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const startedFiles = Array.from({ length: 5 }, () => makeGate().file);
    const argses = startedFiles.map(
      (started, i) => [started, i === 0 ? opened.file : gate.file, i] as const,
    );
    const seen: unknown[] = [];
    for await (const value of js.starmap(announceAndWait, argses as never)) {
      seen.push(value);
      await until('two more to run', () => existsSync(startedFiles[2]!));
      break;
    }
    expect([seen, js.running, freeSlots(js)]).toEqual([[0], 2, 0]);
    gate.open();
    await until('the slots to be free', () => freeSlots(js) === 2);
    expect(startedFiles.map((it) => existsSync(it))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ]);
  });

  test('leaving mapSync early starts no further job and lets running ones finish', async () => {
    const js = open(2);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const startedFiles = Array.from({ length: 5 }, () => makeGate().file);
    const argses = startedFiles.map(
      (started, i) => [started, i === 0 ? opened.file : gate.file] as const,
    );
    for (const _ of js.starmapSync(announceAndWait, argses as never)) break;
    const { running } = js;
    expect(running).toBeGreaterThan(0);
    gate.open();
    await until('the slots to be free', () => freeSlots(js) === 2);
    // The first job, and those that ran when the loop ended.
    expect(startedFiles.map((it) => existsSync(it))).toEqual(
      startedFiles.map((_, i) => i < 1 + running),
    );
  });

  test.each(names)('%s throws once the Jobserver is closed', async (name) => {
    const js = open(1);
    const item = name.startsWith('star') ? [1] : 1;
    const early = start(js, name, identity, [item]);
    await js.close();
    expect(await collectUntilError(early)).toMatchObject([closed]);
    const late = async (): Promise<unknown> =>
      next(start(js, name, identity, [item]));
    expect(await rejection(late())).toMatchObject(closed);
  });

  test('closing the Jobserver ends a running map, and its loop may still be left', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const files = [opened.file, gate.file, gate.file] as never[];
    const results = js.map(waitAt, files);
    await results.next();
    await until('the second to run', () => js.running === 1);
    const closing = js.close();
    gate.open();
    expect(await collectUntilError(results)).toMatchObject([undefined, closed]);
    await closing;

    const other = open(1);
    for await (const _ of other.map(identity, [1, 2])) {
      other.closeSync();
      break;
    }
    await until('the jobs to end', () => other.running === 0);
  });

  test.each(plain)(
    '%s throws AbortError for a signal that is already aborted',
    async (name) => {
      const js = open(1);
      const options = { signal: AbortSignal.abort() };
      const run = async (): Promise<unknown> =>
        next(start(js, name, identity, [1], options));
      expect(await rejection(run())).toMatchObject(aborted);
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    },
  );

  test('aborting map ends its running job and starts no further one', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const never = makeGate();
    const controller = new AbortController();
    const { signal } = controller;
    const files = [opened.file, never.file, never.file] as never[];
    const results = js.map(waitAt, files, { signal });
    await results.next();
    await until('the second to run', () => js.running === 1);
    const pending = collectUntilError(results);
    controller.abort();
    expect(await pending).toMatchObject([aborted]);
    expect(await next(results)).toBe('done');
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(existsSync(never.file)).toBe(false);
  });

  test('aborting ends a map that waits for its input', async () => {
    const js = open(1);
    const controller = new AbortController();
    const { signal } = controller;
    const silent = {
      async *[Symbol.asyncIterator]() {
        yield 1;
        await new Promise(() => undefined);
      },
    };
    const results = js.map(identity, silent, { signal });
    expect(await next(results)).toBe(1);
    const pending = rejection(results.next());
    controller.abort();
    const later = new Promise((resolve) => {
      setTimeout(resolve, 2000 * timeoutFactor, 'hangs').unref();
    });
    expect(await Promise.race([pending, later])).toMatchObject(aborted);
  });

  test('the timeout ends a map that waits for its input', async () => {
    const js = open(1);
    const silent = {
      async *[Symbol.asyncIterator]() {
        await new Promise(() => undefined);
        yield 1;
      },
    };
    const results = js.map(identity, silent, { timeout: 20 });
    expect(await rejection(results.next())).toMatchObject(blocked);
    expect(await next(results)).toBe('done');
  });

  test('an error in a callback of another job is reported exactly once during map', async () => {
    const js = open(1);
    const [opened, held, gate] = [makeGate(), makeGate(), makeGate()];
    opened.open();
    const future = await js.submit(waitAt, [gate.file], { consume: 0 });
    let isCalled = false;
    future.whenDone(() => {
      isCalled = true;
      throw new Error('on purpose');
    });
    const caught: unknown[] = [];
    try {
      // The third waits for a slot while the callback throws.
      const files = [opened.file, held.file, held.file] as never[];
      for await (const _ of js.map(waitAt, files)) {
        await until('the second to run', () => js.running === 2);
        gate.open();
        await until('the callback', () => isCalled);
        break;
      }
    } catch (error) {
      caught.push(error);
    }
    try {
      js.reclaimResources();
    } catch (error) {
      caught.push(error);
    }
    held.open();
    expect(caught).toEqual([
      expect.objectContaining({ name: 'CallbackRaised' }),
    ]);
  });

  test('calls that fail after the reader has left cause no unhandledRejection', async () => {
    const node = [...process.execArgv, programs, context];
    const { code, stdout, stderr } = await runNode(node);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '["first","Error"]\n',
      stderr: '',
    });
  });

  test('map throws the first error of fn, and its other jobs end', async () => {
    const js = open(2);
    const results = js.map(fail, ['a', 'b']);
    expect(await rejection(results.next())).toMatchObject({ message: 'a' });
    await until('the jobs to end', () => js.running === 0);
  });
}
