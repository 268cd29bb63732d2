import { spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  describeFunction,
  importFunction,
  nameFunction,
  type FunctionRef,
} from '../../dist/functions/function-ref.js';

interface Refusal {
  error: { name: string; code: string; message: string };
}
type Named = { ref: FunctionRef; text: string } & Refusal;
type Called = { value: unknown; isSync: boolean; again: FunctionRef } & Refusal;
type Call = [label: string, ref: FunctionRef, ...args: unknown[]];

const fixtures = join(__dirname, '..', '..', 'test', 'fixtures', 'funcref');
const factor = Number(process.env['TEST_TIMEOUT_FACTOR'] ?? 1);
jest.setTimeout(60_000 * factor);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'funcref-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function node(args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    input,
    timeout: 20_000 * factor,
    env: {
      ...process.env,
      FUNCREF_LIB: join(__dirname, '../../dist/functions/function-ref.js'),
    },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function nameAll(file: string): Record<string, Named> {
  const url = pathToFileURL(file).href;
  return JSON.parse(node([join(fixtures, 'name.mjs'), url]));
}

function callAll(calls: Call[]): Record<string, Called> {
  return JSON.parse(node([join(fixtures, 'call.mjs'), JSON.stringify(calls)]));
}

/** Names in one process, calls in another. */
function travel(file: string, args: (label: string) => unknown[]) {
  const named = nameAll(file);
  const calls = Object.entries(named)
    .filter(([, { error }]) => error === undefined)
    .map(([label, { ref }]): Call => [label, ref, ...args(label)]);
  return { named, called: callAll(calls) };
}

function write(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

const refused = {
  name: 'TypeError',
  code: 'ERR_JOBSERVER_FUNCTION',
} as const;

function refusal(text: string): object {
  return { ...refused, message: expect.stringContaining(text) };
}

describe('a function of an ES module (NOD-09)', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    ({ named, called } = travel(join(fixtures, 'tasks.mjs'), () => [5]));
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
    ['the first of two members with one text', 'twinOne', 50],
    ['the second of two members with one text', 'twinTwo', 50],
    ['the first of two exports with one text', 'sameOne', 'same 5'],
    ['the second of two exports with one text', 'sameTwo', 'same 5'],
    ['the first of two exported closures', 'madeOne', 105],
    ['the second of two exported closures', 'madeTwo', 205],
  ])('%s arrives', (_, label, value) => {
    expect(named[label]?.error).toBeUndefined();
    expect(called[label]?.value).toBe(value);
  });

  test('of two members with one text the right one is chosen by place', () => {
    expect(called['twinOne']?.again).toMatchObject({ path: ['twinOne', 'f'] });
    expect(called['twinTwo']?.again).toMatchObject({ path: ['twinTwo', 'f'] });
  });

  test('an anonymous default export arrives', () => {
    const file = join(fixtures, 'by-default.mjs');
    expect(travel(file, () => [1]).called['default']?.value).toBe(10);
  });

  test('a worker knows the exact path of what it imported', () => {
    expect(called['renamed']?.again).toMatchObject({
      kind: 'export',
      path: ['renamed'],
    });
  });

  test.each([
    ['a closure beside exported ones', 'madeThree', 'is a closure'],
    ['a function made in a loop', 'looped', 'uses variables of a block'],
    ['a nested function', 'nested', 'is a closure'],
    ['a bound function', 'bound', 'bound double is a bound function'],
    ['a class (PRE-12)', 'class', 'Shape is a class'],
    ['a function from eval', 'evaluated', 'was made from text'],
    ['a function from new Function', 'constructed', 'was made from text'],
  ])('%s is refused in the parent (CTX-03)', (_, label, text) => {
    expect(named[label]?.error).toEqual(refusal(text));
    expect(named[label]?.error).toEqual(refusal('fork context'));
  });

  test('a function that is not exported is refused in the worker', () => {
    expect(called['hidden']?.error).toEqual(refusal('hidden of line'));
    expect(called['hidden']?.error).toEqual(refusal('it is not exported'));
    expect(called['hidden']?.error).toEqual(refusal('import.meta.url'));
  });

  test('a closure that is exported under another name is refused', () => {
    expect(called['madeFour']?.error).toEqual(refusal('madeFour of line'));
  });

  test('its description has name and module', () => {
    const { href } = pathToFileURL(join(fixtures, 'tasks.mjs'));
    expect(named['double']?.text).toBe(`double (${href})`);
  });
});

describe('a function of a CommonJS module (NOD-09)', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    ({ named, called } = travel(join(fixtures, 'tasks.cjs'), () => [5]));
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
  ])('%s arrives without a promise', (_, label, value) => {
    expect(called[label]).toMatchObject({ value, isSync: true });
  });

  test('a re-exported function is loaded from where it is defined', () => {
    const { href } = pathToFileURL(join(fixtures, 'more.cjs'));
    expect(named['tripled']?.ref).toMatchObject({ url: href });
  });

  test.each(['hidden', 'madeThree'])(
    '%s, which is not exported, is refused in the parent',
    (label) => {
      expect(named[label]?.error).toEqual(refusal('is not exported from'));
    },
  );
});

describe('a function without a module of its own', () => {
  let named: Record<string, Named>;
  let called: Record<string, Called>;
  beforeAll(() => {
    const file = join(fixtures, 'more.cjs');
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
      log: [],
    };
    ({ named, called } = travel(join(fixtures, 'builtins.mjs'), (label) =>
      label === 'log' ? [] : (args[label] ?? []),
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
  ])('%s is named %s', (label, text) => {
    expect(named[label]?.text).toBe(text);
    expect(called[label]).toMatchObject({ isSync: true });
  });

  test('it gives the same results as here', () => {
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
  ])('%s is refused: it %s', (label, text) => {
    expect(named[label]?.error).toEqual(refusal(text));
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
  ])('may have a path %s', (name) => {
    mkdirSync(join(directory, name));
    const file = write(join(name, 'tasks.mjs'), text);
    expect(travel(file, () => [8]).called['half']?.value).toBe(4);

    const byPath = nameFunction(`${file}#half`, 'fn');
    const byUrl = nameFunction(new URL('#half', pathToFileURL(file)), 'fn');
    expect(byPath).toEqual(byUrl);
    expect(callAll([['half', byPath, 8]])['half']?.value).toBe(4);
  });

  test.each(['mjs', 'cjs'])(
    'that has changed (.%s) is noticed in the worker',
    (ending) => {
      const source = (body: string): string =>
        ending === 'mjs'
          ? `export const f = (x) => ${body};
             export const submitted = new Map([['f', f]]);`
          : `exports.f = (x) => ${body};
             exports.submitted = new Map([['f', exports.f]]);`;
      const file = write(`changing.${ending}`, source('x + 1'));
      const { ref } = nameAll(file)['f']!;
      write(`changing.${ending}`, source('x + 2'));
      const answer = callAll([['f', ref, 1]])['f'];
      expect(answer?.error).toEqual(refusal('the file has changed'));
    },
  );

  test('may belong to a worker thread', () => {
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
    const lib = join(__dirname, '../../dist/functions/function-ref.js');
    const url = pathToFileURL(file).href;
    const ref = JSON.parse(node(['-e', program, lib, url]));
    expect(callAll([['half', ref, 8]])['half']?.value).toBe(4);
  });

  const stripsTypes = Object.hasOwn(process.features, 'typescript');
  (stripsTypes ? test : test.skip)(
    'may be TypeScript, where Node itself strips types (22.18 and later)',
    () => {
      const file = write(
        'typed.mts',
        `export const half = (x: number): number => x / 2;
         export const submitted = new Map([['half', half]]);`,
      );
      expect(travel(file, () => [8]).called['half']?.value).toBe(4);
    },
  );

  test('is missing for a function typed into the REPL, which is refused', () => {
    const lib = JSON.stringify(
      join(__dirname, '../../dist/functions/function-ref.js'),
    );
    const out = node(
      ['--interactive'],
      `function f() {}
       try { require(${lib}).nameFunction(f, 'fn'); } catch (e) { e.message }
      `,
    );
    expect(out).toContain('f was typed into the REPL');
  });

  test.each([
    ['--eval', ['-e'], true],
    ['--eval of an ES module', ['--input-type=module', '-e'], true],
    ['standard input', ['-'], false],
  ])(
    'is missing for a function from %s, which is refused',
    (_, args, isArg) => {
      const lib = JSON.stringify(
        join(__dirname, '../../dist/functions/function-ref.js'),
      );
      const program = `import(${lib}).then(({ nameFunction }) => {
      try { nameFunction(function f(x) { return x; }, 'fn'); }
      catch ({ name, code, message }) {
        console.log(JSON.stringify({ name, code, message }));
      }
    });`;
      const out = isArg ? node([...args, program]) : node(args, program);
      expect(JSON.parse(out)).toEqual(refusal('was given to node as text'));
    },
  );
});

describe('a URL or string', () => {
  const tasks = join(fixtures, 'tasks.mjs');
  const url = pathToFileURL(tasks).href;

  test.each([
    ['an export', `${url}#arrow`, 6],
    ['a path of an export', `${url}#named.inner.method`, 11],
    ['the default export', url, 8],
    ['an absolute path', `${tasks}#arrow`, 6],
    ['an export of CommonJS', join(fixtures, 'tasks.cjs#double'), 10],
    ['module.exports', join(fixtures, 'more.cjs'), 17],
    ['a builtin', 'node:path#posix.normalize', '5'],
    ['a builtin without its scheme', 'path#normalize', '5'],
    ['a data: URL', 'data:text/javascript,export default (x) => x - 1', 4],
  ])('names %s', (_, text, value) => {
    const arg = text.includes('path#') ? '5' : 5;
    const calls: Call[] = [['it', nameFunction(text, 'fn'), arg]];
    expect(callAll(calls)['it']?.value).toBe(value);
  });

  test('names a function relative to the working directory', () => {
    const was = process.cwd();
    try {
      process.chdir(fixtures);
      expect(nameFunction('./tasks.mjs#arrow', 'fn')).toEqual(
        nameFunction(`${url}#arrow`, 'fn'),
      );
    } finally {
      process.chdir(was);
    }
  });

  test('names an export of an installed package', () => {
    const was = process.cwd();
    const root = join(directory, 'node_modules', 'some-package');
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'index.js'), 'exports.f = (x) => x * x;');
    try {
      process.chdir(directory);
      const ref = nameFunction('some-package#f', 'fn');
      expect(callAll([['f', ref, 5]])['f']?.value).toBe(25);
      expect(() => nameFunction('no-such-package#f', 'fn')).toThrow(
        expect.objectContaining(refusal('cannot be required from')),
      );
    } finally {
      process.chdir(was);
    }
  });

  test.each(['', '#f', './file.js#', './file.js#a..b', 'file://host/x.mjs'])(
    'that is malformed (%j) is a TypeError (SUB-04)',
    (text) => {
      expect(() => nameFunction(text, 'fn')).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_VALUE',
          message: expect.stringContaining('`fn`'),
        }),
      );
    },
  );

  test.each([['./no-such-file.mjs#f'], ['file:///no/such/file.mjs'], ['/']])(
    'without a file (%s) is refused in the parent',
    (text) => {
      expect(() => nameFunction(text, 'fn')).toThrow(
        expect.objectContaining(refusal('there is no file')),
      );
    },
  );

  test('of a builtin is checked in the parent', () => {
    expect(() => nameFunction('node:zlib#nope', 'fn')).toThrow(
      expect.objectContaining(refusal('node:zlib exports no function nope')),
    );
    expect(() => nameFunction('node:nope#f', 'fn')).toThrow(
      expect.objectContaining(refusal('Node has no node:nope')),
    );
  });

  test('with a missing export is refused with the exports there are', () => {
    const ref = nameFunction(`${url}#nope`, 'fn');
    const { error } = callAll([['nope', ref]])['nope']!;
    expect(error).toEqual(refusal('exports no function nope; it has default'));
    expect(error).toEqual(refusal('and 3 more'));
  });
});

describe('in a worker that has loaded something else', () => {
  test('of two functions with one text, both moved, none is chosen', () => {
    const { ref } = nameAll(join(fixtures, 'tasks.mjs'))['twinOne']!;
    const moved = { ...ref, line: 10_000 } as FunctionRef;
    const error = callAll([['moved', moved, 5]])['moved']?.error;
    expect(error).toEqual(refusal('look like the function'));
    expect(error).toEqual(refusal('twinOne.f, twinTwo.f'));
    expect(error).toEqual(refusal("new URL('./file.js#twinOne.f'"));
  });

  test('a global that it does not have is told', () => {
    const ref: FunctionRef = { kind: 'global', path: ['nope'] };
    expect(callAll([['nope', ref]])['nope']?.error).toEqual(
      refusal('There is no global function nope in this process'),
    );
  });
});

describe('inside the sandbox of jest', () => {
  test('a text that a transform has rewritten is known by its name', () => {
    const { ref } = nameAll(join(fixtures, 'tasks.mjs'))['double']!;
    const other = { ...ref, print: '1:0' } as FunctionRef;
    const rewritten = { ...other, isRewritten: true } as FunctionRef;
    const called = callAll([
      ['other', other, 5],
      ['rewritten', rewritten, 5],
    ]);
    expect(called['other']?.error).toEqual(refusal('the file has changed'));
    expect(called['rewritten']?.value).toBe(10);
  });

  test('a function of CommonJS is named', () => {
    const { submitted } = require(join(fixtures, 'tasks.cjs')) as {
      submitted: Map<string, unknown>;
    };
    const calls = ['double', 'renamed', 'open', 'deep', 'whole'].map(
      (label): Call => [label, nameFunction(submitted.get(label), 'fn'), 5],
    );
    const called = callAll(calls);
    expect(calls.map(([label]) => called[label]?.value)).toEqual([
      ...[10, 7, 13, 11, 17],
    ]);
  });

  test('a function of its own Math is named', () => {
    const ref = nameFunction(Math.hypot, 'fn');
    expect(ref).toEqual({ kind: 'global', path: ['Math', 'hypot'] });
    expect(importFunction(ref)).toBe(Math.hypot);
    expect(describeFunction(ref)).toBe('Math.hypot (global)');
  });

  test('a closure is refused', () => {
    const { submitted } = require(join(fixtures, 'tasks.cjs')) as {
      submitted: Map<string, unknown>;
    };
    expect(() => nameFunction(submitted.get('madeThree'), 'fn')).toThrow(
      expect.objectContaining(refusal('is a closure')),
    );
  });
});

test.each([[undefined], [null], [5], [{}], [Symbol('f')]])(
  '%p is no function, which is a TypeError (SUB-04)',
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

test('without an inspector the error tells to name the function by URL', () => {
  const file = write('blind.mjs', 'export const f = (x) => x;');
  const lib = JSON.stringify(
    join(__dirname, '../../dist/functions/function-ref.js'),
  );
  const program = `
    const Module = require('node:module');
    const load = Module._load;
    Module._load = function (name, ...rest) {
      if (name === 'node:inspector') throw new Error('no inspector here');
      return load.call(this, name, ...rest);
    };
    const { nameFunction } = require(${lib});
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
