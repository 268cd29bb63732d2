import { join } from 'node:path';
import {
  AbortError,
  Blocked,
  CallbackRaised,
  LostResult,
} from '../../dist/errors.js';
import { bytesOf, decode, encode } from '../../dist/wire/value.js';
import { runNode } from '../helpers/program.js';
import type { Loose } from './round-trip.js';

const dist = join(__dirname, '..', '..', 'dist');

// Sends a value to another process, which sends back what `act` makes of it: a
// value, or the error that `act` throws.
async function inOtherProcess(value: unknown, act: string): Promise<Loose> {
  const program = `
    const [dist, sent] = process.argv.slice(1);
    const { bytesOf, decode, encode, encodeThrown } = require(dist + '/wire/value.js');
    const errors = require(dist + '/errors.js');
    const fs = require('node:fs');
    const value = decode(Buffer.from(sent, 'base64'));
    let bytes;
    try {
      bytes = encode((() => { ${act} })(), 'result');
    } catch (error) {
      bytes = encodeThrown(error);
    }
    process.stdout.write(bytesOf(bytes).toString('base64'));
  `;
  const sent = bytesOf(encode(value, 'args')).toString('base64');
  const { code, stdout, stderr } = await runNode(['-e', program, dist, sent]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return decode(Buffer.from(stdout, 'base64'));
}

test('an error has its class in the other process and back here', async () => {
  const sent = {
    blocked: new Blocked('b'),
    lost: new LostResult({ pid: 1, exitCode: 3, signal: null }),
    raised: new CallbackRaised(4, { cause: new RangeError('in it') }),
    abort: new AbortError(new DOMException('why', 'TimeoutError')),
    type: new TypeError('t'),
  };
  const { value, known } = await inOtherProcess(
    sent,
    `const known = {
      blocked: value.blocked instanceof errors.Blocked,
      lost: value.lost instanceof errors.LostResult,
      raised: value.raised instanceof errors.CallbackRaised,
      cause: value.raised.cause instanceof RangeError,
      abort: value.abort instanceof errors.AbortError,
      dom: value.abort.cause instanceof DOMException,
      type: value.type instanceof TypeError,
    };
    return { value, known };`,
  );
  expect(Object.values(known)).toEqual(Array(7).fill(true));
  expect(value.blocked).toBeInstanceOf(Blocked);
  expect(value.lost).toBeInstanceOf(LostResult);
  expect(value.raised).toBeInstanceOf(CallbackRaised);
  expect(value.raised.seqno).toBe(4);
  expect(value.raised.cause).toBeInstanceOf(RangeError);
  expect(value.abort).toBeInstanceOf(AbortError);
  expect(value.abort.cause).toBeInstanceOf(DOMException);
  expect(value.abort.cause.name).toBe('TimeoutError');
  expect(value.type.stack).toBe(sent.type.stack);
});

test('an error has a stack that names the function that failed', async () => {
  const error = await inOtherProcess(
    null,
    `(function failsOverThere() { null.x; })();`,
  );
  expect(error).toBeInstanceOf(TypeError);
  expect(error.stack).toContain('failsOverThere');
});

test('an error of Node itself has its code', async () => {
  const error = await inOtherProcess(
    null,
    `require('fs').openSync('/no/such')`,
  );
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open' });

  const invalid = await inOtherProcess(null, `Buffer.alloc('x')`);
  expect(invalid).toBeInstanceOf(TypeError);
  expect(invalid.code).toBe('ERR_INVALID_ARG_TYPE');
  expect(invalid.stack).toMatch(/^TypeError \[ERR_INVALID_ARG_TYPE\]: /);
});

test('a value that cannot be sent back is a TypeError', async () => {
  const error = await inOtherProcess(null, `return { f() {} };`);
  expect(error).toBeInstanceOf(TypeError);
  expect(error.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
  expect(error.message).toBe('Not serializable: result.f is a function');
  expect(error.cause.name).toBe('DataCloneError');
});

test('a value is the same after it was sent and sent back', async () => {
  const shared = { big: 10n, when: new Date(0), bytes: Buffer.from('abc') };
  const sent = { shared, again: [shared], set: new Set([1]), none: undefined };
  const arrived = await inOtherProcess(sent, 'return value;');
  expect(arrived).toEqual(sent);
  expect(arrived.again[0]).toBe(arrived.shared);
});
