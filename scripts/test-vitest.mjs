// Runs generated projects in versions of vitest and of Node, with vitest's own pool and
// with that of this package, and compares what becomes of each test.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { build } from './build.mjs';
import {
  commandLine,
  endWithCommands,
  root,
  run,
  runSteps,
} from './command.mjs';
import { nodeBin, npmPackage } from './npm-package.mjs';

const usage = `
Usage: node scripts/test-vitest.mjs [--no-build] [--vitest=VERSIONS]
         [--node=VERSIONS] [--files=N] [--runs=N]

Runs three generated projects, and one whose files fail in all ways, with vitest's pool
'forks' and with that of this package. Fails unless each test has the same result, also
when it is run again and again.

  --no-build         Tests what has been built before.
  --vitest=VERSIONS  Installed from npm; by default 4.1,5.
  --node=VERSIONS    Installed from npm; by default 20,22,24,26. A vitest runs only in
                     those that it supports.
  --files=N          How many files a generated project has, by default 100.
  --runs=N           How often the pool of this package runs each, by default 2.
`;
const { values } = commandLine(usage, {
  options: {
    'no-build': { type: 'boolean' },
    vitest: { type: 'string', default: '4.1,5' },
    node: { type: 'string', default: '20,22,24,26' },
    files: { type: 'string', default: '100' },
    runs: { type: 'string', default: '2' },
  },
});
const files = Number(values.files);
const runs = Number(values.runs);

// The oldest Node in which a major version of vitest runs.
const oldestNode = { 4: 20, 5: 22 };

// Each file has a test that fails, where its number says so.
const failing = (i) =>
  i % 10 === 3 ? `test('fails', () => { expect(${i}).toBe(0); });` : '';

const styles = {
  functions: {
    'source.js': `
      export const cache = new Map();
      export function fibonacci(n) {
        if (n < 2) return n;
        if (!cache.has(n)) cache.set(n, fibonacci(n - 1) + fibonacci(n - 2));
        return cache.get(n);
      }`,
    text: (i) => `
      import { describe, expect, test, vi } from 'vitest';
      import { cache, fibonacci } from './source.js';
      describe.each([1, 2, 3])('part %i of ${i}', (part) => {
        test('starts afresh', () => { if (part === 1) expect(cache.size).toBe(0); });
        test('computes', () => { expect(fibonacci(${i % 20} + part)).toBeGreaterThan(0); });
      });
      test('has mocks', () => {
        const fn = vi.spyOn(Math, 'random').mockReturnValue(${i});
        expect(Math.random()).toBe(${i});
        expect(fn).toHaveBeenCalledOnce();
      });
      ${failing(i)}`,
  },
  compilers: {
    preload: ['typescript'],
    text: (i) => `
      import ts from 'typescript';
      import { expect, test, vi } from 'vitest';
      test('compiles', () => {
        const { outputText } = ts.transpileModule('enum A { b = ${i} }', {});
        expect(outputText).toContain('A["b"] = ${i}');
      });
      test('waits', async () => {
        vi.useFakeTimers();
        const fn = vi.fn();
        setTimeout(fn, ${i});
        await vi.advanceTimersByTimeAsync(${i});
        expect(fn).toHaveBeenCalledOnce();
        vi.useRealTimers();
      });
      ${failing(i)}`,
  },
  components: {
    environment: 'jsdom',
    text: (i) => `
      import { afterEach, expect, test, vi } from 'vitest';
      class Counter extends HTMLElement {
        count = ${i};
        connectedCallback() {
          this.innerHTML = '<button>+</button><output></output>';
          this.querySelector('button').addEventListener('click', () => this.add());
        }
        add() {
          this.count += 1;
          this.querySelector('output').textContent = this.count;
        }
      }
      customElements.define('x-counter', Counter);
      afterEach(() => { document.body.innerHTML = ''; });
      test('counts', () => {
        document.body.innerHTML = '<x-counter></x-counter>';
        document.querySelector('button').click();
        expect(document.querySelector('output').textContent).toBe('${i + 1}');
      });
      test('has a window of its own', () => {
        expect(window.seen).toBe(undefined);
        window.seen = true;
        localStorage.setItem('${i}', 'x');
        expect(localStorage.length).toBe(1);
      });
      ${failing(i)}`,
  },
};

const hostile = 'files that fail';
const steps = {};
for (const version of values.vitest.split(',')) {
  for (const node of values.node.split(',')) {
    if (Number(node) < oldestNode[version.split('.', 1)[0]]) continue;
    for (const style of [hostile, ...Object.keys(styles)]) {
      steps[`vitest ${version}, Node ${node}, ${style}`] = () =>
        compare({ version, node, style });
    }
  }
}

endWithCommands();
if (!values['no-build']) await build();
await runSteps(steps);

async function compare({ version, node, style }) {
  const vitest = await npmPackage('vitest', version);
  const bin = await nodeBin(node);
  const folder = mkdtempSync(join(tmpdir(), 'test-vitest-'));
  try {
    makeProject(folder, style, dirname(vitest));
    const theirs = await resultsOf(folder, bin, { POOL: 'forks' });
    for (let i = 0; i < runs; i++) {
      const ours = await resultsOf(folder, bin, {});
      if (isDeepStrictEqual(ours, theirs)) continue;
      throw new Error(differences(ours, theirs));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeProject(folder, style, packages) {
  if (style === hostile) {
    const fixture = join(root, 'test', 'fixtures', 'vitest', 'hostile');
    cpSync(fixture, folder, { recursive: true });
  } else {
    const { text, environment = 'node', preload, ...others } = styles[style];
    const sources = {
      ...others,
      'package.json': '{ "type": "module" }',
      'vitest.config.js': `
        import { jobserverPool } from 'jobserver/vitest';
        const pool = process.env.POOL ?? jobserverPool(${JSON.stringify({ preload })});
        export default {
          test: { pool, maxWorkers: 2, environment: '${environment}' },
        };`,
    };
    for (let i = 0; i < files; i++) sources[`${i}.test.js`] = text(i);
    for (const [name, content] of Object.entries(sources)) {
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

/** The exit code, and what has become of each test. */
async function resultsOf(folder, bin, env) {
  const report = join(folder, 'report.json');
  const program = join(folder, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [program, 'run', '--reporter=json', `--outputFile=${report}`];
  const { failure, output } = await run(join(bin, 'node'), args, {
    cwd: folder,
    env: {
      ...process.env,
      CI: '1',
      PATH: `${bin}${delimiter}${process.env.PATH}`,
      ...env,
    },
    timeoutMs: 300_000,
  });
  let results;
  try {
    ({ testResults: results } = JSON.parse(readFileSync(report, 'utf8')));
  } catch {
    throw new Error(`${failure ?? 'no report'}\n${output.all}`);
  }
  rmSync(report);
  const tests = results.flatMap(({ name, status, assertionResults }) => [
    `${name}: ${status}`,
    ...assertionResults.map(
      ({ fullName, status, failureMessages }) =>
        `${name}: ${fullName}: ${status} ${failureMessages.map((text) => firstLine(text))}`,
    ),
  ]);
  return { end: failure, tests: tests.sort() };
}

function firstLine(text) {
  return String(text).split('\n', 1)[0];
}

function differences(ours, theirs) {
  const only = (one, other) =>
    one.tests.filter((line) => !other.tests.includes(line));
  return [
    `forks: ${theirs.end ?? 'exit code 0'}; jobserver: ${ours.end ?? 'exit code 0'}`,
    ...only(theirs, ours).map((line) => `  only with forks: ${line}`),
    ...only(ours, theirs).map((line) => `  only with jobserver: ${line}`),
  ].join('\n');
}
