import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nameFunction } from '../../dist/functions/function-ref.js';
import {
  type Called,
  type Named,
  callAll,
  fixtures,
  lib,
  nameAndCall,
  node,
  useDirectory,
} from './name-and-call.js';

const { path, write } = useDirectory();

describe('a function of an ES module', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    const file = join(fixtures, 'jobs.mjs');
    ({ named, called } = nameAndCall(file, () => [5]));
  });

  test.each([
    ['a named export', 'double', 10],
    ['an arrow function', 'arrow', 6],
    ['an export under another name', 'renamed', 7],
    ['a re-exported function', 'tripled', 15],
    ['a default export', 'default', 8],
    ['an async function', 'later', 9],
    ['a member of an exported object', 'method', 10],
    ['a member of a member', 'deep', 11],
    ['a static method', 'open', 13],
    ['a static method with private state', 'secret', 12],
    ['the first of two members with the same text', 'twinOne', 50],
    ['the second of two members with the same text', 'twinTwo', 50],
    ['the first of two exports with the same text', 'sameOne', 'same 5'],
    ['the second of two exports with the same text', 'sameTwo', 'same 5'],
    ['the first of two exported closures', 'madeOne', 105],
    ['the second of two exported closures', 'madeTwo', 205],
  ])('can be called in another process: %s', (_, label, value) => {
    expect(named[label]?.error).toBeUndefined();
    expect(called[label]?.value).toBe(value);
  });

  test('can be called although it is an anonymous default export', () => {
    const file = join(fixtures, 'imported-default.mjs');
    const { called: another } = nameAndCall(file, () => [1]);
    expect(another['default']?.value).toBe(10);
  });

  test('is described by its name and its module', () => {
    const { href } = pathToFileURL(join(fixtures, 'jobs.mjs'));
    expect(named['double']?.text).toBe(`double (${href})`);
  });
});

describe('a function of a CommonJS module', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    const file = join(fixtures, 'jobs.cjs');
    ({ named, called } = nameAndCall(file, () => [5]));
  });

  test.each([
    ['a named export', 'double', 10],
    ['an export under another name', 'renamed', 7],
    ['the first of two exported closures', 'madeOne', 105],
    ['the second of two exported closures', 'madeTwo', 205],
    ['a re-exported function', 'tripled', 15],
    ['module.exports', 'whole', 17],
    ['a static method', 'open', 13],
    ['a member of a member', 'deep', 11],
    ['an export behind an accessor', 'lazy', 16],
  ])('is imported without a promise: %s', (_, label, value) => {
    expect(called[label]).toMatchObject({ value, isSync: true });
  });

  test('is loaded from the module that defines it', () => {
    const { href } = pathToFileURL(join(fixtures, 'more-jobs.cjs'));
    expect(named['tripled']?.ref).toMatchObject({ url: href });
  });
});

describe('the file of a function', () => {
  const text = `export const half = (x) => x / 2;
    export const submitted = new Map([['half', half]]);`;

  test.each([
    'with space',
    'with#mark',
    'with%20percent',
    'with?query',
    'žluťoučký-日本',
  ])('may be in a directory that is called %s', (name) => {
    mkdirSync(join(path(), name));
    const file = write(join(name, 'jobs.mjs'), text);
    expect(nameAndCall(file, () => [8]).called['half']?.value).toBe(4);

    const byPath = nameFunction(`${file}#half`, 'fn');
    const byUrl = nameFunction(new URL('#half', pathToFileURL(file)), 'fn');
    expect(byPath).toEqual(byUrl);
    expect(callAll([['half', byPath, 8]])['half']?.value).toBe(4);
  });

  test('may be loaded in a worker thread, which names the function', () => {
    const file = write('thread.mjs', text);
    const program = `
      const { Worker } = require('node:worker_threads');
      new Worker(\`
        const { workerData: [lib, url], parentPort } =
          require('node:worker_threads');
        const { nameFunction } = require(lib);
        import(url).then(({ half }) =>
          parentPort.postMessage(nameFunction(half, 'fn')));
      \`, { eval: true, workerData: process.argv.slice(1) })
        .on('message', (ref) => console.log(JSON.stringify(ref)));`;
    const url = pathToFileURL(file).href;
    const ref = JSON.parse(node(['-e', program, lib, url]));
    expect(callAll([['half', ref, 8]])['half']?.value).toBe(4);
  });

  const stripsTypes = Object.hasOwn(process.features, 'typescript');
  (stripsTypes ? test : test.skip)(
    'may be TypeScript where Node strips types (22.18 and later)',
    () => {
      const file = write(
        'typed.mts',
        `export const half = (x: number): number => x / 2;
         export const submitted = new Map([['half', half]]);`,
      );
      expect(nameAndCall(file, () => [8]).called['half']?.value).toBe(4);
    },
  );
});

test.each([[undefined], [null], [5], [{}], [Symbol('f')]])(
  '%p is not a function, which is a TypeError',
  (value) => {
    expect(() => nameFunction(value, 'preexec')).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining(
          'Expected `preexec` to be a function, a URL or a string',
        ),
      }),
    );
  },
);
