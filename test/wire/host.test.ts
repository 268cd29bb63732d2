import { X509Certificate, createSecretKey, subtle } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { BlockList, SocketAddress } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { PassThrough, Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { MessageChannel } from 'node:worker_threads';
import { decode, encode, encodeThrown } from '../../dist/wire/value.js';
import { type Loose, refusal, roundTrip } from './round-trip.js';

const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Module: new (bytes: Uint8Array) => object };
};
const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

const values: [name: string, make: () => unknown, advice: string][] = [
  ['URL', () => new URL('http://a/b'), 'send its href'],
  ['URLSearchParams', () => new URLSearchParams('a=b'), 'String(params)'],
  ['Headers', () => new Headers({ a: 'b' }), '[...headers]'],
  ['FormData', () => new FormData(), 'entries'],
  ['Request', () => new Request('http://a'), 'body'],
  ['Response', () => new Response('text'), 'body'],
  ['Blob', () => new Blob(['text']), 'arrayBuffer()'],
  ['SecretKeyObject', () => createSecretKey(wasm), 'export'],
  ['BlockList', () => new BlockList(), 'rules'],
  ['SocketAddress', () => new SocketAddress({}), 'address and port'],
  ['ELDHistogram', () => monitorEventLoopDelay(), 'its numbers'],
  ['AbortSignal', () => AbortSignal.abort(), 'an option of the call'],
  ['AbortController', () => new AbortController(), 'an option of the call'],
  ['EventTarget', () => new EventTarget(), 'what you need'],
  ['Event', () => new Event('happened'), 'what you need'],
  ['ReadableStream', () => new ReadableStream(), 'what was read'],
  ['WritableStream', () => new WritableStream(), 'path'],
  ['TransformStream', () => new TransformStream(), 'path'],
  ['Readable', () => new Readable(), 'what was read'],
  ['PassThrough', () => new PassThrough(), 'path'],
  ['TextEncoder', () => new TextEncoder(), 'TextEncoder'],
  ['PerformanceMark', () => performance.mark('here'), 'PerformanceMark'],
  ['Module', () => new WebAssembly.Module(wasm), 'the bytes'],
];

describe('an object that belongs to its process', () => {
  test.each(values)('of class %s is refused', (name, make, advice) => {
    const value = make();
    const error = refusal([value]);
    expect(error.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(error.message).toContain(`args[0] is an instance of ${name}`);
    expect(error.message).toContain(advice);
    expect(error.cause.name).toBe('DataCloneError');
  });

  test.each(values)('of class %s is refused at any depth', (_, make) => {
    const value = make();
    const wide = Array.from({ length: 1000 }, (_, i): unknown => ({ i }));
    wide[999] = value;
    for (const [whole, path] of [
      [{ a: { b: value } }, 'args.a.b'],
      [new Map([[{}, [value]]]), 'args.values()[0][0]'],
      [new Set([new Map([[value, 1]])]), 'args.values()[0].keys()[0]'],
      [wide, 'args[999]'],
      [Object.assign(new (class Own {})(), { value }), 'args.value'],
    ] as const) {
      expect(refusal(whole).message).toContain(`: ${path} is an instance of`);
    }
  });

  test('is left out of an error, as a function is', () => {
    const error = Object.assign(new Error('why'), {
      url: new URL('http://a'),
      code: 'E',
    });
    for (const encoded of [encode(error, 'result'), encodeThrown(error)]) {
      const arrived = decode(encoded) as Loose;
      expect(arrived).toMatchObject({ message: 'why', code: 'E' });
      expect('url' in arrived).toBe(false);
    }
  });

  test('is described when it is thrown', () => {
    const arrived = decode(encodeThrown(new URL('http://a/b'))) as Loose;
    expect(arrived.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(arrived.message).toContain('http://a/b');
  });

  test('is named with what to send instead, where V8 refuses it', async () => {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const key = await subtle.generateKey(algorithm, true, ['sign']);
    const { port1 } = new MessageChannel();
    expect(refusal([key]).message).toContain('crypto.subtle.exportKey');
    expect(refusal([port1]).message).toContain('arguments and results');
    port1.close();
    const certificate = new X509Certificate(rootCertificates[0]!);
    expect(refusal({ certificate }).message).toContain('certificate.raw');
  });

  test('may be of a class that extends one of these', () => {
    class Address extends URL {
      readonly note = 'mine';
    }
    expect(refusal([new Address('http://a')]).message).toContain(
      'args[0] is an instance of Address: send its href',
    );
  });
});

describe('a class of the user arrives as a plain object', () => {
  class Store extends EventTarget {
    readonly items = [1];
  }
  class Emitter extends EventEmitter {
    readonly items = [1];
  }
  class Request {
    readonly items = [1];
  }
  class Stream {
    readonly items = [1];
  }
  class Tagged {
    readonly items = [1];
    get [Symbol.toStringTag](): string {
      return 'Tagged';
    }
  }
  test.each([Store, Emitter, Request, Stream, Tagged])('%p', (Class) => {
    const arrived = roundTrip([new Class()])[0];
    expect(arrived.items).toEqual([1]);
    expect(arrived.constructor.name).toBe('Object');
  });
});
