// The programs of README.md run, and print what they should.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runNode } from './helpers/program.js';

const programs = new Map<string, string>();
const block = /^```js\n\/\/ (\S+\.mjs)\n([^]*?)^```$/gm;
for (const [, name, text] of readFileSync('README.md', 'utf8').matchAll(
  block,
)) {
  programs.set(name!, text!);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'readme-'));
  for (const [name, text] of programs) writeFileSync(join(folder, name), text);
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(resolve('.'), join(modules, 'jobserver'));
  for (const name of ['piscina', 'tinypool', 'workerpool', 'jest-worker']) {
    symlinkSync(resolve('node_modules', name), join(modules, name));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function outputOf(name: string): Promise<string> {
  const ended = await runNode([join(folder, name)], { cwd: folder });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

test('the first program prints its numbers', async () => {
  expect(await outputOf('fib.mjs')).toBe('832040\n1346269\n2178309\n3524578\n');
});

test('the queue gives what is urgent and the rest', async () => {
  expect(await outputOf('queue.mjs')).toBe('55 [ 6765, 10946, 17711 ]\n');
});

test.each(['piscina', 'tinypool', 'workerpool', 'jest-worker'])(
  'coming from %s, a program prints the same as before',
  async (pool) => {
    const before = await outputOf(`${pool}-before.mjs`);
    expect(before).toMatch(/6765|55/);
    expect(await outputOf(`${pool}-after.mjs`)).toBe(before);
  },
);
