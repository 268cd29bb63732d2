import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
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

/** A module that counts the calls of `warm`; `body` is what these do. */
function moduleOf(body: string, name = 'module.mjs'): string {
  const path = join(folder(), name);
  writeFileSync(
    path,
    `let calls = 0;
     export async function warm() { calls += 1; ${body} }
     export const count = () => calls;
     export const parent = () => process.ppid;
     export function waste(count) {
       for (let i = 0; i < count; i++) globalThis.latest = Array.from({ length: 1e5 }, Object);
       return process.pid;
     }
     export const numbers = () => [Math.random(), crypto.randomUUID()];`,
  );
  return path;
}

function open(path: string, options: JobserverOptions = {}): Jobserver {
  const warmUp = `${path}#warm`;
  const context = 'forkserver';
  return openJobserver({ ...options, slots: 1, context, warmUp });
}

const call = <T>(js: Jobserver, path: string, name: string): Promise<T> =>
  js.run<[], T>(`${path}#${name}`);

const library = pathToFileURL(resolve('dist', 'index.js')).href;

/** A module whose jobs have a Jobserver of their own. */
function nestedOf(text: string): string {
  const path = join(folder(), 'nested.mjs');
  writeFileSync(path, `import { Jobserver } from '${library}';\n${text}`);
  return path;
}

/** Runs a program that has a Jobserver `js` whose warm-up is in the module. */
function runWith(
  path: string,
  text: string,
  { options = {}, flags = [] as string[] } = {},
): Promise<Ended> {
  const program = join(folder(), 'program.mjs');
  const all = { slots: 1, context: 'forkserver', warmUp: `${path}#warm` };
  writeFileSync(
    program,
    `import fs from 'node:fs';
     import { Jobserver } from '${library}';
     const path = ${JSON.stringify(path)};
     const js = new Jobserver(${JSON.stringify({ ...all, ...options })});
     ${text}
     await js.close();`,
  );
  return runNode([...flags, program], { limitMs: 60_000 * timeoutFactor });
}

test('jobs are forked from a process that has run the warm-up', async () => {
  const path = moduleOf('');
  const js = open(path, { warmUpTimeout: Infinity });
  expect(await js.ready()).toBe('warm');
  const calls = await call<number>(js, path, 'count');
  expect(calls).toBeGreaterThan(100);
  expect(await call(js, path, 'count')).toBe(calls);
});

test('until the warm-up is done, jobs are forked from a process without it', async () => {
  const gate = join(folder(), 'gate');
  const path = moduleOf(`
    const { existsSync } = await import('node:fs');
    while (!existsSync(${JSON.stringify(gate)})) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }`);
  const js = open(path);
  for (let i = 0; i < 3; i++) expect(await call(js, path, 'count')).toBe(0);
  writeFileSync(gate, '');
  expect(await js.ready()).toBe('warm');
  expect(await call(js, path, 'count')).toBeGreaterThan(0);
});

test('what the warm-up has compiled is in each job', async () => {
  const path = join(folder(), 'module.mjs');
  writeFileSync(
    path,
    `export function warm() { let sum = 0; for (let i = 0; i < 1e4; i++) sum += i; return sum; }
     // Bits of V8's OptimizationStatus: optimized by TurboFan, or by Maglev.
     export const isOptimized = () => (%GetOptimizationStatus(warm) & 0b110000) !== 0;`,
  );
  const text = `
    console.log(await js.ready());
    for (let i = 0; i < 3; i++) console.log(await js.run(path + '#isOptimized'));
    const cold = new Jobserver({ slots: 1, context: 'forkserver', preload: [path] });
    console.log(await cold.run(path + '#isOptimized'));
    await cold.close();`;
  const flags = ['--allow-natives-syntax'];
  const { stdout, stderr } = await runWith(path, text, { flags });
  expect(stderr).toBe('');
  expect(stdout).toBe('warm\ntrue\ntrue\ntrue\nfalse\n');
});

test(
  'a job takes no more CPU time than a process that has done it often',
  async () => {
    const path = join(folder(), 'module.mjs');
    const names = ['forkserver', 'process-job', 'zygote', 'zygote-client'];
    const sources = names.map((name) => resolve('lib', 'launch', `${name}.ts`));
    writeFileSync(
      path,
      `import { readFileSync } from 'node:fs';
     import { createRequire } from 'node:module';
     const ts = createRequire(${JSON.stringify(resolve('package.json'))})('typescript');
     const text = ${JSON.stringify(sources)}.map((path) => readFileSync(path, 'utf8')).join('\\n');
     const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
     const transpile = () => ts.transpileModule(text, { compilerOptions });
     // How long the warm-up goes on by itself is not the question here.
     let times = 80;
     export function warm() { for (; times > 0; times--) transpile(); times = 1; }
     export function job() { transpile(); return process.cpuUsage().user; }
     export function call() {
       const before = process.cpuUsage();
       transpile();
       return process.cpuUsage(before).user;
     }`,
    );
    const text = `const { call } = await import(path);
     const cold = new Jobserver({ slots: 1, context: 'forkserver', preload: [path] });
     const readiness = [await js.ready(), await cold.ready()];
     for (let i = 0; i < 40; i++) call();
     const all = { serial: [], warm: [], cold: [] };
     // Whatever disturbs a call adds to its time.
     const ratio = (times) => Math.min(...times) / Math.min(...all.serial);
     // By turns, because other programs may take more of the machine at times. Longer
     // where they do.
     for (let i = 0; i < 10 || (i < 20 && ratio(all.warm) > 1.5); i++) {
       all.serial.push(call());
       all.warm.push(await js.run(path + '#job'));
       if (i % 3 === 0) all.cold.push(await cold.run(path + '#job'));
     }
     console.log(JSON.stringify({ readiness, warm: ratio(all.warm), cold: ratio(all.cold) }));
     await cold.close();`;
    const measure = async (): Promise<Record<'warm' | 'cold', number>> => {
      const options = { preload: [path] };
      const { stdout } = await runWith(path, text, { options });
      const found = JSON.parse(stdout) as { readiness: string[] };
      expect(found.readiness).toEqual(['warm', 'cold']);
      return found as never;
    };
    let ratios = await measure();
    // While other programs take the processors, V8 compiles less during the warm-up.
    for (let i = 0; i < 3 && ratios.warm > 1.5; i++) ratios = await measure();
    expect(ratios.warm).toBeLessThanOrEqual(1.5);
    expect(ratios.cold).toBeGreaterThan(1.5);
  },
  180_000 * timeoutFactor,
);

test('no full collection falls between the warm-up and the end of a job', async () => {
  const path = moduleOf('waste(10);');
  const text = `
    console.log(await js.ready());
    const jobs = [];
    for (let i = 0; i < 5; i++) jobs.push(await js.run(path + '#waste', 30));
    console.log(JSON.stringify({ jobs, zygote: await js.run(path + '#parent') }));`;
  const { stdout } = await runWith(path, text, { flags: ['--trace-gc'] });
  const lines = stdout.split('\n');
  const summary = lines.find((line) => line.startsWith('{'))!;
  const { jobs, zygote } = JSON.parse(summary) as {
    jobs: number[];
    zygote: number;
  };
  const of = (pid: number, kind: string): string[] =>
    lines.filter((line) => line.startsWith(`[${pid}:`) && line.includes(kind));
  expect(lines).toContain('warm');
  // The last one is that which the zygote has asked for.
  expect(of(zygote, 'Mark-Compact').at(-1)).toContain('testing');
  for (const job of jobs) {
    expect(of(job, 'Scavenge').length).toBeGreaterThan(0);
    expect(of(job, 'Mark-Compact')).toEqual([]);
  }
});

test.each([
  ['throws', `throw new RangeError('too far')`, 'too far'],
  ['leaves a timer', `setInterval(() => {}, 1e6)`, 'Timeout'],
  [
    'leaves a thread',
    `const { Worker } = await import('node:worker_threads');
     new Worker('setInterval(() => {}, 1e6)', { eval: true }).unref();`,
    'thread',
  ],
  ['never settles', `await new Promise(() => {})`, 'nothing is left'],
  ['exits', `process.exit(3)`, 'its process has ended'],
])(
  'a warm-up that %s is reported once, and jobs go on without it',
  async (_, body, reason) => {
    const path = moduleOf(body);
    const { code, stdout, stderr } = await runWith(
      path,
      `for (let i = 0; i < 3; i++) {
         console.log(await js.ready(), await js.run(path + '#count'));
       }`,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'cold 0\n'.repeat(3) });
    expect(stderr.match(/JOBSERVER_WARM_UP/g)).toHaveLength(1);
    expect(stderr).toContain(`warm (${pathToFileURL(path).href})`);
    expect(stderr).toContain(reason);
  },
);

test('a warm-up that fails in a job is reported by that job', async () => {
  const path = moduleOf(`throw new RangeError('too far')`);
  const nested = nestedOf(
    `const path = ${JSON.stringify(path)};
     export async function outer(preload) {
       const js = new Jobserver({ preload, warmUp: path + '#warm' });
       const seen = [];
       for (let i = 0; i < 2; i++) seen.push(await js.ready(), await js.run(path + '#count'));
       await js.close();
       return JSON.stringify(seen);
     }`,
  );
  const { code, stdout, stderr } = await runWith(
    path,
    `const outer = ${JSON.stringify(nested)} + '#outer';
     console.log(await js.run(outer, []), await js.run(outer, [path]));`,
    // Otherwise the program reports this warm-up itself.
    { options: { warmUp: undefined } },
  );
  const seen = '["cold",0,"cold",0]';
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${seen} ${seen}\n` });
  expect(stderr.match(/JOBSERVER_WARM_UP/g)).toHaveLength(2);
  expect(stderr).toContain(`warm (${pathToFileURL(path).href})`);
});

test('a warm-up that the program has reported is not reported by its jobs', async () => {
  const path = moduleOf(`throw new RangeError('too far')`);
  const nested = nestedOf(
    `export async function outer() {
       const js = new Jobserver();
       const readiness = await js.ready();
       await js.close();
       return readiness;
     }`,
  );
  const { stdout, stderr } = await runWith(
    path,
    `const outer = ${JSON.stringify(nested)} + '#outer';
     console.log(await js.ready(), await js.run(outer), await js.run(outer));`,
  );
  expect(stdout).toBe('cold cold cold\n');
  expect(stderr.match(/JOBSERVER_WARM_UP/g)).toHaveLength(1);
});

test('each thread reports a warm-up that fails there once', async () => {
  const path = moduleOf(`throw new RangeError('too far')`);
  const { code, stdout, stderr } = await runWith(
    path,
    `const { Worker, isMainThread } = await import('node:worker_threads');
     const worker = isMainThread && new Worker(new URL(import.meta.url));
     for (let i = 0; i < 2; i++) await js.ready();
     if (worker) await new Promise((resolve) => worker.on('exit', resolve));
     console.log(await js.ready());`,
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'cold\n'.repeat(2) });
  expect(stderr.match(/JOBSERVER_WARM_UP/g)).toHaveLength(2);
});

/** The text of a function that writes its pid, and of what it does then. */
function writingPid(pid: string, then: string): string {
  return moduleOf(`
    const { renameSync, writeFileSync } = await import('node:fs');
    writeFileSync('${pid}.new', String(process.pid));
    renameSync('${pid}.new', '${pid}');
    ${then}`);
}

async function pidIn(file: string): Promise<number> {
  await until('the warm-up to begin', () => existsSync(file));
  return Number(readFileSync(file));
}

const untilEnded = (pid: number): Promise<void> =>
  until('the process of the warm-up to end', () => !isAlive(pid));

test.each([
  ['blocks', 'for (;;);'],
  ['waits', 'setInterval(() => {}, 1e6); await new Promise(() => {});'],
])('a warm-up that %s for too long is ended', async (_, then) => {
  const pid = join(folder(), 'pid');
  const { code, stdout, stderr } = await runWith(
    writingPid(pid, then),
    `console.log(await js.ready(), await js.run(path + '#count'));`,
    { options: { warmUpTimeout: 300 } },
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'cold 0\n' });
  expect(stderr.match(/JOBSERVER_WARM_UP/g)).toHaveLength(1);
  await untilEnded(await pidIn(pid));
});

test('a warm-up ends with the program that has asked for it', async () => {
  const pid = join(folder(), 'pid');
  const program = runWith(
    writingPid(pid, 'for (;;);'),
    `process.kill(process.pid, await (void js.ready(), new Promise((resolve) => {
       setInterval(() => { if (fs.existsSync('${pid}')) resolve('SIGKILL'); }, 10);
     })));`,
  );
  const { signal } = await program;
  expect(signal).toBe('SIGKILL');
  await untilEnded(await pidIn(pid));
});

test('a warm-up ends when its Jobserver closes', async () => {
  const pid = join(folder(), 'pid');
  const path = writingPid(pid, 'for (;;);');
  const js = open(path, { forkserverKeepAlive: 0 });
  await call(js, path, 'count');
  const number = await pidIn(pid);
  await js.close();
  await untilEnded(number);
});

test('jobs have random numbers of their own, although the warm-up drew some', async () => {
  const path = moduleOf('Math.random(); crypto.randomUUID();');
  const js = open(path);
  expect(await js.ready()).toBe('warm');
  const drawn = new Set<unknown>();
  for (let i = 0; i < 5; i++) {
    for (const each of await call<unknown[]>(js, path, 'numbers'))
      drawn.add(each);
  }
  expect(drawn.size).toBe(10);
});

test('a job of a job is forked from the warm process, too', async () => {
  const path = moduleOf('');
  const nested = nestedOf(
    `export async function outer() {
       const js = new Jobserver();
       const path = ${JSON.stringify(path)};
       const seen = [process.ppid, await js.ready(), await js.run(path + '#parent')];
       await js.close();
       return seen;
     }`,
  );
  const js = open(path);
  expect(await js.ready()).toBe('warm');
  const [zygote, readiness, parent] = await call<unknown[]>(
    js,
    nested,
    'outer',
  );
  expect({ readiness, parent }).toEqual({ readiness: 'warm', parent: zygote });
});

test('a warm-up whose module has changed runs anew', async () => {
  const path = moduleOf('');
  const js = open(path);
  expect(await js.ready()).toBe('warm');
  const zygote = await call(js, path, 'parent');
  moduleOf('globalThis.changed = true;');
  await until('the change to be seen', async () => {
    await js.ready();
    return (await call(js, path, 'parent')) !== zygote;
  });
  expect(await js.ready()).toBe('warm');
});

test('at most four warm processes are in use at a time', async () => {
  const paths = [0, 1, 2, 3, 4].map((i) => moduleOf('', `module-${i}.mjs`));
  const all = paths.map((path) => open(path));
  const expected = ['warm', 'warm', 'warm', 'warm', 'cold'];
  for (const [i, js] of all.entries())
    expect(await js.ready()).toBe(expected[i]);
  await all[0]!.close();
  await until(
    'room for another one',
    async () => (await all[4]!.ready()) === 'warm',
  );
});

test('ready says how jobs start', async () => {
  const cold = openJobserver({ slots: 1, context: 'forkserver' });
  expect(await cold.ready()).toBe('cold');
  const spawned = openJobserver({ slots: 1, context: 'spawn' });
  expect(await spawned.ready()).toBe('spawn');
});

test('ready rejects with what a preloaded module throws', async () => {
  const path = join(folder(), 'throws.mjs');
  writeFileSync(path, `throw new RangeError('not today')`);
  const js = openJobserver({
    slots: 1,
    context: 'forkserver',
    preload: [path],
  });
  await expect(js.ready()).rejects.toThrow(new RangeError('not today'));
});

test('ready rejects once the Jobserver is closed', async () => {
  const js = openJobserver({ slots: 1, context: 'forkserver' });
  const ready = js.ready();
  await js.close();
  const code = 'ERR_JOBSERVER_CLOSED';
  await expect(ready).rejects.toMatchObject({ code });
  await expect(js.ready()).rejects.toMatchObject({ code });
});
