import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
checkSlots();
jest.setTimeout(60_000 * timeoutFactor);

test('the first jobs begin before the zygote has prepared for more', async () => {
  const path = join(folder(), 'module.mjs');
  const begun = join(folder(), 'begun');
  const late = join(folder(), 'late');
  // The zygote sets its title whenever it exercises what a job runs. Here it goes on slowly
  // until a job has begun, which it may not fork while a thread of V8 is still busy.
  writeFileSync(
    path,
    `import { existsSync, readFileSync, writeFileSync } from 'node:fs';
     const zygote = process.pid;
     const cell = new Int32Array(new SharedArrayBuffer(4));
     const isWaiting = () => process.pid === zygote && !existsSync('${begun}');
     let times = 0;
     Object.defineProperty(process, 'title', { set() {
       if (isWaiting() && ++times > 20) writeFileSync('${late}', '');
       for (let ms = 0; isWaiting() && ms < 500; ms += 10) Atomics.wait(cell, 0, 0, 10);
     } });
     export function begin(name) {
       writeFileSync(name, '');
       const status = readFileSync('/proc/self/status', 'utf8');
       return Number(/^VmSize:\\s+(\\d+)/m.exec(status)[1]);
     }`,
  );
  const js = openJobserver({
    slots: 2,
    context: 'forkserver',
    preload: [path],
  });
  const other = join(folder(), 'other');
  const names = [begun, other];
  const begin = (name: string): Promise<number> =>
    js.run<[string], number>(`${path}#begin`, name);
  for (const kib of await Promise.all(names.map(begin))) {
    // They have none of the addresses that the zygote reserves meanwhile.
    expect(kib).toBeLessThan(2 ** 30);
  }
  expect(existsSync(late)).toBe(false);
  expect(existsSync(other)).toBe(true);
  // As does a job after the preparation.
  expect(await js.ready()).toBe('cold');
  await begin(other);
});
