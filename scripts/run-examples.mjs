// Runs the numbered examples one after another, each with a time limit. An example
// passes when it exits with code 0, because it asserts what it shows, and when it
// prints something. The numbers are 01, 02 and so on without a gap.
import { readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  commandLine,
  endWithCommands,
  root,
  run,
  seconds,
} from './command.mjs';

const usage = `
Usage: node scripts/run-examples.mjs [--dir=FOLDER] [01 | 01-first-job …]

Runs all numbered examples, or those that are named.

  --dir=FOLDER  Where the examples are, by default in examples/.
`;
const timeoutMs = 60_000 * Number(process.env.TEST_TIMEOUT_FACTOR ?? 1);

const { values, positionals } = commandLine(usage, {
  options: { dir: { type: 'string', default: join(root, 'examples') } },
  allowPositionals: true,
});
const folder = resolve(values.dir);
const all = readdirSync(folder)
  .filter((file) => /^[0-9][0-9]-.*\.mjs$/.test(file))
  .map((file) => basename(file, '.mjs'))
  .sort();

endWithCommands();
const problems = [...numberingProblems(), ...unknownNames()];
for (const problem of problems) console.log(`FAILED ${problem}`);

let passed = 0;
let failed = problems.length;
for (const name of all.filter(isSelected)) {
  const start = performance.now();
  const { failure, output } = await runExample(name);
  if (failure === undefined) {
    passed += 1;
    console.log(`ok ${name} (${seconds(start)})`);
  } else {
    failed += 1;
    console.log(`FAILED ${name} (${seconds(start)}): ${failure}`);
    process.stdout.write(output.all.replace(/^(?=.)/gm, '  '));
  }
}
console.log(`examples: ${passed} passed, ${failed} failed`);
if (failed > 0 || passed === 0) process.exitCode = 1;

async function runExample(name) {
  const result = await run(process.execPath, [join(folder, `${name}.mjs`)], {
    cwd: root,
    timeoutMs,
  });
  const isSilent = result.ok && result.output.stdout.trim() === '';
  return isSilent ? { ...result, failure: 'printed nothing' } : result;
}

function numberingProblems() {
  if (all.length === 0) return [`no examples in ${folder}`];
  const numbers = all.map((name) => Number(name.slice(0, 2)));
  const last = Math.max(...numbers);
  return Array.from({ length: last + 1 }, (_, number) => number).flatMap(
    (number) => {
      const count = numbers.filter((other) => other === number).length;
      const expected = number === 0 ? 0 : 1;
      if (count === expected) return [];
      const name = String(number).padStart(2, '0');
      return [`${name}: ${count} examples have this number`];
    },
  );
}

function isSelected(name) {
  return (
    positionals.length === 0 ||
    positionals.some((selector) => selects(selector, name))
  );
}

function unknownNames() {
  return positionals
    .filter((selector) => !all.some((name) => selects(selector, name)))
    .map((selector) => `${selector}: no such example`);
}

// By number, by name, or by path.
function selects(selector, name) {
  const wanted = basename(selector, '.mjs');
  return wanted === name || wanted === name.slice(0, 2);
}
