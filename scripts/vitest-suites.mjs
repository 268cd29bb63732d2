// The projects that test-vitest.mjs generates. Each has the given number of test files,
// which are of several kinds; about every tenth file has a test that fails.

const failing = (i) =>
  i % 10 === 3 ? `test('fails', () => { expect(${i}).toBe(0); });` : '';

const snapshot = (i, value) =>
  `// Vitest Snapshot v1, https://vitest.dev/guide/snapshot.html

exports[\`has a snapshot of ${i} 1\`] = ${value};
`;

/** The kinds take turns. `text` makes the source, and `snapshots` its snapshots. */
function filesOf(count, extension, kinds) {
  const files = {};
  for (let i = 0; i < count; i++) {
    const { text, snapshots } = kinds[i % kinds.length];
    const name = `${i}.test.${extension}`;
    files[name] = `${text(i)}\n${failing(i)}\n`;
    if (snapshots === undefined) continue;
    files[`__snapshots__/${name}.snap`] = snapshot(i, snapshots(i));
  }
  return files;
}

const functions = [
  {
    text: (i) => `
      import { describe, expect, test, vi } from 'vitest';
      import { cache, fibonacci } from './source.js';
      describe.each([1, 2, 3])('part %i of ${i}', (part) => {
        test('starts afresh', () => { if (part === 1) expect(cache.size).toBe(0); });
        test('computes', () => { expect(fibonacci(${i % 20} + part)).toBeGreaterThan(0); });
      });
      test('spies', () => {
        const fn = vi.spyOn(Math, 'random').mockReturnValue(${i});
        expect(Math.random()).toBe(${i});
        expect(fn).toHaveBeenCalledOnce();
      });`,
  },
  {
    text: (i) => `
      import { readFileSync } from 'node:fs';
      import { expect, test, vi } from 'vitest';
      import { fibonacci } from './source.js';
      import { nameOf } from './reader.js';
      vi.mock('./source.js', async (original) => ({
        ...(await original()), fibonacci: vi.fn((n) => n * ${i}),
      }));
      vi.mock('node:fs', () => ({ readFileSync: vi.fn(() => '{ "name": "x${i}" }') }));
      test('mocks its own modules, and those of node', () => {
        expect(fibonacci(2)).toBe(${2 * i});
        expect(nameOf('file')).toBe('x${i}');
        expect(readFileSync).toHaveBeenCalledWith('file', 'utf8');
      });
      test('loads a module again', async () => {
        vi.resetModules();
        vi.doUnmock('./source.js');
        const { fibonacci: actual } = await import('./source.js');
        expect(actual(7)).toBe(13);
      });`,
  },
  {
    text: (i) => `
      import { afterEach, beforeEach, expect, test, vi } from 'vitest';
      beforeEach(() => { vi.useFakeTimers({ now: ${i} * 1000 }); });
      afterEach(() => { vi.useRealTimers(); });
      test('waits', async () => {
        const fn = vi.fn();
        setInterval(fn, ${i + 1});
        await vi.advanceTimersByTimeAsync(${3 * (i + 1)});
        expect(fn).toHaveBeenCalledTimes(3);
        expect(Date.now()).toBe(${i} * 1000 + ${3 * (i + 1)});
      });
      test('is impatient', { timeout: 5000 }, async () => {
        vi.useRealTimers();
        await new Promise((resolve) => setTimeout(resolve, 5));
        await expect(Promise.reject(new Error('e${i}'))).rejects.toThrow('e${i}');
      });`,
  },
  {
    text: (i) => `
      import { expect, test } from 'vitest';
      test('has a snapshot of ${i}', () => {
        expect({ i: ${i}, at: new Map([[1, new Set(['a'])]]) }).toMatchSnapshot();
      });
      test('has one inline', () => {
        expect([${i}]).toMatchInlineSnapshot(\`
          [
            ${i},
          ]
        \`);
      });`,
    snapshots: (i) => `
\`
{
  "at": Map {
    1 => Set {
      "a",
    },
  },
  "i": ${i},
}
\``,
  },
  {
    text: (i) => `
      import { describe, expect, test as base } from 'vitest';
      const log = [];
      const test = base.extend({
        list: async ({}, use) => { log.push('up'); await use([${i}]); log.push('down'); },
      });
      describe.concurrent('at once', () => {
        base.for([1, 2, 3])('%i', async (n, { expect }) => {
          await new Promise((resolve) => setTimeout(resolve, n));
          expect(n).toBeLessThan(4);
        });
      });
      test('has fixtures', ({ list }) => { expect(list).toEqual([${i}]); });
      test('has taken them down', () => { expect(log).toEqual(['up', 'down']); });
      base('is set up once', () => {
        expect(globalThis.setUps).toBe(1);
        expect(import.meta.env.MODE).toBe('test');
        console.log('from %i', ${i});
        expect(${i}).toBeTheFile(${i});
      });
      base.skip('is skipped', () => {});
      base.todo('is to do');
      let attempts = 0;
      base('passes at last', { retry: 2 }, () => { expect(++attempts).toBe(3); });`,
  },
];

const compilers = [
  {
    text: (i) => `
      import ts from 'typescript';
      import { expect, test, vi } from 'vitest';
      import { Level, type Named, describeLevel } from '@/level';
      const named: Named = { name: 'n${i}', level: Level.High };
      test('compiles', () => {
        const { outputText } = ts.transpileModule('enum A { b = ${i} }', {});
        expect(outputText).toContain('A["b"] = ${i}');
      });
      test('is compiled', () => {
        expect(describeLevel(named)).toBe('n${i}: High');
        expect(import.meta.env.SSR).toBe(true);
      });
      test('waits', async () => {
        vi.useFakeTimers();
        const fn = vi.fn<(n?: number) => void>();
        setTimeout(fn, ${i});
        await vi.advanceTimersByTimeAsync(${i});
        expect(fn).toHaveBeenCalledOnce();
        vi.useRealTimers();
      });`,
  },
  {
    text: (i) => `
      import ts from 'typescript';
      import { expect, test, vi } from 'vitest';
      vi.mock('typescript', async (original) => {
        const { default: actual } = await original<{ default: typeof ts }>();
        return { default: { ...actual, version: 'v${i}' } };
      });
      test('mocks a part of a package', async () => {
        expect(ts.version).toBe('v${i}');
        expect(ts.SyntaxKind[ts.SyntaxKind.EnumDeclaration]).toBe('EnumDeclaration');
        const { default: actual } = await vi.importActual<{ default: typeof ts }>('typescript');
        expect(actual.version).toMatch(/^\\d/);
      });
      test('changes it', () => {
        (ts as { changed?: number }).changed = ${i};
      });`,
  },
  {
    text: (i) => `
      import ts from 'typescript';
      import { expect, test } from 'vitest';
      import { Store } from '@/store';
      const tree = (code: string): string[] => {
        const found: string[] = [];
        const visit = (node: ts.Node): void => {
          found.push(ts.SyntaxKind[node.kind]);
          ts.forEachChild(node, visit);
        };
        visit(ts.createSourceFile('x.ts', code, ts.ScriptTarget.Latest));
        return found;
      };
      test('has a snapshot of ${i}', () => { expect(tree('let a = ${i};')).toMatchSnapshot(); });
      test('finds a package as it was', () => {
        expect((ts as { changed?: number }).changed).toBe(undefined);
        expect(ts.sys.args).toBeInstanceOf(Array);
      });
      test('imports later', async () => {
        const store = new Store<number>();
        store.add(${i});
        expect(await store.format()).toBe('[${i}]');
      });`,
    snapshots: () => `
\`
[
  "SourceFile",
  "FirstStatement",
  "VariableDeclarationList",
  "VariableDeclaration",
  "Identifier",
  "FirstLiteralToken",
  "EndOfFileToken",
]
\``,
  },
];

const components = [
  {
    text: (i) => `
      import { afterEach, expect, test, vi } from 'vitest';
      import './counter.js';
      afterEach(() => { document.body.innerHTML = ''; });
      test('counts', () => {
        document.body.innerHTML = '<x-counter start="${i}"></x-counter>';
        document.querySelector('button').click();
        expect(document.querySelector('output').textContent).toBe('${i + 1}');
      });
      test('has a window of its own', () => {
        expect(window.seen).toBe(undefined);
        window.seen = true;
        localStorage.setItem('${i}', 'x');
        expect(localStorage.length).toBe(1);
      });`,
  },
  {
    text: (i) => `
      import { expect, test, vi } from 'vitest';
      import { load } from './load.js';
      vi.mock('./api.js', () => ({ fetchItems: vi.fn(async () => ['a', 'b${i}']) }));
      test('has a snapshot of ${i}', async () => {
        await load(document.body);
        expect(document.body).toMatchSnapshot();
      });
      test('observes', async () => {
        const seen = vi.fn();
        new MutationObserver(seen).observe(document.body, { childList: true });
        document.body.append('text');
        await vi.waitFor(() => expect(seen).toHaveBeenCalledOnce());
      });`,
    snapshots: (i) => `
\`
<body>
  <ul>
    <li>
      a
    </li>
    <li>
      b${i}
    </li>
  </ul>
</body>
\``,
  },
  {
    text: (i) => `
      import { expect, test, vi } from 'vitest';
      test('debounces input', () => {
        vi.useFakeTimers();
        document.body.innerHTML = '<input value="${i}">';
        const input = document.querySelector('input');
        const fn = vi.fn();
        input.addEventListener('input', () => setTimeout(fn, 300, input.value));
        input.dispatchEvent(new Event('input', { bubbles: true }));
        vi.advanceTimersByTime(299);
        expect(fn).not.toHaveBeenCalled();
        vi.advanceTimersByTime(1);
        expect(fn).toHaveBeenCalledWith('${i}');
        vi.useRealTimers();
      });
      test('has globals of the window', () => {
        vi.stubGlobal('innerWidth', ${i});
        expect(window.innerWidth).toBe(${i});
        vi.unstubAllGlobals();
        expect(innerWidth).toBe(1024);
        expect(document.title).toBe('set up');
        expect(getComputedStyle(document.body).display).toBe('block');
        expect(new URL('/a', location.href).href).toBe('http://localhost:3000/a');
      });
      test('finds an element', () => { expect(document.body).toHaveTag('BODY'); });`,
  },
  {
    text: (i) => `
      // @vitest-environment happy-dom
      import { expect, test } from 'vitest';
      import './counter.js';
      test('counts elsewhere', () => {
        document.body.innerHTML = '<x-counter start="${i}"></x-counter>';
        document.querySelector('button').click();
        expect(document.querySelector('output').textContent).toBe('${i + 1}');
        expect(window.happyDOM).toBeDefined();
      });`,
  },
  {
    text: (i) => `
      // @vitest-environment node
      import { expect, test } from 'vitest';
      test('has no window', () => {
        expect(typeof window).toBe('undefined');
        expect(typeof document).toBe('undefined');
        expect(structuredClone({ i: ${i} })).toEqual({ i: ${i} });
      });`,
  },
];

/** Each has the options of a project, those of the pool, and its files. */
export const suites = {
  functions: (count) => ({
    test: { setupFiles: ['./setup.js'] },
    files: {
      ...filesOf(count, 'js', functions),
      'source.js': `
        export const cache = new Map();
        export function fibonacci(n) {
          if (n < 2) return n;
          if (!cache.has(n)) cache.set(n, fibonacci(n - 1) + fibonacci(n - 2));
          return cache.get(n);
        }`,
      'reader.js': `
        import { readFileSync } from 'node:fs';
        export const nameOf = (file) => JSON.parse(readFileSync(file, 'utf8')).name;`,
      'setup.js': `
        import { expect } from 'vitest';
        globalThis.setUps = (globalThis.setUps ?? 0) + 1;
        expect.extend({
          toBeTheFile: (one, other) => ({ pass: one === other, message: () => 'another' }),
        });`,
    },
  }),
  compilers: (count) => ({
    pool: { preload: ['typescript'] },
    alias: { '@': 'src' },
    test: { setupFiles: ['./setup.ts'] },
    files: {
      ...filesOf(count, 'ts', compilers),
      'src/level.ts': `
        export enum Level { Low, High }
        export interface Named { readonly name: string; readonly level: Level }
        export const describeLevel = ({ name, level }: Named): string =>
          \`\${name}: \${Level[level]}\`;`,
      'src/store.ts': `
        export class Store<T> {
          private readonly all: T[] = [];
          constructor(readonly name: string = 'store') {}
          add(value: T): void { this.all.push(value); }
          async format(): Promise<string> {
            const { format } = await import('./format');
            return format(this.all);
          }
        }`,
      'src/format.ts': `
        import ts from 'typescript';
        export const format = (all: readonly unknown[]): string => {
          if (typeof ts.version !== 'string') throw new Error('no compiler');
          return JSON.stringify(all);
        };`,
      'setup.ts': `
        import { afterEach, vi } from 'vitest';
        afterEach((): void => { vi.restoreAllMocks(); });`,
    },
  }),
  components: (count) => ({
    test: { environment: 'jsdom', setupFiles: ['./setup.js'] },
    files: {
      ...filesOf(count, 'js', components),
      'counter.js': `
        class Counter extends HTMLElement {
          connectedCallback() {
            this.count = Number(this.getAttribute('start'));
            this.innerHTML = '<button>+</button><output></output>';
            this.querySelector('button').addEventListener('click', () => this.add());
          }
          add() {
            this.count += 1;
            this.querySelector('output').textContent = this.count;
          }
        }
        customElements.define('x-counter', Counter);`,
      'api.js': `
        export const fetchItems = async () => { throw new Error('there is no server'); };`,
      'load.js': `
        import { fetchItems } from './api.js';
        export async function load(parent) {
          const list = document.createElement('ul');
          for (const item of await fetchItems()) {
            list.append(Object.assign(document.createElement('li'), { textContent: item }));
          }
          parent.append(list);
        }`,
      'setup.js': `
        import { expect } from 'vitest';
        if (typeof document !== 'undefined') document.title = 'set up';
        expect.extend({
          toHaveTag: (element, tag) => ({
            pass: element.tagName === tag, message: () => 'is a ' + element.tagName,
          }),
        });`,
    },
  }),
};
