// With `warmUp`, a fresh process begins with machine code that V8 has compiled before.
// The same files, each in a process of its own, without and with a warm-up, and one
// after another in this process. It needs the package `typescript`.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import ts from 'typescript';
import { Jobserver, isWorker } from 'jobserver';

const folder = new URL('.', import.meta.url);
const files = readdirSync(folder)
  .filter((name) => /^\d\d-.*\.mjs$/.test(name))
  .map((name) => new URL(name, folder).href);

/** Compiles a file to ES5. Returns a hash, and the CPU time in milliseconds. */
export function compile(url) {
  const before = process.cpuUsage();
  const { outputText } = ts.transpileModule(
    readFileSync(new URL(url), 'utf8'),
    { compilerOptions: { target: 'es5', module: 'commonjs' } },
  );
  const { user, system } = process.cpuUsage(before);
  const hash = createHash('sha256').update(outputText).digest('hex');
  return { hash, ms: (user + system) / 1000 };
}

/** The forkserver calls it until it takes no less time. */
export function warmUp() {
  for (const file of files) compile(file);
}

async function compileAll(options) {
  const preload = [import.meta.url];
  const jobserver = new Jobserver({ preload, ...options });
  const readiness = await jobserver.ready();
  const results = [];
  for await (const result of jobserver.map(compile, files)) {
    results.push(result);
  }
  await jobserver.close();
  return [readiness, results];
}

function show(title, results) {
  const sum = results.reduce((total, { ms }) => total + ms, 0);
  console.log(
    `${title}: ${(sum / results.length).toFixed(1)} ms of CPU a file`,
  );
}

if (!isWorker) {
  const [cold, inCold] = await compileAll({});
  const [warm, inWarm] = await compileAll({ warmUp });
  assert.deepEqual([cold, warm], ['cold', 'warm']);
  show('processes without a warm-up', inCold);
  show('processes with a warm-up', inWarm);

  const here = files.map(compile);
  show('this process, which has just begun', here);
  const hashes = (results) => results.map(({ hash }) => hash);
  assert.deepEqual(hashes(inWarm), hashes(here));
  assert.deepEqual(hashes(inCold), hashes(here));
}
