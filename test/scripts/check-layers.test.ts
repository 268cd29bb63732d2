import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const script = join(__dirname, '..', '..', 'scripts', 'check-layers.mjs');

// One file in each place that has a rank.
const ranked: Readonly<Record<string, string>> = {
  'cli/main.ts': "import type { Host } from '../bullmq/host.js';\n",
  'bullmq/host.ts': "import { Jobserver } from '../jobserver.js';\n",
  'index.ts': "export { Jobserver } from './jobserver.js';\n",
  'vitest/pool.ts': "import { Jobserver } from '../jobserver.js';\n",
  'executor/executor.ts': "import { Jobserver } from '../jobserver.js';\n",
  'jobserver.ts': "import { Future } from './job/future.js';\n",
  'map/map.ts': "import { Future } from '../job/future.js';\n",
  'job/future.ts': "import type { Launcher } from '../launch/launcher.js';\n",
  'launch/launcher.ts': "import type { Order } from '../protocol/order.js';\n",
  'child/run.ts': "import { native } from '../system/binding.js';\n",
  'protocol/order.ts': "import { SlotPipe } from '../slots/slot-pipe.js';\n",
  'memory/segment.ts': '',
  'slots/slot-pipe.ts': "import { native } from '../system/binding.js';\n",
  'functions/url.ts': '',
  'wire/value.ts': '',
  'output/plan.ts': '',
  'system/binding.ts': "const load = require('node-gyp-build');\n",
  'context.ts': "import { outOfRange } from './errors.js';\n",
  'errors.ts': "import type { JobUsage } from './usage.js';\n",
  'usage.ts': "import * as fs from 'node:fs';\n",
};

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
  test('lower ranks, the own folder, node:* and the listed exceptions', () => {
    const result = check({
      ...ranked,
      'launch/fork.ts': "import { runInFork } from '../child/fork.js';\n",
      'child/fork.ts': "import { run } from './run.js';\n",
      'child/run.ts':
        "import { Fd } from '../system/fd.js';\n" +
        "import type { Future } from '../jobserver.js';\n" +
        'export async function pool(): Promise<unknown> {\n' +
        "  void (require('../jobserver.js') as typeof import('../jobserver.js'));\n" +
        "  return import('../jobserver.js');\n" +
        '}\n',
    });

    expect(result).toEqual({ status: 0, problems: [] });
  });
});

describe('what is reported, with its file, line and rule', () => {
  test('an import of a higher rank, in every form an import can have', () => {
    const { status, problems } = check({
      ...ranked,
      'system/fd.ts': [
        "import { a } from '../job/future.js';",
        "import type { B } from '../job/future.js';",
        "export * from '../job/future.js';",
        "import job = require('../job/future.js');",
        "type C = import('../job/future.js').C;",
        "const d = require('../job/future.js');",
        "const e = () => import('../job/future.js');",
        'const f = require.resolve(`../job/future.js`);',
      ].join('\n'),
    });

    expect(status).toBe(1);
    expect(problems).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map(
        (line) =>
          `lib/system/fd.ts:${line}: imports ../job/future.js: ` +
          'system (rank 12) may not import job (rank 6)',
      ),
    );
  });

  test('an import of another folder with the same rank', () => {
    const { status, problems } = check({
      ...ranked,
      'wire/value.ts': "\nimport { SlotPipe } from '../slots/slot-pipe.js';\n",
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/wire/value.ts:2: imports ../slots/slot-pipe.js: ' +
        'wire (rank 11) may not import slots (rank 11)',
    ]);
  });

  test('any import between child/ and the submitter except the listed ones', () => {
    const { status, problems } = check({
      ...ranked,
      'child/output.ts': "const load = () => import('../jobserver.js');\n",
      'child/run.ts': "import { Jobserver } from '../jobserver.js';\n",
      'child/spawned.ts': "import { Launcher } from '../launch/launcher.js';\n",
      'jobserver.ts': "import { run } from './child/run.js';\n",
      'launch/spawn.ts': "import { run } from '../child/run.js';\n",
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/child/output.ts:1: imports ../jobserver.js: ' +
        'child (rank 8) may not import jobserver (rank 4)',
      'lib/child/run.ts:1: imports ../jobserver.js: ' +
        'allowed only by import(), by require() in a function, or for types',
      'lib/child/spawned.ts:1: imports ../launch/launcher.js: ' +
        'child (rank 8) may not import launch (rank 7)',
      'lib/jobserver.ts:1: imports ./child/run.js: ' +
        'no other folder may import child',
      'lib/launch/spawn.ts:1: imports ../child/run.js: ' +
        'no other folder may import child',
    ]);
  });

  test('a folder or file in lib/ without a rank, and a rank without either', () => {
    const { 'wire/value.ts': _, ...others } = ranked;
    const { status, problems } = check({ ...others, 'utils.ts': '' });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/wire has a rank in scripts/check-layers.mjs, but does not exist',
      'lib/utils has no rank: give it one in scripts/check-layers.mjs',
    ]);
  });

  test('a package, a builtin without node:, and a file outside of lib/', () => {
    const { status, problems } = check({
      ...ranked,
      'errors.ts':
        "import gyp from 'node-gyp-build';\n" +
        "import fs from 'fs';\n" +
        "import meta from '../package.json';\n",
    });

    expect(status).toBe(1);
    expect(problems).toEqual([
      'lib/errors.ts:1: imports node-gyp-build: only system/binding may',
      'lib/errors.ts:2: imports fs: only node:* and listed packages',
      'lib/errors.ts:3: imports ../package.json: it is outside of lib/',
    ]);
  });

  test('a tree without any source file', () => {
    const { status, problems } = check({});

    expect(status).toBe(1);
    expect(problems).toContain(`No source files in ${join(root, 'lib')}`);
  });
});
