// Every code block of README.md and the guides runs, and prints what it should.
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runNode } from './helpers/program.js';

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'UPGRADING.md'],
  'examples/README.md',
  ...readdirSync('docs').map((name) => `docs/${name}`),
];
const blocks = pages.flatMap((page) => {
  const fences = readFileSync(page, 'utf8').matchAll(
    /^```(.*)\n([^]*?)^```$/gm,
  );
  return Array.from(fences, ([, language, text]) => ({
    page,
    language: language!,
    text: text!,
  }));
});
/** A program says in its first line which file it is. */
const programs = new Map(
  blocks
    .filter(({ language }) => language === 'js')
    .map(({ text }) => [/^\/\/ (\S+)\n/.exec(text)?.[1], text]),
);
const tested = new Set<string | undefined>();

const reportFile = resolve('test', 'fixtures', 'docs', 'report.mjs');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'readme-'));
  for (const [name, text] of programs) {
    writeFileSync(join(folder, String(name)), text);
  }
  writeFileSync(join(folder, 'heavy.mjs'), '');
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(resolve('.'), join(modules, 'jobserver'));
  for (const name of ['piscina', 'tinypool', 'workerpool', 'jest-worker']) {
    symlinkSync(resolve('node_modules', name), join(modules, name));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function outputOf(name: string, ...flags: string[]): Promise<string> {
  tested.add(name);
  const args = [...flags, join(folder, name)];
  const ended = await runNode(args, { cwd: folder });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

test('the first program prints its numbers', async () => {
  expect(await outputOf('fib.mjs')).toBe('832040\n1346269\n2178309\n3524578\n');
});

test('the queue gives what is urgent and the rest', async () => {
  expect(await outputOf('queue.mjs')).toBe('55 [ 6765, 10946, 17711 ]\n');
});

test.each([
  ...['piscina', 'tinypool', 'workerpool', 'jest-worker'],
  'child_process',
])('coming from %s, a program prints the same as before', async (pool) => {
  const before = await outputOf(`${pool}-before.mjs`);
  expect(before).toMatch(/6765|55/);
  expect(await outputOf(`${pool}-after.mjs`)).toBe(before);
});

test('coming from Python, a program computes the same numbers', async () => {
  const [program] = blocks.filter(({ language }) => language === 'python');
  writeFileSync(join(folder, 'executor.py'), program!.text);
  const args = [join(folder, 'executor.py')];
  const options = { encoding: 'utf8', timeout: 60_000 } as const;
  const before = spawnSync('python3', args, options).stdout;
  const after = await outputOf('executor.mjs');
  expect(JSON.parse(after)).toEqual([55, 89, 144]);
  expect(JSON.parse(before)).toEqual(JSON.parse(after));
});

test('a job that runs for too long is ended', async () => {
  expect(await outputOf('limit.mjs')).toBe('ended by SIGKILL\n');
});

test('a module is preloaded', async () => {
  expect(await outputOf('preload.mjs')).toBe('');
});

test('each job is seen by who watches', async () => {
  tested.add('watch.mjs');
  const output = await outputOf('fib.mjs', '--import', './watch.mjs');
  expect(output.match(/^\d fib value \d+ ms$/gm)).toHaveLength(4);
});

test('make starts a program that shares its slots', () => {
  const [rule] = blocks.filter(({ language }) => language === 'make');
  writeFileSync(join(folder, 'Makefile'), `DATA = a b\n${rule!.text}`);
  writeFileSync(join(folder, 'report.mjs'), readFileSync(reportFile));
  for (const name of ['a', 'b']) writeFileSync(join(folder, name), '');
  const make = ['-s', '-j3', '-C', folder, 'report'];
  const env = { ...process.env, MAKEFLAGS: '' };
  const options = { env, encoding: 'utf8', timeout: 60_000 } as const;
  expect(spawnSync('make', make, options)).toMatchObject({
    stdout: 'joined for a b\n',
    status: 0,
  });
});

test('every command in a text is there', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    scripts: Record<string, string>;
  };
  const shell = blocks.filter(({ language }) => language === 'sh');
  const commands = shell.flatMap(({ text }) => [
    ...text.matchAll(/npm (?:run )?([\w:-]+)/g),
  ]);
  expect(commands.length).toBeGreaterThan(5);
  const ofNpm = ['ci', 'cit', 'install'];
  for (const [, name] of commands) {
    if (!ofNpm.includes(name!)) expect(scripts).toHaveProperty([name!]);
  }
});

// The last one: it looks at what the others have done.
test('no program and no language goes untested', () => {
  const languages = new Set(blocks.map(({ language }) => language));
  expect([...languages].sort()).toEqual(['js', 'make', 'python', 'sh']);
  const helpers = [
    ...['tasks.mjs', 'workerpool-tasks.mjs', 'child_process-worker.mjs'],
    'nap.mjs',
  ];
  const untested = [...programs.keys()].filter(
    (name) => !tested.has(name) && !helpers.includes(String(name)),
  );
  expect(untested).toEqual([]);
});
