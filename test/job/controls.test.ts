import diagnosticsChannel from 'node:diagnostics_channel';
import { join, resolve } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  type JobControls,
  type JobRecord,
  type Jobserver,
  JobserverExecutor,
} from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/limit-jobs.js';
import { directoryAndPid, useCpuFor } from '../fixtures/settings-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { useGates } from '../helpers/gate.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';

const open = (slots = 1, context: Context = 'forkserver') =>
  openJobserver({ context, slots });
const makeGate = useGates();
const folder = useFolder();
checkSlots();

const timedOut = { name: 'TimeoutError' };

test('the wait for a slot does not count', async () => {
  const js = open();
  const gate = makeGate();
  const holder = await js.submit(waitAt, [gate.file]);
  const waiting = js.with({ runTimeout: 1000 }).run(identity, 1);
  setTimeout(gate.open, 1200);
  await holder.result();
  expect(await waiting).toBe(1);
});

const slow = {
  NODE_OPTIONS: `--require=${resolve('test/fixtures/slow-start.cjs')}`,
};

test.each([
  ['a process that runs several jobs', 'spawn', { jobsPerProcess: Infinity }],
  ['the forkserver', 'forkserver', {}],
  ['both', 'forkserver', { jobsPerProcess: 2 }],
] as const)('the start of %s does not count', async (_, context, controls) => {
  const js = open(1, context).with({ env: slow, ...controls });
  const limited = js.with({ runTimeout: 1000 });
  expect(await limited.run(identity, 1)).toBe(1);
  const error = await rejection(limited.run(jobs.stayLong));
  expect(error).toMatchObject(timedOut);
});

test('each job of a process has its own time', async () => {
  const js = open().with({ jobsPerProcess: Infinity, runTimeout: 2000 });
  const calls = Array.from({ length: 12 }, () => js.run(jobs.waitAWhile));
  const pids = await Promise.all(calls);
  expect(new Set(pids).size).toBe(1);
  const stuck = [js.run(jobs.stayLong), js.run(identity, 2)];
  expect(await rejection(stuck[0]!)).toMatchObject(timedOut);
  expect(await stuck[1]).toBe(2);
});

test('each job of a process has its own CPU time', async () => {
  const js = open().with({
    jobsPerProcess: Infinity,
    limits: { cpuTime: 1000 },
  });
  const pids: number[] = [];
  for (let i = 0; i < 4; i++) pids.push(await js.run(useCpuFor, 600));
  expect(new Set(pids).size).toBe(1);
});

test.each(['spawn', 'forkserver'])(
  'a job of the %s context that runs out of its heap is lost, and its error names the heap',
  async (context) => {
    const program = join(__dirname, '..', 'fixtures', 'heap-program.js');
    const { stdout } = await runNode([program, context], { limitMs: 60_000 });
    const { limits, nested, inherited, messages } = JSON.parse(stdout);
    const [small, usual] = limits;
    expect(small).toBeLessThan(200);
    expect(usual).toBeGreaterThan(200);
    expect([nested, inherited]).toEqual([small, small]);
    for (const message of messages) {
      expect(message).toMatch(
        /killed by SIG(ABRT|TRAP): most likely it ran out of its 64 MiB heap$/,
      );
    }
  },
);

test('jobs of different settings do not share a process', async () => {
  const idle = { idleTimeout: 60_000, jobsPerProcess: Infinity };
  const js = openJobserver({ context: 'forkserver', slots: 1, ...idle });
  const handles = [
    js,
    js.with({ nice: 19 }),
    js.with({ limits: { openFiles: 100 } }),
    js.with({ maxHeapMb: 100 }),
    js.with({ execArgv: ['--trace-uncaught'] }),
    js.with({ cwd: '/' }),
  ];
  const pidOf = async (handle: Jobserver): Promise<number> =>
    (await handle.run(directoryAndPid))[1];
  const pids: number[] = [];
  for (const handle of [...handles, ...handles]) pids.push(await pidOf(handle));
  const [plain, ...others] = pids;
  // The last one differs in what a process can change.
  expect([pids[5], pids[6], pids[11]]).toEqual([plain, plain, plain]);
  expect(new Set([plain, ...others.slice(0, 4)]).size).toBe(5);
  expect(pids.slice(6)).toEqual(pids.slice(0, 6));
});

test('jobs that inherit no options share no process with those that do', async () => {
  const { execArgv } = process;
  const idle = { idleTimeout: 60_000, jobsPerProcess: Infinity };
  const js = openJobserver({ context: 'forkserver', slots: 1, ...idle });
  const alone = js.with({ inheritExecArgv: false });
  const pids: number[] = [];
  try {
    for (const options of [['--trace-uncaught'], []]) {
      process.execArgv = options;
      for (const handle of [js, alone, js, alone]) {
        pids.push((await handle.run(directoryAndPid))[1]);
      }
    }
  } finally {
    process.execArgv = execArgv;
  }
  const [traced, plain] = pids;
  expect(traced).not.toBe(plain);
  // Where there is nothing to inherit, all start in the same way.
  const same = [plain, plain, plain, plain];
  expect(pids).toEqual([traced, plain, traced, plain, ...same]);
});

test('what ends a job first decides about its error', async () => {
  const js = open(2).with({ runTimeout: 300, killGrace: 600 });
  const controller = new AbortController();
  const { signal } = controller;
  const args = (name: string): [string] => [join(folder(), name)];
  const late = await js.submit(jobs.ignoreTermination, args('a'), { signal });
  const other = new AbortController();
  const early = await js
    .with({ runTimeout: 60_000 })
    .submit(jobs.stayLong, [], {
      signal: other.signal,
    });
  other.abort();
  expect(await rejection(early.result())).toMatchObject({ name: 'AbortError' });
  setTimeout(() => controller.abort(), 500);
  expect(await rejection(late.result())).toMatchObject(timedOut);
});

test('map throws the error in the place of the result, and its other jobs go on', async () => {
  const js = open(2).with({ runTimeout: 2500 });
  const results = js.map(jobs.stayOnTwo, [1, 2, 3]);
  expect((await results.next()).value).toBe(1);
  expect(await rejection(results.next())).toMatchObject(timedOut);
});

test('calls of an executor have the limits of its Jobserver', async () => {
  const executor = new JobserverExecutor(open().with({ runTimeout: 2000 }));
  const [stuck, next] = [
    executor.submit(jobs.stayLong),
    executor.submit(identity, 1),
  ];
  expect(await rejection(stuck)).toMatchObject(timedOut);
  expect([stuck.state, await next]).toEqual(['finished', 1]);
  await executor.shutdown();
});

test('the record of a job says whether it ran for too long', async () => {
  const seen: [number, boolean, unknown][] = [];
  const listener = (message: unknown): void => {
    const { id, timedOut, outcome } = message as JobRecord;
    seen.push([id, timedOut, outcome]);
  };
  diagnosticsChannel.subscribe('jobserver:done', listener);
  try {
    const js = open().with({ runTimeout: 200 });
    await rejection(js.run(jobs.stayLong));
    await js.with({ runTimeout: Infinity }).run(identity, 1);
  } finally {
    diagnosticsChannel.unsubscribe('jobserver:done', listener);
  }
  expect(seen.map(([, ...rest]) => rest)).toEqual([
    [true, 'lost'],
    [false, 'value'],
  ]);
});

const invalid: [keyof JobControls, unknown, code: string][] = [
  ['runTimeout', '5', 'ERR_INVALID_ARG_TYPE'],
  ['runTimeout', null, 'ERR_INVALID_ARG_TYPE'],
  ['runTimeout', 0, 'ERR_OUT_OF_RANGE'],
  ['runTimeout', -1, 'ERR_OUT_OF_RANGE'],
  ['runTimeout', NaN, 'ERR_OUT_OF_RANGE'],
  ['killGrace', true, 'ERR_INVALID_ARG_TYPE'],
  ['killGrace', -1, 'ERR_OUT_OF_RANGE'],
  ['killGrace', NaN, 'ERR_OUT_OF_RANGE'],
  ['processGroup', 1, 'ERR_INVALID_ARG_TYPE'],
  ['processGroup', null, 'ERR_INVALID_ARG_TYPE'],
  ['retries', '1', 'ERR_INVALID_ARG_TYPE'],
  ['retries', -1, 'ERR_OUT_OF_RANGE'],
  ['retries', 1.5, 'ERR_OUT_OF_RANGE'],
  ['cwd', 5, 'ERR_INVALID_ARG_TYPE'],
  ['cwd', '', 'ERR_INVALID_ARG_VALUE'],
  ['cwd', 'a\0b', 'ERR_INVALID_ARG_VALUE'],
  ['cwd', new URL('http://a/b'), 'ERR_INVALID_ARG_VALUE'],
  ['nice', '5', 'ERR_INVALID_ARG_TYPE'],
  ['nice', 20, 'ERR_OUT_OF_RANGE'],
  ['nice', 0.5, 'ERR_OUT_OF_RANGE'],
  ['limits', 5, 'ERR_INVALID_ARG_TYPE'],
  ['limits', null, 'ERR_INVALID_ARG_TYPE'],
  ['oomScoreAdj', -1, 'ERR_OUT_OF_RANGE'],
  ['oomScoreAdj', 1001, 'ERR_OUT_OF_RANGE'],
  ['maxHeapMb', 0, 'ERR_OUT_OF_RANGE'],
  ['maxHeapMb', '64', 'ERR_INVALID_ARG_TYPE'],
  ['execArgv', '--jitless', 'ERR_INVALID_ARG_TYPE'],
  ['execArgv', [5], 'ERR_INVALID_ARG_TYPE'],
  ['inheritExecArgv', 'no', 'ERR_INVALID_ARG_TYPE'],
  ['inheritExecArgv', null, 'ERR_INVALID_ARG_TYPE'],
];

test.each(invalid)('with refuses %s of %p', (name, value, code) => {
  const error = thrown(() => open().with({ [name]: value }));
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toContain(`\`${name}\``);
});

test.each([
  [{ cpuTime: 0 }, 'limits.cpuTime', 'ERR_OUT_OF_RANGE'],
  [{ fileSize: -1 }, 'limits.fileSize', 'ERR_OUT_OF_RANGE'],
  [{ openFiles: '9' }, 'limits.openFiles', 'ERR_INVALID_ARG_TYPE'],
  [{ openFile: 9 }, 'openFiles', 'ERR_INVALID_ARG_VALUE'],
])('with refuses the limits %j', (limits, name, code) => {
  const error = thrown(() => open().with({ limits } as JobControls));
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toContain(`\`${name}\``);
});
