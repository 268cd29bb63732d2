import { join } from 'node:path';
import { bytesOf, decode, encode } from '../../dist/wire/value.js';
import { runNode } from '../helpers/program.js';
import { thrown } from '../helpers/thrown.js';

const lib = join(__dirname, '..', '..', 'dist', 'wire', 'value.js');

function refusal(bytes: Uint8Array): Error & { code: string } {
  return thrown(() => decode(bytes)) as Error & { code: string };
}

const special = bytesOf(
  encode(
    {
      e: new Error('m'),
      d: new DOMException('m', 'AbortError'),
      b: Buffer.of(1),
    },
    'value',
  ),
);

test('a truncated message is refused, whatever its length', () => {
  for (let length = 0; length < special.length; length += 1) {
    const error = refusal(special.subarray(0, length));
    expect(error.code).toBe('ERR_JOBSERVER_NOT_RECONSTRUCTABLE');
    expect(error.cause).toBeDefined();
  }
});

test('a message with more bytes after its end is refused', () => {
  expect(refusal(Buffer.concat([special, Buffer.of(0)])).code).toBe(
    'ERR_JOBSERVER_NOT_RECONSTRUCTABLE',
  );
});

test('a message of another version is refused, with both versions', () => {
  const bytes = Buffer.from(special);
  bytes[0] = 9;
  expect(refusal(bytes).message).toBe(
    'Not reconstructable: The message has version 9, not 2',
  );
});

test('a length of 4 GiB in a short message allocates no such memory', () => {
  // V8's tags for bytes, texts, arrays and buffers, each with length 4 GiB - 1.
  for (const tag of [
    [0x5c, 1],
    [0x22],
    [0x63],
    [0x41],
    [0x42],
    [0x5c, 0, 10],
  ]) {
    const bytes = Buffer.concat([
      bytesOf(encode(new Date(0), 'value')).subarray(0, 18),
      Buffer.from([...tag, 255, 255, 255, 255, 15]),
    ]);
    bytes.writeDoubleLE(bytes.length, 8);
    const before = process.memoryUsage().rss;
    expect(refusal(bytes).code).toBe('ERR_JOBSERVER_NOT_RECONSTRUCTABLE');
    expect(process.memoryUsage().rss - before).toBeLessThan(1 << 28);
  }
});

test('a message is decoded wherever it starts in memory', () => {
  const value = { numbers: new Float64Array([0.5, 1]), text: 'ü€' };
  const bytes = bytesOf(encode(value, 'value'));
  for (let shift = 0; shift < 8; shift += 1) {
    const memory = new Uint8Array(bytes.length + 8);
    memory.set(bytes, shift);
    expect(decode(memory.subarray(shift, shift + bytes.length))).toEqual(value);
  }
});

test('a message is little longer than the 256 MiB in it', () => {
  const bytes = Buffer.alloc(1 << 28);
  bytes[bytes.length - 1] = 7;
  const encoded = bytesOf(encode([bytes], 'args'));
  expect(encoded.length - bytes.length).toBeLessThan(64);
  // The decoded buffer is a view: no copy is made.
  const [arrived] = decode(encoded) as [Buffer];
  expect(arrived.buffer).toBe(encoded.buffer);
  expect(arrived[bytes.length - 1]).toBe(7);
});

test('a Buffer is encoded without the rest of its pool', () => {
  const encoded = encode([Buffer.from('little')], 'args');
  expect(encoded.length).toBeLessThan(64);
});

// Runs in a process of its own, because V8 might crash.
const fuzz = `
  const { decode, encode } = require(process.argv[1]);
  let seed = 20240607;
  const random = (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  const error = new TypeError('m', { cause: new Error('c') });
  const originals = [
    [1, 2.5, 'text', 'ü€', new Date(0), /x/g, new Map([[1, {}]]), new Set([1]),
      10n, null, [1, , 2], Buffer.from('abc'), new Float64Array(3),
      new ArrayBuffer(5), Object(1)],
    { error, list: [error, new DOMException('m', 'AbortError')],
      bytes: Buffer.alloc(3) },
    new AggregateError([error], 'm'),
    { plain: { a: 1 } },
  ].map((value) => encode(value, 'value'));
  const mutations = [
    (bytes) => bytes.subarray(0, random(bytes.length)),
    (bytes) => { bytes[random(bytes.length)] ^= 1 << random(8); },
    (bytes) => {
      for (let i = random(8); i >= 0; i--) {
        bytes[random(bytes.length)] = random(256);
      }
    },
    (bytes) => {
      const at = random(bytes.length - 5);
      bytes.set([255, 255, 255, 255, 15], at);
    },
    (bytes) => {
      for (let i = 18; i < bytes.length; i++) bytes[i] = random(256);
    },
    (bytes) => {
      const at = 16 + random(bytes.length - 16);
      const rest = bytes.subarray(at + random(10));
      return Buffer.concat([bytes.subarray(0, at), rest]);
    },
  ];
  let decoded = 0;
  let refused = 0;
  for (let i = 0; i < 5000; i++) {
    let bytes = Buffer.from(originals[random(originals.length)]);
    bytes = mutations[random(mutations.length)](bytes) ?? bytes;
    // With the right length in most rounds, which passes the first check.
    if (random(4) > 0 && bytes.length >= 16) {
      bytes.writeDoubleLE(bytes.length, 8);
    }
    try {
      decode(bytes);
      decoded++;
    } catch (error) {
      const { code, cause } = error;
      if (code !== 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE') throw error;
      if (cause === undefined) throw error;
      refused++;
    }
  }
  console.log(JSON.stringify({ decoded, refused }));
`;

test('5,000 damaged messages are each decoded or refused', async () => {
  const { code, signal, stdout, stderr } = await runNode(['-e', fuzz, lib]);
  expect({ code, signal, stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  });
  const { decoded, refused } = JSON.parse(stdout);
  expect(decoded + refused).toBe(5000);
  expect(refused).toBeGreaterThan(1000);
});
