// Measures which lines of lib/ and native/ the tests and the examples run, in
// their child processes too. lib/ is measured as compiled JavaScript, in dist/, which
// is not linked for that, so that the report names the files of lib/.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import libCoverage from 'istanbul-lib-coverage';
import { build } from './build.mjs';
import {
  command,
  endWithCommands,
  jestCommandLine,
  root,
  run,
} from './command.mjs';
import { buildInStage, makeStage } from './stage.mjs';

const leastPercent = 90;
const usage = `
Usage: node scripts/coverage.mjs [jest argument …]

Runs the tests and the examples, reports which lines of lib/ and native/ they
have run, and fails below ${leastPercent} % of the lines of either. The report is in
coverage/. Needs the Debian packages clang-19 and llvm-19.
`;
const folder = join(root, 'coverage');
const raw = join(folder, 'raw');
const profile = join(raw, 'native.profdata');
const { rest: jestArgs } = jestCommandLine(usage);

const stage = makeStage('coverage-');
const removeStage = () => rmSync(stage, { recursive: true, force: true });
endWithCommands(removeStage);
try {
  await build({ tests: true, linked: false });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(raw, { recursive: true });
  const env = { ...process.env, ...(await buildForCoverage()) };
  await runAll(env);
  const percents = [await reportOfLib(), await reportOfNative()];
  if (percents.some((percent) => percent < leastPercent)) {
    console.log(`Fewer than ${leastPercent} % of the lines have run`);
    process.exitCode = 1;
  }
} finally {
  removeStage();
}

function buildForCoverage() {
  const instrument = '-fprofile-instr-generate -fcoverage-mapping';
  // The counters are in a mapped file, so those of a killed process count too.
  const isMapped = '-mllvm -runtime-counter-relocation';
  return buildInStage(stage, `${instrument} ${isMapped}`, {
    CC: 'clang-19',
    CXX: 'clang++-19',
  });
}

async function runAll(env) {
  const flags = ['--coverage', '--coverageProvider=v8'];
  flags.push('--coverageReporters=json', '--collectCoverageFrom=dist/**/*.js');
  const jest = [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...flags];
  const threadless = ['--single-threaded', '--v8-pool-size=1'];
  const to = (name) => `--coverageDirectory=${join(raw, name)}`;
  const none = '--passWithNoTests';
  await node(jest, to('jest'), none, ...jestArgs);
  await node([...threadless, ...jest], to('jest-fork'), none, ...jestArgs);
  await node(['scripts/run-examples.mjs']);

  async function node(argv, ...more) {
    const { failure } = await run(process.execPath, [...argv, ...more], {
      cwd: root,
      env: {
        ...env,
        NODE_V8_COVERAGE: join(raw, 'children'),
        LLVM_PROFILE_FILE: join(raw, '%c%m.profraw'),
        TEST_TIMEOUT_FACTOR: '3',
      },
      timeoutMs: 3_600_000,
      inherit: true,
    });
    if (failure !== undefined) process.exitCode = 1;
  }
}

/** Merges the coverage of jest's own process and that of its children. */
async function reportOfLib() {
  const map = libCoverage.createCoverageMap();
  const c8 = join(root, 'node_modules', 'c8', 'bin', 'c8.js');
  const options = ['--temp-directory', join(raw, 'children'), '--merge-async'];
  options.push('--include=dist/**', '--reporter=json');
  options.push('--reports-dir', join(raw, 'c8'));
  await command(process.execPath, [c8, 'report', ...options], { minutes: 30 });
  for (const name of ['jest', 'jest-fork', 'c8']) {
    const file = join(raw, name, 'coverage-final.json');
    map.merge(JSON.parse(readFileSync(file, 'utf8')));
  }
  const summary = libCoverage.createCoverageSummary();
  for (const file of map.files()) {
    const coverage = map.fileCoverageFor(file);
    const { lines } = coverage.toSummary();
    const missed = coverage.getUncoveredLines();
    const name = file.slice(root.length + 1).padEnd(32);
    console.log(`${name} ${lines.pct} %  ${ranges(missed.map(Number))}`);
    summary.merge(coverage.toSummary());
  }
  writeFileSync(join(folder, 'lib.json'), JSON.stringify(map));
  console.log(`dist: ${summary.lines.pct} % of the lines\n`);
  return summary.lines.pct;
}

async function reportOfNative() {
  const files = join(raw, '*.profraw');
  const merge = `llvm-profdata-19 merge -sparse ${files} -o ${profile}`;
  await command('sh', ['-c', merge]);
  const binary = join(stage, 'build', 'Release', 'addon.node');
  const sources = join(stage, 'native');
  const args = ['-instr-profile', profile, binary, '-sources', sources];
  const table = await command('llvm-cov-19', ['report', ...args]);
  console.log(table.stdout);
  const shown = await command('llvm-cov-19', ['show', ...args]);
  writeFileSync(join(folder, 'native.txt'), shown.stdout);
  const summary = ['export', '-summary-only', ...args];
  const { data } = JSON.parse((await command('llvm-cov-19', summary)).stdout);
  return data[0].totals.lines.percent;
}

/** [1, 2, 3, 7] as "1-3 7". */
function ranges(lines) {
  const all = [];
  for (const line of lines) {
    const last = all.at(-1);
    if (last?.[1] === line - 1) last[1] = line;
    else all.push([line, line]);
  }
  const text = ([from, to]) => (from === to ? `${from}` : `${from}-${to}`);
  return all.map(text).join(' ');
}
