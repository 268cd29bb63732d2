import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from '../../dist/context.js';
import { Jobserver, LostResult } from '../../dist/index.js';
import type { JobserverOptions } from '../../dist/index.js';
import { isRemote } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import {
  freeSlots,
  ofOwnProcess,
  openJobserver,
} from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';

const library = pathToFileURL(resolve('dist', 'index.js')).href;

// What runs in the process is noted there, and each job returns the notes.
const notes = 'const notes = (globalThis.notes ??= []);';

/** Modules of `preload`, their data, and what they ask forks to do. */
export function preloadContract(context: Context): void {
  const folder = useFolder();

  function write(name: string, text: string): string {
    const path = join(folder(), name);
    writeFileSync(
      path,
      `import { Jobserver, afterFork, isWorker } from '${library}';
       ${notes}
       ${text}`,
    );
    return path;
  }

  function open(
    preload: JobserverOptions['preload'],
    options: Pick<JobserverOptions, 'jobsPerProcess'> = {},
  ): Jobserver {
    // The leak check waits for the zygote that has loaded them.
    const all = { ...options, slots: 1, preload, forkserverKeepAlive: 0 };
    return openJobserver({ context, ...all });
  }

  const job = (text = ''): string =>
    write(
      'job.mjs',
      `${text}; export default (...args) => [...notes, ...args];`,
    );

  if (!isRemote(context)) {
    test('a fork of its submitter has what that has loaded, and preloads nothing', async () => {
      const js = open([{ module: write('first.mjs', 'notes.push(1);') }]);
      expect(await js.run(() => (globalThis as { notes?: [] }).notes)).toBe(
        undefined,
      );
    });
    return;
  }

  test('modules are imported and set up, one after another, then forks are prepared, before the function and preexec', async () => {
    const module = (name: string): string => `
      notes.push('import of ${name}');
      export async function setUp(data) {
        afterFork(() => notes.push('second callback of ${name}'));
        await null;
        notes.push(data);
      }
      afterFork(async () => {
        await null;
        notes.push('callback of ${name}');
      });`;
    const js = open([
      { module: write('first.mjs', module('first')), data: { n: 1 } },
      { module: write('second.mjs', module('second')) },
      write('third.mjs', module('third')),
    ]);
    const preexec = write(
      'preexec.mjs',
      `export default () => { notes.push('preexec'); };`,
    );
    const handle = js.with({ preexec });
    expect(await handle.run(job(`notes.push('function')`))).toEqual([
      ...['import of first', { n: 1 }, 'import of second', undefined],
      'import of third',
      ...['callback of first', 'second callback of first'],
      ...['callback of second', 'second callback of second'],
      ...['callback of third', 'function', 'preexec'],
    ]);
  });

  test('handles of one pool may have modules of their own, and share its slots', async () => {
    const module = write(
      'module.mjs',
      'export function setUp(data) { notes.push(data); }',
    );
    const js = open([{ module, data: 'first' }], { jobsPerProcess: 2 });
    const other = js.with({ preload: [{ module, data: 'second' }] });
    const none = other.with({ preload: [] });
    const handles = [js, other, none, js.with({ env: { A: 'b' } })];
    const all = handles.map((handle) => handle.run(job()));
    expect(await Promise.all(all)).toEqual([
      ['first'],
      ['second'],
      [],
      ['first'],
    ]);
    expect(thrown(() => js.with({ preload: 'x' as 'auto' }))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  test('a console that a module has put in the place of that of Node is left alone', async () => {
    const module = write(
      'module.mjs',
      `console.error();
       globalThis.console = { ...console, _stderr: 'its own' };`,
    );
    const js = open([module]).with({ output: 'capture' });
    const text = 'notes.push(console._stderr);';
    expect(await js.run(job(text))).toEqual(['its own']);
  });

  test('data has all that arguments can have', async () => {
    const error = Object.assign(new RangeError('far'), { at: 3 });
    const table = new Map<string, unknown>([['bytes', Uint8Array.of(1, 2)]]);
    const data = { table, error, big: 10n, none: undefined, large: '' };
    data.large = 'x'.repeat(300_000);
    const module = write(
      'module.mjs',
      'export function setUp(data) { notes.push(data); }',
    );
    const js = open([{ module, data }]);
    table.set('late', 1);
    const [received] = await js.run<[], (typeof data)[]>(job());
    expect(received).toMatchObject({ error, big: 10n, none: undefined });
    expect(received!.large).toBe(data.large);
    expect([...received!.table]).toEqual([['bytes', Uint8Array.of(1, 2)]]);
  });

  test('setUp of a CommonJS module is found', async () => {
    const path = join(folder(), 'module.cjs');
    writeFileSync(
      path,
      `${notes} exports['setUp'] = (data) => notes.push(data);`,
    );
    expect(await open([{ module: path, data: 5 }]).run(job())).toEqual([5]);
  });

  test('data that cannot be sent is refused at once, by name', () => {
    const module = write('module.mjs', '');
    const data = { list: [1, () => undefined] };
    const preload = [module, { module, data }];
    const error = thrown(() => new Jobserver({ context, slots: 1, preload }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
      message: expect.stringContaining('preload[1].data.list[1]'),
    });
  });

  test('an unknown name beside the module and its data is refused', () => {
    const module = write('module.mjs', '');
    const preload = [{ module, date: 1 }];
    const options = { context, slots: 1, preload };
    expect(thrown(() => new Jobserver(options))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringMatching(/`data`.*got `date`/),
    });
  });

  /** The error with which each job of the modules fails. */
  async function refusal(preload: JobserverOptions['preload']): Promise<Error> {
    const js = open(preload);
    const errors: Error[] = [];
    for (let i = 0; i < 2; i++) {
      errors.push((await rejection(js.run(job()))) as Error);
      expect(freeSlots(js)).toBe(1);
    }
    expect(errors[1]).toEqual(errors[0]);
    return errors[0]!;
  }

  test('each job fails with what a module throws', async () => {
    const error = await refusal([
      write('throws.mjs', `throw new RangeError('not today');`),
    ]);
    expect(error).toEqual(new RangeError('not today'));
  });

  test('each job fails with what setUp throws, which says so', async () => {
    const module = write(
      'throws.mjs',
      `export async function setUp(data) { throw new RangeError(data); }`,
    );
    const error = await refusal([{ module, data: 'not today' }]);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(
      /^not today. This was thrown by setUp of the preloaded module .*throws\.mjs$/,
    );
  });

  test('each job fails with what a callback of afterFork throws, which says so', async () => {
    const path = write(
      'throws.mjs',
      `afterFork(() => { throw new RangeError('not today'); });`,
    );
    const error = await refusal([path]);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe(
      'not today. This was thrown by a callback of afterFork',
    );
  });

  test('a module that is given data and has no setUp is refused, by name', async () => {
    const module = write('bare.mjs', 'export const setup = () => 1;');
    expect(await refusal([{ module, data: 1 }])).toMatchObject({
      name: 'TypeError',
      code: 'ERR_JOBSERVER_FUNCTION',
      message: expect.stringMatching(
        /bare\.mjs exports no function setUp; it has setup/,
      ),
    });
  });

  test('a module, or its setUp, that never settles is refused', async () => {
    const never = 'await new Promise(() => undefined);';
    const module = write(
      'never.mjs',
      `export async function setUp() { ${never} }`,
    );
    const code = 'ERR_JOBSERVER_PRELOAD';
    expect(await refusal([{ module }])).toMatchObject({
      code,
      message: expect.stringMatching(
        /^setUp of the preloaded module .*never\.mjs waits for a promise that never/,
      ),
    });
    expect(await refusal([write('top.mjs', never)])).toMatchObject({
      code,
      message: expect.stringMatching(/top\.mjs waits at its top level for/),
    });
  });

  test('what a module starts in a Jobserver is refused', async () => {
    const use = 'new Jobserver({ slots: 1 });';
    const code = 'ERR_JOBSERVER_IMPORTING';
    expect(await refusal([write('top.mjs', use)])).toMatchObject({ code });
    const module = write('set-up.mjs', `export function setUp() { ${use} }`);
    expect(await refusal([{ module }])).toMatchObject({ code });
  });

  test('a preloaded module sees that it is in a worker', async () => {
    const path = write('module.mjs', 'notes.push(isWorker);');
    expect(await open([path]).run(job())).toEqual([true]);
  });

  test('a process of several jobs is prepared once', async () => {
    const module = write(
      'module.mjs',
      `export function setUp() { notes.push('set up'); }
       afterFork(() => notes.push('prepared'));`,
    );
    const js = open([{ module }], { jobsPerProcess: Infinity });
    const expected = ['set up', 'prepared'];
    const path = job();
    for (let i = 0; i < 3; i++) {
      expect(await js.run(path)).toEqual(expected);
    }
    // Another function, which has to be loaded.
    const other = write('other.mjs', 'export default () => notes;');
    expect(await js.run(other)).toEqual(expected);
  });

  test('a process that could not be prepared has no other job', async () => {
    const counter = join(folder(), 'counter');
    const path = write(
      'module.mjs',
      `import { appendFileSync, readFileSync } from 'node:fs';
       afterFork(() => {
         appendFileSync('${counter}', '.');
         if (readFileSync('${counter}').length === 1) throw new Error('at first');
         notes.push('prepared');
       });`,
    );
    const js = open([path], { jobsPerProcess: Infinity });
    await expect(js.run(job())).rejects.toThrow('at first');
    expect(await js.run(job())).toEqual(['prepared']);
  });

  test('what a job registers itself has no effect', async () => {
    const path = write(
      'registers.mjs',
      `export default () => { afterFork(() => notes.push('callback')); return [...notes]; };`,
    );
    const js = open([]);
    for (let i = 0; i < 2; i++) expect(await js.run(path)).toEqual([]);
  });

  test('callbacks of all copies of the package are called', async () => {
    const path = write(
      'copies.mjs',
      `import { createRequire } from 'node:module';
       const require = createRequire('${library}');
       const first = require('./index.js');
       for (const file of Object.keys(require.cache)) delete require.cache[file];
       const second = require('./index.js');
       notes.push(first === second);
       second.afterFork(() => notes.push('of the copy'));`,
    );
    expect(await open([path]).run(job())).toEqual([false, 'of the copy']);
  });

  test('a job of a job, and one of a handle that was passed to it, have the same data', async () => {
    const module = write(
      'module.mjs',
      'export function setUp(data) { notes.push(data); }',
    );
    const outer = write(
      'outer.mjs',
      `export default async function outer(path, handle) {
         const own = new Jobserver();
         const found = [await own.run(path), await handle.run(path)];
         await own.close();
         return found;
       }`,
    );
    const data = { bytes: new Uint8Array(10_000).fill(7) };
    const js = open([{ module, data }]);
    const other = open([{ module, data: 2 }]);
    expect(await js.run(outer, job(), js)).toEqual([[data], [data]]);
    expect(await js.run(outer, job(), other)).toEqual([[data], [2]]);
  });

  ofOwnProcess('a job that exits after a preload says so', async () => {
    const js = open([write('module.mjs', '')]);
    const path = write('exits.mjs', 'export default () => process.exit(3);');
    const error = await rejection(js.run(path));
    expect(error).toBeInstanceOf(LostResult);
    expect((error as Error).cause).toMatchObject({
      message: expect.stringContaining('process.exit(3) was called'),
    });
  });
}
