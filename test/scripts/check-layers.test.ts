import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const script = join(__dirname, '..', '..', 'scripts', 'check-layers.mjs');

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'check-layers-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Runs the check over a tree of { path below lib/: text }. */
function check(tree: Readonly<Record<string, string>>): {
  status: number | null;
  problems: string[];
} {
  for (const [path, text] of Object.entries(tree)) {
    const file = join(root, 'lib', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const { status, stderr } = spawnSync(process.execPath, [script, root], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, problems: stderr.split('\n').filter((line) => line !== '') };
}

describe('what is allowed', () => {
  test('lower layers, the own folder, node:* and the listed exceptions', () => {
    const result = check({
      'index.ts': "export { Jobserver } from './jobserver.js';\n",
      'jobserver.ts': "import { Future } from './future.js';\n",
      'future.ts': "import type { Job } from './job.js';\n",
      'job.ts': "import { launch } from './launch';\n",
      'launch/index.ts': "import { forkLauncher } from './fork.js';\n",
      'launch/fork.ts': "import { runInFork } from '../child/fork.js';\n",
      'child/fork.ts': "import { run } from './run.js';\n",
      'child/main.ts': "import { run } from './run.js';\n",
      'child/run.ts':
        "import { Fd } from '../fd.js';\n" +
        "import type { Future } from '../jobserver.js';\n" +
        'export async function pool(): Promise<unknown> {\n' +
        "  void (require('../jobserver.js') as typeof import('../jobserver.js'));\n" +
        "  return import('../jobserver.js');\n" +
        '}\n',
      'fd.ts': "import * as fs from 'node:fs';\n",
      'binding.ts': "const load = require('node-gyp-build');\n",
    });

    expect(result).toEqual({ status: 0, problems: [] });
  });
});

describe('what is reported, with its file, line and rule', () => {
  test('an import of a higher layer, in every form an import can have', () => {
    const { status, problems } = check({
      'fd.ts': [
        "import { a } from './job.js';",
        "import type { B } from './job.js';",
        "export * from './job.js';",
        "import job = require('./job.js');",
        "type C = import('./job.js').C;",
        "const d = require('./job.js');",
        "const e = () => import('./job.js');",
        'const f = require.resolve(`./job.js`);',
      ].join('\n'),
      'job.ts': '',
    });

    expect(status).toBe(1);
    expect(problems).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map(
        (line) =>
          `lib/fd.ts:${line}: imports ./job.js: layer 1 may not import layer 4`,
      ),
    );
  });

  test('an import within one layer but across folders', () => {
    const { status, problems } = check({
      'slots.ts': "\nimport { styleOf } from './make/flags.js';\n",
      'wire/value.ts': "import { SlotPipe } from '../slots.js';\n",
      'make/flags.ts': '',
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/slots.ts:2: imports ./make/flags.js: ' +
        'layer 2 may not import itself outside of one folder',
      'lib/wire/value.ts:1: imports ../slots.js: ' +
        'layer 2 may not import itself outside of one folder',
    ]);
  });

  test('any way between child/ and the parent side but the listed ones', () => {
    const { status, problems } = check({
      'child/main.ts': "import { Launcher } from '../launch/launcher.js';\n",
      'child/run.ts': "import { Jobserver } from '../jobserver.js';\n",
      'child/process.ts': "const load = () => import('../jobserver.js');\n",
      'launch/launcher.ts': '',
      'launch/spawn.ts': "import { run } from '../child/run.js';\n",
      'jobserver.ts': "import { run } from './child/run.js';\n",
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/child/main.ts:1: imports ../launch/launcher.js: ' +
        'layer 2.5 may not import layer 3',
      'lib/child/process.ts:1: imports ../jobserver.js: ' +
        'layer 2.5 may not import layer 7',
      'lib/child/run.ts:1: imports ../jobserver.js: ' +
        'allowed only by import(), by require() in a function, or for types',
      'lib/jobserver.ts:1: imports ./child/run.js: ' +
        'nobody outside of child/* may',
      'lib/launch/spawn.ts:1: imports ../child/run.js: ' +
        'nobody outside of child/* may',
    ]);
  });

  test('a file in no layer', () => {
    const { status, problems } = check({ 'utils.ts': '', 'fd.ts': '' });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/utils.ts:1: is in no layer: ' +
        'give it a layer in scripts/check-layers.mjs',
    ]);
  });

  test('a package, a builtin without node:, and a file outside of lib/', () => {
    const { status, problems } = check({
      'fd.ts':
        "import gyp from 'node-gyp-build';\n" +
        "import fs from 'fs';\n" +
        "import meta from '../package.json';\n",
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/fd.ts:1: imports node-gyp-build: only binding may',
      'lib/fd.ts:2: imports fs: only node:* and listed packages',
      'lib/fd.ts:3: imports ../package.json: it is outside of lib/',
    ]);
  });

  test('a tree without any source file', () => {
    const { status, problems } = check({});

    expect(status).toBe(1);
    expect(problems).toEqual([`No source files in ${join(root, 'lib')}`]);
  });
});
