import { native } from '../../dist/system/binding.js';
import { closeAndCheckLeaks, onLinux } from './verbs.js';

closeAndCheckLeaks();

const pageBytes = 4096;
const count = 256;

/** Of `count` pages, or one less where it does not begin with a page. */
const filledWith = (number: number): Float64Array =>
  new Float64Array((count * pageBytes) / 8).fill(number);

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
  const zeros = filled.filter((number) => number === 0);
  expect(zeros).toHaveLength((dropped * pageBytes) / 8);
  expect(other).toEqual(filledWith(mark / 2));
  expect(mixed).toEqual(before);
  // They can be written again.
  filled.fill(mark);
  expect(filled).toEqual(filledWith(mark));
});

onLinux('where no page holds the number, none is dropped', () => {
  expect(native.dropFilledPages(Math.random())).toBe(0);
});
