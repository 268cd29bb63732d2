import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { runProgram } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

const folder = useFolder();
checkSlots();
const library = pathToFileURL(resolve('dist', 'index.js')).href;
jest.setTimeout(60_000 * timeoutFactor);

interface Layout {
  readonly pieces: number;
  readonly bytes: number;
  readonly reserved: number;
  readonly zygote: number;
  readonly kibAtLoad: number;
}

/** A module with 64 MiB of objects, whose `layout` describes the heap of its process. */
function writeModule(): string {
  const path = join(folder(), 'module.mjs');
  writeFileSync(
    path,
    `import { readFileSync } from 'node:fs';
     const status = readFileSync('/proc/self/status', 'utf8');
     const kibAtLoad = Number(/^VmSize:\\s+(\\d+)/m.exec(status)[1]);
     const count = (64 << 20) / 8 / 1000;
     export const kept = Array.from({ length: count }, () => new Array(1000).fill(0.5));
     export function layout() {
       const lines = readFileSync('/proc/self/maps', 'utf8').split('\\n');
       let [pieces, bytes, reserved] = [0, 0, 0];
       for (const line of lines) {
         const [, start, end, mode, inode, name] =
           /^(\\w+)-(\\w+) (\\S+) \\S+ \\S+ (\\d+) *(.*)$/.exec(line) ?? [];
         if (inode !== '0' || name !== '') continue;
         const length = parseInt(end, 16) - parseInt(start, 16);
         if (mode === '---p') reserved = Math.max(reserved, length);
         if (mode !== 'rw-p') continue;
         pieces += 1;
         bytes += length;
       }
       return { pieces, bytes, reserved, zygote: process.ppid, kibAtLoad };
     }`,
  );
  return path;
}

/** The heap of a job whose zygote has loaded such a module. */
async function layoutOfJob(): Promise<Layout> {
  const path = writeModule();
  const preload = [path];
  const js = openJobserver({ slots: 1, context: 'forkserver', preload });
  await js.ready();
  return js.run<[], Layout>(`${path}#layout`);
}

test('the heap of a zygote lies side by side', async () => {
  const { pieces, bytes, reserved } = await layoutOfJob();
  expect(bytes).toBeGreaterThan(64 << 20);
  // Where V8 chooses the place, it has 256 pieces more.
  expect(pieces).toBeLessThan(200);
  // What has kept V8 from choosing is not there any more.
  expect(reserved).toBeLessThan(2 ** 40);
});

// ASan itself needs terabytes of addresses.
const canLimit = process.env['ASAN_OPTIONS'] === undefined;

(canLimit ? test : test.skip)(
  'a zygote with a limit of address space leaves the place to V8',
  async () => {
    const path = JSON.stringify(writeModule());
    const program = join(folder(), 'program.mjs');
    writeFileSync(
      program,
      `import { Jobserver } from '${library}';
     const options = { slots: 1, context: 'forkserver', preload: [${path}] };
     const js = new Jobserver(options);
     const layout = await js.run(${path} + '#layout');
     console.log(JSON.stringify({ ...layout, readiness: await js.ready() }));
     await js.close();`,
    );
    // In KiB: 1 TiB, a sixty-fourth of what a zygote reserves.
    const shell = ['-c', 'ulimit -v 1073741824 && exec "$0" "$@"'];
    const argv = [...shell, process.execPath, program];
    const { code, stdout, stderr } = await runProgram('sh', argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { pieces, bytes, kibAtLoad, readiness } = JSON.parse(
      stdout,
    ) as Layout & { readiness: string };
    expect(readiness).toBe('cold');
    expect(bytes).toBeGreaterThan(64 << 20);
    expect(pieces).toBeGreaterThan(200);
    // It has not reserved a part either, because that would count.
    expect(kibAtLoad).toBeLessThan(100 * 2 ** 20);
  },
);

const thp = '/sys/kernel/mm/transparent_hugepage/enabled';
const hasHugePages =
  process.arch === 'x64' &&
  existsSync(thp) &&
  !readFileSync(thp, 'utf8').includes('[never]');

(hasHugePages ? test : test.skip)(
  'the machine code of a zygote is in huge pages',
  async () => {
    const { zygote } = await layoutOfJob();
    const smaps = readFileSync(`/proc/${zygote}/smaps`, 'utf8');
    // Without a file, but not V8's.
    const text = smaps
      .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
      .filter((mapping) => /^\S+ r-xp 00000000 00:00 0 *$/m.test(mapping));
    const kib = text.map((mapping) =>
      Number(/^AnonHugePages: +(\d+)/m.exec(mapping)![1]),
    );
    expect(Math.max(...kib)).toBeGreaterThan(10 << 10);
  },
);
