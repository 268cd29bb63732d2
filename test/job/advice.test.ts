import { join } from 'node:path';
import { defaultContext } from '../../dist/context.js';
import { runNode } from '../helpers/program.js';

const program = join(__dirname, '../../test/fixtures/advice-program.mjs');

/** What a program advises in its trace. */
async function adviceOf(name: string, context: string): Promise<string[]> {
  const env = { ...process.env, NODE_DEBUG: 'jobserver' };
  const { code, stderr } = await runNode([program, name, context], { env });
  expect(code).toBe(0);
  return [...stderr.matchAll(/would have helped: (.*)/g)].map(([, it]) => it!);
}

describe.each([...new Set([defaultContext, 'spawn'])])('in %s', (context) => {
  test.each([
    ['calls', 'jobsPerProcess'],
    ['maps', 'jobsPerProcess, chunkSize'],
  ])('%s of small jobs get advice at close', async (name, options) => {
    const [advice, ...others] = await adviceOf(name, context);
    expect(advice!.replace(', preload', '')).toBe(options);
    expect(others).toEqual([]);
  });

  test('jobs that share a process get none', async () => {
    expect(await adviceOf('reuses', context)).toEqual([]);
  });
});

/** What is advised after jobs with these figures, each in a process of its own. */
async function adviceAfter(
  debug: string,
  plan: object,
  times: readonly [ms: number, load: number, run: number],
): Promise<string> {
  const file = join(__dirname, '../../dist/job/advice.js');
  const [ms, load, run] = times;
  const code = `
    const { Advice } = require(${JSON.stringify(file)});
    const advice = new Advice(1);
    const times = { load: ${load}, run: ${run} };
    const plan = ${JSON.stringify(plan)};
    for (let i = 0; i < 5; i++) advice.addJob(plan, ${ms}, times);
    advice.give();
    advice.give();`;
  const env = { ...process.env, NODE_DEBUG: debug };
  return (await runNode(['-e', code], { env })).stderr;
}

const plan = (context: string, calls = 0): object => ({
  order: { context },
  calls,
});

test.each([
  ['jobsPerProcess', plan('spawn'), [100, 10, 40]],
  ['jobsPerProcess, chunkSize', plan('spawn', 1), [100, 10, 40]],
  ['jobsPerProcess', plan('spawn', 2), [100, 10, 40]],
  ['jobsPerProcess, preload', plan('forkserver'), [100, 60, 10]],
  ['chunkSize', plan('fork', 1), [100, 0, 10]],
] as const)('%s is advised where it helps', async (advice, jobs, times) => {
  const stderr = await adviceAfter('jobserver', jobs, times);
  expect(stderr.match(/helped: (.*)\n/)![1]).toBe(advice);
  expect(stderr.split('\n')).toHaveLength(2);
});

test.each([
  ['that work for longer', 'jobserver', [100, 10, 60]],
  ['without a trace', '', [100, 10, 10]],
] as const)('jobs %s get no advice', async (_, debug, times) => {
  expect(await adviceAfter(debug, plan('spawn', 1), times)).toBe('');
});
