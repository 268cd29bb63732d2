// What vitest has said of a run, without what differs from run to run and from pool to
// pool: times, pids, the order of what is written at once, and frames of vitest's code.

// What the two pools say in different words: why a process has ended, and their names.
const words = [
  [/(Worker exited unexpectedly) .*/g, '$1'],
  [/\bWorker (forks|jobserver)\b/g, 'Worker POOL'],
];
const numbers = [
  [/\b\d+(\.\d+)?m?s\b/g, 'TIME'],
  [/^( +Start at +)[\d:]+$/gm, '$1TIME'],
  // vitest 5 says how the time is divided, and what would take less.
  [/^( +Duration +TIME) \(.*\)$/gm, '$1'],
  [/^( +Duration .*\n)(\n| .*\n)+/gm, '$1'],
  [/\(node:\d+\)/g, '(node:PID)'],
  // vitest numbers the failures that it prints.
  [/\[\d+\/\d+\]⎯/g, '⎯'],
  [/\?vitest=\d+/g, ''],
];
const foreignFrame =
  /^\s*(❯|at) .*(node_modules|node:|vitest\/file-worker\.js)/;
// What a test of the files that fail tells of its process.
const own = ['random'];

/** The lines of a text, such as a failure with its stack. */
export function plainLines(text) {
  let plain = String(text);
  for (const [pattern, by] of [...words, ...numbers]) {
    plain = plain.replace(pattern, by);
  }
  return plain
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !foreignFrame.test(line));
}

/** Lines for all that a report in JSON says of files and their tests, in order. */
export function resultLines(report) {
  return report.testResults
    .flatMap(({ name, status, message, assertionResults }) => [
      `${name}: ${status} ${plainLines(message).join('\n')}`,
      ...assertionResults.map(
        ({ fullName, status, failureMessages, meta }) =>
          `${name}: ${fullName}: ${status} ${told(meta)} ` +
          failureMessages.flatMap((text) => plainLines(text)).join('\n'),
      ),
    ])
    .sort();
}

function told(meta) {
  return JSON.stringify(meta, (key, value) =>
    own.includes(key) ? undefined : value,
  );
}
