// Installs the packed package as its users do, with each package manager and
// without a compiler, and runs jobs there. The last step deletes the binary and
// runs the command that the error message names.
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';
import { nodeBin, npmPackage } from './npm-package.mjs';
import { pack } from './pack.mjs';

const usage = `
Usage: node scripts/test-install.mjs [STEP …]

Packs the package, installs it with each package manager and runs jobs in it,
or runs only the named steps, such as jest or 'npm 11'.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });

// Current package managers need a newer Node than the package does.
const newerNode = '24';
const programs = {
  'npm 11': { name: 'npm', version: '11', file: 'bin/npm-cli.js' },
  'npm 12': { name: 'npm', version: '12', file: 'bin/npm-cli.js' },
  pnpm: { name: 'pnpm', version: '11', file: 'bin/pnpm.mjs' },
  'yarn 1': { name: 'yarn', version: '1', file: 'bin/yarn.js' },
  'yarn 4': { name: '@yarnpkg/cli-dist', version: '4', file: 'bin/yarn.js' },
};
const quiet = ['--no-audit', '--no-fund', '--no-update-notifier'];

const temp = mkdtempSync(join(tmpdir(), 'test-install-'));
const removeTemp = () => rmSync(temp, { recursive: true, force: true });
let tarball = '';
let installed = '';

const smoke = `
(async () => {
  for (const options of [{ slots: 2 }, { slots: 1, context: 'spawn' }]) {
    const jobserver = new Jobserver(options);
    assert.equal(await jobserver.run(add, 2, 3), 5);
    await jobserver.close();
  }
  console.log('done');
})();
`;
const jestTest = `
const { Jobserver, LostResult } = require('jobserver');
const { add, exit } = require('./jobs.cjs');

test('jobs', async () => {
  for (const context of ['forkserver', 'spawn']) {
    const jobserver = new Jobserver({ slots: 1, context });
    expect(await jobserver.run(add, 2, 3)).toBe(5);
    await expect(jobserver.run(exit, 3)).rejects.toThrow(LostResult);
    await expect(jobserver.run(exit, 3)).rejects.toMatchObject({ exitCode: 3 });
    await jobserver.close();
  }
}, 60_000);
`;
const vitestTest = `
import { expect, test } from 'vitest';
${jestTest
  .replace(/const (.+) = require\((.+)\);/g, 'import $1 from $2;')
  .replace('.cjs', '.mjs')}`;
// Each file with the pool of this package is a job.
const poolConfig = `
import { jobserverPool } from 'jobserver/vitest';

export default { test: { pool: jobserverPool(), include: ['*.test.mjs'] } };
`;
const poolTest = `
import { jobInfo } from 'jobserver';
import { expect, test } from 'vitest';

test('a job', () => expect(jobInfo()).toBeDefined());
`;
const threadProgram = `
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker, isMainThread } from 'node:worker_threads';
import { Jobserver } from 'jobserver';
import { add } from './jobs.mjs';

async function main() {
  const jobserver = new Jobserver({ slots: 2 });
  assert.equal(await jobserver.run(add, 2, 3), 5);
  await jobserver.close();
  console.log('done');
}
await main();
if (isMainThread) {
  const threads = [0, 1].map(() => new Worker(new URL(import.meta.url)));
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
}
`;
const typescriptJobs = `
interface Pair { readonly left: number; readonly right: number }

export const sum = ({ left, right }: Pair): number => left + right;
`;
const typescriptProgram = `
import assert from 'node:assert/strict';
import { Jobserver } from 'jobserver';
import { sum } from './jobs.mts';

const jobserver: Jobserver = new Jobserver({ slots: 1 });
const total: number = await jobserver.run(sum, { left: 2, right: 3 });
assert.equal(total, 5);
await jobserver.close();
console.log('done');
`;
const files = {
  'jobs.mjs': `
export const add = (a, b) => a + b;
export const exit = (code) => process.exit(code);
`,
  'jobs.cjs': `
exports.add = (a, b) => a + b;
exports.exit = (code) => process.exit(code);
`,
  'smoke.mjs': `
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Jobserver } from 'jobserver';
import * as all from 'jobserver';
import { add } from './jobs.mjs';

// Every export of require() is also a named export of import.
const required = Object.keys(createRequire(import.meta.url)('jobserver'));
for (const name of required) assert.ok(name in all, name);
${smoke}`,
  'smoke.cjs': `
const assert = require('node:assert/strict');
const { Jobserver } = require('jobserver');
const { add } = require('./jobs.cjs');
${smoke}`,
};

const steps = {
  'npm 11': async (project) => {
    const install = project.with('npm 11');
    await install('install', ...quiet, '--ignore-scripts', tarball);
    await project.smoke();
  },
  'npm 12': async (project) => {
    await project.useNode(newerNode);
    const npm = project.with('npm 12');
    const { all } = await npm('install', ...quiet, tarball);
    assert.doesNotMatch(all, /script/);
    await project.smoke();
    // When there is a lockfile, npm looks for a binding.gyp on disk.
    await npm('ci', ...quiet, '--strict-allow-scripts');
    await npm('ci', ...quiet, '--strict-allow-scripts');
    await project.smoke();
  },
  pnpm: async (project) => {
    await project.useNode(newerNode);
    const { all } = await project.with('pnpm')('add', tarball);
    assert.doesNotMatch(all, /build script/i);
    await project.smoke();
  },
  'yarn 1': async (project) => {
    await project.with('yarn 1')('add', tarball);
    await project.smoke();
  },
  'yarn 4, node_modules': async (project) => {
    project.write('.yarnrc.yml', 'nodeLinker: node-modules\n');
    project.write('yarn.lock', '');
    await project.with('yarn 4')('add', `jobserver@file:${tarball}`);
    await project.smoke();
  },
  'yarn 4, Plug’n’Play': async (project) => {
    project.write('.yarnrc.yml', 'pnpEnableEsmLoader: true\n');
    project.write('yarn.lock', '');
    const yarn = project.with('yarn 4');
    await yarn('add', `jobserver@file:${tarball}`);
    for (const file of ['smoke.mjs', 'smoke.cjs']) {
      const { stdout } = await yarn('node', file);
      assert.equal(stdout, 'done\n');
    }
  },
  jest: async (project) => {
    await project.installOnce();
    // Two files, because jest uses workers for more than one.
    for (const name of ['one', 'two']) {
      project.write(`${name}.test.js`, jestTest);
    }
    const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
    const two = '--maxWorkers=2';
    for (const workers of [['--runInBand'], [two], [two, '--workerThreads']]) {
      await project.run(jest, '--ci', ...workers);
    }
  },
  vitest: async (project) => {
    await project.install('vitest@4.1', 'vite@7');
    for (const name of ['one', 'two']) {
      project.write(`${name}.test.mjs`, vitestTest);
    }
    const program = 'node_modules/vitest/vitest.mjs';
    const vitest = (...options) =>
      project.run(program, 'run', '--dir=.', ...options);
    for (const pool of ['forks', 'threads', 'vmThreads']) {
      await vitest(`--pool=${pool}`);
    }
    project.write('pool.config.mjs', poolConfig);
    project.write('pool.test.mjs', poolTest);
    const { stdout } = await vitest('--config=pool.config.mjs');
    assert.match(stdout, /3 passed/);
  },
  worker_threads: async (project) => {
    await project.installOnce();
    project.write('main.mjs', threadProgram);
    const { stdout } = await project.run('main.mjs');
    assert.equal(stdout, 'done\n'.repeat(3));
  },
  tsx: async (project) => {
    await project.install('tsx@4');
    project.write('jobs.mts', typescriptJobs);
    project.write('main.mts', typescriptProgram);
    const run = async () => {
      const { stdout } = await project.run('--import', 'tsx', 'main.mts');
      assert.equal(stdout, 'done\n');
    };
    await run();
    await project.useNode(newerNode);
    await run();
  },
  'type stripping': async (project) => {
    await project.useNode(newerNode);
    await project.installOnce();
    project.write('jobs.mts', typescriptJobs);
    project.write('main.mts', typescriptProgram);
    const { stdout } = await project.run('main.mts');
    assert.equal(stdout, 'done\n');
  },
  // As another user who has no writable folder: no project, /tmp or home.
  'read only': async (project) => {
    await project.installOnce();
    await command('chmod', ['-R', 'a+rX,a-w', temp]);
    const isRoot = process.getuid() === 0;
    const drop = isRoot ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
    const nowhere = join(project.folder, 'node_modules');
    const env = { ...process.env, TMPDIR: nowhere, HOME: nowhere };
    for (const file of ['smoke.mjs', 'smoke.cjs']) {
      const [program, ...args] = [...drop, process.execPath, file];
      const cwd = project.folder;
      const { stdout } = await command(program, args, { cwd, env });
      assert.equal(stdout, 'done\n');
    }
    await command('chmod', ['-R', 'u+w', temp]);
  },
  'no binary': async (project) => {
    await project.with('npm 11')('install', ...quiet, tarball);
    const folder = join(project.folder, 'node_modules', 'jobserver');
    assert.ok(!existsSync(join(folder, 'build')));
    rmSync(join(folder, 'prebuilds'), { recursive: true });

    const message = await project.smoke().then(
      () => assert.fail('it runs without a binary'),
      (error) => error.message,
    );
    assert.match(message, /ERR_JOBSERVER_NO_BINARY/);
    assert.match(message, RegExp(`${process.platform}-${process.arch}`));
    const [build] = /node '.+build-native\.mjs'/.exec(message);
    await command('sh', ['-c', build], { minutes: 5 });
    await project.smoke();
    assert.ok(!existsSync(join(folder, 'binding.gyp')));
  },
};

class Project {
  constructor(name) {
    // A path that has to be quoted and encoded everywhere. Vitest itself decodes
    // a percent sign in a path.
    const percent = name === 'vitest' ? '' : ' %20';
    this.folder = join(temp, `a "project" of ${name}'s${percent} für ñ`);
    mkdirSync(this.folder);
    this.write('package.json', JSON.stringify({ name: 'project' }));
    for (const [file, text] of Object.entries(files)) this.write(file, text);
    // The only folder in PATH, so that there is no compiler and no Python.
    this.bin = join(temp, `bin ${name}`);
    mkdirSync(this.bin);
    this.node = process.execPath;
    symlinkSync(this.node, join(this.bin, 'node'));
  }

  write(file, text) {
    writeFileSync(join(this.folder, file), text);
  }

  async useNode(version) {
    this.node = join(await nodeBin(version), 'node');
    rmSync(join(this.bin, 'node'));
    symlinkSync(this.node, join(this.bin, 'node'));
  }

  with(manager) {
    return async (...args) => {
      const { name, version, file } = programs[manager];
      const program = join(await npmPackage(name, version), file);
      return this.run(program, ...args);
    };
  }

  /** Installs the package, and others from the registry, with this npm. */
  async install(...packages) {
    const options = { cwd: this.folder, minutes: 5 };
    await command('npm', ['install', ...quiet, tarball, ...packages], options);
  }

  /** Takes over what npm has installed in the first project that calls this. */
  async installOnce() {
    const modules = join(this.folder, 'node_modules');
    if (installed === '') {
      await this.install();
      installed = modules;
    } else {
      cpSync(installed, modules, { recursive: true });
    }
  }

  async smoke() {
    for (const file of ['smoke.mjs', 'smoke.cjs']) {
      const { stdout } = await this.run(file);
      assert.equal(stdout, 'done\n');
    }
  }

  run(...args) {
    const env = { ...process.env, PATH: this.bin };
    // These are settings of the npm that has started this script.
    for (const name of Object.keys(env)) {
      if (/^npm_(?!config_registry)/.test(name)) delete env[name];
    }
    return command(this.node, args, { cwd: this.folder, env });
  }
}

endWithCommands(removeTemp);
try {
  tarball = await pack(temp);
  const inProjects = Object.entries(steps).map(([name, work]) => [
    name,
    () => work(new Project(name)),
  ]);
  await runSteps(Object.fromEntries(inProjects), positionals);
} finally {
  removeTemp();
}
