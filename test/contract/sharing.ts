import { existsSync, fstatSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import { type Jobserver, move, notify, share, wait } from '../../dist/index.js';
import { pieceOf } from '../../dist/memory/pieces.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { useGates } from '../helpers/gate.js';
import { testIf } from '../helpers/context.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { expectBytes } from '../helpers/views.js';

const mega = 1 << 20;
const { pattern } = jobs;

/** share: memory that all processes have. */
export function sharingContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  const makeGate = useGates();
  // Elsewhere, those who wait only see that the value has changed.
  const onLinux = testIf(process.platform === 'linux');

  test.each([0, 8, 5000, mega, 3 * mega])(
    'share(%d) gives an ArrayBuffer of zeros, which comes back as the same object',
    async (length) => {
      const table = share(length);
      expect(table.constructor.name).toBe('ArrayBuffer');
      expect(table.byteLength).toBe(length);
      expect(new Uint8Array(table).every((byte) => byte === 0)).toBe(true);
      const js = open();
      expect(await js.run(identity, table)).toBe(table);
      const { at } = await js.run(identity<{ at: unknown[] }>, { at: [table] });
      expect(at[0]).toBe(table);
      const view = await js.run(identity<Uint8Array>, new Uint8Array(table));
      expect(view.buffer).toBe(table);
    },
  );

  testIf(process.platform === 'darwin')(
    'shared memory takes its room on the disk when it is made',
    () => {
      const { file } = pieceOf(share(3 * mega))!;
      const { blocks } = fstatSync(file.number);
      expect(blocks * 512).toBeGreaterThanOrEqual(3 * mega);
    },
  );

  test('jobs and their jobs change shared memory at the same time', async () => {
    const js = open(4);
    const table = share(4);
    await Promise.all([
      js.run(jobs.count, table, 1000),
      js.run(jobs.count, table, 1000),
      js.run(jobs.countNested, table, 1000),
    ]);
    jobs.count(table, 1000);
    expect(Atomics.load(new Int32Array(table), 0)).toBe(5000);
  });

  test('a job sees what its submitter writes meanwhile', async () => {
    const table = share(4096);
    const started = makeGate();
    const gate = makeGate();
    const js = open();
    const args = [started.file, gate.file, table] as const;
    const future = await js.submit(jobs.lookUpAtGate, [...args]);
    await until('it to run', () => existsSync(started.file));
    new Uint8Array(table)[1] = 42;
    gate.open();
    expect(await future.result()).toBe(42);
  });

  test('a job has one buffer for the same memory', async () => {
    const table = share(mega);
    expect(await open().run(jobs.isSame, table, table)).toBe(true);
  });

  test('memory that a job shares is shared with its submitter', async () => {
    const js = open();
    const table = await js.run(jobs.returnTable, 4096);
    expect(table.byteLength).toBe(4096);
    await js.run(jobs.count, table, 10);
    expect(new Int32Array(table)[0]).toBe(10);
  });

  test('a blocking call shares memory', () => {
    const js = open();
    const table = share(64);
    js.submitSync(jobs.count, [table, 5]).resultSync();
    expect(js.submitSync(identity, [table]).resultSync()).toBe(table);
    expect(new Int32Array(table)[0]).toBe(5);
  });

  test('shared bytes are a copy that jobs read', async () => {
    const bytes = pattern(3 * mega, 1);
    const expected = bytes[mega + 1];
    const [table, ofView] = [
      share(bytes.buffer as ArrayBuffer),
      share(bytes.subarray(mega, mega + 10)),
    ];
    expectBytes(new Uint8Array(table), bytes);
    bytes.fill(0);
    const js = open();
    expect(await js.run(jobs.lookUp, table, mega + 1)).toBe(expected);
    expect(await js.run(jobs.lookUp, ofView, 1)).toBe(expected);
    expect(await js.run(identity, table)).toBe(table);
    expect(await js.run(jobs.passOn, ofView)).toBe(ofView);
  });

  test('only a job that writes to shared bytes is lost', async () => {
    const js = open(3);
    const table = share(pattern(mega, 1));
    const started = makeGate();
    const gate = makeGate();
    const reader = await js.submit(jobs.lookUpAtGate, [
      ...([started.file, gate.file] as const),
      table,
    ]);
    await until('it to run', () => existsSync(started.file));
    const lost = await rejection(js.run(jobs.overwrite, table));
    const signal = expect.stringMatching(/^SIG(SEGV|BUS)$/) as string;
    expect(lost).toMatchObject({ name: 'LostResult', signal });
    // In a fork, nothing is known of what the function uses.
    const { cause } = lost as { cause?: Error };
    const isNamed = cause?.message.includes(`share(bytes)`) ?? false;
    expect(isNamed).toBe(context !== 'fork');
    gate.open();
    expect(await reader.result()).toBe(pattern(mega, 1)[1]);
    expect(await js.run(jobs.lookUp, table, 0)).toBe(pattern(mega, 1)[0]);
    expectBytes(new Uint8Array(table), pattern(mega, 1));
  });

  test('a process waits until a job notifies it', async () => {
    const flag = new Int32Array(share(8));
    const future = await open().submit(jobs.setAndNotify, [flag]);
    // The job may have set it before.
    expect(['ok', 'not-equal']).toContain(wait(flag, 1, 0));
    expect(flag[1]).toBe(1);
    await future.result();
    expect(wait(flag, 1, 0)).toBe('not-equal');
    expect(wait(flag, 0, 0, { timeout: 20 })).toBe('timed-out');
    expect(notify(flag, 0)).toBe(0);
  });

  onLinux('a job that waits is notified, once for each call', async () => {
    const flag = new Int32Array(share(4));
    const js = open(2);
    const waiting = [js.run(jobs.waitFor, flag), js.run(jobs.waitFor, flag)];
    let woken = 0;
    await until('both to be woken', () => {
      const count = notify(flag, 0, 1);
      expect(count).toBeLessThanOrEqual(1);
      woken += count;
      return woken === 2;
    });
    expect(await Promise.all(waiting)).toEqual(['ok', 'ok']);
  });

  test('all jobs that wait are notified when the value has changed', async () => {
    const flag = new Int32Array(share(8));
    const js = open(2);
    const waiting = [1, 2].map(() => js.run(jobs.waitAfterCount, flag));
    await until('both to begin', () => Atomics.load(flag, 1) === 2);
    Atomics.store(flag, 0, 1);
    expect([0, 1, 2]).toContain(notify(flag, 0));
    // A job may have begun to wait after the change.
    for (const result of await Promise.all(waiting)) {
      expect(['ok', 'not-equal']).toContain(result);
    }
    expect(notify(flag, 0)).toBe(0);
  });

  test('wait and notify refuse what is not shared', () => {
    const flag = new Int32Array(share(4));
    const constant = new Int32Array(share(new Uint8Array(4)));
    for (const each of [new Int32Array(1), constant, new Uint8Array(4)]) {
      const code = 'ERR_INVALID_ARG_TYPE';
      const array = each as Int32Array;
      expect(thrown(() => wait(array, 0, 0))).toMatchObject({ code });
      expect(thrown(() => notify(array, 0))).toMatchObject({ code });
    }
    for (const call of [
      () => wait(flag, 1, 0),
      () => wait(flag, -1, 0),
      () => wait(flag, 0, 2 ** 31),
      () => wait(flag, 0, 0, { timeout: -1 }),
      () => notify(flag, 0, -1),
    ]) {
      expect(thrown(call)).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    }
  });

  test('the arguments of a preexec may share memory', async () => {
    const table = share(4);
    const js = open().replacePreexec(jobs.count, table, 3);
    await js.run(jobs.count, table, 2);
    expect(new Int32Array(table)[0]).toBe(5);
  });

  test('share refuses what is no length and no bytes', () => {
    for (const length of [-1, 0.5, NaN, Infinity]) {
      expect(thrown(() => share(length))).toMatchObject({
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
      });
    }
    const others = [undefined, null, 'text', {}, new SharedArrayBuffer(8)];
    for (const source of others as never[]) {
      expect(thrown(() => share(source))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('what is shared cannot be moved', () => {
    const table = share(8);
    for (const value of [table, new Uint8Array(table)]) {
      expect(thrown(() => move(value))).toMatchObject({
        name: 'DataCloneError',
      });
    }
    expect(table.byteLength).toBe(8);
  });
}
