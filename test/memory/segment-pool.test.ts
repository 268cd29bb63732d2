import {
  type Segment,
  giveBack,
  headBytes,
  inspect,
  keepTaken,
} from '../../dist/memory/segment.js';
import { SegmentPool } from '../../dist/memory/segment-pool.js';
import { checkLeaks } from '../helpers/leaks.js';

let pool: SegmentPool;
afterEach(() => pool.close());
checkLeaks();
beforeEach(() => {
  pool = new SegmentPool();
});

const idOf = ({ fd }: Segment): string => inspect(fd).id;

/** As `Enclosures` does. */
function lend(order: number): Segment {
  const segment = pool.take(headBytes + 2 ** order);
  segment.lend();
  pool.put(segment);
  return segment;
}

test('a segment is used again once it was given back', () => {
  const first = lend(16);
  const inode = idOf(first);
  const second = lend(16);
  expect(idOf(second)).not.toBe(inode);
  giveBack(first.fd);
  expect(idOf(lend(16))).toBe(inode);
  expect(idOf(lend(16))).not.toBe(inode);
});

test('a segment that its receiver keeps is closed, and never used again', () => {
  const first = lend(16);
  keepTaken(first.fd);
  giveBack(first.fd);
  lend(16);
  expect(first.fd).toBe(-1);
});

test('a segment of up to four times the size is used', () => {
  const orders = [19, 18, 16];
  for (const segment of orders.map(lend)) giveBack(segment.fd);
  const taken = [0, 1, 2].map(() => pool.take(headBytes + 1));
  expect(taken.map(({ order }) => order)).toEqual([16, 18, 16]);
  for (const segment of taken) segment.close();
});

test('pools keep 256 MiB in all', () => {
  const other = new SegmentPool();
  const kept = [lend(26), lend(27)];
  const segments = [27, 26].map((order) => other.take(headBytes + 2 ** order));
  for (const segment of segments) other.put(segment);
  expect(segments.map(({ fd }) => fd >= 0)).toEqual([false, true]);
  for (const segment of kept) giveBack(segment.fd);
  // One that was taken makes room.
  const taken = pool.take(headBytes + 2 ** 26);
  const added = other.take(headBytes + 2 ** 25);
  other.put(added);
  expect(added.fd).not.toBe(-1);
  taken.close();
  other.close();
  expect(lend(27).fd).not.toBe(-1);
});

test('a pool that is closed closes its segments, and those that come back', () => {
  const [free, lent] = [lend(16), lend(17)];
  giveBack(free.fd);
  const out = pool.take(headBytes + 2 ** 20);
  pool.close();
  pool.put(out);
  expect([free.fd, lent.fd, out.fd]).toEqual([-1, -1, -1]);
});
