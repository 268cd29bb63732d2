import { native } from '../../dist/system/binding.js';
import { closeAndCheckLeaks, onLinux } from './verbs.js';

closeAndCheckLeaks();

const pageBytes = 4096;
const count = 1600;
const wasmPageBytes = 65536;

// The types of Node lack WebAssembly.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
  };
};

/**
 * V8 maps the memory of WebAssembly. What `new Float64Array` takes may lie in the heap
 * of the C library, where no page is dropped.
 */
const filledWith = (number: number): Float64Array => {
  const initial = (count * pageBytes) / wasmPageBytes;
  const memory = new WebAssembly.Memory({ initial });
  return new Float64Array(memory.buffer).fill(number);
};

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
  expect(dropped).toBe(count);
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
