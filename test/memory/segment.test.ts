import { truncateSync } from 'node:fs';
import { readAllAt } from '../../dist/system/fd.js';
import {
  Segment,
  giveBack,
  headBytes,
  inspect,
  keepTaken,
  orderFor,
} from '../../dist/memory/segment.js';
import { checkLeaks } from '../helpers/leaks.js';

let segment: Segment;
afterEach(() => segment.close());
checkLeaks();
beforeEach(() => {
  segment = Segment.open(16);
});

const sizeOf = ({ fd }: Segment): number => inspect(fd).size;

test.each([
  [0, 16],
  [1, 16],
  [1 << 16, 16],
  [(1 << 16) + 1, 17],
  [1 << 20, 20],
  [2 ** 33 + 1, 34],
])('a segment with room for %d bytes has order %d', (bytes, order) => {
  expect(orderFor(headBytes + bytes)).toBe(order);
});

test('a segment has as many bytes as its order says, besides the head', () => {
  expect(segment.size).toBe(1 << 16);
  expect(sizeOf(segment)).toBe(headBytes + (1 << 16));
});

test('what is written is read at the same position', () => {
  segment.write(Buffer.from('first'), headBytes);
  segment.write(Buffer.from('last'), headBytes + segment.size - 4);
  expect(String(Buffer.from(segment.read(headBytes, 5)))).toBe('first');
  const bytes = Buffer.alloc(4);
  readAllAt(segment.fd, bytes, headBytes + segment.size - 4);
  expect(String(bytes)).toBe('last');
});

test('what is not in the file cannot be read or written', () => {
  const end = headBytes + segment.size;
  expect(() => segment.read(end - 1, 2)).toThrow('A segment is truncated');
  expect(() => segment.write(Buffer.alloc(2), end - 1)).toThrow(/EPERM|EINVAL/);
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('no process can change the size of a segment', () => {
  expect(inspect(segment.fd).isSealed).toBe(true);
  const path = `/proc/self/fd/${segment.fd}`;
  for (const size of [0, 1 << 20]) {
    expect(() => truncateSync(path, size)).toThrow('EPERM');
  }
  expect(sizeOf(segment)).toBe(headBytes + (1 << 16));
});

test('a segment is lent until its receiver gives it back', () => {
  const states = (): boolean[] => [segment.isReturned, segment.isTaken];
  expect(states()).toEqual([true, false]);
  segment.lend();
  expect(states()).toEqual([false, false]);
  giveBack(segment.fd);
  expect(states()).toEqual([true, false]);
});

test('a segment that its receiver has passed on is never given back', () => {
  segment.lend();
  keepTaken(segment.fd);
  giveBack(segment.fd);
  expect([segment.isReturned, segment.isTaken]).toEqual([false, true]);
});
