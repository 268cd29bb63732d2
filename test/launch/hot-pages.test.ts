import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
checkSlots();
jest.setTimeout(60_000 * timeoutFactor);

// MADV_POPULATE_WRITE is there since Linux 5.14.
const [major, minor] = release().split('.').map(Number) as [number, number];
const canCopy = major > 5 || (major === 5 && minor >= 14);

(canCopy ? test : test.skip)(
  'a job finds copies of the pages that the warm-up writes to',
  async () => {
    const path = join(folder(), 'module.mjs');
    // The scout of the zygote has time for some hundred pages.
    writeFileSync(
      path,
      `const [count, size] = [200, 4096];
     const [hot, cold] = [1, 2].map((byte) => new Uint8Array(count * size).fill(byte));
     function write(pages) {
       for (let i = 0; i < pages.length; i += size) pages[i] += 1;
     }
     export const warm = () => write(hot);
     const faults = () => process.resourceUsage().minorPageFault;
     function faultsOf(pages) {
       const before = faults();
       write(pages);
       return faults() - before;
     }
     export const job = () => [hot, cold].map(faultsOf);`,
    );
    const warmUp = `${path}#warm`;
    const js = openJobserver({ slots: 1, context: 'forkserver', warmUp });
    expect(await js.ready()).toBe('warm');
    for (let i = 0; i < 3; i++) {
      const [hot, cold] = await js.run<[], number[]>(`${path}#job`);
      expect(cold).toBeGreaterThan(100);
      expect(hot).toBeLessThan(cold! / 4);
    }
  },
);
