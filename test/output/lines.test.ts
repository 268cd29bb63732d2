import { Lines } from '../../dist/output/lines.js';

function linesOf(most: number, ...chunks: (string | Buffer)[]): string[] {
  const lines = new Lines(most);
  const all = chunks.flatMap((chunk) => lines.add(Buffer.from(chunk)));
  return [...all, ...lines.end()];
}

test.each([
  [['a\nb\n'], ['a', 'b']],
  [
    ['a', 'b\nc'],
    ['ab', 'c'],
  ],
  [['\n\n'], ['', '']],
  [
    ['a\r\nb\r', '\nc\r'],
    ['a', 'b', 'c'],
  ],
  [[''], []],
])('%j has the lines %j', (chunks, lines) => {
  expect(linesOf(100, ...chunks)).toEqual(lines);
});

test('a character in two chunks is whole', () => {
  const bytes = Buffer.from('€\n');
  expect(linesOf(100, bytes.subarray(0, 2), bytes.subarray(2))).toEqual(['€']);
});

test('a line that is too long comes in parts', () => {
  const parts = linesOf(10, 'x'.repeat(11), 'y'.repeat(5), '\nz');
  expect(parts).toEqual(['x'.repeat(11), 'y'.repeat(5), 'z']);
});
