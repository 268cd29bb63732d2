// What vitest's own tests expect of its pools, as far as tests and reporters can see
// it. Each run is to be as with the pool 'forks' of vitest.
//
// Those tests are not in the package of vitest, and need the workspace of its repository.
// They are in test/cli and test/config there; what they expect is promised here:
//
// - pool, pool-isolation, workers-option, setup-file-no-isolate, global-setup, print-error,
//   fails, failures, unhandled-rejections, stacktraces, console, annotations, expect-soft,
//   retry, repeats, bail, sequence-*, shuffle-options, testname-pattern, benchmarking,
//   no-module-runner, reported-tasks, chai-config: in this file, and in results.test.ts;
// - exec-args, shard, projects, group-order, mixed-environments: in modes.test.ts;
// - reporters/*, merge-reports, list, git-changed, inspect: in commands.test.ts;
// - cancel-run, console-shortcut, watch/*: in life.test.ts;
// - forks-shutdown-race: in limits.test.ts;
// - custom-pool: in options.test.ts; open-telemetry: in script.test.ts.
//
// forks-channel has no counterpart: there is no `process.send`, which docs/vitest.md says.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startVitest, useProject } from './vitest.js';

interface Seen {
  readonly code: number | null;
  readonly events: readonly string[];
}

describe('a run is like one in processes that vitest has started', () => {
  const project = useProject('parity');

  async function see(pool: string, args: readonly string[]): Promise<Seen> {
    const running = startVitest(project(), args, { env: { POOL: pool } });
    await running.ended;
    const file = join(project(), 'events.json');
    try {
      const events = JSON.parse(readFileSync(file, 'utf8')) as string[];
      rmSync(file);
      return { code: running.process.exitCode, events: comparable(events) };
    } catch {
      throw new Error(running.output());
    }
  }

  test.each([
    ['by default', []],
    [
      'without isolation',
      ['--no-isolate', '--maxWorkers=1', 'process', 'logs'],
    ],
    [
      'with the runner of node',
      ['--experimental.viteModuleRunner=false', 'exits'],
    ],
    [
      'in a random order',
      ['--sequence.shuffle', '--sequence.seed=5', 'errors'],
    ],
    ['at once', ['--sequence.concurrent', 'logs', 'process']],
    ['in silence', ['--silent=passed-only', 'logs', 'errors']],
    ['without its console', ['--disableConsoleIntercept', 'logs', 'window']],
    ['with traces of logs', ['--printConsoleTrace', 'logs']],
    [
      'until the first failure',
      ['--bail=1', '--maxWorkers=1', 'errors', 'logs'],
    ],
    ['of files that do not end', ['--teardownTimeout=50', 'stubborn']],
    [
      'by names of tests',
      ['--testNamePattern=later|text', '--passWithNoTests'],
    ],
  ])('%s', async (_, args) => {
    const ours = await see('', ['run', ...args]);
    const theirs = await see('forks', ['run', ...args]);
    expect(ours).toEqual(theirs);
    expect(theirs.events.length).toBeGreaterThan(9);
  });

  test('of benchmarks', async () => {
    const seen: Seen[] = [];
    for (const pool of ['', 'forks']) {
      const running = startVitest(
        project(),
        ['bench', '--run', '--reporter=verbose'],
        { env: { POOL: pool } },
      );
      await running.ended;
      expect(running.output()).toContain('is measured');
      seen.push({ code: running.process.exitCode, events: [] });
    }
    expect(seen[0]).toEqual(seen[1]);
  });
});

/** In order, and without what differs from run to run. */
function comparable(events: readonly string[]): string[] {
  return events
    .filter((event) => !/^'log' '\w+' ''/.test(event))
    .map((event) =>
      event
        .replace(/\b(duration|startTime|heap): [\d.]+/g, '$1: N')
        .replace(/\?vitest=\d+/g, '')
        .replace(/\\n +at [^\n'`"]*?(?=\\n|['"`])/g, ''),
    )
    .sort();
}
