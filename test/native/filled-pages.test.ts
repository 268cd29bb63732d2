import { native } from '../../dist/system/binding.js';
import { closeAndCheckLeaks, onLinux } from './verbs.js';

closeAndCheckLeaks();

const pageBytes = 4096;
// The C library maps memory of more than 32 MiB in any case. Smaller ones may lie in
// its heap, where no page is dropped.
const count = (36 << 20) / pageBytes;

/** Of `count` pages, or one less where it does not begin with a page. */
const filledWith = (number: number): Float64Array =>
  new Float64Array((count * pageBytes) / 8).fill(number);

/** Jest takes seconds to compare so many numbers. */
const areEqual = (a: Float64Array, b: Float64Array): boolean =>
  Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;

onLinux('pages that hold one number are dropped, and no others', () => {
  const mark = Math.random();
  const filled = filledWith(mark);
  const other = filledWith(mark / 2);
  const mixed = filledWith(mark);
  for (let i = 0; i < mixed.length; i += pageBytes / 8) mixed[i] = 1;
  const before = Float64Array.from(mixed);
  const dropped = native.dropFilledPages(mark);
  expect(dropped).toBeGreaterThanOrEqual(count - 1);
  expect(dropped).toBeLessThanOrEqual(count);
  const zeros = filled.filter((number) => number === 0).length;
  expect(zeros).toBe((dropped * pageBytes) / 8);
  expect(areEqual(other, filledWith(mark / 2))).toBe(true);
  expect(areEqual(mixed, before)).toBe(true);
  // They can be written again.
  filled.fill(mark);
  expect(areEqual(filled, filledWith(mark))).toBe(true);
});

onLinux('where no page holds the number, none is dropped', () => {
  expect(native.dropFilledPages(Math.random())).toBe(0);
});
