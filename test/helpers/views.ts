// Buffers and views of every kind, for tests of how they travel.
import { pattern } from '../fixtures/value-jobs.js';

const mega = 1 << 20;

/** Around the sizes from which buffers travel apart, or are mapped. */
export const sizes = [
  (32 << 10) - 1,
  32 << 10,
  mega - 1,
  mega,
  5 * mega,
] as const;

type View = ArrayBuffer | ArrayBufferView;

interface Kind {
  readonly name: string;
  readonly from: (buffer: ArrayBuffer, length: number) => View;
}

const typed = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array],
  ...[Int32Array, Uint32Array, Float32Array, Float64Array],
  ...[BigInt64Array, BigUint64Array],
];

export const kinds: readonly Kind[] = [
  { name: 'ArrayBuffer', from: (buffer, length) => buffer.slice(0, length) },
  {
    name: 'DataView',
    from: (buffer, length) => new DataView(buffer, 0, length),
  },
  { name: 'Buffer', from: (buffer, length) => Buffer.from(buffer, 0, length) },
  ...typed.map((Typed) => ({
    name: Typed.name,
    from: (buffer: ArrayBuffer, length: number) =>
      new Typed(buffer, 0, Math.floor(length / Typed.BYTES_PER_ELEMENT)),
  })),
];

export function makeView({ from }: Kind, size: number, seed: number): View {
  return from(pattern(size + 8, seed).buffer as ArrayBuffer, size);
}

/** `got` is of the same class as `sent`, and has the same bytes. */
export function expectBytes(got: unknown, sent: View): void {
  const name = (value: unknown): unknown =>
    (value as object | undefined)?.constructor.name;
  expect(name(got)).toBe(name(sent));
  const [actual, expected] = [bytesOf(got as View), bytesOf(sent)];
  expect(actual.length).toBe(expected.length);
  // The difference of large buffers would take minutes to print.
  expect(actual.equals(expected)).toBe(true);
}

function bytesOf(view: View): Buffer {
  if (!ArrayBuffer.isView(view)) return Buffer.from(view);
  const { buffer, byteOffset, byteLength } = view;
  return Buffer.from(buffer, byteOffset, byteLength);
}
