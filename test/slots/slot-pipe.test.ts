import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { native } from '../../dist/system/binding.js';
import { openPipe } from '../../dist/system/fd.js';
import { cpuQuota } from '../../dist/slots/cpu-quota.js';
import { checkSlots, defaultSlots } from '../../dist/slots/default-count.js';
import { SlotPipe, maxSlots } from '../../dist/slots/slot-pipe.js';
import { checkLeaks } from '../helpers/leaks.js';
import { thrown } from '../helpers/thrown.js';

jest.setTimeout(10_000);

describe('SlotPipe', () => {
  let slots: SlotPipe | undefined;
  afterEach(() => slots?.close());
  checkLeaks();

  /** A pipe that somebody else has filled. */
  function openOver(bytes: string): SlotPipe {
    const { reader, writer } = openPipe('test pipe');
    native.setNonBlocking(reader.number, true);
    native.write(writer.number, Buffer.from(bytes), 0, bytes.length);
    return new SlotPipe(reader, writer, undefined);
  }

  test('has as many tokens as slots, and then none', () => {
    slots = SlotPipe.open(2);
    const tokens = [slots.tryTake(), slots.tryTake()];
    expect([slots.count, slots.tryTake()]).toEqual([2, undefined]);
    for (const token of tokens) token!.give();
    const again = [slots.tryTake(), slots.tryTake()];
    expect(again).toEqual([expect.anything(), expect.anything()]);
    expect(slots.tryTake()).toBe(undefined);
    for (const token of again) token!.give();
  });

  test('takes the most slots at once (CON-07)', () => {
    slots = SlotPipe.open(maxSlots);
    const bytes = Buffer.alloc(maxSlots + 1);
    const count = native.read(slots.reader, bytes, 0, bytes.length);
    expect([maxSlots, count]).toEqual([4096, 4096]);
  });

  test('a token goes back as the byte that it was (CON-09)', () => {
    slots = openOver('a+\0');
    const tokens = [slots.tryTake()!, slots.tryTake()!, slots.tryTake()!];
    expect(tokens.map(({ byte }) => byte)).toEqual([97, 43, 0]);
    for (const token of tokens.reverse()) token.give();
    const bytes = Buffer.alloc(4);
    expect(native.read(slots.reader, bytes, 0, 4)).toBe(3);
    expect(bytes.toString()).toBe('\0+a\0');
    expect(slots.count).toBe(undefined);
  });

  test('a token is given back once', () => {
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

  test('closes when the last token that was taken here is back (XC-06)', () => {
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

  test('its ends are closed at exec', () => {
    slots = SlotPipe.open(1);
    const isInherited = (fd: number): boolean => {
      const { status } = spawnSync('/bin/sh', ['-c', `test -e /dev/fd/${fd}`]);
      return status === 0;
    };
    for (const fd of [slots.reader, slots.writer]) {
      expect(isInherited(fd)).toBe(false);
      // So that the question itself is one that can be answered.
      native.setCloseOnExec(fd, false);
      expect(isInherited(fd)).toBe(true);
    }
  });

  test('a pipe without a writer is an error, not an empty pipe', () => {
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

describe('the number of slots', () => {
  const { JOBSERVER_SLOTS: given } = process.env;
  afterEach(() => {
    delete process.env['JOBSERVER_SLOTS'];
    if (given !== undefined) process.env['JOBSERVER_SLOTS'] = given;
  });

  test('is an integer from 1 to 4096 (CON-03, CON-04, CON-05, CON-06)', () => {
    expect([1, 2.0, 4096].map(checkSlots)).toEqual([1, 2, 4096]);
    for (const slots of [0, -1, 4097, 1.5, NaN, Infinity]) {
      expect(thrown(() => checkSlots(slots))).toMatchObject({
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `Expected \`slots\` to be an integer from 1 to 4096, got \`${slots}\` (number)`,
      });
    }
    for (const slots of ['2', 2n, true, null, undefined, {}, [2]]) {
      expect(thrown(() => checkSlots(slots))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('is JOBSERVER_SLOTS by default, or what the machine allows (CON-01)', () => {
    const slotsFor = (text: string): number => {
      process.env['JOBSERVER_SLOTS'] = text;
      return defaultSlots();
    };
    expect(['1', '007', '4096'].map(slotsFor)).toEqual([1, 7, 4096]);
    const cpus = Math.min(availableParallelism(), Math.floor(cpuQuota()));
    expect(slotsFor('')).toBe(Math.max(1, cpus));
    delete process.env['JOBSERVER_SLOTS'];
    expect(defaultSlots()).toBe(Math.max(1, cpus));
    for (const text of ['0', '4097', '+1', '-1', '1.5', '1 ', 'x', '١']) {
      expect(thrown(() => slotsFor(text))).toMatchObject({
        name: 'RangeError',
        message: expect.stringContaining('JOBSERVER_SLOTS'),
      });
    }
  });
});
