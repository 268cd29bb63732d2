import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import { throwThis } from '../fixtures/result-jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { expectBytes, kinds, makeView, sizes } from '../helpers/views.js';
import { until } from '../helpers/until.js';

const mega = 1 << 20;
const { digest, pattern } = jobs;

/** Large buffers arrive as small ones do, whichever way they take. */
export function valueContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  const echo = <T>(value: T, js = open()): Promise<T> =>
    js.run(identity<unknown>, value) as Promise<T>;
  const makeGate = useGates();
  const testRemote = testIf(isRemote(context));

  test.each(sizes)(
    'buffers and views of every kind of %d bytes arrive unchanged',
    async (size) => {
      const sent = kinds.map((kind, seed) => makeView(kind, size, seed));
      const got = await echo(sent);
      expect(got).toHaveLength(kinds.length);
      for (const [i, value] of got.entries()) expectBytes(value, sent[i]!);
    },
  );

  test.each(sizes)(
    'buffers of %d bytes arrive in objects, arrays, maps and sets',
    async (size) => {
      const bytes = (seed: number): Uint8Array => pattern(size, seed);
      const sent = {
        list: [bytes(1), 'text', bytes(2)],
        map: new Map<unknown, unknown>([[bytes(3), { value: bytes(4) }]]),
        set: new Set([bytes(5)]),
        alone: bytes(6).buffer,
      };
      const got = await echo(sent);
      const parts = ({ list, map, set, alone }: typeof sent): unknown[] => [
        ...[list[0], list[2]],
        ...[...map].flatMap(([key, of]) => [
          key,
          (of as { value: unknown }).value,
        ]),
        ...[...set, alone],
      ];
      for (const [i, part] of parts(got).entries()) {
        expectBytes(part, parts(sent)[i] as Uint8Array);
      }
    },
  );

  test('a job that throws an error with large buffers gives them to its submitter', async () => {
    const bytes = pattern(mega, 1);
    const error = (await rejection(open().run(jobs.throwWith, bytes))) as Error;
    expect(error).toMatchObject({ name: 'Error', message: 'has a value' });
    expectBytes(error.cause, bytes);
    const { own } = error as unknown as { own: { value: unknown } };
    expectBytes(own.value, bytes);
  });

  test('a large buffer that a job throws arrives', async () => {
    const bytes = pattern(mega, 1);
    expectBytes(await rejection(open().run(throwThis, bytes)), bytes);
  });

  test('the items and results of a map may be large buffers', async () => {
    const items = [mega, 40_000, 10, mega + 1].map(pattern);
    const js = open(2);
    const got = [];
    for await (const each of js.map(identity, items)) got.push(each);
    for (const each of js.mapSync(identity, items)) got.push(each);
    expect(got).toHaveLength(8);
    for (const [i, each] of got.entries()) expectBytes(each, items[i % 4]!);
  });

  test('the arguments of a preexec may be large buffers', async () => {
    for (const size of [40_000, mega]) {
      const bytes = pattern(size, 3);
      const js = open().replacePreexec(jobs.noteArrived, { bytes });
      const got = (await js.run(jobs.takeArrived)) as { bytes: unknown };
      expectBytes(got.bytes, bytes);
    }
  });

  test('blocking calls send and receive large buffers', () => {
    const js = open(2);
    for (const size of sizes) {
      const bytes = pattern(size, 1);
      const future = js.submitSync(identity, [bytes]);
      expectBytes(future.resultSync(), bytes);
    }
  });

  test('a job passes large buffers on to a job of its own, and back', async () => {
    const js = open(2);
    for (const size of sizes) {
      const bytes = pattern(size, 7);
      expectBytes(await js.run(jobs.passOn, bytes), bytes);
    }
  });

  test('views on one buffer stay views on one buffer', async () => {
    const bytes = pattern(2 * mega, 1);
    const buffer = bytes.buffer as ArrayBuffer;
    const first = bytes.subarray(0, mega);
    const second = new Uint16Array(buffer, mega / 2, mega / 2);
    const js = open();
    const got = await echo({ first, second, small: 'text' }, js);
    expect(got.first.buffer).toBe(got.second.buffer);
    expectBytes(got.first, first);
    expectBytes(got.second, second);
    got.first.fill(9);
    expect(got.second[0]).toBe(0x0909);

    const both = await echo([buffer, bytes] as const, js);
    expect(both[1].buffer).toBe(both[0]);
    expectBytes(both[0], buffer);
    const twice = await echo([first, first], js);
    expect(twice[0]).toBe(twice[1]);
    expect(await js.run(jobs.writeAndRead, bytes, bytes.subarray(mega))).toBe(
      77,
    );
  });

  test('of a buffer, only the part is sent that views cover', async () => {
    const bytes = pattern(8 * mega, 1);
    const view = bytes.subarray(mega, 3 * mega);
    const got = await echo(view);
    expect([got.length, got.buffer.byteLength]).toEqual([2 * mega, 2 * mega]);
    expectBytes(got, view);
  });

  testRemote(
    'a job gets copies of arguments, and changes them alone',
    async () => {
      const js = open();
      for (const size of sizes) {
        const bytes = pattern(size, 1);
        const before = digest(bytes);
        const got = await js.run(jobs.fillWith, bytes, 5);
        expect([got[0], got[size - 1]]).toEqual([5, 5]);
        expect(digest(bytes)).toBe(before);
      }
    },
  );

  testRemote(
    'arguments of a job that waits or runs are those at the call',
    async () => {
      const js = open(1);
      const started = makeGate();
      const gate = makeGate();
      const sent = [40_000, mega, mega].map(pattern);
      const before = sent.map(digest);
      const running = await js.submit(jobs.describeAtGate, [
        ...([started.file, gate.file] as const),
        sent[0]!,
      ]);
      await until('it to run', () => existsSync(started.file));
      const waiting = js.submit(identity<Uint8Array>, [sent[1]!]);
      const ran = js.run(jobs.fillWith, sent[2]!, 4);
      for (const each of sent) each.fill(0);
      gate.open();
      expect(await running.result()).toBe(before[0]);
      expect(digest(await (await waiting).result())).toBe(before[1]);
      expect((await ran)[0]).toBe(4);
      expect(sent[2]![0]).toBe(0);
    },
  );

  testRemote(
    'a job that has begun does not see what its submitter changes',
    async () => {
      const js = open(2);
      const bytes = pattern(3 * mega, 1);
      const before = digest(bytes);
      const started = makeGate();
      const gate = makeGate();
      const { file } = gate;
      const future = await js.submit(jobs.describeAtGate, [
        ...([started.file, file] as const),
        bytes,
      ]);
      await until('it to run', () => existsSync(started.file));
      bytes.fill(0);
      for (let i = 0; i < 4; i++) await js.run(identity, pattern(3 * mega, i));
      gate.open();
      expect(await future.result()).toBe(before);
    },
  );

  test('results keep their content while many others arrive', async () => {
    const js = open();
    const many = [mega, 40_000, 2 * mega, 100];
    const got: Uint8Array[][] = [];
    for (let i = 0; i < 13; i++) got.push(await js.run(jobs.patterns, many, i));
    for (const [i, each] of got.entries()) {
      for (const [k, bytes] of each.entries()) {
        expectBytes(bytes, pattern(many[k]!, i + k));
      }
    }
    // What changes here changes nothing else.
    got[0]![0]!.fill(1);
    expectBytes(got[0]![2], pattern(2 * mega, 2));
    expectBytes(got[1]![0], pattern(mega, 1));
  });

  test('a job that dies with large arguments leaves nothing', async () => {
    const js = open();
    for (const size of [40_000, mega]) {
      const lost = js.run(jobs.dieWith, pattern(size, 1));
      await expect(lost).rejects.toMatchObject({ signal: 'SIGKILL' });
    }
    expectBytes(await js.run(pattern, mega, 2), pattern(mega, 2));
  });

  test('a resizable buffer arrives as one', async () => {
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Resizable(mega, { maxByteLength: 2 * mega });
    const bytes = new Uint8Array(buffer);
    bytes.set(pattern(mega, 1));
    const js = open();
    const got = await echo(buffer, js);
    expect(got).toMatchObject({ resizable: true, maxByteLength: 2 * mega });
    expectBytes(new Uint8Array(got), new Uint8Array(bytes.slice()));
    expectBytes(await echo(bytes, js), pattern(mega, 1));
  });

  testRemote(
    'a SharedArrayBuffer is refused, however large it is',
    async () => {
      const js = open();
      const shared = new SharedArrayBuffer(mega);
      for (const value of [shared, { view: new Uint8Array(shared) }]) {
        await expect(js.run(identity<unknown>, value)).rejects.toMatchObject({
          code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
        });
      }
    },
  );
}
