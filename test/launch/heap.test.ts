import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
jest.setTimeout(60_000 * timeoutFactor);
const onLinux = process.platform === 'linux' ? test : test.skip;

interface Traced {
  readonly isCollected: boolean;
  readonly zygote: number;
  readonly job: number;
}

onLinux('an empty young generation has no memory', async () => {
  const dist = pathToFileURL(resolve('dist')).href;
  const program = join(folder(), 'program.mjs');
  writeFileSync(
    program,
    `import { readFileSync } from 'node:fs';
     import heap from '${dist}/child/heap.js';
     import binding from '${dist}/system/binding.js';
     const anonymous = () =>
       Number(/^Anonymous: +(\\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))[1]) / 1024;
     const kept = [];
     let latest = [];
     function work(from) {
       for (let i = from; i < from + 200_000; i++) {
         if (i % 30_000 === 0) latest = [];
         latest.push({ i, text: 'number ' + i, doubles: [i / 3, i / 7] });
         if (i % 100 === 0) kept.push(latest.at(-1));
       }
     }
     function check() {
       for (const [n, { i, text, doubles }] of kept.entries()) {
         const isRight = i === n * 100 && text === 'number ' + i && doubles[1] === i / 7;
         if (!isRight) throw new Error('damaged: ' + i);
       }
       return kept.length;
     }
     const { native } = binding;
     const { dropFilledPages } = native;
     let gone = 0;
     native.dropFilledPages = (number) => {
       gone += anonymous();
       dropFilledPages(number);
       gone -= anonymous();
     };
     work(0);
     heap.emptyYoung();
     const count = check();
     work(200_000);
     console.log(JSON.stringify({ gone, count, then: check() }));`,
  );
  const { code, stdout, stderr } = await runNode([
    '--single-threaded',
    program,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { gone, count, then } = JSON.parse(stdout) as Record<string, number>;
  // MiB. The young generation has two halves, of 16 MiB at most in Node 20.
  expect(gone).toBeGreaterThan(8);
  expect([count, then]).toEqual([2000, 4000]);
});

/** Runs jobs in forks of a zygote that has loaded a module, with --trace-gc. */
async function tracedJobs(): Promise<{ lines: string[]; jobs: Traced[] }> {
  const path = join(folder(), 'module.mjs');
  // V8 keeps the object of a WeakRef in every collection but a full one.
  writeFileSync(
    path,
    `const weak = new WeakRef({});
     export const traced = () => ({
       isCollected: weak.deref() === undefined, zygote: process.ppid, job: process.pid,
     });`,
  );
  const program = join(folder(), 'program.mjs');
  const library = pathToFileURL(resolve('dist', 'index.js')).href;
  // So many that the first ones are forked before the scout, and the last ones after it.
  writeFileSync(
    program,
    `import { Jobserver } from '${library}';
     const path = ${JSON.stringify(path)};
     const js = new Jobserver({ slots: 1, context: 'forkserver', preload: [path] });
     const jobs = [];
     for (let i = 0; i < 60; i++) jobs.push(await js.run(path + '#traced'));
     console.log(JSON.stringify(jobs));
     await js.close();`,
  );
  const { stdout, stderr } = await runNode(['--trace-gc', program]);
  expect(stderr).toBe('');
  const lines = stdout.split('\n');
  const summary = lines.find((line) => line.startsWith('[{'))!;
  return { lines, jobs: JSON.parse(summary) as Traced[] };
}

onLinux('what preload leaves is collected once, before any fork', async () => {
  const { lines, jobs } = await tracedJobs();
  const full = (pid: number): string[] =>
    lines.filter(
      (line) => line.startsWith(`[${pid}:`) && line.includes('Mark-Compact'),
    );
  expect(jobs.filter(({ isCollected }) => !isCollected)).toEqual([]);
  // V8 says testing where a program, here the zygote, has asked for it.
  expect(new Set(jobs.map(({ zygote }) => zygote)).size).toBe(1);
  const ofZygote = full(jobs[0]!.zygote);
  expect(ofZygote).toEqual([expect.stringContaining('testing')]);
  expect(jobs.flatMap(({ job }) => full(job))).toEqual([]);
});
