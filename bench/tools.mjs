// What several tools do to a file. A module for each tool would be loaded alone, so
// BENCH_TOOL says which one this process has.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

const require = createRequire(import.meta.url);
const modules = join(require.resolve('eslint/package.json'), '..', '..');

const tools = {
  async eslint() {
    const { Linter } = await import('eslint');
    const { default: js } = await import('@eslint/js');
    const config = [js.configs.recommended];
    return (text, filename) =>
      new Linter().verify(text, config, { filename }).length;
  },
  async typescript() {
    const { default: ts } = await import('typescript');
    const options = {
      compilerOptions: { target: 'es2020', module: 'commonjs' },
    };
    return (text) => ts.transpileModule(text, options).outputText.length;
  },
  async prettier() {
    const { format } = await import('prettier');
    return async (text) => (await format(text, { parser: 'babel' })).length;
  },
  async babel() {
    const { parseSync, transformFromAstSync } = await import('@babel/core');
    const options = {
      configFile: false,
      babelrc: false,
      sourceType: 'unambiguous',
    };
    return (text) =>
      transformFromAstSync(parseSync(text, options), text, options).code.length;
  },
};

export const toolNames = Object.keys(tools);
const { BENCH_TOOL } = process.env;
const tool = BENCH_TOOL && (await tools[BENCH_TOOL]());

const least = 5_000;
const most = 60_000;

/** The scripts of these packages, between 5 and 60 kB. */
const folders = ['eslint/lib', '@babel', '@typescript-eslint'];
const all = folders
  .flatMap((name) => {
    const folder = join(modules, name);
    return readdirSync(folder, { recursive: true })
      .filter((file) => /\.[cm]?js$/.test(file))
      .sort()
      .map((file) => join(folder, file));
  })
  .filter((path) => {
    const { size } = statSync(path);
    return size >= least && size <= most;
  });

// One file of so many is for the warm-up, and the others are for the jobs.
const share = 15;

export const files = all.filter((_, i) => i % share !== 0);

/** Runs the tool. Returns milliseconds of CPU, and the pid of the zygote, if any. */
export async function work(path) {
  const before = process.cpuUsage();
  await tool(readFileSync(path, 'utf8'), basename(path));
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / 1000, zygote: process.ppid };
}

/** As jobs do, to files of their kind. */
export async function warmUp() {
  for (let i = 0; i < all.length; i += share) await work(all[i]);
}
