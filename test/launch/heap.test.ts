import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
jest.setTimeout(60_000 * timeoutFactor);
const onLinux = process.platform === 'linux' ? test : test.skip;

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
