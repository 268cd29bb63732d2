// Compresses every file below a folder twice, first in this process, one file
// after the other, and then in jobs of a Jobserver. Compares time and results.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Jobserver, LostResult } from 'jobserver';
import { compressFile, compressFiles } from './compress-files.mjs';
import { groupFiles, listFiles } from './files.mjs';
import { Progress } from './progress.mjs';

const CONTEXTS = ['forkserver', 'spawn', 'fork'];
const HELP = `Usage: node examples/demo/compress.mjs [options] [folder]

Compresses every regular file below the folder with brotli, first in one
process, then through a Jobserver. Nothing is written. The default is some of
the packages in node_modules.

Options:
  --slots N        jobs that may run at once (default: the library's)
  --context NAME   ${CONTEXTS.join(', ')} (default: the library's)
  --quality Q      of brotli, 0 to 11 (default: 10)
  --help           show this text`;

class UsageError extends Error {}

function readArguments(argv) {
  const option = { type: 'string' };
  const { values, positionals } = orUsageError(() =>
    parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        slots: option,
        context: option,
        quality: option,
        help: { type: 'boolean', short: 'h' },
      },
    }),
  );
  const { help = false, context } = values;
  const slots = integer('--slots', values.slots, 1, 4096);
  const quality = integer('--quality', values.quality, 0, 11) ?? 10;
  if (context !== undefined && !CONTEXTS.includes(context)) {
    throw new UsageError(
      `Expected --context to be ${CONTEXTS.join(' or ')}, got "${context}"`,
    );
  }
  if (positionals.length > 1) {
    throw new UsageError(`Expected one folder, got ${positionals.length}`);
  }
  return { help, slots, context, quality, folder: positionals[0] };
}

function integer(name, text, low, high) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < low || number > high) {
    throw new UsageError(
      `Expected ${name} to be an integer from ${low} to ${high}, got "${text}"`,
    );
  }
  return number;
}

function compressHere(files, quality, progress) {
  return files.map(({ path }) => {
    const outcome = compressFile(path, quality);
    progress.add(outcome.bytesIn);
    return outcome;
  });
}

// submit waits for a slot, so the number of running jobs never exceeds the
// number of slots, however many files there are.
async function compressInJobs(jobserver, files, quality, progress) {
  const run = { outcomes: [], jobs: 0, lost: 0 };
  const failures = [];
  async function collect(future) {
    try {
      for (const outcome of await future.result()) {
        run.outcomes.push(outcome);
        progress.add(outcome.bytesIn);
      }
    } catch (error) {
      if (error instanceof LostResult) run.lost += 1;
      else failures.push(error);
    }
  }
  const collected = [];
  for (const paths of groupFiles(files, quality)) {
    const future = await jobserver.submit(compressFiles, [paths, quality]);
    run.jobs += 1;
    collected.push(collect(future));
    if (failures.length > 0) break;
  }
  await Promise.all(collected);
  if (failures.length > 0) throw failures[0];
  return run;
}

async function timed(label, files, work) {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const progress = new Progress(label, total);
  const start = performance.now();
  try {
    const run = await work(progress);
    return { ...run, seconds: (performance.now() - start) / 1000 };
  } finally {
    progress.stop();
  }
}

function countDifferences(here, inJobs) {
  const expected = new Map(here.map((outcome) => [outcome.path, outcome]));
  return inJobs.filter(({ path, bytesOut, digest }) => {
    const other = expected.get(path);
    return bytesOut !== other.bytesOut || digest !== other.digest;
  }).length;
}

function printTable(here, inJobs, slots) {
  const table = new Table({
    head: ['', 'one process', `${slots ?? '?'} slots`],
    colAligns: ['left', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const total = ({ outcomes }, key) =>
    outcomes
      .reduce((sum, outcome) => sum + outcome[key], 0)
      .toLocaleString('en-US');
  table.push(
    ['files', here.outcomes.length, inJobs.outcomes.length],
    ['bytes in', total(here, 'bytesIn'), total(inJobs, 'bytesIn')],
    ['bytes out', total(here, 'bytesOut'), total(inJobs, 'bytesOut')],
    ['seconds', here.seconds.toFixed(1), inJobs.seconds.toFixed(1)],
    ['speed-up', '1.00', (here.seconds / inJobs.seconds).toFixed(2)],
    ['jobs', '', inJobs.jobs],
    ['jobs lost', '', inJobs.lost],
  );
  console.log(table.toString());
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return;
  }
  const { quality, slots, context } = options;
  const files = orUsageError(() => listFiles(options.folder));
  const jobserver = orUsageError(() => openJobserver({ slots, context }));
  console.log(
    `brotli at quality ${quality}, ${files.length} files, ` +
      `${jobserver.slots ?? '?'} slots, context ${jobserver.context}`,
  );
  try {
    // Reads each file once, so that neither run has to wait for the disk.
    for (const { path } of files) readFileSync(path);
    const here = await timed('one process', files, (progress) => ({
      outcomes: compressHere(files, quality, progress),
    }));
    const inJobs = await timed('with jobs  ', files, (progress) =>
      compressInJobs(jobserver, files, quality, progress),
    );
    printTable(here, inJobs, jobserver.slots);
    const differences = countDifferences(here.outcomes, inJobs.outcomes);
    console.log(
      differences > 0
        ? `${differences} files differ between the two runs.`
        : 'Every file that the jobs returned is the same in both runs.',
    );
    if (inJobs.lost > 0 || differences > 0) process.exitCode = 1;
  } finally {
    await jobserver.close();
  }
}

function openJobserver({ slots, context }) {
  return new Jobserver({
    // Only the forkserver uses it. Its jobs start with the module loaded.
    preload: [new URL('./compress-files.mjs', import.meta.url)],
    ...(slots !== undefined && { slots }),
    ...(context !== undefined && { context }),
  });
}

function orUsageError(fn) {
  try {
    return fn();
  } catch (error) {
    throw new UsageError(error.message, { cause: error });
  }
}

// The reader of the output has closed it, as `head` does.
process.stdout.on('error', () => process.exit(1));

try {
  await main();
} catch (error) {
  console.error(error.message);
  if (error instanceof UsageError) console.error('Try --help.');
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
