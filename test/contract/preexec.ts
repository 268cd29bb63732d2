import { readFileSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import {
  Guard,
  asyncDisposable,
  brokenDisposable,
  disposable,
  extendVariable,
  note,
  noteAndReturn,
  noteAndThrow,
  returnNull,
  setVariable,
  variables,
} from '../fixtures/controlled-jobs.js';
import { fail } from '../fixtures/ending-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { hasEventLoop, isRemote, testIf } from '../helpers/context.js';
import { type Gate, useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** replacePreexec: a function that the worker calls before the job. */
export function preexecContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const testAsync = testIf(hasEventLoop(context));

  function openLog(): { file: string; lines: () => string[] } {
    const gate: Gate = makeGate();
    gate.open();
    const lines = (): string[] =>
      readFileSync(gate.file, 'utf8').split('\n').slice(0, -1);
    return { file: gate.file, lines };
  }

  test('replacePreexec throws at once for anything but a function', () => {
    const js = open(1);
    for (const fn of [undefined, null, 5, {}, true] as never[]) {
      expect(thrown(() => js.replacePreexec(fn))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  // A fork inherits closures with the memory of its parent.
  testIf(isRemote(context))(
    'a function that no other process can import throws, at the latest in the first run',
    async () => {
      const js = open(1);
      const local = 1;
      const run = async (): Promise<unknown> =>
        js.replacePreexec(() => void local).run(identity, 1);
      expect(await rejection(run())).toMatchObject({
        name: 'TypeError',
        code: 'ERR_JOBSERVER_FUNCTION',
      });
      await until('the slot to be free', () => freeSlots(js) === 1);
    },
  );

  test('preexec runs once in each job before fn, with its arguments and the revised environment', async () => {
    const log = openLog();
    const js = open(1)
      .reviseEnv({ JS_P: 'revised' })
      .replacePreexec(extendVariable, 'JS_P', '+preexec');
    expect(await js.run(variables, 'JS_P')).toEqual({
      JS_P: 'revised+preexec',
    });
    const logged = js.replacePreexec(note, log.file, 'preexec');
    for (let i = 0; i < 2; i++) {
      expect(await logged.run(noteAndReturn, log.file, 'fn', i)).toBe(i);
    }
    expect(log.lines()).toEqual(['preexec', 'fn', 'preexec', 'fn']);
    expect(process.env['JS_P']).toBe(undefined);
  });

  test('the arguments of preexec are captured at the call', async () => {
    const args: [string, string] = ['JS_P', 'early'];
    const js = open(1).replacePreexec(setVariable, ...args);
    args[1] = 'late';
    expect(await js.run(variables, 'JS_P')).toEqual({ JS_P: 'early' });
  });

  test('preexec may return null instead of undefined', async () => {
    const js = open(1).replacePreexec(returnNull);
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('an error that preexec throws is the outcome, and fn does not run', async () => {
    const log = openLog();
    const js = open(1);
    const failing = js.replacePreexec(noteAndThrow, log.file, 'preexec');
    const job = failing.run(noteAndReturn, log.file, 'fn', 1);
    expect(await rejection(job)).toMatchObject({
      name: 'RangeError',
      message: 'preexec',
    });
    expect(log.lines()).toEqual(['preexec']);
    expect(freeSlots(js)).toBe(1);
  });

  test('a Disposable that preexec returns is disposed after fn, even when fn throws', async () => {
    const log = openLog();
    const js = open(1).replacePreexec(disposable, log.file);
    expect(await js.run(noteAndReturn, log.file, 'fn', 7)).toBe(7);
    expect(log.lines()).toEqual(['acquire', 'fn', 'dispose']);
    expect(
      await rejection(js.run(noteAndThrow, log.file, 'bad')),
    ).toMatchObject({ name: 'RangeError', message: 'bad' });
    expect(log.lines().slice(3)).toEqual(['acquire', 'bad', 'dispose']);
  });

  testAsync(
    'an AsyncDisposable that preexec returns is disposed after fn and awaited',
    async () => {
      const log = openLog();
      const js = open(1).replacePreexec(asyncDisposable, log.file);
      expect(await js.run(noteAndReturn, log.file, 'fn', 7)).toBe(7);
      expect(log.lines()).toEqual(['acquire', 'fn', 'dispose']);
    },
  );

  test('any other return value of preexec rejects with TypeError, and fn does not run', async () => {
    const log = openLog();
    const js = open(1);
    for (const value of [1, 'text', true, {}, []]) {
      const bad = js.replacePreexec(identity, value);
      const job = bad.run(noteAndReturn, log.file, 'fn', 1);
      expect(await rejection(job)).toMatchObject({
        name: 'TypeError',
        message: expect.stringContaining('preexec'),
      });
    }
    expect(log.lines()).toEqual([]);
  });

  test('an error of the disposal replaces the value of fn', async () => {
    const js = open(1).replacePreexec(brokenDisposable);
    expect(await rejection(js.run(identity, 1))).toMatchObject({
      name: 'TypeError',
      message: 'disposal failed',
    });
  });

  test('errors of both fn and the disposal are reported', async () => {
    const js = open(1).replacePreexec(brokenDisposable);
    const error = await rejection(js.run(fail, 'fn failed'));
    const { cause, suppressed } = error as {
      cause: unknown;
      suppressed: unknown;
    };
    expect(error).toMatchObject({ message: 'disposal failed' });
    expect(cause ?? suppressed).toMatchObject({ message: 'fn failed' });
  });

  test('a later preexec replaces an earlier one, on the derived handle only', async () => {
    const js = open(1);
    const first = js.replacePreexec(setVariable, 'JS_P', 'first');
    const second = first.replacePreexec(setVariable, 'JS_Q', 'second');
    const none = first.replacePreexec(returnNull);
    const found = [];
    for (const handle of [js, first, second, none]) {
      found.push(await handle.run(variables, 'JS_P', 'JS_Q'));
    }
    expect(found).toEqual([
      { JS_P: null, JS_Q: null },
      { JS_P: 'first', JS_Q: null },
      { JS_P: null, JS_Q: 'second' },
      { JS_P: null, JS_Q: null },
    ]);
  });

  test('a class as preexec rejects with TypeError', async () => {
    const js = open(1);
    const run = async (): Promise<unknown> =>
      js.replacePreexec(Guard as never, 'log').run(identity, 1);
    expect(await rejection(run())).toMatchObject({ name: 'TypeError' });
  });

  test('preexec runs once for each job of map', async () => {
    const log = openLog();
    const js = open(1).replacePreexec(note, log.file, 'preexec');
    const options = { chunkSize: 2 };
    expect([...js.mapSync(identity, [1, 2, 3], options)]).toEqual([1, 2, 3]);
    expect(log.lines()).toEqual(['preexec', 'preexec']);
  });
}
