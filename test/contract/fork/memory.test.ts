// The memory of large buffers in a process that forks itself.
import { existsSync } from 'node:fs';
import { type Jobserver, allocate, move, share } from '../../../dist/index.js';
import { identity } from '../../fixtures/jobs.js';
import * as jobs from '../../fixtures/value-jobs.js';
import { useGates } from '../../helpers/gate.js';
import { checkSlots, openJobserver, warmUp } from '../../helpers/jobserver.js';
import { checkLeaks } from '../../helpers/leaks.js';
import { until } from '../../helpers/until.js';
import { expectBytes } from '../../helpers/views.js';

const mega = 1 << 20;
const { pattern } = jobs;

describe('the fork context', () => {
  checkSlots();
  checkLeaks(warmUp('fork'));
  const makeGate = useGates();
  const open = (slots = 2): Jobserver =>
    openJobserver({ context: 'fork', slots });
  const openReused = (): Jobserver =>
    openJobserver({ context: 'spawn', slots: 1, jobsPerProcess: Infinity });

  const made: [string, (js: Jobserver) => Promise<Uint8Array>][] = [
    ['allocated', async () => new Uint8Array(allocate(mega)).fill(1)],
    ['received', async (js) => (await js.run(pattern, mega, 1)).fill(1)],
    [
      'moved',
      async (js) => (await js.run(jobs.moveAllocated, mega, 1)).fill(1),
    ],
    [
      'received from a process of several jobs',
      async () => (await openReused().run(pattern, mega, 1)).fill(1),
    ],
  ];

  test.each(made)(
    'a fork and its parent do not see what they write to a buffer that was %s',
    async (_, make) => {
      const js = open();
      const bytes = await make(js);
      const started = makeGate();
      const gate = makeGate();
      const args = [started.file, gate.file, bytes] as const;
      const future = await js.submit(jobs.readAtGate, [...args]);
      await until('it to run', () => existsSync(started.file));
      expect(bytes[0]).toBe(1);
      bytes[1] = 9;
      gate.open();
      expect(await future.result()).toBe(1);
      const got = await js.run(jobs.fillWith, bytes, 8);
      expect([got[0], bytes[0], bytes[1]]).toEqual([8, 1, 9]);
    },
  );

  test.each(made)(
    'a buffer that was %s can be moved after a fork',
    async (_, make) => {
      const js = open();
      const bytes = await make(js);
      await js.run(identity, 1);
      bytes[3] = 7;
      const got = await openReused().run(identity, move(bytes));
      expect(bytes.length).toBe(0);
      expectBytes(got, new Uint8Array(mega).fill(1).fill(7, 3, 4));
    },
  );

  test('a fork can move a buffer that its parent has, who keeps it', async () => {
    const js = open();
    const bytes = jobs.allocated(mega, 1);
    const got = await js.run(() => move(bytes));
    expectBytes(got, bytes);
    expectBytes(bytes, pattern(mega, 1));
  });

  test('results keep their content when processes send others after a fork', async () => {
    const reused = openReused();
    const js = open();
    const got: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) {
      got.push(await reused.run(pattern, mega, i));
      await js.run(identity, i);
    }
    for (const [i, bytes] of got.entries())
      expectBytes(bytes, pattern(mega, i));
  });

  test('a fork and its parent write to memory that they share', async () => {
    const js = open();
    const table = share(8);
    const cells = new Int32Array(table);
    await js.run(() => {
      Atomics.add(cells, 1, 5);
    });
    expect(Atomics.add(cells, 1, 1)).toBe(5);
    expect(await js.run(() => cells[1])).toBe(6);
    expect(await js.run(() => table)).toBe(table);
  });

  test('forks and other processes write to the same memory', async () => {
    const js = open();
    const table = share(8);
    const other = openReused();
    await Promise.all([
      js.run(jobs.count, table, 100),
      other.run(jobs.count, table, 100),
      js.run(() => {
        jobs.countNested(table, 100);
      }),
    ]);
    expect(new Int32Array(table)[0]).toBe(400);
  });
});
