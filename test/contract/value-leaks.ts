import { setImmediate as turnOfLoop } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import {
  type Jobserver,
  allocate,
  move,
  sharedMemory,
} from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { collectGarbage } from '../helpers/collect.js';
import { isRemote, testIf } from '../helpers/context.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { mappedMemoryFiles, openMemoryFiles } from '../helpers/memory-files.js';
import { until } from '../helpers/until.js';
import { expectBytes } from '../helpers/views.js';
import { withSeed } from '../stress/random.js';

const mega = 1 << 20;
const { pattern } = jobs;
const most = { count: 1024, bytes: 256 * mega, files: 300 };

const memoryFiles = (): { open: number; mapped: number } => ({
  open: openMemoryFiles(),
  mapped: mappedMemoryFiles(),
});

/** Large values leave nothing behind, however many there are. */
export function valueLeakContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  let before: ReturnType<typeof memoryFiles>;

  beforeEach(async () => {
    // Of earlier tests.
    for (let i = 0; i < 3; i++) {
      collectGarbage();
      await turnOfLoop();
    }
    before = memoryFiles();
  });
  afterEach(() => {
    sharedMemory.limit = most.bytes;
  });

  /** The variables of `work` are gone at its end, and so are its values. */
  async function leavesNothing(
    slots: number,
    work: (js: Jobserver) => Promise<void>,
  ): Promise<void> {
    const js = open(slots);
    await work(js);
    await js.close();
    await until('nothing to be mapped', async () => {
      collectGarbage();
      await turnOfLoop();
      const now = memoryFiles();
      return now.open <= before.open && now.mapped <= before.mapped;
    });
  }

  // Other processes take long to start.
  const many = context === 'forkserver' ? 150 : 60;
  test(`${many} results of 2 MiB take no more memory than is allowed`, () =>
    leavesNothing(1, async (js) => {
      for (let i = 0; i < many; i++) {
        const got = await js.run(jobs.filled, 2 * mega, i);
        expect([got[0], got[2 * mega - 1]]).toEqual([i % 256, i % 256]);
        const { count, bytes } = sharedMemory.received;
        expect(count).toBeLessThanOrEqual(most.count);
        expect(bytes).toBeLessThanOrEqual(most.bytes);
        expect(openMemoryFiles()).toBeLessThan(most.files);
      }
    }));

  test('results that are kept are copied once too many are mapped', () =>
    leavesNothing(1, async (js) => {
      const each = 10;
      const got: Uint8Array[][] = [];
      // Each of them is a segment of 16 MiB.
      for (let i = 0; i < 20; i++) {
        got.push(await js.run(jobs.filledList, each, mega, i));
        expect(sharedMemory.received.bytes).toBeLessThanOrEqual(most.bytes);
      }
      expect(openMemoryFiles()).toBeLessThan(most.files);
      for (const [i, list] of got.entries()) {
        for (const bytes of list)
          expect([bytes[0], bytes[mega - 1]]).toEqual([i, i]);
      }
    }));

  // Those that are allocated are ordinary buffers, or collected.
  test('a loop that moves what it allocates stays within the limit', () =>
    leavesNothing(1, async (js) => {
      for (let i = 0; i < 40; i++) {
        const lost = Array.from({ length: 5 }, () => allocate(8 * mega));
        const bytes = new Uint8Array(allocate(8 * mega)).fill(i);
        expect(await js.run(jobs.lookUp, move(bytes).buffer, 7)).toBe(i);
        expect([bytes.length, lost.length]).toEqual([0, 5]);
        const { allocated, received } = sharedMemory;
        const all = allocated.bytes + received.bytes;
        expect(all).toBeLessThanOrEqual(most.bytes);
      }
    }));

  test('a job has the limit of its submitter, and so has a job of its own', async () => {
    const js = open();
    for (const limit of [12_345, 0, Infinity]) {
      sharedMemory.limit = limit;
      expect(await js.run(jobs.memoryLimits)).toEqual([limit, limit]);
    }
  });

  test('a limit of 0 has everything copied, here and in the job', async () => {
    sharedMemory.limit = 0;
    const js = open();
    for (let i = 0; i < 3; i++) {
      const bytes = new Uint8Array(allocate(2 * mega)).fill(i);
      const got = await js.run(jobs.echoAndMemory, move(bytes));
      expectBytes(got.bytes, new Uint8Array(2 * mega).fill(i));
      expect(got.inUse).toBe(0);
      const { received, allocated, pooled } = sharedMemory;
      expect(received.count + allocated.count + pooled.count).toBe(0);
    }
  });

  test('a process that is killed with large values leaves nothing', () =>
    withSeed((random) =>
      leavesNothing(2, async (js) => {
        const calls = Array.from({ length: 12 }, async (_, i) => {
          const bytes = pattern(3 * mega, i);
          const future = await js.submit(jobs.echoMoved, [bytes]);
          setTimeout(() => future.kill('SIGKILL'), random() * 150);
          return future.result();
        });
        for (const [i, call] of (await Promise.allSettled(calls)).entries()) {
          if (call.status === 'fulfilled') {
            expectBytes(call.value, pattern(3 * mega, i));
          } else {
            expect(call.reason).toMatchObject({ signal: 'SIGKILL' });
          }
        }
        expect([js.running, freeSlots(js)]).toEqual([0, 2]);
      }),
    ));

  testIf(isRemote(context))(
    'calls that time out, abort or are refused leave nothing',
    () =>
      leavesNothing(1, async (js) => {
        const holder = await js.submit(jobs.moveAllocated, [mega, 1]);
        const abort = new AbortController();
        const { signal } = abort;
        const ended = [
          js.submit(identity, [jobs.moveAllocated(mega, 1)], { timeout: 0 }),
          js.submit(identity, [pattern(mega, 1)], { signal }),
          js.submit(identity<unknown>, [
            [jobs.moveAllocated(mega, 1), () => 1],
          ]),
        ];
        abort.abort();
        const all = await Promise.allSettled(ended);
        expect(all.map(({ status }) => status)).toEqual([
          expect.stringMatching(/rejected|fulfilled/),
          expect.stringMatching(/rejected|fulfilled/),
          'rejected',
        ]);
        await holder.result();
      }),
  );
}
