import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';

const folder = useFolder();
checkSlots();

/** What a job sees some time after its forkserver has loaded this module. */
async function seen(text: string): Promise<number[]> {
  const path = join(folder(), 'module.mjs');
  writeFileSync(path, text);
  const js = openJobserver({
    ...{ context: 'forkserver', slots: 1, preload: [path] },
  });
  await js.ready();
  await sleep(200);
  return js.run<[], number[]>(`${path}#seen`);
}

test('process.uptime of a vm context counts from the start of the job, too', async () => {
  const ms = await seen(`
    import vm from 'node:vm';
    const { uptime } = process;
    const context = vm.createContext({ process: { uptime } });
    const start = performance.now();
    export const seen = () => [
      performance.now() - start,
      vm.runInContext('1000 * process.uptime()', context),
    ];`);
  expect(ms[0]).toBeGreaterThan(190);
  expect(ms[1]).toBeLessThan(ms[0]! - 100);
});

test('process.uptime that a preloaded module has wrapped stays so', async () => {
  const [before, calls] = await seen(`
    const { uptime } = process;
    const start = performance.now();
    let calls = 0;
    process.uptime = () => { calls += 1; return uptime(); };
    export const seen = () => {
      const sinceLoaded = performance.now() - start;
      return [sinceLoaded - 1000 * process.uptime(), calls];
    };`);
  expect(calls).toBe(1);
  // The job began at least 200 ms after its module was loaded.
  expect(before).toBeGreaterThan(100);
});

test('performance.timeOrigin and performance.now keep their sum in a job', async () => {
  // The process may be interrupted between the readings of two clocks.
  const differences = await seen(`
    export const seen = () => Array.from({ length: 20 }, () =>
      Math.abs(performance.timeOrigin + performance.now() - Date.now()));`);
  expect(Math.min(...differences)).toBeLessThan(100);
});
