import type { Context } from '../../dist/context.js';
import { type Jobserver, allocate, move, share } from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { expectBytes } from '../helpers/views.js';

const mega = 1 << 20;
const { pattern } = jobs;
const lengths = [0, 100, 40_000, mega - 1, mega, 3 * mega];

// The types of Node lack WebAssembly.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
  };
};
const wasmMemory = (): ArrayBuffer =>
  new WebAssembly.Memory({ initial: 1 }).buffer;

/** move and allocate: buffers that are handed over. */
export function movingContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  const testRemote = testIf(isRemote(context));
  const refused = { name: 'DataCloneError' };
  // Elsewhere, allocate returns ordinary buffers, which are copied.
  const isMapped = process.platform === 'linux';

  test.each(lengths)('allocate(%d) gives an ArrayBuffer of zeros', (length) => {
    const buffer = allocate(length);
    expect(buffer.constructor.name).toBe('ArrayBuffer');
    expect(buffer.byteLength).toBe(length);
    expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
    expect(new Uint8Array(buffer).fill(7).every((byte) => byte === 7)).toBe(
      true,
    );
  });

  test('allocate throws a RangeError for what is no length', () => {
    for (const length of [-1, 0.5, NaN, Infinity, '8', undefined] as never[]) {
      expect(thrown(() => allocate(length))).toMatchObject({
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
      });
    }
  });

  test('a buffer that is moved to a job is detached, and arrives', async () => {
    const js = open();
    for (const length of lengths) {
      for (const bytes of [
        pattern(length, 1),
        jobs.allocated(length, 1),
        await js.run(pattern, length, 1),
      ]) {
        const { buffer } = bytes;
        const result = js.run(identity, move(bytes));
        expect([bytes.length, buffer.byteLength]).toEqual([0, 0]);
        expectBytes(await result, pattern(length, 1));
      }
    }
  });

  test('blocking calls detach what is moved, too', () => {
    const js = open();
    for (const length of [100, mega]) {
      const bytes = jobs.allocated(length, 1);
      const future = js.submitSync(identity, [move(bytes)]);
      expect(bytes.length).toBe(0);
      expectBytes(future.resultSync(), pattern(length, 1));
    }
  });

  test('a job hands buffers over to its submitter', async () => {
    const js = open();
    for (const length of lengths) {
      const got = await js.run(jobs.moveAllocated, length, 2);
      expectBytes(got, pattern(length, 2));
      const ordinary = await js.run(jobs.movePattern, length, 2);
      expectBytes(ordinary, pattern(length, 2));
    }
  });

  test('a buffer is handed forth and back many times', async () => {
    const js = open();
    for (const length of [100, mega]) {
      let bytes = jobs.allocated(length, 3);
      const expected = pattern(length, 3);
      for (let i = 0; i < 12; i++) {
        const sent = bytes;
        bytes = await js.run(jobs.moveBack, move(bytes));
        expect(sent.length).toBe(0);
        expected[0]! += 1;
      }
      expectBytes(bytes, expected);
    }
  });

  test('the whole buffer of a view is moved, with all views', async () => {
    const all = jobs.allocated(2 * mega, 1);
    const view = all.subarray(10, 20);
    const [lengths] = await open().run(jobs.lengths, [move(view)]);
    expect(lengths).toEqual([10, 2 * mega]);
    expect([all.length, view.length]).toEqual([0, 0]);
  });

  testRemote(
    'a buffer that is moved to a job that waits is detached at once',
    async () => {
      const js = open(1);
      const [first, second] = [1, 2].map((seed) => jobs.allocated(mega, seed));
      const ordinary = pattern(40_000, 3);
      const calls = [first!, second!, ordinary].map((bytes) =>
        js.run(identity, move(bytes)),
      );
      expect([first!.length, second!.length, ordinary.length]).toEqual([
        0, 0, 0,
      ]);
      const got = await Promise.all(calls);
      for (const [i, length] of [mega, mega, 40_000].entries()) {
        expectBytes(got[i], pattern(length, i + 1));
      }
    },
  );

  test('buffers that cannot be moved are refused when they are sent', async () => {
    const js = open();
    const buffer = wasmMemory();
    const refusal = await rejection(js.run(identity, move(buffer)));
    expect(refusal).toMatchObject(refused);
    expect(buffer.byteLength).toBe(65_536);
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('a call that is refused detaches no buffer of allocate', async () => {
    const js = open();
    const bytes = jobs.allocated(mega, 1);
    const buffer = wasmMemory();
    const others = isRemote(context) ? [() => 1, buffer] : [buffer];
    for (const other of others) {
      if (other === buffer) move(buffer);
      await rejection(js.run(identity<unknown>, [move(bytes), other]));
      expect(bytes.length).toBe(mega);
    }
    expectBytes(await js.run(identity, bytes), pattern(mega, 1));
  });

  test('of a call that is refused, all buffers are attached and marked', async () => {
    const js = open();
    const bytes = [1, 2].map((seed) => pattern(40_000, seed)).map(move);
    const buffer = move(wasmMemory());
    const refusal = await rejection(
      js.run(identity<unknown>, [bytes[0], buffer, bytes[1]]),
    );
    expect(refusal).toMatchObject(refused);
    expect(bytes.map(({ length }) => length)).toEqual([40_000, 40_000]);
    const got = await js.run(identity<unknown>, [bytes, buffer]);
    expect(bytes.map(({ length }) => length)).toEqual([0, 0]);
    expect(buffer.byteLength).toBe(65_536);
    expectBytes((got as Uint8Array[][])[0]![1], pattern(40_000, 2));
  });

  test('a buffer is moved from wherever it is in an argument', async () => {
    const js = open();
    const make = (): Uint8Array => move(pattern(40_000, 1));
    const list = Array.from({ length: 6 }, make);
    class Own {
      readonly bytes = list[0];
    }
    const cause = list[1]!;
    await js.run(identity<unknown>, [
      { deep: [new Own(), new Error('why', { cause })] },
      new Map([[{ key: list[2] }, new Set([list[3]])]]),
      Object.assign([1], { named: list[4] }),
      list[5]!.buffer,
    ]);
    expect(list.map(({ length }) => length)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('a buffer that has been moved is copied by the next job', async () => {
    const js = open();
    const bytes = pattern(40_000, 1);
    const got = (await js.run(identity<unknown>, move(bytes))) as Uint8Array;
    expect(await js.run(jobs.digest, got)).toBe(jobs.digest(got));
    expect(got.length).toBe(40_000);
  });

  test('move refuses a detached buffer, and what is no buffer', () => {
    const buffer = new ArrayBuffer(8);
    structuredClone(buffer, { transfer: [buffer] });
    expect(thrown(() => move(buffer))).toMatchObject(refused);
    const others = [new SharedArrayBuffer(8), {}, null, undefined, 'text', 8];
    for (const value of others as never[]) {
      expect(thrown(() => move(value))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('move refuses a resizable buffer, which stays as it is', () => {
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Resizable(mega, { maxByteLength: 2 * mega });
    for (const value of [buffer, new Uint8Array(buffer)]) {
      expect(thrown(() => move(value))).toMatchObject(refused);
    }
    expect(buffer.byteLength).toBe(mega);
  });

  test('a buffer that is moved twice in a value is moved once', async () => {
    const bytes = jobs.allocated(mega, 1);
    const buffer = bytes.buffer as ArrayBuffer;
    const sent = [move(bytes), move(buffer), move(bytes)] as const;
    const got = (await open().run(identity<unknown>, sent)) as typeof sent;
    expect(bytes.length).toBe(0);
    expectBytes(got[0], pattern(mega, 1));
    expect([got[0].buffer === got[1], got[2] === got[0]]).toEqual([true, true]);
  });

  testRemote('up to 30 buffers are moved by one call', async () => {
    const sent = Array.from({ length: 30 }, (_, i) => jobs.allocated(mega, i));
    const got = await open().run(identity<Uint8Array[]>, sent.map(move));
    for (const [i, bytes] of got.entries())
      expectBytes(bytes, pattern(mega, i));
  });

  testRemote(
    'more than 30 buffers of allocate or share are refused',
    async () => {
      const js = open();
      const shared = Array.from({ length: 30 }, () => new Uint8Array(share(8)));
      const bytes = new Uint8Array(isMapped ? allocate(mega) : share(8));
      const sent = [...shared, isMapped ? move(bytes) : bytes];
      const refusal = await rejection(js.run(identity, sent));
      expect(refusal).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
      expect(bytes.length).toBe(isMapped ? mega : 8);
      expect(await js.run(identity, shared)).toHaveLength(30);
    },
  );

  test('the items of a map may be moved, each in a chunk', async () => {
    const items = [1, 2, 3, 4, 5].map((seed) => jobs.allocated(mega, seed));
    const got = [];
    const chunks = { chunkSize: 2 };
    for await (const each of open(2).map(identity, items.map(move), chunks)) {
      got.push(each);
    }
    expect(items.map(({ length }) => length)).toEqual([0, 0, 0, 0, 0]);
    for (const [i, each] of got.entries()) {
      expectBytes(each, pattern(mega, i + 1));
    }
  });
}
