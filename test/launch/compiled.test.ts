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

test('what each job runs is compiled in the zygote', async () => {
  const jobs = join(folder(), 'jobs.mjs');
  writeFileSync(
    jobs,
    `export const give = (value) => value;
     function isHot(n) { let sum = 0; for (let i = 0; i < n; i++) sum += i; return sum; }
     export const heat = () => { for (let i = 0; i < 3000; i++) isHot(1000); };`,
  );
  const program = join(folder(), 'program.mjs');
  writeFileSync(
    program,
    `import { Jobserver } from '${pathToFileURL(resolve('dist', 'index.js')).href}';
     import { give, heat } from './jobs.mjs';
     const preload = [${JSON.stringify(jobs)}];
     const js = new Jobserver({ slots: 1, context: 'forkserver', preload });
     for (let i = 0; i < 60; i++) await js.run(give, { a: [i, 'text'] });
     for (let i = 0; i < 10; i++) await js.run(heat);
     await js.close();`,
  );
  const node = [process.execPath, '--trace-opt', program];
  const { code, stdout } = await runProgram(
    'python3',
    [...inTerminal, ...node],
    {
      limitMs: 60_000 * timeoutFactor,
    },
  );
  expect(code).toBe(0);
  const counts = new Map<string, number>();
  const compiled = /completed compiling \S+ <JSFunction (\S*) \(/g;
  for (const [, name] of stdout.matchAll(compiled)) {
    counts.set(name!, (counts.get(name!) ?? 0) + 1);
  }
  // The processes of its jobs begin without it.
  expect(counts.get('isHot')).toBeGreaterThanOrEqual(10);
  counts.delete('isHot');
  counts.delete('heat');
  const inMany = [...counts].filter(([, count]) => count > 10);
  expect(inMany).toEqual([]);
});
