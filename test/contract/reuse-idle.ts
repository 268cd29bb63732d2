import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import { descendantsOf, threadsOf } from '../helpers/processes.js';
import { timeoutFactor, until } from '../helpers/until.js';

const program = join(__dirname, '..', 'fixtures', 'idle-program.js');
// Nothing of the library that repeats itself waits for longer.
const quietMs = 1000;

/** What processes that run several jobs cost while there is no job. */
export function idleContract(context: Context): void {
  const onLinux = process.platform === 'linux' ? test : test.skip;

  onLinux('no process runs while there is no job', async () => {
    const child = spawn(process.execPath, [program, context], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      const [line] = await once(child.stdout, 'data');
      const workers = JSON.parse(String(line)) as number[];
      const pids = (): number[] => [child.pid!, ...descendantsOf(child.pid!)];
      expect(pids()).toEqual(expect.arrayContaining(workers));
      // Those of Node that follow the start are over after a while.
      const isQuiet = async (): Promise<boolean> => {
        const before = pids().flatMap(threadsOf);
        await sleep(quietMs);
        const after = pids().flatMap(threadsOf);
        return after.length > 0 && after.join() === before.join();
      };
      await until('a second in which nothing runs', isQuiet, 15_000);
    } finally {
      child.stdin.end();
      const watchdog = setTimeout(() => {
        child.kill('SIGKILL');
      }, 10_000 * timeoutFactor);
      expect(await once(child, 'exit')).toEqual([0, null]);
      clearTimeout(watchdog);
    }
  });
}
