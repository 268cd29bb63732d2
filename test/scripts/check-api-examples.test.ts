import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const root = join(__dirname, '..', '..');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'check-api-examples-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function node(...args: string[]): { status: number | null; stderr: string } {
  const options = { cwd: folder, encoding: 'utf8', timeout: 60_000 } as const;
  return spawnSync(process.execPath, args, options);
}

/** Runs typedoc on the source of a module, then the check on its output. */
function check(source: string): { status: number | null; problems: string[] } {
  writeFileSync(join(folder, 'index.ts'), source);
  writeFileSync(join(folder, 'package.json'), '{ "name": "sample" }');
  const compilerOptions = { target: 'es2022', types: [], skipLibCheck: true };
  const config = { compilerOptions, files: ['index.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  cpSync(join(root, 'docs'), join(folder, 'docs'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

  const typedoc = join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const made = node(typedoc, '--json', 'api.json', 'index.ts');
  if (made.status !== 0) throw new Error(made.stderr);
  const script = join(root, 'scripts', 'check-api-examples.mjs');
  const { status, stderr } = node(script, 'api.json');
  return { status, problems: stderr.split('\n').filter((line) => line !== '') };
}

test('an example, a link to one and a link to a page pass', () => {
  const result = check(`
    /**
     * A pool.
     * @example
     * new Pool().close();
     */
    export class Pool {
      /** Closes; see {@link Pool}. */
      close(): void {}
      /** Not a method, so {@link Pool} is enough for it. */
      size = 1;
    }
    /** As [the guide](docs/api.md) says. */
    export type Size = number;
  `);

  expect(result).toEqual({ status: 0, problems: [] });
});

test('a symbol or method without an example is reported', () => {
  const { status, problems } = check(`
    /** A pool. */
    export class Pool {
      /** Closes; see {@link Pool}. */
      close(): void {}
    }
    /** A size, in the unit of [this page](https://example.org). */
    export type Size = number;
  `);

  expect(status).toBe(1);
  expect(problems).toEqual([
    'Pool: no @example, and no link to one',
    'Pool.close: no @example, and no link to one',
    'Size: no @example, and no link to one',
  ]);
});
