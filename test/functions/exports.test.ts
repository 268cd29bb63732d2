// Functions of builtin modules and globals, which no file exports.
import { join } from 'node:path';
import {
  type Called,
  type Named,
  fixtures,
  nameAndCall,
  refusal,
} from './name-and-call.js';

describe('a function that no file exports', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    const file = join(fixtures, 'more-jobs.cjs');
    const args: Record<string, unknown[]> = {
      brotli: ['text'],
      gzip: ['text'],
      readFileSync: [file, 'utf8'],
      readFile: [file, 'utf8'],
      randomBytes: [4],
      join: ['a', 'b'],
      hypot: [3, 4],
      parse: ['[1]'],
      parseInt: ['12px'],
      from: ['x'],
    };
    ({ named, called } = nameAndCall(
      join(fixtures, 'builtins.mjs'),
      (label) => args[label] ?? [],
    ));
  });

  test.each([
    ['brotli', 'brotliCompressSync (node:zlib)'],
    ['gzip', 'gzipSync (node:zlib)'],
    ['readFileSync', 'readFileSync (node:fs)'],
    ['readFile', 'readFile (node:fs/promises)'],
    ['randomBytes', 'randomBytes (node:crypto)'],
    ['join', 'join (node:path)'],
    ['hypot', 'Math.hypot (global)'],
    ['parse', 'JSON.parse (global)'],
    ['parseInt', 'parseInt (global)'],
    ['from', 'Buffer.from (node:buffer)'],
    ['cwd', 'cwd (node:process)'],
  ])('is named by its builtin module or global: %s is %s', (label, text) => {
    expect(named[label]?.text).toBe(text);
    expect(called[label]).toMatchObject({ isSync: true });
  });

  test('returns the same results in another process', () => {
    expect(called['hypot']?.value).toBe(5);
    expect(called['parse']?.value).toEqual([1]);
    expect(called['parseInt']?.value).toBe(12);
    expect(called['join']?.value).toBe('a/b');
    expect(called['readFileSync']?.value).toBe(called['readFile']?.value);
  });

  test.each([
    ['boundMax', 'is a bound function'],
    ['prototype', 'has no source text'],
    ['proxy', 'has no source text'],
    ['gunzipLater', 'was made by node:internal/util'],
  ])('is refused when no module has it: %s %s', (label, text) => {
    expect(named[label]?.error).toEqual(refusal(text));
  });
});
