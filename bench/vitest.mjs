// How long does vitest take for a project: with its own pools, without isolation, and
// with the pool of this package, cold (only preloaded) and warm. The kinds of runs
// alternate, so that all of them share what else the machine does.
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, table } from './measure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const only = process.env.BENCH_PROJECT;

const small = (i) => `
import { describe, expect, test } from 'vitest';
import { add, words } from './source.js';
describe('file ${i}', () => {
  test('adds', () => { expect(add(${i}, 1)).toBe(${i + 1}); });
  test('splits', () => { expect(words('a b ${i}')).toEqual(['a', 'b', '${i}']); });
});`;

const compiler = (i) => `
import ts from 'typescript';
import { expect, test } from 'vitest';
test('compiles', () => {
  const { outputText } = ts.transpileModule('const a: number = ${i};', {});
  expect(outputText).toContain('a = ${i}');
});`;

const dom = (i) => `
import { expect, test } from 'vitest';
test('renders', () => {
  document.body.innerHTML = '<ul>' + '<li>item</li>'.repeat(${i + 1}) + '</ul>';
  expect(document.querySelectorAll('li')).toHaveLength(${i + 1});
});`;

const projects = {
  '60 small files': { files: 60, text: small },
  '24 that import typescript': {
    files: 24,
    text: compiler,
    // V8 compiles a function when it is first called.
    preload: `
      import ts from 'typescript';
      ts.transpileModule('const a: number = 1;', {});`,
  },
  '24 in jsdom': { files: 24, text: dom, environment: 'jsdom' },
  '240 small files': { files: 240, text: small },
};

const kinds = {
  forks: { pool: 'forks' },
  threads: { pool: 'threads' },
  'no isolation': { pool: 'forks', isolate: false },
  'jobserver, cold': { options: { warmUp: false } },
  'jobserver, warm': { options: {} },
};

const rows = [];
for (const [name, project] of Object.entries(projects)) {
  if (only !== undefined && !name.includes(only)) continue;
  const folder = makeProject(project);
  try {
    rows.push([name, ...measure(folder, project)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
table(
  `Seconds for a run at 2 workers: best, median of ${rounds}, and forks as a multiple of the best`,
  ['', ...Object.keys(kinds)],
  rows,
);

function makeProject({ files, text, preload }) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-bench-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, join(modules, 'jobserver'));
  for (const name of ['vitest', 'vite', 'typescript', 'jsdom']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const write = (name, content) => writeFileSync(join(folder, name), content);
  write('package.json', '{ "type": "module" }');
  write(
    'source.js',
    `export const add = (a, b) => a + b;
     export const words = (text) => text.split(' ');`,
  );
  write(
    'vitest.config.js',
    `import { jobserverPool } from 'jobserver/vitest';
     const { pool, options, ...others } = JSON.parse(process.env.BENCH_KIND);
     export default {
       test: { ...others, maxWorkers: 2, pool: pool ?? jobserverPool(options) },
     };`,
  );
  if (preload !== undefined) write('preload.js', preload);
  for (let i = 0; i < files; i++) write(`${i}.test.js`, text(i));
  return folder;
}

function measure(folder, { environment = 'node', preload }) {
  const times = Object.fromEntries(Object.keys(kinds).map((key) => [key, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, { options, ...kind }] of Object.entries(kinds)) {
      const modules = preload === undefined ? [] : ['./preload.js'];
      const given = options && { preload: modules, ...options };
      const ms = run(folder, { ...kind, environment, options: given });
      // The first round fills vitest's cache.
      if (round > 0) times[name].push(ms / 1000);
    }
  }
  const forks = Math.min(...times.forks);
  return Object.values(times).map((all) => {
    const best = Math.min(...all);
    const gain = (forks / best).toFixed(1);
    return `${best.toFixed(1)}, ${median(all).toFixed(1)}, ${gain} ×`;
  });
}

function run(folder, kind) {
  const program = join(folder, 'node_modules', 'vitest', 'vitest.mjs');
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, 'run', '--reporter=dot'],
    {
      cwd: folder,
      env: { ...process.env, BENCH_KIND: JSON.stringify(kind), CI: '1' },
      encoding: 'utf8',
      timeout: 300_000,
    },
  );
  if (status !== 0) throw new Error(`vitest: ${status}\n${stdout}\n${stderr}`);
  return performance.now() - start;
}
