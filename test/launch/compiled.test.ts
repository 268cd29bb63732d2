import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { useFolder } from '../helpers/folder.js';
import { runProgram } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
jest.setTimeout(90_000 * timeoutFactor);

// V8 writes its traces to a buffer, which a process that ends at once loses. To a
// terminal, it writes them line by line.
const inTerminal = [
  '-c',
  'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))',
];

const mark = 'From here on, compilations count.';

interface Traced {
  readonly jobs: string;
  /** Of a module beside jobs.mjs. */
  readonly program: string;
}

/**
 * How often V8 has compiled each function to optimized code, in all processes. Counts
 * from where the program writes `mark` on, if it does.
 */
async function compilations(texts: Traced): Promise<Map<string, number>> {
  writeFileSync(join(folder(), 'jobs.mjs'), texts.jobs);
  const program = join(folder(), 'program.mjs');
  writeFileSync(program, texts.program);
  const node = [process.execPath, '--trace-opt', program];
  const { code, stdout } = await runProgram(
    'python3',
    [...inTerminal, ...node],
    { limitMs: 60_000 * timeoutFactor },
  );
  expect(code).toBe(0);
  const counts = new Map<string, number>();
  const compiled = /completed compiling \S+ <JSFunction (\S*) \(/g;
  const counted = stdout.slice(stdout.indexOf(mark) + 1);
  for (const [, name] of counted.matchAll(compiled)) {
    counts.set(name!, (counts.get(name!) ?? 0) + 1);
  }
  return counts;
}

const pool = `
  import { Jobserver } from '${pathToFileURL(resolve('dist', 'index.js')).href}';
  const preload = [new URL('./jobs.mjs', import.meta.url)];
  const js = new Jobserver({ slots: 1, context: 'forkserver', preload });`;

// V8 compiles in the zygote while that exercises what a job runs. It does so whenever no
// job waits, so it has done it all once it sleeps for long.
const untilIdle = `
  async function untilIdle(pid) {
    const switches = () => readFileSync('/proc/' + pid + '/status', 'utf8')
      .split('\\n').filter((line) => /^State:.*sleeping|ctxt_switches/.test(line)).join();
    let before;
    for (let still = 0; still < 20; await setTimeout(50)) {
      const now = switches();
      still = now === before && now.startsWith('State') ? still + 1 : 0;
      before = now;
    }
  }`;

test('no job compiles what each job runs', async () => {
  const counts = await compilations({
    jobs: `
      export const give = (value) => value;
      export const zygote = () => process.ppid;
      function isHot(n) { let sum = 0; for (let i = 0; i < n; i++) sum += i; return sum; }
      export const heat = () => { for (let i = 0; i < 3000; i++) isHot(1000); };`,
    // The program itself, which goes on for long, may compile what it runs.
    program: `${pool}
      import { readFileSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      import { setFlagsFromString } from 'node:v8';
      import { give, heat, zygote } from './jobs.mjs';
      setFlagsFromString('--no-trace-opt');
      ${untilIdle}
      await untilIdle(await js.run(zygote));
      console.log(${JSON.stringify(mark)});
      for (let i = 0; i < 60; i++) await js.run(give, { a: [i, 'text'] });
      for (let i = 0; i < 10; i++) await js.run(heat);
      await js.close();`,
  });
  // The processes of its jobs begin without it.
  expect(counts.get('isHot')).toBeGreaterThanOrEqual(10);
  counts.delete('isHot');
  counts.delete('heat');
  expect([...counts]).toEqual([]);
});

test('a function has to be hotter in a job to be compiled', async () => {
  const jobs = `
    export const give = (value) => value;
    function isWarm(a, b) { ${'a = (a * 31 + b) | 0; '.repeat(20)} return a; }
    export const warm = () => { for (let i = 0; i < 4000; i++) isWarm(i, 1); };`;
  const alone = await compilations({
    jobs,
    program: `import { warm } from './jobs.mjs'; warm();`,
  });
  expect(alone.get('isWarm')).toBeGreaterThanOrEqual(1);
  const inJobs = await compilations({
    jobs,
    program: `${pool}
      import { give, warm } from './jobs.mjs';
      for (let i = 0; i < 60; i++) await js.run(give, i);
      for (let i = 0; i < 10; i++) await js.run(warm);
      await js.close();`,
  });
  expect(inJobs.get('isWarm')).toBeUndefined();
});
