import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { Jobserver, type JobserverOptions } from '../../dist/index.js';
import { defaultSlots } from '../../dist/slots/default-count.js';
import { identity } from '../fixtures/jobs.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';

const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const rangeError = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

const index = join(__dirname, '..', '..', 'dist', 'index.js');
// taskset restricts a process to some processors; not every system has it.
const hasTaskset = spawnSync('taskset', ['--version']).status === 0;

const invalid: readonly [name: string, code: string, values: unknown[]][] = [
  [
    'slots',
    'ERR_INVALID_ARG_TYPE',
    [true, '2', 2n, {}, [2], null, Symbol('2')],
  ],
  [
    'slots',
    'ERR_OUT_OF_RANGE',
    [0, -1, 2.5, NaN, Infinity, -Infinity, 4097, 1e9],
  ],
  ['context', 'ERR_INVALID_ARG_VALUE', ['thread', '', 'SPAWN']],
  ['context', 'ERR_INVALID_ARG_TYPE', [1, true, {}, ['spawn']]],
  ['orphanSignal', 'ERR_UNKNOWN_SIGNAL', ['SIGNOPE', 'sigterm', '']],
  ['orphanSignal', 'ERR_INVALID_ARG_TYPE', [true, {}, 15n]],
  ['orphanSignal', 'ERR_OUT_OF_RANGE', [-1, 1.5, 65, NaN]],
  ['forkserverKeepAlive', 'ERR_INVALID_ARG_TYPE', ['5', 5n, {}, null, true]],
  ['forkserverKeepAlive', 'ERR_OUT_OF_RANGE', [-1, -0.1, -Infinity, NaN]],
  ['idleTimeout', 'ERR_INVALID_ARG_TYPE', ['5', null]],
  ['idleTimeout', 'ERR_OUT_OF_RANGE', [-1, NaN]],
  ['maxProcessMemory', 'ERR_INVALID_ARG_TYPE', ['5', 5n, null]],
  ['maxProcessMemory', 'ERR_OUT_OF_RANGE', [0, -1, NaN]],
  ['jobsPerProcess', 'ERR_INVALID_ARG_TYPE', ['2', 2n, {}, null, true]],
  ['jobsPerProcess', 'ERR_OUT_OF_RANGE', [0, -1, 1.5, NaN, -Infinity]],
  ['warmUp', 'ERR_INVALID_ARG_TYPE', [5, {}, null, true]],
  ['warmUp', 'ERR_JOBSERVER_FUNCTION', [identity.bind(undefined)]],
  ['warmUpTimeout', 'ERR_INVALID_ARG_TYPE', ['5', 5n, null, true]],
  ['warmUpTimeout', 'ERR_OUT_OF_RANGE', [-1, NaN]],
  ['preload', 'ERR_INVALID_ARG_TYPE', ['node:fs', 5, {}, null, true]],
  ['preload[1]', 'ERR_INVALID_ARG_TYPE', [5, null, {}]],
];

/** The options of `new Jobserver()`, and their defaults. */
export function constructionContract(context: Context): void {
  const { JOBSERVER_SLOTS } = process.env;
  afterEach(() => {
    delete process.env['JOBSERVER_SLOTS'];
    if (JOBSERVER_SLOTS === undefined) return;
    process.env['JOBSERVER_SLOTS'] = JOBSERVER_SLOTS;
  });

  test.each(invalid)(
    'an invalid %s throws %s and opens no descriptor',
    (name, code, values) => {
      const fds = readdirSync('/dev/fd').length;
      for (const value of values) {
        const options =
          name === 'preload[1]'
            ? { context, preload: ['node:fs', value] }
            : { context, slots: 1, [name]: value };
        expect({
          value,
          thrown: thrown(() => new Jobserver(options as JobserverOptions)),
        }).toMatchObject({
          value,
          thrown: {
            name: code === 'ERR_OUT_OF_RANGE' ? 'RangeError' : 'TypeError',
            code,
            message: expect.stringContaining(name),
          },
        });
      }
      // Those of earlier test files may disappear at any time.
      expect(readdirSync('/dev/fd').length).toBeLessThanOrEqual(fds);
    },
  );

  test('options that are not an object throw', () => {
    for (const options of [5, 'spawn', true, null]) {
      expect(thrown(() => new Jobserver(options as never))).toMatchObject(
        typeError,
      );
    }
  });

  test('the error for too many slots states the limit and the given number', () => {
    expect(thrown(() => new Jobserver({ context, slots: 1e9 }))).toMatchObject({
      message: expect.stringMatching(/4096.*1000000000/),
    });
  });

  test('the error for an unknown context lists the valid ones', () => {
    const options = { slots: 1, context: 'thread' };
    expect(thrown(() => new Jobserver(options as never))).toMatchObject({
      message: expect.stringMatching(/'forkserver', 'spawn'.*thread/),
    });
  });

  test('4096 slots are available at once and run jobs', async () => {
    const js = openJobserver({ context, slots: 4096 });
    expect(freeSlots(js)).toBe(4096);
    expect(await js.run(identity, 1)).toBe(1);
    expect(freeSlots(js)).toBe(4096);
  });

  test('the default is one slot for each processor that may be used', async () => {
    const js = new Jobserver({ context });
    expect(js.slots).toBe(defaultSlots());
    await js.close();
  });

  (hasTaskset ? test : test.skip)(
    'a process restricted to one processor has one slot by default',
    () => {
      const program = `console.log(new (require(process.argv[1]).Jobserver)().slots)`;
      const node = [process.execPath, '-e', program, index];
      const { stdout } = spawnSync('taskset', ['-c', '0', ...node], {
        timeout: 60_000,
      });
      expect(String(stdout)).toBe('1\n');
    },
  );

  test('JOBSERVER_SLOTS sets the number of slots when the option is absent', async () => {
    process.env['JOBSERVER_SLOTS'] = '3';
    const byDefault = new Jobserver({ context });
    const given = new Jobserver({ context, slots: 2 });
    process.env['JOBSERVER_SLOTS'] = '';
    const byProcessors = new Jobserver({ context });
    expect([byDefault.slots, given.slots, byProcessors.slots]).toEqual([
      3,
      2,
      defaultSlots(),
    ]);
    for (const js of [byDefault, given, byProcessors]) await js.close();
  });

  test('an invalid JOBSERVER_SLOTS throws', () => {
    for (const text of ['0', '-1', '4097', '1.5', 'two', ' 2', '1e2']) {
      process.env['JOBSERVER_SLOTS'] = text;
      expect(thrown(() => new Jobserver({ context }))).toMatchObject({
        ...rangeError,
        message: expect.stringMatching(/JOBSERVER_SLOTS.*4096/),
      });
    }
  });

  test('every handle reports its context, its slots and the running jobs', async () => {
    const js = openJobserver({ context, slots: 3 });
    const derived = js.reviseEnv({ A: '1' }).replaceSleep(() => undefined);
    for (const handle of [js, derived]) {
      expect(handle.context).toBe(context);
      expect(handle.slots).toBe(3);
      expect(handle.running).toBe(0);
    }
    const future = await derived.submit(identity, [1]);
    expect([js.running, derived.running]).toEqual([1, 1]);
    await future.wait();
    expect([js.running, derived.running]).toEqual([0, 0]);
  });
}
