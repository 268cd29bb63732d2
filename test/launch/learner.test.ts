import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Jobserver, JobserverOptions } from '../../dist/index.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { type Ended, runNode } from '../helpers/program.js';
import { timeoutFactor, until } from '../helpers/until.js';

const folder = useFolder();
checkSlots();
jest.setTimeout(60_000 * timeoutFactor);

const library = pathToFileURL(resolve('dist', 'index.js')).href;

/**
 * A module whose `seen` returns where it was loaded, where it runs, and how many
 * calls this copy of it has seen.
 */
function write(name: string, text = ''): string {
  const path = join(folder(), name);
  const isModule = !name.endsWith('.cjs');
  writeFileSync(
    path,
    `const loadedIn = process.pid;
     let calls = 0;
     ${isModule ? 'export' : 'exports.seen = seen;'}
     function seen() {
       calls += 1;
       return { loadedIn, pid: process.pid, parent: process.ppid, calls };
     }
     ${text}`,
  );
  return path;
}

interface Seen {
  loadedIn: number;
  pid: number;
  parent: number;
  calls: number;
}

/** With a module of its own, so that it knows nothing of the tests before. */
function open(options: JobserverOptions = {}): Jobserver {
  const preload = ['auto', write('own.mjs')];
  const auto = { preload, context: 'forkserver' } as const;
  return openJobserver({ ...auto, ...options, slots: options.slots ?? 1 });
}

const seen = (js: Jobserver, path: string): Promise<Seen> =>
  js.run<[], Seen>(`${path}#seen`);

/** What the first job sees that finds the module loaded. */
async function whenLoaded(js: Jobserver, path: string): Promise<Seen> {
  let last: Seen | undefined;
  await until('the module to be preloaded', async () => {
    last = await seen(js, path);
    return last.loadedIn === last.parent;
  });
  return last!;
}

test.each(['module.mjs', 'module.cjs', 'query.mjs?a=1'])(
  'a job finds its module loaded once one has used it: %s',
  async (name) => {
    const [file, query] = name.split('?');
    const path = write(file!);
    const url =
      query === undefined ? path : `${pathToFileURL(path).href}?${query}`;
    const js = open({ preload: 'auto' });
    expect(await js.ready()).toBe('cold');
    const first = await seen(js, url);
    expect(first).toMatchObject({ loadedIn: first.pid, calls: 1 });
    const { parent } = await whenLoaded(js, url);
    expect(parent).not.toBe(first.parent);
    // Each job begins with the state that the import has left.
    for (let i = 0; i < 3; i++) {
      const expected = { loadedIn: parent, parent, calls: 1 };
      expect(await seen(js, url)).toMatchObject(expected);
    }
  },
);

test('jobs that inherit no options have a zygote of their own, which learns', async () => {
  const { execArgv } = process;
  const path = write('module.mjs', 'export const of = () => process.execArgv;');
  const js = open({ preload: 'auto' });
  const own = ['--stack-trace-limit=20'];
  const alone = js.with({ inheritExecArgv: false, execArgv: own });
  try {
    process.execArgv = ['--trace-uncaught'];
    const first = await whenLoaded(js, path);
    const { parent } = await whenLoaded(alone, path);
    expect(parent).not.toBe(first.parent);
    expect((await seen(alone, path)).parent).toBe(parent);
    expect(await alone.run(`${path}#of`)).toEqual(own);
    expect(await js.run(`${path}#of`)).toEqual(['--trace-uncaught']);
  } finally {
    process.execArgv = execArgv;
  }
});

test('without it, each job imports its module', async () => {
  const path = write('module.mjs');
  const js = openJobserver({ slots: 1, context: 'forkserver' });
  for (let i = 0; i < 5; i++) {
    const { loadedIn, pid } = await seen(js, path);
    expect(loadedIn).toBe(pid);
    await sleep(50);
  }
});

test('it is an element of a list of modules, too', async () => {
  const given = write(
    'given.mjs',
    `export const setUp = (data) => { globalThis.given = [process.pid, data]; };`,
  );
  const path = write(
    'module.mjs',
    `export const given = () => globalThis.given;`,
  );
  const js = open({ preload: ['auto', { module: given, data: 5 }] });
  const { parent } = await whenLoaded(js, path);
  expect(await js.run(`${path}#given`)).toEqual([parent, 5]);
  expect((await seen(js, given)).loadedIn).toBe(parent);
});

test('the module of preexec is learned, too', async () => {
  const path = write('module.mjs');
  const before = write(
    'before.mjs',
    'globalThis.before = process.pid; export const enter = () => undefined;',
  );
  const other = write(
    'other.mjs',
    'export const before = () => globalThis.before;',
  );
  const js = open().with({ preexec: `${before}#enter` });
  const { parent } = await whenLoaded(js, path);
  expect(await js.run(`${other}#before`)).toBe(parent);
});

test('a process of several jobs is forked with the modules of jobs', async () => {
  const path = write('module.mjs');
  const js = open({ jobsPerProcess: 2 });
  const { parent } = await whenLoaded(js, path);
  const calls: number[] = [];
  for (let i = 0; i < 4; i++) {
    const job = await seen(js, path);
    expect(job).toMatchObject({ loadedIn: parent, parent });
    calls.push(job.calls);
  }
  expect(calls.slice(-2).sort()).toEqual([1, 2]);
});

test('a later module joins the ones before', async () => {
  const js = open();
  const all = ['a.mjs', 'b.mjs', 'c.mjs'].map((name) => write(name));
  const zygotes: number[] = [];
  for (const path of all) zygotes.push((await whenLoaded(js, path)).parent);
  const parent = zygotes.pop()!;
  for (const path of all) {
    expect(await seen(js, path)).toMatchObject({ loadedIn: parent, parent });
  }
  await until('the ones in between to end', () => !zygotes.some(isAlive));
});

test('jobs of a program that blocks its thread are learned, too', async () => {
  const path = write('module.mjs');
  const js = open();
  const end = Date.now() + 10_000 * timeoutFactor;
  for (let job: Seen | undefined; job?.loadedIn !== job?.parent || !job;) {
    expect(Date.now()).toBeLessThan(end);
    job = js.submitSync<[], Seen>(`${path}#seen`).resultSync();
  }
});

test('a job that runs meanwhile is not disturbed', async () => {
  const path = write(
    'module.mjs',
    `export const wait = async (file) => {
       const { existsSync } = await import('node:fs');
       const { setTimeout } = await import('node:timers/promises');
       while (!existsSync(file)) await setTimeout(5);
       return process.ppid;
     };`,
  );
  const js = open({ slots: 2 });
  const gate = join(folder(), 'gate');
  const { parent: old } = await whenLoaded(js, path);
  const waiting = await js.submit<[string], number>(`${path}#wait`, [gate]);
  const { parent } = await whenLoaded(js, write('other.mjs'));
  expect(parent).not.toBe(old);
  writeFileSync(gate, '');
  expect(await waiting.result()).toBe(old);
});

test('a module that has changed is loaded anew', async () => {
  const path = write('module.mjs');
  const js = open();
  const { parent: old } = await whenLoaded(js, path);
  write('module.mjs', `export const text = () => 'new';`);
  await until('the change to be seen', async () => {
    await seen(js, path);
    return (await js.run(`${path}#text`).catch(() => 'old')) === 'new';
  });
  const { parent } = await whenLoaded(js, path);
  expect(parent).not.toBe(old);
});

test('a forkserver that has died is replaced by another with the same modules', async () => {
  const path = write('module.mjs');
  const js = open();
  const { parent: old } = await whenLoaded(js, path);
  process.kill(old, 'SIGKILL');
  // A process that it had forked before may take a job even now.
  await until('it to end', () => !isAlive(old));
  const { parent } = await whenLoaded(js, path);
  expect(parent).not.toBe(old);
});

test('jobs of a job are forked from the same process', async () => {
  const path = write('module.mjs');
  const outer = write(
    'outer.mjs',
    `import { Jobserver } from '${library}';
     export async function outer(path, options) {
       const js = new Jobserver(options);
       const inner = await js.run(path + '#seen');
       await js.close();
       return [process.ppid, inner.parent, inner.loadedIn];
     }`,
  );
  const js = open();
  await whenLoaded(js, path);
  const { parent } = await whenLoaded(js, outer);
  for (const options of [
    {},
    { preload: ['auto', join(folder(), 'own.mjs')] },
  ]) {
    const seen = await js.run(`${outer}#outer`, path, options);
    expect(seen).toEqual([parent, parent, parent]);
  }
});

test('spawned jobs import their modules themselves', async () => {
  const path = write('module.mjs');
  const js = open({ context: 'spawn' });
  expect(await js.ready()).toBe('spawn');
  for (let i = 0; i < 2; i++) {
    const { loadedIn, pid } = await seen(js, path);
    expect(loadedIn).toBe(pid);
  }
});

test('a warm-up decides alone what its forkserver loads', async () => {
  const path = write('module.mjs');
  const warm = write('warm.mjs');
  const js = open({ warmUp: `${warm}#seen` });
  expect(await js.ready()).toBe('warm');
  for (let i = 0; i < 5; i++) {
    const { loadedIn, pid } = await seen(js, path);
    expect(loadedIn).toBe(pid);
    await sleep(50);
  }
});

/** Runs a program that has a Jobserver `js`, and the functions of this file. */
function runWith(
  text: string,
  env: NodeJS.ProcessEnv = {},
  name = 'program.mjs',
): Promise<Ended> {
  const program = join(folder(), name);
  writeFileSync(
    program,
    `import { setTimeout as sleep } from 'node:timers/promises';
     import { Jobserver } from '${library}';
     const options = { slots: 1, context: 'forkserver', preload: 'auto' };
     const js = new Jobserver(options);
     const seen = (path) => js.run(path + '#seen');
     async function whenLoaded(path) {
       for (;;) {
         const job = await seen(path);
         if (job.loadedIn === job.parent) return job;
         await sleep(10);
       }
     }
     ${text}
     await js.close();`,
  );
  const limitMs = 50_000 * timeoutFactor;
  return runNode([program], { env: { ...process.env, ...env }, limitMs });
}

const debug = { NODE_DEBUG: 'jobserver' };

const leaving = {
  timer: ['setInterval(() => undefined, 1e6).ref();', 'Timeout'],
  server: [
    `import { createServer } from 'node:net';
     createServer().listen(0);`,
    'TCPServerWrap',
  ],
  thread: [
    `import { Worker } from 'node:worker_threads';
     const worker = new Worker('setInterval(() => undefined, 1e6)', { eval: true });
     await new Promise((resolve) => worker.once('online', resolve));
     worker.unref();`,
    'threads running',
  ],
  exit: [
    `if (!process.title.includes('worker')) process.exit(7);`,
    'its process has ended',
  ],
} as const;

/** What a program prints whose module cannot be preloaded, and then uses another. */
async function refused(name: string, text: string): Promise<Ended> {
  const end = 'export const end = () => process.exit();';
  const bad = write(`bad-${name}.mjs`, `${text}\n${end}`);
  const good = write('good.mjs');
  const program = `
    const end = () => js.run('${bad}#end').catch((error) => console.log(error.name));
    await end();
    await whenLoaded('${good}');
    await end();`;
  return runWith(program, debug, `program-${name}.mjs`);
}

// At once, because the zygote waits for seconds whether they end.
test('a module that leaves something is not preloaded, and one line says so', async () => {
  const all = Object.entries(leaving).map(async ([name, [text, reason]]) => {
    const { code, stdout, stderr } = await refused(name, text);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'LostResult\n'.repeat(2),
    });
    const lines = stderr
      .split('\n')
      .filter((line) => line.includes('not preloaded'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`bad-${name}.mjs is not preloaded: `);
    expect(lines[0]).toContain(reason);
    expect(stderr).not.toContain('Warning');
  });
  await Promise.all(all);
});

test('a module that throws when it is loaded fails its jobs as before', async () => {
  const bad = write('bad.mjs', `throw new RangeError('not today');`);
  const good = write('good.mjs');
  const { code, stdout, stderr } = await runWith(
    `const fail = () => seen('${bad}').catch((error) => {
       console.log(error.name, error.message.split('.')[0]);
     });
     await fail();
     await whenLoaded('${good}');
     await fail();`,
    debug,
  );
  const failure = 'RangeError not today\n';
  expect({ code, stdout }).toEqual({ code: 0, stdout: failure.repeat(2) });
  expect(stderr.match(/bad\.mjs is not preloaded: not today/g)).toHaveLength(1);
});

test('fifty modules take few forkservers', async () => {
  const log = join(folder(), 'log');
  writeFileSync(log, '');
  const paths = Array.from({ length: 50 }, (_, i) =>
    write(
      `module-${i}.mjs`,
      `import { appendFileSync } from 'node:fs';
       if (process.title === 'jobserver-zygote') appendFileSync('${log}', process.pid + '\\n');`,
    ),
  );
  const js = open({ slots: 2 });
  for (const path of paths) await seen(js, path);
  await until('all modules to be preloaded', async () => {
    const all = await Promise.all(paths.map((path) => seen(js, path)));
    return all.every(({ loadedIn, parent }) => loadedIn === parent);
  });
  const zygotes = new Set(readFileSync(log, 'utf8').trim().split('\n'));
  expect(zygotes.size).toBeLessThanOrEqual(10);
});

test('no forkserver is left when the Jobserver is closed', async () => {
  const js = open({ forkserverKeepAlive: 0 });
  const first = await seen(js, write('a.mjs'));
  const { parent } = await whenLoaded(js, write('b.mjs'));
  await js.close();
  await until('the forkservers to end', () => {
    return !isAlive(first.parent) && !isAlive(parent);
  });
});

test('a forkserver that is still loading ends with its Jobserver', async () => {
  const file = join(folder(), 'pid');
  const path = write(
    'slow.mjs',
    `import { renameSync, writeFileSync } from 'node:fs';
     if (process.title === 'jobserver-zygote') {
       writeFileSync('${file}.new', String(process.pid));
       renameSync('${file}.new', '${file}');
       for (;;);
     }`,
  );
  const js = open({ forkserverKeepAlive: 0 });
  await seen(js, path);
  await until('a forkserver to load the module', () => existsSync(file));
  await js.close();
  const pid = Number(readFileSync(file));
  await until('it to end', () => !isAlive(pid));
});

test.each(['other', ['auto', 5], 5])('%p is no list of modules', (preload) => {
  const make = (): Jobserver => open({ preload: preload as never });
  expect(make).toThrow(expect.objectContaining({ name: 'TypeError' }));
});
