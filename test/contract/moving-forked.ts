import { constants } from 'node:os';
import type { Context } from '../../dist/context.js';
import { type Jobserver, move } from '../../dist/index.js';
import { isToMove } from '../../dist/memory/move.js';
import { native } from '../../dist/system/binding.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { expectBytes } from '../helpers/views.js';

const { allocated, pattern } = jobs;
const mega = 1 << 20;
const both = (): Uint8Array[] => [pattern(40_000, 1), allocated(mega, 1)];

/** `move` where the job has a copy of the memory of its submitter. */
export function forkedMovingContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  const testForked = testIf(!isRemote(context));
  const makeGate = useGates();

  testForked(
    'a buffer that is moved to a job that waits is detached when the process is forked',
    async () => {
      const js = open();
      for (const bytes of both()) {
        const { length } = bytes;
        const gate = makeGate();
        await js.submit(waitAt, [gate.file]);
        const result = js.run(jobs.digest, move(bytes));
        expect(bytes.length).toBe(length);
        gate.open();
        expect(await result).toBe(jobs.digest(pattern(length, 1)));
        expect(bytes.length).toBe(0);
      }
    },
  );

  testForked(
    'a buffer that belongs to a call that waits is copied by another call',
    async () => {
      const js = open();
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      const bytes = pattern(40_000, 1);
      const result = js.run(jobs.digest, move(bytes));
      const spawned = openJobserver({ context: 'spawn', slots: 1 });
      expectBytes(await spawned.run(identity, bytes), pattern(40_000, 1));
      expect(bytes.length).toBe(40_000);
      gate.open();
      expect(await result).toBe(jobs.digest(pattern(40_000, 1)));
      expect(bytes.length).toBe(0);
    },
  );

  testForked(
    'a fork that fails detaches nothing, and the next call copies',
    async () => {
      const js = open();
      for (const bytes of both()) {
        const { length } = bytes;
        const fork = jest.spyOn(native, 'fork');
        fork.mockReturnValue(-constants.errno.EPERM);
        try {
          const args: [Uint8Array] = [move(bytes)];
          expect(thrown(() => js.submitSync(identity, args))).toMatchObject({
            code: 'EPERM',
          });
          const refusal = await rejection(js.run(identity, move(bytes)));
          expect(refusal).toMatchObject({ code: 'EPERM' });
        } finally {
          fork.mockRestore();
        }
        expect(bytes.length).toBe(length);
        expect(isToMove(bytes.buffer as ArrayBuffer)).toBe(false);
        expectBytes(await js.run(identity, bytes), pattern(length, 1));
        expect(bytes.length).toBe(length);
        await js.run(identity, move(bytes));
        expect(bytes.length).toBe(0);
      }
    },
  );

  testForked('the search for what is moved calls no getter', async () => {
    const bytes = pattern(40_000, 1);
    const argument = {
      log: () => 1,
      get unreadable(): never {
        throw new Error('It was read');
      },
      bytes: move(bytes),
    };
    expect(await open().run((it: typeof argument) => it.log(), argument)).toBe(
      1,
    );
    expect(bytes.length).toBe(0);
  });
}
