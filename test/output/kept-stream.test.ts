import { type Part, KeptStream } from '../../dist/output/kept-stream.js';

/** Writes pieces of these lengths: the bytes 0, 1, 2, … of one stream. */
function written(
  most: number,
  lengths: readonly number[],
): [KeptStream, Buffer] {
  const stream = new KeptStream(most);
  const whole = Buffer.from(
    Array.from(
      { length: lengths.reduce((a, b) => a + b, 0) },
      (_, i) => i % 251,
    ),
  );
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    // Every third piece follows one of the other stream.
    stream.add(whole.subarray(at, at + length), Math.floor(i / 3));
    at += length;
  }
  return [stream, whole];
}

const shapes: [string, number[]][] = [
  ['one piece', [1000]],
  ['single bytes', new Array<number>(1000).fill(1)],
  ['pieces of all sizes', [1, 64, 65, 3, 500, 7, 128, 129, 2, 100, 1]],
  ['empty pieces', [0, 10, 0, 990]],
];

describe.each(shapes)('%s', (_, lengths) => {
  test('all bytes are kept up to the limit', () => {
    const [stream, whole] = written(1000, lengths);
    expect(stream.bytes()).toEqual(whole);
  });

  test.each([0, 1, 2, 3, 63, 64, 500, 998, 999])(
    'of more than %d bytes, the first and the last ones are',
    (most) => {
      const [stream, whole] = written(most, lengths);
      const head = whole.subarray(0, Math.ceil(most / 2));
      const tail = whole.subarray(whole.length - Math.floor(most / 2));
      const note = `\n[${whole.length - most} bytes are missing here]\n`;
      expect(stream.bytes()).toEqual(
        Buffer.concat([head, Buffer.from(note), tail]),
      );
    },
  );
});

test('parts have the order in which they were added', () => {
  const [stream] = written(100, [10, 10, 10, 10, 10, 1000]);
  const orders = stream.parts().map(({ order }: Part) => order);
  expect(orders).toEqual([...orders].sort((a, b) => a - b));
  expect(new Set(orders)).toEqual(new Set([0, 1]));
});

test('what is added is copied', () => {
  const stream = new KeptStream(100);
  const bytes = Buffer.from('abc');
  stream.add(bytes, 0);
  bytes.fill('x');
  expect(stream.bytes().toString()).toBe('abc');
});
