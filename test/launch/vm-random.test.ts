import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Jobserver } from '../../dist/index.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';

const folder = useFolder();
checkSlots();

// The ways to make a context, each of which returns one.
const made = {
  createContext: 'vm.createContext()',
  'createContext, imported by name': 'createContext({ a: 1 })',
  runInNewContext: `vm.runInNewContext('globalThis', {})`,
  'a script': `new vm.Script('globalThis').runInNewContext()`,
  'a context with options': `vm.runInNewContext('globalThis', {}, {
    contextName: 'a', contextCodeGeneration: { strings: false } })`,
  'a context with its own microtasks': `vm.createContext({}, {
    microtaskMode: 'afterEvaluate' })`,
};

/** Opens a Jobserver that preloads a module which makes a context and draws. */
function open(expression: string): { js: Jobserver; path: string } {
  const path = join(folder(), 'module.mjs');
  writeFileSync(
    path,
    `import vm, { createContext } from 'node:vm';
     const make = () => ${expression};
     const draw = (context) => vm.isContext(context)
       ? vm.runInContext('Math.random()', context) : context.Math.random();
     const early = make();
     draw(early);
     export const numbers = () => [draw(early), draw(make()), draw(make())];
     export const evaluate = (text) => vm.runInNewContext(text);`,
  );
  const preload = [path];
  return {
    js: openJobserver({ context: 'forkserver', slots: 1, preload }),
    path,
  };
}

test.each(Object.entries(made))(
  'contexts of forks have numbers of their own: %s',
  async (_, expression) => {
    const { js, path } = open(expression);
    const drawn = new Set<number>();
    for (let i = 0; i < 3; i++) {
      for (const n of await js.run<[], number[]>(`${path}#numbers`)) {
        expect(n).toBeGreaterThanOrEqual(0);
        expect(n).toBeLessThan(1);
        drawn.add(n);
      }
    }
    expect(drawn.size).toBe(9);
  },
);

test('Math.random of a context belongs to its realm', async () => {
  const { js, path } = open('vm.createContext()');
  const text = `[Math.random instanceof Function, Math.random.name, Math.random.length,
    Object.keys(Math), Math.random.hasOwnProperty('prototype')]`;
  expect(await js.run(`${path}#evaluate`, text)).toEqual([
    ...[true, 'random', 0, [], false],
  ]);
});

test('a Math that the user puts into a context stays as it is', async () => {
  const { js, path } = open(
    'vm.createContext({ Math: { random: () => 0.25 } })',
  );
  for (let i = 0; i < 2; i++) {
    expect(await js.run(`${path}#numbers`)).toEqual([0.25, 0.25, 0.25]);
  }
});

test('Math.random that the user has replaced in a context stays so', async () => {
  const { js, path } = open(`(() => {
    const context = vm.createContext();
    vm.runInContext('Math.random = () => 0.5', context);
    return vm.createContext(context);
  })()`);
  expect(await js.run(`${path}#numbers`)).toEqual([0.5, 0.5, 0.5]);
});

test('what is wrong with the options of a context is reported by Node', async () => {
  const { js, path } = open('vm.createContext()');
  const bad = join(folder(), 'bad.mjs');
  writeFileSync(
    bad,
    `import vm from 'node:vm';
     export default () => vm.runInNewContext('1', {}, { contextName: 5 });`,
  );
  expect(await js.run(`${path}#evaluate`, '1 + 1')).toBe(2);
  await expect(js.run(bad)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
    message: expect.stringContaining('options.contextName'),
  });
});

test('a context that has the process object sees the pid of the job', async () => {
  const path = join(folder(), 'module.mjs');
  writeFileSync(
    path,
    `import vm from 'node:vm';
     const context = vm.createContext({ process });
     const pid = () => vm.runInContext('process.pid', context);
     const early = pid();
     export const pids = () => [early, pid(), process.pid, process.ppid];`,
  );
  const preload = [path];
  const js = openJobserver({ context: 'forkserver', slots: 1, preload });
  const seen = new Set<number>();
  for (let i = 0; i < 3; i++) {
    const pids = await js.run<[], number[]>(`${path}#pids`);
    const [early, inContext, own, zygote] = pids;
    expect([early, inContext]).toEqual([zygote, own]);
    seen.add(inContext!);
  }
  expect(seen.size).toBe(3);
});
