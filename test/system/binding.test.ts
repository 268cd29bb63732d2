import { resolve } from 'node:path';
import { runNode } from '../helpers/program.js';

const index = JSON.stringify(resolve('dist', 'index.js'));

/** Loads the library where `process.versions` names another runtime. */
async function loadIn(
  name: string,
  setUp = '',
): Promise<{ code: number | null; stderr: string }> {
  return runNode([
    '-e',
    `${setUp}
    const versions = { ...process.versions, ${name}: '1.2.3' };
    Object.defineProperty(process, 'versions', { value: versions });
    require(${index});`,
  ]);
}

test.each([
  ['bun', 'Bun 1.2.3'],
  ['deno', 'Deno 1.2.3'],
  ['electron', 'Electron 1.2.3'],
])('a program that runs in %s is refused by name', async (name, title) => {
  const { code, stderr } = await loadIn(name);
  expect(code).toBe(1);
  expect(stderr).toContain(`it cannot run in ${title}`);
  expect(stderr).toContain('ERR_JOBSERVER_RUNTIME');
});

test('an Electron that runs as node is not refused', async () => {
  const setUp = "process.env.ELECTRON_RUN_AS_NODE = '1';";
  expect(await loadIn('electron', setUp)).toMatchObject({ code: 0 });
});

test('the error for a missing binary has the reason', async () => {
  const { code, stderr } = await runNode([
    '--no-addons',
    '-e',
    `require(${index})`,
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('ERR_JOBSERVER_NO_BINARY');
  expect(stderr).toMatch(
    /No binary of jobserver for .* can be loaded \(.*disabled/,
  );
});
