// How long does a program wait for the first job of a pool? Runs whole programs, in
// turn, and compares them with a node that does nothing.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commandLine } from '../scripts/command.mjs';
import { inTurn, median, table, threadless } from './measure.mjs';

const usage = `
Usage: node bench/first.mjs [--rounds=20]
`;
const { values } = commandLine(usage, {
  options: { rounds: { type: 'string', default: '20' } },
});
const program = fileURLToPath(new URL('first-job.mjs', import.meta.url));

const importTimes = {};
const resultTimes = {};

function runNode(...argv) {
  const { status, stdout } = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`node ${argv.join(' ')} has failed`);
  return stdout;
}

function runProgram(name) {
  const flags = name === 'fork' ? threadless : [];
  const [imported, result] = JSON.parse(runNode(...flags, program, name));
  (importTimes[name] ??= []).push(imported);
  (resultTimes[name] ??= []).push(result);
}

const names = [
  'jobserver, import only',
  'spawn',
  'forkserver',
  'fork',
  'piscina',
  'tinypool',
  'workerpool',
];
const actions = { 'node -e 0': () => runNode('-e', '0') };
for (const name of names) actions[name] = () => runProgram(name);
const times = await inTurn(Number(values.rounds), actions);
const floor = times['node -e 0'];

const cell = (ms) => `${ms.toFixed(1)} ms, ${(ms / floor).toFixed(2)}`;
const rows = Object.entries(times).map(([name, whole]) => [
  name,
  ...(name in importTimes
    ? [cell(median(importTimes[name])), cell(median(resultTimes[name]))]
    : ['', '']),
  cell(whole),
]);
table(
  'A program with one job: milliseconds, and how many times `node -e 0`',
  ['', 'import', 'from then to the result', 'the whole program'],
  rows,
);
