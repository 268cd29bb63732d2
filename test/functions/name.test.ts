// The parent finds the name of a function, or refuses the function.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  describeFunction,
  importFunction,
  nameFunction,
} from '../../dist/functions/function-ref.js';
import {
  type Call,
  type Named,
  callAll,
  fixtures,
  lib,
  nameAll,
  node,
  refusal,
  useDirectory,
} from './name-and-call.js';

const { write } = useDirectory();
const quotedLib = JSON.stringify(lib);

describe('the parent refuses', () => {
  let module: Record<string, Named>;
  let commonJs: Record<string, Named>;
  beforeAll(() => {
    module = nameAll(join(fixtures, 'jobs.mjs'));
    commonJs = nameAll(join(fixtures, 'jobs.cjs'));
  });

  test.each([
    [
      'a closure whose siblings are exported',
      'madeThree',
      'is a closure: it uses variables of a function',
    ],
    ['a function made in a loop', 'looped', 'uses variables of a block'],
    ['a nested function', 'nested', 'is a closure'],
    ['a bound function', 'bound', 'bound double is a bound function'],
    ['a class', 'class', 'Shape is a class'],
    ['a function from eval', 'evaluated', 'was made from text'],
    ['a function from new Function', 'constructed', 'was made from text'],
  ])('%s, and recommends the fork context', (_, label, text) => {
    expect(module[label]?.error).toEqual(refusal(text));
    expect(module[label]?.error).toEqual(refusal('fork context'));
  });

  test.each(['hidden', 'madeThree'])(
    'a function of CommonJS that is not exported: %s',
    (label) => {
      expect(commonJs[label]?.error).toEqual(refusal('is not exported from'));
    },
  );

  test.each([
    [
      'without exports',
      'no-exports.mjs',
      `const hidden = () => 1;
      globalThis.named = [nameOf(hidden)];`,
      true,
    ],
    [
      'that speaks of exports',
      'speaks.mjs',
      `const hidden = () => 1; // No export.
      globalThis.named = [nameOf(hidden)];`,
      false,
    ],
    [
      'that importFunction has imported',
      'imported.mjs',
      `export const shown = () => 1;
      export const copy = () => 2;
      const hidden = () => 3, alike = () => 2;
      globalThis.nameAll = () => [shown, hidden, copy, alike].map(nameOf);`,
      [false, true, false, false],
    ],
  ])(
    'a function that an ES module %s does not export',
    (_, name, text, isRefused) => {
      const file = write(
        name,
        `import functionRef from ${quotedLib};
        const nameOf = (fn) => {
          try { functionRef.nameFunction(fn, 'fn'); return null; }
          catch ({ name, code, message }) { return { name, code, message }; }
        };
        ${text}`,
      );
      const ref = {
        kind: 'export',
        url: pathToFileURL(file).href,
        load: 'import',
        path: ['shown'],
      };
      const out = node([
        '-e',
        `const { importFunction } = require(${quotedLib});
        importFunction(${JSON.stringify(ref)}).catch(() => {}).then(() => {
          console.log(JSON.stringify(globalThis.named ?? nameAll()));
        });`,
      ]);
      const named = JSON.parse(out) as unknown[];
      const expected = [isRefused]
        .flat()
        .map((it) => (it ? refusal(`is not exported from ${file}`) : null));
      expect(named).toEqual(expected);
    },
  );

  test('a function that was typed into the REPL', () => {
    const out = node(
      ['--interactive'],
      `function f() {}
       try { require(${quotedLib}).nameFunction(f, 'fn'); }
       catch (e) { e.message }
      `,
    );
    expect(out).toContain('f was typed into the REPL');
  });

  test.each([
    ['--eval', ['-e'], true],
    ['--eval of an ES module', ['--input-type=module', '-e'], true],
    ['standard input', ['-'], false],
  ])('a function of a program from %s', (_, args, isArg) => {
    const program = `import(${quotedLib}).then(({ nameFunction }) => {
      try { nameFunction(function f(x) { return x; }, 'fn'); }
      catch ({ name, code, message }) {
        console.log(JSON.stringify({ name, code, message }));
      }
    });`;
    const out = isArg ? node([...args, program]) : node(args, program);
    expect(JSON.parse(out)).toEqual(refusal('was given to node as text'));
  });

  test('a function without node:inspector, and recommends a URL', () => {
    const file = write('blind.mjs', 'export const f = (x) => x;');
    const program = `
      const Module = require('node:module');
      const load = Module._load;
      Module._load = function (name, ...rest) {
        if (name === 'node:inspector') throw new Error('no inspector here');
        return load.call(this, name, ...rest);
      };
      const { nameFunction } = require(${quotedLib});
      import(${JSON.stringify(pathToFileURL(file).href)}).then(({ f }) => {
        try { nameFunction(f, 'fn'); }
        catch ({ name, code, message }) {
          console.log(JSON.stringify({ name, code, message }));
        }
      });`;
    const error = JSON.parse(node(['-e', program]));
    expect(error).toEqual(refusal('no usable node:inspector'));
    expect(error).toEqual(refusal('name it by URL'));
  });
});

describe('the parent names an exported function of an ES module', () => {
  const text = 'export const f = (x) => x;';

  test.each([
    ['whose text has no such comment', ''],
    ['whose text names another file', '//# sourceURL=other.mjs'],
    ['whose text names the URL of another file', '//# sourceURL=OTHER_URL'],
    ['whose text names no file', '//# sourceURL=webpack://x'],
  ])('%s', (_, comment) => {
    const other = write('other.mjs', 'export const g = (x) => x;');
    const otherUrl = pathToFileURL(other).href;
    const end = comment.replace('OTHER_URL', otherUrl);
    const file = write('named.mjs', `\n${text}\n${end}\n`);
    expect(nameOfExport(file)).toMatchObject({ line: 1 });
  });

  test('which a module hook has written anew', () => {
    const file = write('hooked.mjs', 'export const f = (y) => y;');
    const hooks = `export const load = (url, context, next) =>
      url.endsWith('/hooked.mjs')
        ? { format: 'module', shortCircuit: true, source: '\\n${text}' }
        : next(url, context);`;
    const url = `data:text/javascript,${encodeURIComponent(hooks)}`;
    const hook = `process.noDeprecation = true;
      require('node:module').register(${JSON.stringify(url)})`;
    expect(nameOfExport(file, hook)).toMatchObject({ line: 1 });
  });

  test('after a function of a builtin module', () => {
    const file = write('first.mjs', text);
    const builtin = `require('node:path').join`;
    const before = `require(${quotedLib}).nameFunction(${builtin}, 'fn')`;
    expect(nameOfExport(file, before)).toMatchObject({ line: 0 });
  });

  test('and leaves the coverage of the program as it is', () => {
    const file = write('covered.mjs', 'export const f = (x) => x + 1;');
    // Of an ES module and of Node, because their files are found in different ways.
    const out = node([
      '-e',
      `const { Session } = require('node:inspector');
      const session = new Session();
      session.connect();
      const post = (method, params) => new Promise((resolve, reject) => {
        session.post(method, params, (error, found) => error ? reject(error) : resolve(found));
      });
      const { nameFunction } = require(${quotedLib});
      import(${JSON.stringify(pathToFileURL(file).href)}).then(async ({ f }) => {
        await post('Profiler.enable');
        await post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
        f(1);
        nameFunction(f, 'fn');
        f(2);
        nameFunction(require('node:path').join, 'fn');
        f(3);
        const { result } = await post('Profiler.takePreciseCoverage');
        const { functions } = result.find(({ url }) => url.endsWith('/covered.mjs'));
        const { ranges } = functions.find(({ functionName }) => functionName === 'f');
        console.log(ranges[0].count);
      });`,
    ]);
    expect(out).toBe('3\n');
  });

  /** In a process that has named no function before. */
  function nameOfExport(file: string, before = ''): object {
    const url = pathToFileURL(file).href;
    const out = node([
      '-e',
      `${before};
      const { nameFunction } = require(${quotedLib});
      import(${JSON.stringify(url)}).then(({ f }) => {
        console.log(JSON.stringify(nameFunction(f, 'fn')));
      });`,
    ]);
    const ref = JSON.parse(out) as object;
    expect(ref).toMatchObject({ kind: 'place', url, name: 'f' });
    return ref;
  }
});

// This file itself runs in a vm context, with the modules that jest has loaded.
describe('within the sandbox of jest, the parent', () => {
  function submitted(label: string): unknown {
    const jobs = require(join(fixtures, 'jobs.cjs')) as {
      submitted: Map<string, unknown>;
    };
    return jobs.submitted.get(label);
  }

  test('names functions of a CommonJS module', () => {
    const calls = ['double', 'renamed', 'open', 'deep', 'whole'].map(
      (label): Call => [label, nameFunction(submitted(label), 'fn'), 5],
    );
    const called = callAll(calls);
    expect(calls.map(([label]) => called[label]?.value)).toEqual([
      ...[10, 7, 13, 11, 17],
    ]);
  });

  test('names a function of the Math of the sandbox', () => {
    const ref = nameFunction(Math.hypot, 'fn');
    expect(ref).toEqual({ kind: 'global', path: ['Math', 'hypot'] });
    expect(importFunction(ref)).toBe(Math.hypot);
    expect(describeFunction(ref)).toBe('Math.hypot (global)');
  });

  test('refuses a function of a module without exports', () => {
    const file = write('like-a-test.js', 'globalThis.own = function own() {};');
    jest.requireActual(file);
    const { own } = globalThis as { own?: () => number };
    expect(() => nameFunction(own, 'fn')).toThrow(
      `own is not exported from ${file}`,
    );
  });

  test('refuses a closure', () => {
    expect(() => nameFunction(submitted('madeThree'), 'fn')).toThrow(
      expect.objectContaining(refusal('is a closure')),
    );
  });
});
