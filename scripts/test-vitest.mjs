// Runs projects in versions of vitest and of Node, with vitest's own pool and with that of
// this package, and compares what vitest says of them.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { build } from './build.mjs';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  run,
  runSteps,
} from './command.mjs';
import { nodeBin, npmPackage } from './npm-package.mjs';
import { plainLines, resultLines } from './vitest-report.mjs';
import { suites } from './vitest-suites.mjs';

const usage = `
Usage: node scripts/test-vitest.mjs [--no-build] [--vitest=VERSIONS]
         [--node=VERSIONS] [--suites=NAMES] [--files=N] [--runs=N]

Runs three generated projects, and one whose files fail in all ways, with vitest's pool
'forks' and with that of this package. Fails unless each test has the same result with the
same text of failures, the output and the exit code are the same, also when it is run again
and again, and unless no process and no file is left. Then runs the tests of the pool with
that vitest, among which are those that compare what reporters are told.

  --no-build         Tests what has been built before.
  --vitest=VERSIONS  Installed from npm; by default 4.1,5.
  --node=VERSIONS    Installed from npm; by default 20,22,24,26. A vitest runs only in
                     those that it supports.
  --suites=NAMES     Of functions, compilers, components, failures and tests; by default
                     all.
  --files=N          How many files a generated project has, by default 100.
  --runs=N           How often the pool of this package runs each, by default 3.
`;
const { values } = commandLine(usage, {
  options: {
    'no-build': { type: 'boolean' },
    vitest: { type: 'string', default: '4.1,5' },
    node: { type: 'string', default: '20,22,24,26' },
    suites: { type: 'string' },
    files: { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
  },
});
const files = Number(values.files);
const runs = Number(values.runs);

// The oldest Node in which a major version of vitest runs.
const oldestNode = { 4: 20, 5: 22 };

const hostile = 'failures';
const ownTests = 'tests';
// What the tests need, which measure coverage.
const forTests = ['vite@8', '@vitest/coverage-istanbul', '@vitest/coverage-v8'];
// A variable by which the processes of a run are found.
const mark = 'JOBSERVER_TEST_VITEST';
const all = [hostile, ...Object.keys(suites), ownTests];
const chosen = values.suites?.split(',') ?? all;
const beside = chosen.includes(ownTests) ? forTests : [];
const steps = {};
for (const version of values.vitest.split(',')) {
  for (const node of values.node.split(',')) {
    if (Number(node) < oldestNode[version.split('.', 1)[0]]) continue;
    for (const style of chosen) {
      const work = style === ownTests ? runTests : compare;
      steps[`vitest ${version}, Node ${node}, ${style}`] = async () => {
        const vitest = await npmPackage('vitest', version, beside);
        const bin = await nodeBin(node);
        return work({ packages: dirname(vitest), bin, style });
      };
    }
  }
}

endWithCommands();
if (!values['no-build']) await build({ tests: chosen.includes(ownTests) });
await runSteps(steps);

async function runTests({ packages, bin }) {
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const args = [jest, join('dist-test', 'vitest')];
  const PATH = `${bin}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH, TEST_VITEST_PACKAGES: packages };
  const node = join(bin, 'node');
  const { all } = await command(node, args, { env, minutes: 10 });
  return /^Tests: +(.*)$/m.exec(all)?.[1];
}

async function compare({ packages, bin, style }) {
  const folder = mkdtempSync(join(tmpdir(), 'test-vitest-'));
  try {
    makeProject(folder, style, packages);
    const theirs = await resultsOf(folder, bin, { POOL: 'forks' });
    for (let i = 1; i <= runs; i++) {
      const ours = await resultsOf(folder, bin, {});
      if (isDeepStrictEqual(ours, theirs)) continue;
      throw new Error(`run ${i}: ${differences(ours, theirs)}`);
    }
    const failed = theirs.tests.filter((line) => line.includes(': failed'));
    return `${failed.length} of ${theirs.tests.length} results are failures`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeProject(folder, style, packages) {
  if (style === hostile) {
    const fixture = join(root, 'test', 'fixtures', 'vitest', 'hostile');
    cpSync(fixture, folder, { recursive: true });
  } else {
    const { pool, alias, test, files: sources } = suites[style](files);
    const config = { test: { maxWorkers: 2, ...test }, resolve: { alias } };
    sources['package.json'] = '{ "type": "module" }';
    sources['vitest.config.js'] = `
      import { join } from 'node:path';
      import { jobserverPool } from 'jobserver/vitest';
      const config = ${JSON.stringify(config)};
      const alias = Object.entries(config.resolve.alias ?? {});
      for (const [name, place] of alias) {
        config.resolve.alias[name] = join(import.meta.dirname, place);
      }
      config.test.pool = process.env.POOL ?? jobserverPool(${JSON.stringify(pool)});
      export default config;`;
    for (const [name, content] of Object.entries(sources)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
  }
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, join(modules, 'jobserver'));
  for (const name of ['vitest', 'vite']) {
    symlinkSync(join(packages, name), join(modules, name));
  }
  for (const name of ['typescript', 'jsdom', 'happy-dom']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
}

/** The exit code, what has become of each test, and all that vitest has written. */
async function resultsOf(folder, bin, env) {
  const report = join(folder, 'report.json');
  const temporary = join(folder, 'node_modules', 'temporary');
  mkdirSync(temporary, { recursive: true });
  const before = filesIn(folder);
  const program = join(folder, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [program, 'run', `--outputFile=${report}`];
  args.push('--reporter=json', '--reporter=default', '--no-color');
  // The names of slow tests would be printed, and the machine may be slow.
  args.push('--slowTestThreshold=1000000');
  const { failure, output } = await run(join(bin, 'node'), args, {
    cwd: folder,
    env: {
      ...process.env,
      CI: '1',
      PATH: `${bin}${delimiter}${process.env.PATH}`,
      TMPDIR: temporary,
      [mark]: folder,
      ...env,
    },
    timeoutMs: 300_000 * Number(process.env.TEST_TIMEOUT_FACTOR ?? 1),
  });
  let tests;
  try {
    tests = resultLines(JSON.parse(readFileSync(report, 'utf8')));
  } catch {
    const pool = env.POOL ?? 'jobserver';
    throw new Error(`${pool}: ${failure ?? 'no report'}\n${output.all}`);
  }
  rmSync(report);
  const left = [
    ...(await processesOf(folder)),
    ...readdirSync(temporary),
    ...filesIn(folder).filter((file) => !before.includes(file)),
  ];
  if (left.length > 0) throw new Error(`left: ${left.join(', ')}`);
  return { end: failure, tests, output: plainLines(output.all).sort() };
}

/** Without those of node_modules, where vitest has its cache. */
function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

/** What still runs some time after vitest, by its command line (Linux). */
async function processesOf(folder) {
  if (process.platform !== 'linux') return [];
  let found = [];
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(50)) {
    found = readdirSync('/proc').flatMap((pid) => {
      try {
        const read = (name) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
        if (!read('environ').includes(`${mark}=${folder}\0`)) return [];
        return [`process ${pid} ${read('cmdline').replaceAll('\0', ' ')}`];
      } catch {
        return []; // It is no process, has ended, or is not ours.
      }
    });
    if (found.length === 0) return [];
  }
  return found;
}

function differences(ours, theirs) {
  const only = (one, other) =>
    ['tests', 'output'].flatMap((kind) =>
      one[kind].filter((line) => !other[kind].includes(line)),
    );
  return [
    `forks: ${theirs.end ?? 'exit code 0'}; jobserver: ${ours.end ?? 'exit code 0'}`,
    ...only(theirs, ours).map((line) => `  only with forks: ${line}`),
    ...only(ours, theirs).map((line) => `  only with jobserver: ${line}`),
  ].join('\n');
}
