// Where the package refuses to load. The first line of the error says why.
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
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

test.each([
  ['an executable that pkg has made', 'process.pkg = {};'],
  [
    'a single executable application',
    `process.execPath = '/app';
    process.getBuiltinModule = () => ({ isSea: () => true });`,
  ],
])(
  '%s is refused, because its jobs would start it again',
  async (title, setUp) => {
    const program = `${setUp} require(${index})`;
    const { code, stderr } = await runNode(['-e', program]);
    expect(code).toBe(1);
    expect(stderr).toContain(`it cannot run in ${title}`);
    expect(stderr).toContain('ERR_JOBSERVER_RUNTIME');
  },
);

/** All that the package loads as one program, in the form that bundlers give it. */
function bundle(requireBuiltin: string): string {
  const modules = readdirSync('dist', { recursive: true, encoding: 'utf8' })
    .filter((name) => name === 'index.js' || name.startsWith('linked/'))
    .map((name) => {
      const text = readFileSync(join('dist', name), 'utf8');
      return `'/${name}': (module, exports, require) => {\n${text}\n},\n`;
    });
  return `
    const files = {${modules.join('')}};
    const loaded = {};
    const requireFrom = (from) => (name) => {
      if (!name.startsWith('.')) return (${requireBuiltin})(name);
      const id = new URL(name, 'file:' + from).pathname;
      if (!(id in loaded)) {
        const module = (loaded[id] = { exports: {} });
        files[id](module, module.exports, requireFrom(id));
      }
      return loaded[id].exports;
    };
    requireFrom('/')('./index.js');`;
}

test.each([
  ['cjs', 'require'],
  [
    'mjs',
    `(name) => { throw Error('Dynamic require of "' + name + '" is not supported'); }`,
  ],
])(
  'a bundle (%s) is refused, with the option of each bundler',
  async (ending, requireBuiltin) => {
    const temp = mkdtempSync(join(tmpdir(), 'bundle-'));
    try {
      const file = join(temp, `app.${ending}`);
      writeFileSync(file, bundle(requireBuiltin));
      const { code, stderr } = await runNode([file]);
      expect(code).toBe(1);
      const [line] = stderr.match(/^Error: .*/m)!;
      expect(line).toMatch(/^Error: jobserver has been bundled, /);
      for (const bundler of ['esbuild', 'Rollup', 'webpack', 'ncc', 'Next']) {
        expect(line).toContain(bundler);
      }
      expect(stderr).toContain('ERR_JOBSERVER_BUNDLED');
    } finally {
      rmSync(temp, { recursive: true });
    }
  },
);
