import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runInThisContext } from 'node:vm';
import {
  importFunction,
  inline,
  nameFunction,
} from '../../dist/functions/function-ref.js';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';
import { thrown } from '../helpers/thrown.js';

const factor = 3;

/** As a job gets it: by nothing but plain data. */
function sent<Fn extends (...args: never[]) => unknown>(fn: Fn): Fn {
  const ref = nameFunction(inline(fn), 'fn');
  return importFunction(structuredClone(ref)) as Fn;
}

function messageOf(fn: unknown): string {
  const error = thrown(() => inline(fn as () => void)) as Error;
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ code: 'ERR_JOBSERVER_FUNCTION' });
  return error.message;
}

describe('inline', () => {
  const folder = useFolder();

  test('returns the function itself', () => {
    const fn = (): number => 1;
    expect(inline(fn)).toBe(fn);
  });

  test('sends arrow functions, function expressions and declarations', () => {
    function declared(n: number): number {
      return n < 2 ? n : declared(n - 1) + declared(n - 2);
    }
    expect(sent((n: number) => n * 2)(21)).toBe(42);
    expect(
      sent(function (n: number) {
        return n + 1;
      })(1),
    ).toBe(2);
    expect(sent(declared)(10)).toBe(55);
  });

  test('sends asynchronous functions and generators', async () => {
    expect(await sent(async (n: number) => Promise.resolve(n))(5)).toBe(5);
    const count = sent(function* (to: number) {
      for (let i = 0; i < to; i += 1) yield i;
    });
    expect([...count(3)]).toEqual([0, 1, 2]);
  });

  test('lets the function have variables of its own', () => {
    const fn = sent((factor: number, { sum = 0 }: { sum?: number }) => {
      const words = { factor: 'name' };
      const inner = (n: number): number => {
        let message = n;
        message += sum;
        return message * factor;
      };
      return `${inner(1)} ${words.factor}`;
    });
    expect(fn(2, { sum: 4 })).toBe('10 name');
  });

  test('lets the function use globals', () => {
    const fn = sent((values: number[]) => Math.max(...values, process.pid));
    expect(fn([1])).toBe(process.pid);
  });

  test('runs strict code without this', () => {
    const fn = sent(function (this: unknown) {
      return this;
    });
    expect(fn()).toBeUndefined();
  });

  test('makes the function once', () => {
    const ref = nameFunction(
      inline(() => 7),
      'fn',
    );
    const first = importFunction(structuredClone(ref));
    expect(importFunction(structuredClone(ref))).toBe(first);
    expect(nameFunction(first, 'fn')).toEqual(ref);
  });

  test('refuses a function that uses a variable around it by name', () => {
    expect(messageOf((n: number) => n * factor)).toBe(
      'An inline function is sent as its source text, but it uses factor, which it ' +
        'lacks there. Pass its value as an argument, import what a module exports ' +
        'in the function, or export the function from a module',
    );
    const other = 4;
    const both = (n: number): (() => number) => {
      return () => n * factor * other;
    };
    expect(messageOf(both)).toContain('both uses factor, other, which');
    expect(messageOf(() => join('a', 'b'))).toMatch(/uses \w+, which/);
  });

  test('refuses a variable that hides a global', () => {
    const performance = { now: () => 1 };
    expect(messageOf(() => performance.now())).toContain('uses performance,');
  });

  test('refuses a default value that uses a variable around it', () => {
    expect(messageOf((n = factor) => n)).toContain('uses factor,');
  });

  test('refuses a name that is nowhere defined', () => {
    const fn = runInThisContext('(n) => n + nowhere') as () => void;
    expect(messageOf(fn)).toContain('uses nowhere,');
  });

  test('names another way for what people try first', () => {
    const made = (text: string): unknown =>
      runInThisContext(`(() => { ${text}; return fn; })()`);
    expect(messageOf(made('const fn = (n) => n && fn(n - 1)'))).toMatch(
      /calls itself by a variable. Write it as: function fn\(\)/,
    );
    expect(
      messageOf(made('const cov_1x = {}; const fn = () => { cov_1x.s++; }')),
    ).toMatch(/changed by a coverage tool \(cov_1x\)/);
    expect(
      messageOf(made('const __awaiter = 1; const fn = () => __awaiter')),
    ).toMatch(/changed by a compiler \(__awaiter\)/);
    expect(messageOf(made("const fn = (n) => eval('n')"))).toMatch(/uses eval/);
  });

  test.each([
    ['a class', class {}, /is a class/],
    [
      'a method',
      { double: (n: number) => n, f() {} }.f,
      /no function on its own/,
    ],
    ['a bound function', (() => 1).bind(null), /bound.* has none/],
    ['a native function', Math.max, /max has none/],
  ])('refuses %s', (_, fn, expected) => {
    expect(messageOf(fn)).toMatch(expected);
  });

  test('refuses what is no function', () => {
    expect(thrown(() => inline('f' as never))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  test('accepts the calls that esbuild puts around functions', () => {
    const text = 'const fn = () => { const f = __name(() => 3); return f(); }';
    const fn = runInThisContext(
      `(() => { const __name = (fn) => fn; ${text}; return fn; })()`,
    ) as () => number;
    expect(sent(fn)()).toBe(3);
  });

  test('names the file and line of the function in stack traces', () => {
    const fn = sent(() => {
      throw new Error('here');
    });
    const { stack } = thrown(fn) as Error;
    expect(stack).toMatch(/inline\.test\.js:\d+:\d+/);
  });

  test('loads modules relative to its file', async () => {
    const file = join(folder(), 'main.mjs');
    const library = JSON.stringify(resolve('dist', 'index.js'));
    writeFileSync(join(folder(), 'other.mjs'), 'export const value = 9;');
    writeFileSync(join(folder(), 'third.cjs'), 'module.exports = 1;');
    writeFileSync(
      file,
      `import jobserver from ${library};
      const pool = new jobserver.Jobserver({ slots: 1 });
      const load = async () =>
        (await import('./other.mjs')).value + require('./third.cjs');
      console.log(await pool.run(jobserver.inline(load)));
      await pool.close();`,
    );
    expect(await runNode([file])).toMatchObject({ stdout: '10\n', stderr: '' });
  });

  test('the refusal of a function that is not exported mentions it', () => {
    const hidden = (): number => 1;
    expect((thrown(() => nameFunction(hidden, 'fn')) as Error).message).toMatch(
      /inline\(\) sends a small function/,
    );
  });
});
