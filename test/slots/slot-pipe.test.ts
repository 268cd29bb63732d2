import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { native } from '../../dist/system/binding.js';
import { duplicate, openPipe } from '../../dist/system/fd.js';
import { SlotPipe, maxSlots } from '../../dist/slots/slot-pipe.js';
import { checkLeaks } from '../helpers/leaks.js';
import { thrown } from '../helpers/thrown.js';

jest.setTimeout(10_000);

describe('a slot pipe', () => {
  let slots: SlotPipe | undefined;
  afterEach(() => slots?.close());
  checkLeaks();

  /** A pipe with tokens of someone else, as under make. */
  function openOver(bytes: string): SlotPipe {
    const { reader, writer } = openPipe('test pipe');
    native.setNonBlocking(reader.number, true);
    native.write(writer.number, Buffer.from(bytes), 0, bytes.length);
    return new SlotPipe(reader, writer, undefined);
  }

  test('has as many tokens as slots', () => {
    slots = SlotPipe.open(2);
    const tokens = [slots.tryTake(), slots.tryTake()];
    expect([slots.count, slots.tryTake()]).toEqual([2, undefined]);
    for (const token of tokens) token!.give();
    const again = [slots.tryTake(), slots.tryTake()];
    expect(again).toEqual([expect.anything(), expect.anything()]);
    expect(slots.tryTake()).toBe(undefined);
    for (const token of again) token!.give();
  });

  test('holds the tokens of the largest number of slots', () => {
    slots = SlotPipe.open(maxSlots);
    const bytes = Buffer.alloc(maxSlots + 1);
    const count = native.read(slots.reader, bytes, 0, bytes.length);
    expect([maxSlots, count]).toEqual([4096, 4096]);
  });

  test('gets back the same byte that a token was read as', () => {
    slots = openOver('a+\0');
    const tokens = [slots.tryTake()!, slots.tryTake()!, slots.tryTake()!];
    expect(tokens.map(({ byte }) => byte)).toEqual([97, 43, 0]);
    for (const token of tokens.reverse()) token.give();
    const bytes = Buffer.alloc(4);
    expect(native.read(slots.reader, bytes, 0, 4)).toBe(3);
    expect(bytes.toString()).toBe('\0+a\0');
    expect(slots.count).toBe(undefined);
  });

  test('gets back each token once', () => {
    slots = SlotPipe.open(1);
    const token = slots.tryTake()!;
    token.give();
    expect(thrown(() => token.give())).toMatchObject({
      message: expect.stringContaining('Assertion'),
    });
    const again = slots.tryTake()!;
    expect(slots.tryTake()).toBe(undefined);
    again.give();
  });

  test('is closed once the last taken token is given back', () => {
    const pipe = SlotPipe.open(2);
    const tokens = [pipe.tryTake()!, pipe.tryTake()!];
    pipe.close();
    expect(pipe.reader).toBeGreaterThanOrEqual(0);
    tokens[0]!.give();
    expect(pipe.writer).toBeGreaterThanOrEqual(0);
    tokens[1]!.give();
    expect([pipe.reader, pipe.writer]).toEqual([-1, -1]);
    pipe.close();
  });

  describe('that is resized', () => {
    const inPipe = (): number => {
      const bytes = Buffer.alloc(maxSlots + 1);
      const count = native.read(slots!.reader, bytes, 0, bytes.length);
      if (count > 0) native.write(slots!.writer, bytes, 0, count);
      return Math.max(0, count);
    };

    test('has more tokens at once, or fewer as they come back', () => {
      slots = SlotPipe.open(3);
      const tokens = [slots.tryTake()!, slots.tryTake()!];
      slots.resize(1);
      expect([slots.count, slots.surplus, inPipe()]).toEqual([1, 1, 0]);
      tokens[0]!.give();
      expect([slots.surplus, inPipe()]).toEqual([0, 0]);
      tokens[1]!.give();
      expect([slots.surplus, inPipe()]).toEqual([0, 1]);
      slots.resize(5);
      expect([slots.count, slots.surplus, inPipe()]).toEqual([5, 0, 5]);
    });

    test('gives no token while bytes are surplus', () => {
      slots = SlotPipe.open(2);
      const token = slots.tryTake()!;
      native.setNonBlocking(slots.reader, true);
      // Another process has the other token.
      native.read(slots.reader, Buffer.alloc(1), 0, 1);
      slots.resize(1);
      native.write(slots.writer, Buffer.from('+'), 0, 1);
      expect([slots.tryTake(), slots.surplus]).toEqual([undefined, 0]);
      token.give();
      expect(inPipe()).toBe(1);
    });

    test('gets no surplus byte back when the thread that took it ends', async () => {
      const module = JSON.stringify(resolve('dist', 'slots', 'slot-pipe'));
      const program = `
        const { SlotPipe } = require(${module});
        const { parentPort } = require('node:worker_threads');
        const slots = SlotPipe.open(5);
        const token = slots.tryTake();
        slots.resize(2);
        parentPort.once('message', () => process.exit());
        parentPort.postMessage([slots.reader, slots.writer]);`;
      const thread = new Worker(program, { eval: true });
      const [message] = await once(thread, 'message');
      const [reader, writer] = (message as number[]).map((fd) => duplicate(fd));
      thread.postMessage('end');
      await once(thread, 'exit');
      slots = new SlotPipe(reader!, writer!, undefined);
      // The token that the thread held, and the byte that it left.
      expect(inPipe()).toBe(2);
    });

    test('is one that this process has made', () => {
      const code = 'ERR_JOBSERVER_JOINED';
      slots = openOver('++');
      expect(thrown(() => slots!.resize(1))).toMatchObject({ code });
      expect(inPipe()).toBe(2);
    });

    test('is closed once the tokens are back, with or without a surplus', () => {
      const pipe = SlotPipe.open(2);
      const tokens = [pipe.tryTake()!, pipe.tryTake()!];
      pipe.resize(1);
      pipe.close();
      for (const token of tokens) token.give();
      expect([pipe.reader, pipe.writer]).toEqual([-1, -1]);
    });
  });

  test('is not inherited by a program that is executed', () => {
    slots = SlotPipe.open(1);
    const isInherited = (fd: number): boolean => {
      const { status } = spawnSync('/bin/sh', ['-c', `test -e /dev/fd/${fd}`]);
      return status === 0;
    };
    for (const fd of [slots.reader, slots.writer]) {
      expect(isInherited(fd)).toBe(false);
      // Checks that `isInherited` can return true.
      native.setCloseOnExec(fd, false);
      expect(isInherited(fd)).toBe(true);
    }
  });

  test('without a writer is an error, not an empty pipe', () => {
    const { reader, writer } = openPipe('test pipe');
    native.setNonBlocking(reader.number, true);
    const other = openPipe('other pipe');
    writer.close();
    slots = new SlotPipe(reader, other.writer, undefined);
    expect(thrown(() => slots!.tryTake())).toMatchObject({
      code: 'EPIPE',
      syscall: 'read slot pipe',
    });
    other.reader.close();
  });
});
