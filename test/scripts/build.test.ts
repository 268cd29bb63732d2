import {
  cpSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

jest.setTimeout(120_000 * timeoutFactor);

// From dist-test/scripts/, where the compiled test is.
const root = join(__dirname, '..', '..');
const folder = useFolder();

/** When each file of a folder was written, by its path. */
function times(path: string): Map<string, number> {
  const names = readdirSync(path, { recursive: true }) as string[];
  return new Map(
    names.map((name) => [name, statSync(join(path, name)).mtimeMs]),
  );
}

test('a build writes no file that stays the same', async () => {
  for (const name of ['scripts', 'tsconfig.json', 'tsconfig.test.json']) {
    cpSync(join(root, name), join(folder(), name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder(), 'node_modules'));
  for (const [name, text] of [
    ['lib/answer.ts', 'export const answer = 42;'],
    [
      'test/question.ts',
      `import { answer } from '../dist/answer.js';
       export const question: string = 'What is ' + answer;`,
    ],
  ] as const) {
    mkdirSync(join(folder(), name, '..'));
    writeFileSync(join(folder(), name), text);
  }
  const source = `
    import { build } from './scripts/build.mjs';
    await build({ native: false, tests: true, linked: false });`;
  const built = async (): Promise<Map<string, number>> => {
    const args = ['--input-type=module', '-e', source];
    const { code, stdout } = await runNode(args, { cwd: folder() });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const all = ['build', 'dist', 'dist-test'];
    return new Map(all.flatMap((name) => [...times(join(folder(), name))]));
  };
  const first = await built();
  expect([...first.keys()]).toEqual(
    expect.arrayContaining(['answer.js', 'answer.d.ts', 'question.js']),
  );
  expect(await built()).toEqual(first);
});
